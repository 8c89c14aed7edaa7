#!/usr/bin/env bash
# The linters, cheapest first; each says what is wrong, none says that all is well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=.cache/tools

unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	printf 'lint: not formatted; run gofmt -w on:\n%s\n' "$unformatted" >&2
	exit 1
fi

# With the race detector the tests need every package compiled for it anyway;
# the linters look at the same compiled packages rather than at a second set.
GOFLAGS="$(go env GOFLAGS) $(deploy/setup/race.sh)"
export GOFLAGS
go vet ./...
"$tools/staticcheck" ./...

# govulncheck asks a database on the network; it exits with 3 when it found
# something, and with 1 when it could not look.
status=0
said=$("$tools/govulncheck" ./... 2>&1) || status=$?
case $status in
0) ;;
3)
	printf '%s\n' "$said" >&2
	exit 1
	;;
*) printf 'lint: govulncheck skipped: %s\n' "$(printf '%s\n' "$said" | tail -1 | sed 's/^govulncheck: //')" >&2 ;;
esac
