package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startPostgres starts a real PostgreSQL in a temporary folder and returns where it
// is, or skips the test when PostgreSQL 15 is not installed.
func startPostgres(t *testing.T) (source string) {
	t.Helper()
	const programs = "/usr/lib/postgresql/15/bin"
	if _, err := os.Stat(filepath.Join(programs, "initdb")); err != nil {
		t.Skipf("PostgreSQL 15 is not installed (apt-get install postgresql-15): %v", err)
	}
	dir, err := os.MkdirTemp("", "belfry-pg") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var owner *syscall.SysProcAttr
	if os.Getuid() == 0 { // it refuses root
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Skipf("PostgreSQL refuses to run as root, and there is no user postgres: %v", err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			t.Fatal(err)
		}
		owner = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	program := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(programs, name), args...)
		cmd.Dir, cmd.SysProcAttr = dir, owner
		return cmd
	}
	if out, err := program("initdb", "-D", "data", "-U", "belfry", "-A", "trust", "-E", "UTF8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	server := program("postgres", "-D", "data", "-c", "listen_addresses=", "-c", "unix_socket_directories="+dir, "-c", "fsync=off")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGINT) // a fast shutdown
		_ = server.Wait()
	})
	var out []byte
	err = poll(t.Context(), 50*time.Millisecond, func() (bool, error) {
		out, err = program("createdb", "-h", dir, "-U", "belfry", "belfry").CombinedOutput()
		return err == nil, t.Context().Err()
	})
	if err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
	return "host=" + dir + " user=belfry dbname=belfry"
}

// TestAFolderIsCarriedToServersAndWorkedOnThere moves two companies from a data
// folder to a real PostgreSQL and to a ClickHouse that several processes may share,
// twice, and goes on there.
func TestAFolderIsCarriedToServersAndWorkedOnThere(t *testing.T) {
	data, now := t.TempDir(), time.Now().UTC().Truncate(time.Second)
	source := startPostgres(t)
	p := serve(t, data)
	acme := p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "acme")))
	for i, who := range []*program{p, acme} {
		who.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites":[{"id":"shop","zone":"Europe/Oslo"}],"devices":[{"name":"door","site":"shop"}]}`, nil)
		who.must(http.StatusCreated, "POST", "/api/v1/incidents", fmt.Sprintf(`{"summary":"door %d is stuck","site":"shop"}`, i), nil)
		who.must(http.StatusCreated, "POST", "/api/v1/incidents/INC-000001/attachments?name=door.txt", fmt.Sprintf(`{"the":"door %d"}`, i), nil)
		who.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":"%s","in":%d,"out":0}`, now.Format(time.RFC3339), i+1), nil)
	}
	p.stop()

	there := []string{"BELFRY_TICKETS_POSTGRES=" + source, "BELFRY_WAREHOUSE_ADDRESSES=" + startClickHouse(t, t.TempDir()).address}
	for _, says := range []string{"tokens are moved", "are there already"} { // the second time finds what is there
		out, errs, code := command(t, there, "--data", data, "migrate")
		if code != 0 || !strings.Contains(out, says) || !strings.Contains(out, "tickets of acme are moved") || !strings.Contains(out, "readings of default are moved") {
			t.Fatalf("migrate: exit code %d, want %q\n%s%s", code, says, out, errs)
		}
	}

	q := serve(t, t.TempDir(), there...) // another folder: nothing of the first is needed
	home, acme := q.as(p.token), q.as(acme.token)
	for i, who := range []*program{home, acme} {
		var inc struct{ Summary, Zone string }
		who.must(http.StatusOK, "GET", "/api/v1/incidents/INC-000001", "", &inc)
		if want := fmt.Sprintf("door %d is stuck", i); inc.Summary != want || inc.Zone != "Europe/Oslo" {
			t.Errorf("the incident came as %+v, want %s", inc, want)
		}
		var files struct{ Items []struct{ ID string } }
		who.must(http.StatusOK, "GET", "/api/v1/incidents/INC-000001/attachments", "", &files)
		if status, text := who.request("GET", "/api/v1/incidents/INC-000001/attachments/"+files.Items[0].ID, ""); status != 200 || !strings.Contains(text, fmt.Sprintf("door %d", i)) {
			t.Errorf("the file came as %d %s", status, text)
		}
		if in, n := who.total("door", now.Add(-time.Hour), now.Add(time.Hour)); in != int64(i+1) || n != 1 {
			t.Errorf("%d people in %d readings came, want %d in 1", in, n, i+1)
		}
		var next struct{ Ref string }
		if who.must(http.StatusCreated, "POST", "/api/v1/incidents", `{"summary":"another","site":"shop"}`, &next); next.Ref != "INC-000002" {
			t.Errorf("the next one is %s", next.Ref)
		}
		who.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":"%s","in":10,"out":0}`, now.Add(time.Minute).Format(time.RFC3339)), nil)
		q.await(time.Minute, "readings to go on", func() bool {
			in, _ := who.total("door", now.Add(-time.Hour), now.Add(time.Hour))
			return in == int64(i+11)
		})
	}
	q.stop()
}
