package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestATenantIsBackedUpAndMovedAlone backs a company up from a running belfry, and
// restores it into another one, under another name, with its people's tokens.
func TestATenantIsBackedUpAndMovedAlone(t *testing.T) {
	t.Parallel()
	data, dir := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	p := serve(t, data)
	acme := p.as(strings.TrimSpace(mustCommand(t, "--data", data, "tenants", "add", "acme")))
	now := time.Now().UTC().Truncate(time.Second)
	acme.must(http.StatusOK, "POST", "/api/v1/devices/import", `{"sites":[{"id":"shop","zone":"Europe/Oslo"}],"devices":[{"name":"door","site":"shop"}]}`, nil)
	acme.must(http.StatusCreated, "POST", "/api/v1/incidents", `{"summary":"the door is stuck","site":"shop"}`, nil)
	acme.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":"%s","in":12,"out":9}`, now.Format(time.RFC3339)), nil)
	mustCommand(t, "--data", data, "backup", dir, "--tenant", "acme")
	if _, errs, code := command(t, nil, "--data", data, "backup", dir); code != 1 || !strings.Contains(errs, "new folder") {
		t.Errorf("a backup over the first: exit code %d, %s", code, errs)
	}
	if _, errs, code := command(t, nil, "--data", data, "restore", dir); code != 1 || !strings.Contains(errs, "drop it first") {
		t.Errorf("restored over itself: exit code %d, %s", code, errs)
	}
	p.stop()

	other := t.TempDir()
	if out := mustCommand(t, "--data", other, "restore", dir, "--as", "nova"); !strings.Contains(out, "nova") {
		t.Errorf("restore says %q", out)
	}
	q := serve(t, other)
	nova := q.as(acme.token)
	if in, n := nova.total("door", now.Add(-time.Hour), now.Add(time.Hour)); in != 12 || n != 1 {
		t.Errorf("%d people in %d readings came back, want 12 in 1", in, n)
	}
	var inc struct{ Summary, Zone string }
	nova.must(http.StatusOK, "GET", "/api/v1/incidents/INC-000001", "", &inc)
	if inc.Summary != "the door is stuck" || inc.Zone != "Europe/Oslo" {
		t.Errorf("the incident came back as %+v", inc)
	}
	nova.must(http.StatusCreated, "POST", "/api/v1/incidents", `{"summary":"another","site":"shop"}`, nil)
	nova.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":"%s","in":1,"out":0}`, now.Add(time.Minute).Format(time.RFC3339)), nil)
	q.await(time.Minute, "readings to go on", func() bool {
		in, _ := nova.total("door", now.Add(-time.Hour), now.Add(time.Hour))
		return in == 13
	})
	q.stop()
}

// TestABackupOfEverythingIsRestoredIntoAnEmptyFolder does it with nobody serving.
func TestABackupOfEverythingIsRestoredIntoAnEmptyFolder(t *testing.T) {
	t.Parallel()
	data, dir, other := t.TempDir(), filepath.Join(t.TempDir(), "backup"), t.TempDir()
	mustCommand(t, "--data", data, "devices", "import", writeText(t, "registry.yaml", "sites:\n  - {id: s, zone: Europe/Paris}\ndevices:\n  - {name: a, site: s}\n"))
	mustCommand(t, "--data", data, "tenants", "add", "acme")
	if out := mustCommand(t, "--data", data, "backup", dir); !strings.Contains(out, "acme, default") {
		t.Errorf("backup says %q", out)
	}
	mustCommand(t, "--data", other, "restore", dir)
	if out := mustCommand(t, "--data", other, "devices", "list"); !strings.Contains(out, "a ") {
		t.Errorf("the devices that came back: %s", out)
	}
	if out := mustCommand(t, "--data", other, "tenants", "list"); !strings.Contains(out, "acme") {
		t.Errorf("the tenants that came back: %s", out)
	}
	if err := os.WriteFile(filepath.Join(dir, "backup.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := command(t, nil, "--data", t.TempDir(), "restore", dir); code != 1 || !strings.Contains(errs, "holds no backup") {
		t.Errorf("rubbish: exit code %d, %s", code, errs)
	}
	if _, errs, code := command(t, nil, "--data", data, "migrate"); code != 2 || !strings.Contains(errs, "tickets.postgres") {
		t.Errorf("a migration to nowhere: exit code %d, %s", code, errs)
	}
}
