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

	other := t.TempDir() // nothing of the first folder is needed, but for who asks here
	if err := os.WriteFile(filepath.Join(other, "admin.token"), []byte(p.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	q := serve(t, other, there...)
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
