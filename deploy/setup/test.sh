#!/usr/bin/env bash
# All tests, with the race detector where there is a C compiler for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

race=$(deploy/setup/race.sh)
if [ -z "$race" ]; then
	echo "test: without the race detector: it needs a C compiler, and there is none (Debian: apt-get install gcc libc6-dev)" >&2
fi
exec go test $race -timeout 40m "$@" ./...
