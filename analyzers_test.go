package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// startPostgres starts a PostgreSQL in a temporary folder and returns how to reach it;
// it skips the test when there is none.
func startPostgres(t *testing.T) string {
	t.Helper()
	const programs = "/usr/lib/postgresql/15/bin"
	if _, err := os.Stat(filepath.Join(programs, "initdb")); err != nil {
		t.Skipf("PostgreSQL 15 is not installed (apt-get install postgresql-15): %v", err)
	}
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, name), args...)
		cmd.Dir = dir
		if os.Getuid() != 0 {
			return cmd
		}
		u, err := user.Lookup("postgres") // initdb refuses root
		if err != nil {
			t.Skipf("PostgreSQL refuses to run as root: %v; make setup-tests brings a user postgres", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		return cmd
	}
	if out, err := command("initdb", "-D", "data", "-U", "belfry", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := command("postgres", "-D", "data", "-c", "listen_addresses=", "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown
		_ = server.Wait()
	})
	source := "host=" + dir + " user=belfry dbname=postgres"
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var refused error
	if err := poll(ctx, 50*time.Millisecond, func() (bool, error) { // there is a socket before it lets anybody in
		conn, err := pgx.Connect(ctx, source)
		if refused = err; err != nil {
			return false, nil
		}
		return true, conn.Close(ctx)
	}); err != nil {
		t.Fatalf("PostgreSQL does not answer: %v, %v", err, refused)
	}
	return source
}

// TestAnalyzersShareTheSitesAndOneTakesOver runs belfry in three processes over one log,
// one ClickHouse and one PostgreSQL: one takes readings in and serves the API, two only
// evaluate, each its share of the sites. One of these is killed, and the other finds what
// happens at the sites of both within a minute, once.
func TestAnalyzersShareTheSitesAndOneTakesOver(t *testing.T) {
	settings := []string{"BELFRY_TICKETS_POSTGRES=" + startPostgres(t), "BELFRY_LOG_BROKERS=" + embeddedLog(t).address,
		"BELFRY_WAREHOUSE_ADDRESSES=" + startClickHouse(t, t.TempDir()).address}
	data := t.TempDir()
	front := launch(t, data, settings, "serve", "--roles", "ingest,api", "--data", data)
	analyst := func() *program {
		data := t.TempDir()
		if err := os.WriteFile(filepath.Join(data, "admin.token"), []byte(front.token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return launch(t, data, settings, "serve", "--roles", "analyzer", "--data", data)
	}
	const sites = 24
	var shops, doors []string
	for i := range sites {
		shops = append(shops, fmt.Sprintf(`{"id":"site%d","zone":"UTC","status":"open"}`, i))
		doors = append(doors, fmt.Sprintf(`{"name":"d%d","site":"site%d"}`, i, i))
	}
	front.must(200, "POST", "/api/v1/devices/import", `{"sites":[`+strings.Join(shops, ",")+`],"devices":[`+strings.Join(doors, ",")+`]}`, nil)
	text, _ := json.Marshal(map[string]string{"text": "rules:\n  - { name: crowd, scope: device, every: 1s, when: \"sum(total, 1h) > 100\", recover: \"sum(total, 1h) < 10\", category: crowd }\n"})
	front.must(200, "PUT", "/api/v1/rules/crowd", string(text), nil)
	crowd := func(from, to int) {
		t.Helper()
		var lines []string
		for i := from; i < to; i++ {
			lines = append(lines, fmt.Sprintf(`{"device":"d%d","ts":%d,"in":200,"out":0}`, i, time.Now().UnixMilli()))
		}
		front.must(202, "POST", "/api/v1/telemetry", strings.Join(lines, "\n"), nil)
	}
	incidents := func() map[string]int {
		all := map[string]int{}
		for _, inc := range front.list("/api/v1/incidents?category=crowd&limit=200") {
			all[fmt.Sprint(inc["scope"])]++
		}
		return all
	}
	a, b := analyst(), analyst()
	crowd(0, sites/2)
	front.await(time.Minute, "the analyzers to find the first half", func() bool { return len(incidents()) == sites/2 })
	front.await(time.Minute, "both analyzers to tell of a share", func() bool {
		mine, theirs := a.counter("belfry_analyzer_scopes"), b.counter("belfry_analyzer_scopes")
		return mine > 0 && theirs > 0
	})
	a.kill()
	crowd(sites/2, sites)
	front.await(time.Minute, "the analyzer that is left to find the other half", func() bool { return len(incidents()) == sites })
	for scope, n := range incidents() {
		if n != 1 {
			t.Errorf("%s has %d incidents", scope, n)
		}
	}
	b.stop()
}
