#!/usr/bin/env bash
# Brings the ClickHouse engine library (libchdb) into the user's cache, once.
#
#   engine.sh          fetch it when it is not there; says nothing when it is
#   engine.sh path     print where it is, or would be
#   engine.sh verify   compare the whole library with the digest recorded beside it
#
# BELFRY_ENGINE_DIR     another folder for it
# BELFRY_ENGINE         a library of your own: then there is nothing to fetch
# BELFRY_ENGINE_SHA512  the tarball's digest, for a platform without a pin
#
# The npm tarball is checked against the pin in engine.sha512 before anything of
# it is unpacked. The library appears under its name only when it is complete:
# killed at any moment, this leaves nothing that could be taken for it.
set -euo pipefail

version=26.7.3-stable.1
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${BELFRY_ENGINE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/belfry/engine/$version}
library=$dir/libchdb.so

fail() { printf 'engine: %s\n' "$*" >&2; exit 1; }

platform() {
	case "$(uname -s)/$(uname -m)" in
	Linux/x86_64) echo linux-x64-gnu ;;
	Linux/aarch64 | Linux/arm64) echo linux-arm64-gnu ;;
	Darwin/x86_64) echo darwin-x64 ;;
	Darwin/arm64) echo darwin-arm64 ;;
	*) fail "no engine library for $(uname -s) on $(uname -m); there is one for Linux and macOS, on x86-64 and arm64" ;;
	esac
}

# digest ALGORITHM ENCODING FILE: node does it, which npm needs anyway.
digest() {
	node -e 'const [a, e, f] = process.argv.slice(1), h = require("crypto").createHash(a);
		require("fs").createReadStream(f).on("data", d => h.update(d)).on("end", () => console.log(h.digest(e)))' "$@"
}

present() {
	[ -z "${BELFRY_ENGINE:-}" ] || [ ! -f "$BELFRY_ENGINE" ] || return 0
	[ -s "$library" ] && [ -s "$library.sha256" ]
}

need_npm() {
	for tool in npm node tar; do
		command -v "$tool" >/dev/null || fail "$tool is not installed; install Node.js with npm (Debian: apt-get install nodejs npm; macOS: brew install node), then run this again"
	done
}

# lock: one process fetches, the others wait. A lock whose owner died is taken
# over. Should two still meet, each fetches into its own folder and the same
# file is renamed into place twice.
lock() {
	until mkdir "$dir/.lock" 2>/dev/null; do
		local owner
		owner=$(cat "$dir/.lock/pid" 2>/dev/null || true)
		if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
			rm -rf "$dir/.lock"
			continue
		fi
		# An owner that was killed before it wrote its number.
		if [ -z "$owner" ] && [ -n "$(find "$dir/.lock" -prune -mmin +1 2>/dev/null)" ]; then
			rm -rf "$dir/.lock"
			continue
		fi
		sleep 0.2
	done
	echo $$ >"$dir/.lock/pid"
}

# check_tarball FILE PLATFORM
check_tarball() {
	local want got
	want=${BELFRY_ENGINE_SHA512:-$(awk -v v="$version" -v p="$2" '$1 == v && $2 == p {print $3}' "$here/engine.sha512")}
	got=sha512-$(digest sha512 base64 "$1")
	[ "$got" = "$want" ] || fail "the tarball of @chdb/lib-$2@$version has the digest $got; wanted $want (deploy/setup/engine.sha512). Nothing was installed"
}

fetch() {
	local name package tarball found
	name=$(platform)
	package=@chdb/lib-$name@$version
	need_npm
	if [ -z "${BELFRY_ENGINE_SHA512:-}" ] && ! grep -q "^$version $name " "$here/engine.sha512"; then
		fail "no digest is pinned for $package; look it up with 'npm view $package dist.integrity', and add it to deploy/setup/engine.sha512 or give it as BELFRY_ENGINE_SHA512"
	fi
	mkdir -p "$dir" || fail "can't make the folder $dir; name another one in BELFRY_ENGINE_DIR"
	lock
	trap 'rm -rf "$dir/.fetch.$$" "$dir/.lock"' EXIT
	trap 'exit 130' INT TERM HUP
	present && return
	rm -rf "$dir"/.fetch.*
	mkdir "$dir/.fetch.$$"

	echo "engine: fetching $package (180 MB) into $dir, once"
	(cd "$dir/.fetch.$$" && npm pack "$package" --silent --cache "$dir/.fetch.$$/npm" >npm.out 2>npm.err) ||
		fail "npm pack $package: $(grep -v 'npm warn' "$dir/.fetch.$$/npm.err" | head -3 | tr '\n' ' ')(is the npm registry reachable? npm ping)"
	tarball=$(find "$dir/.fetch.$$" -maxdepth 1 -name '*.tgz')
	check_tarball "$tarball" "$name"
	tar -xzf "$tarball" -C "$dir/.fetch.$$"
	found=$(find "$dir/.fetch.$$/package" \( -name libchdb.so -o -name libchdb.dylib \) -type f | head -1)
	[ -n "$found" ] || fail "$package holds no libchdb.so"
	chmod 755 "$found"
	printf '%s  libchdb.so\n# %s bytes\n' "$(digest sha256 hex "$found")" "$(wc -c <"$found" | tr -d ' ')" >"$dir/.fetch.$$/sha256"
	mv "$dir/.fetch.$$/sha256" "$library.sha256"
	mv "$found" "$library"
}

case "${1:-fetch}" in
fetch) present || fetch ;;
path) echo "${BELFRY_ENGINE:-$library}" ;;
verify)
	[ -s "$library" ] && [ -s "$library.sha256" ] || fail "no library at $library; run 'make setup'"
	[ "$(digest sha256 hex "$library")" = "$(head -1 "$library.sha256" | cut -d' ' -f1)" ] ||
		fail "$library is not what was fetched; delete it and run 'make setup'"
	echo "engine: $library is as it was fetched"
	;;
*) fail "usage: engine.sh [fetch | path | verify]" ;;
esac
