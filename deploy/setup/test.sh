#!/usr/bin/env bash
# All tests, with the race detector where there is a C compiler for it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

race=-race
if ! command -v "$(go env CC)" >/dev/null 2>&1; then
	echo "test: without the race detector: it needs a C compiler, and there is none (Debian: apt-get install gcc libc6-dev)" >&2
	race=
fi
exec go test $race -timeout 40m "$@" ./...
