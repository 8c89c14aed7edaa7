#!/usr/bin/env bash
# A real single-node Apache Kafka (KRaft, one broker that is its own controller),
# for tests and development. It listens on loopback only and has no password:
# it is not for production.
#
#   kafka.sh fetch                      bring the jars into the user's cache, once; says nothing when they are there
#   kafka.sh present                    exit 0 when java and the jars are there; else say what is missing
#   kafka.sh up PORT DIR [CONTROLLER]   start it on 127.0.0.1:PORT with its data in DIR; return when it answers
#   kafka.sh down DIR                   end the one that keeps its data in DIR
#
# CONTROLLER is the second port that it needs, PORT+1 if not given. The version
# stands in pom.xml. The jars are in ${XDG_CACHE_HOME:-$HOME/.cache}/belfry/kafka/VERSION,
# or in BELFRY_KAFKA_DIR. They appear there only when they are complete.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
jars=${BELFRY_KAFKA_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/belfry/kafka/$version}
plugin=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

fail() { printf 'kafka: %s\n' "$*" >&2; exit 1; }

java_works() {
	command -v java >/dev/null || return 1
	local major
	major=$(java -version 2>&1 | sed -n 's/^[^"]*version "\([0-9]*\).*/\1/p')
	[ "${major:-0}" -ge 17 ]
}

present() { [ -s "$jars/complete" ]; }

need() {
	java_works || fail "Java 17 or later is not installed (Debian: apt-get install openjdk-17-jre-headless)"
	present || fail "the jars of Apache Kafka $version are not in $jars; run deploy/kafka/kafka.sh fetch"
}

# fetch: into a folder of its own, renamed when it is whole. Two that fetch at
# once each do the work, and the first rename wins.
fetch() {
	present && return 0
	command -v mvn >/dev/null || fail "mvn is not installed (Debian: apt-get install maven)"
	local parent=${jars%/*} part
	mkdir -p "$parent" || fail "can't make the folder $parent; name another one in BELFRY_KAFKA_DIR"
	part=$(mktemp -d "$parent/.fetch.XXXXXX")
	# shellcheck disable=SC2064
	trap "rm -rf '$part'" EXIT
	echo "kafka: fetching Apache Kafka $version (55 MB) into $jars, once"
	mvn -B -q -f "$here/pom.xml" "$plugin:copy-dependencies" -DoutputDirectory="$part" >"$part.log" 2>&1 ||
		{ grep -m 2 ERROR "$part.log" >&2; rm -f "$part.log"; fail "mvn could not bring Apache Kafka $version (is Maven Central reachable?)"; }
	rm -f "$part.log"
	ls "$part" >"$part.list" && mv "$part.list" "$part/complete"
	if ! present; then
		rm -rf "$jars"
		mv "$part" "$jars"
	fi
}

properties() { # PORT DIR CONTROLLER
	cat <<-END
		process.roles=broker,controller
		node.id=1
		controller.quorum.voters=1@127.0.0.1:$3
		controller.listener.names=CONTROLLER
		listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$3
		advertised.listeners=PLAINTEXT://127.0.0.1:$1
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
		log.dirs=$2/data
		log.retention.ms=-1
		auto.create.topics.enable=false
		offsets.topic.replication.factor=1
		offsets.topic.num.partitions=4
		transaction.state.log.replication.factor=1
		transaction.state.log.min.isr=1
		share.coordinator.state.topic.replication.factor=1
		share.coordinator.state.topic.min.isr=1
		group.initial.rebalance.delay.ms=0
	END
}

# answers PORT: an ApiVersions request gets an answer, not only a connection.
answers() {
	local got
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf '\0\0\0\012\0\022\0\0\0\0\0\0\377\377' >&3
	got=$(timeout 2 head -c 4 <&3 | wc -c)
	exec 3>&-
	[ "$got" -eq 4 ]
} 2>/dev/null

running() { # PID DIR: that process is this Kafka, and not another that got its number
	kill -0 "$1" 2>/dev/null && ps -o command= -p "$1" 2>/dev/null | grep -qF "$2/server.properties"
}

up() {
	local port=$1 dir controller=${3:-$(($1 + 1))} pid
	need
	mkdir -p "$2" && dir=$(cd "$2" && pwd)
	pid=$(cat "$dir/pid" 2>/dev/null || true)
	if [ -n "$pid" ] && running "$pid" "$dir"; then
		fail "one is running on $dir already (pid $pid); end it with: kafka.sh down $dir"
	fi
	properties "$port" "$dir" "$controller" >"$dir/server.properties"
	local run=(java -Xmx512m -XX:+UseSerialGC -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*")
	if [ ! -s "$dir/data/meta.properties" ]; then
		"${run[@]}" kafka.tools.StorageTool format --config "$dir/server.properties" \
			--cluster-id belfry-test-kafka-node >"$dir/format.log" 2>&1 ||
			fail "format of $dir/data: $(tail -1 "$dir/format.log")"
	fi
	nohup "${run[@]}" kafka.Kafka "$dir/server.properties" >"$dir/kafka.log" 2>&1 </dev/null &
	pid=$!
	echo "$pid" >"$dir/pid"
	for _ in $(seq 300); do
		kill -0 "$pid" 2>/dev/null || fail "it ended at once; the end of $dir/kafka.log: $(grep -E 'ERROR|Exception' "$dir/kafka.log" | tail -1)"
		answers "$port" && return 0
		sleep 0.2
	done
	down "$dir"
	fail "no answer on 127.0.0.1:$port after a minute; see $dir/kafka.log"
}

down() {
	local dir pid
	[ -s "$1/pid" ] || return 0
	dir=$(cd "$1" && pwd)
	pid=$(cat "$dir/pid")
	if running "$pid" "$dir"; then
		kill "$pid" 2>/dev/null || true
		for _ in $(seq 100); do
			running "$pid" "$dir" || break
			sleep 0.2
		done
		if running "$pid" "$dir"; then kill -9 "$pid" 2>/dev/null || true; fi
	fi
	rm -f "$dir/pid"
}

usage() { printf 'usage: kafka.sh fetch | present | up PORT DIR [CONTROLLER] | down DIR\n' >&2; exit 2; }

case "${1:-}" in
fetch) fetch ;;
present) need ;;
up) [ $# -ge 3 ] || usage; up "$2" "$3" "${4:-}" ;;
down) [ $# -eq 2 ] || usage; down "$2" ;;
*) usage ;;
esac
