#!/usr/bin/env bash
# Brings what only tests need: Apache Kafka from Maven Central; schemathesis from
# PyPI; PostgreSQL, Prometheus, Alertmanager and Chromium from Debian's packages.
# What is there already is left alone and not mentioned; what can't be had costs
# one line, and the tests for it skip.
# No service is started, and none stays enabled: the tests start their own
# servers, on ports and in folders of their own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

skip() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }

kafka() {
	[ -x "$here/../kafka/kafka.sh" ] || return 0
	if ! have java || ! have mvn; then
		skip "tests on a real Apache Kafka will skip: java (17 or later) and mvn are not both installed"
		return 0
	fi
	"$here/../kafka/kafka.sh" fetch || skip "tests on a real Apache Kafka will skip: kafka.sh fetch failed (above)"
}

# schemathesis brings it into a folder of its own; pip writes the program last.
schemathesis() {
	local version=4.32.5 dir
	dir=${XDG_CACHE_HOME:-$HOME/.cache}/belfry/schemathesis/$version
	[ -x "$dir/bin/schemathesis" ] && return 0
	if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
		skip "tests with generated requests will skip: Python 3.10 or later with venv is not installed (Debian: apt-get install python3-venv)"
		return 0
	fi
	echo "setup: installing PyPI's schemathesis $version for the tests, once"
	local log
	log=$(mktemp)
	if ! { python3 -m venv --clear "$dir" && "$dir/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version"; } >"$log" 2>&1; then
		rm -rf "$dir"
		skip "tests with generated requests will skip: pip install schemathesis: $(grep -i error "$log" | head -1)"
	fi
	rm -f "$log"
}

have_postgres() { have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
have_prometheus() { have prometheus && have promtool; }
have_alertmanager() { have prometheus-alertmanager && have amtool; }

# quiet_services keeps the packages' scripts from starting what they install:
# that is what policy-rc.d is for. One that is there already is somebody's.
quiet_services() {
	[ -e /usr/sbin/policy-rc.d ] && return 0
	printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
	chmod 755 /usr/sbin/policy-rc.d
	trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	trap 'exit 130' INT TERM HUP
}

# install PACKAGE WHAT: install it and leave its service off.
install() {
	local log
	log=$(mktemp)
	echo "setup: installing Debian's $1 for the tests, once"
	if DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends --no-upgrade "$1" >"$log" 2>&1; then
		if [ -d /run/systemd/system ]; then
			systemctl disable --now "$1" >/dev/null 2>&1 || true
		fi
	else
		skip "tests on $2 will skip: apt-get install $1: $(grep '^E:' "$log" | head -1)"
	fi
	rm -f "$log"
}

debian() {
	local wanted=()
	have_postgres || wanted+=("postgresql|PostgreSQL")
	have_prometheus || wanted+=("prometheus|Prometheus")
	have_alertmanager || wanted+=("prometheus-alertmanager|a real Alertmanager")
	have chromium || wanted+=("chromium|the fleet page in a browser")
	[ ${#wanted[@]} -gt 0 ] || return 0
	if ! have apt-get || [ "$(id -u)" != 0 ]; then
		for w in "${wanted[@]}"; do
			skip "tests on ${w#*|} will skip: it is not installed, and installing it (apt-get install ${w%|*}) needs apt-get and root"
		done
		return 0
	fi
	quiet_services
	apt-get update -qq >/dev/null 2>&1 || skip "apt-get update failed; going on with the package lists that are there"
	for w in "${wanted[@]}"; do
		install "${w%|*}" "${w#*|}"
	done
}

kafka
schemathesis
debian
