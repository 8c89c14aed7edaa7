#!/usr/bin/env bash
# Prints the flags that build with the race detector; nothing where there is no C
# compiler, which it needs. SQLite and the C library under it are C made into Go: their
# memory is not Go's, the detector says nothing of it, and looking at each access to it
# takes half of the time of whatever works on tickets.
set -euo pipefail

if command -v "$(go env CC)" >/dev/null 2>&1; then
	echo "-race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false"
fi
