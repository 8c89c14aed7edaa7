package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"belfry/api"
)

func TestDeadLettersComeBackAfterAFix(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	dead := func(args ...string) string {
		t.Helper()
		return mustCommand(t, append([]string{"--data", data, "ingest", "dead"}, args...)...)
	}
	// A replay stamps what it sends with the readings' own times; "soon" will never be one.
	recorded := writeText(t, "bad.ndjson", `{"device":"a","ts":"soon","in":1,"out":1}`+"\n"+`{"device":"a","ts":"2026-03-01T10:00:00Z","in":-1,"out":1}`+"\n")
	mustCommand(t, "--data", data, "replay", recorded)
	p.await(30*time.Second, "two dead letters", func() bool { return len(p.list("/api/v1/ingest/dead")) == 2 })

	var letters []api.DeadLetter
	if err := json.Unmarshal([]byte(dead("list", "--reason", "bad_in", "--json")), &letters); err != nil || len(letters) != 1 || letters[0].Reason != "bad_in" {
		t.Fatalf("list by reason: %+v, %v", letters, err)
	}
	if out := dead("list"); !strings.Contains(out, "bad_ts") || !strings.Contains(out, letters[0].ID) {
		t.Errorf("list: %s", out)
	}
	if out := dead("show", letters[0].ID); !strings.Contains(out, `"in":-1`) {
		t.Errorf("show: %s", out)
	}
	if out := dead("retry", letters[0].ID); !strings.HasPrefix(out, "1 sent again, 0 left") {
		t.Errorf("retry: %s", out)
	}
	// It is refused again: the old one is gone from the list, and there is a new one.
	p.await(30*time.Second, "it to be refused again", func() bool {
		list := p.list("/api/v1/ingest/dead")
		return len(list) == 2 && list[0]["id"] != letters[0].ID && list[1]["id"] != letters[0].ID
	})
	if out := dead("retry", letters[0].ID, "--json"); !strings.Contains(out, `"skipped": 1`) {
		t.Errorf("the same once more: %s", out)
	}
	if status, text := p.request("GET", "/api/v1/ingest/dead/0-999", ""); status != http.StatusNotFound {
		t.Errorf("a letter that is not there: %d %s", status, text)
	}
	if status, text := p.request("POST", "/api/v1/ingest/dead/retry", `{"ids":["0-999"]}`); status != http.StatusNotFound {
		t.Errorf("retry of a letter that is not there: %d %s", status, text)
	}
	if _, errs, code := command(t, nil, "--data", data, "ingest", "dead", "retry"); code != 2 || !strings.Contains(errs, "--all") {
		t.Errorf("retry of nothing: exit code %d, %s", code, errs)
	}
	if out := mustCommand(t, "--data", data, "ingest", "status"); !strings.Contains(out, "belfry.default.telemetry") || !strings.Contains(out, "PARTITION") {
		t.Errorf("status: %s", out)
	}
	p.stop()
	if out := dead("list"); strings.Count(out, "\n") != 3 {
		t.Errorf("without a server: %s", out)
	}
	if out := mustCommand(t, "--data", data, "ingest", "status", "--json"); !strings.Contains(out, `"partitions": [`) {
		t.Errorf("status without a server: %s", out)
	}
}

func TestAPauseOfIngestionOutlivesARestart(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	if out := mustCommand(t, "--data", data, "ingest", "pause"); strings.Count(out, "paused since") != 4 {
		t.Errorf("pause: %s", out)
	}
	send := func(ts, total string) {
		t.Helper()
		p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", `{"device":"a","ts":"`+ts+`","in_total":`+total+`}`+"\n"+`{"device":"b","ts":"`+ts+`","in":1}`, nil)
	}
	send("2026-03-01T10:00:00Z", "100")
	p.stop()
	p = serve(t, data)
	send("2026-03-01T11:00:00Z", "107")
	p.await(30*time.Second, "the lag of a paused log", func() bool {
		return p.counter("belfry_ingest_paused") == 4 && strings.Count(mustCommand(t, "--data", data, "ingest", "status", "--json"), `"paused": true`) == 4
	})
	if got := p.counter("belfry_ingest_records_total"); got != 0 {
		t.Errorf("%v records were ingested while it was paused", got)
	}
	if _, errs, code := command(t, nil, "--data", data, "ingest", "resume", "7"); code != 1 || !strings.Contains(errs, "no such partition: 7") {
		t.Errorf("resume of no partition: exit code %d, %s", code, errs)
	}
	if out := mustCommand(t, "--data", data, "ingest", "resume"); strings.Contains(out, "paused") {
		t.Errorf("resume: %s", out)
	}
	p.await(30*time.Second, "what waited", func() bool { return p.counter("belfry_ingest_records_total") == 4 })
	var answer struct{ Readings []api.Reading }
	p.must(http.StatusOK, "GET", "/api/v1/devices/a/readings?from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z", "", &answer)
	if list := answer.Readings; len(list) != 1 || list[0].In != 7 {
		t.Errorf("totals of 100 and 107 make %v; want one count of 7", list)
	}
}
