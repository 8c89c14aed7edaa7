package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/dashboards"
	"belfry/telemetry"
)

// mayBeEmpty are panels that show nothing while nothing is wrong, with what
// would have to go wrong.
var mayBeEmpty = map[string]string{"pipeline: Rule errors per minute": "a rule that fails"}

// TestEveryPanelHasData runs each panel's query on a fleet with known faults: SQL
// through the ClickHouse door, PromQL on a Prometheus that scrapes belfry.
func TestEveryPanelHasData(t *testing.T) {
	data, simulated := t.TempDir(), t.TempDir()
	// The shipped rules wait for the next instant of their grid, minutes away.
	p := serve(t, data, "BELFRY_ANALYZER_RULES="+writeText(t, "rules.yaml", quick))
	mustCommand(t, "simulate", simulated, "--devices", "30", "--days", "9", "--every", "15m")
	mustCommand(t, "--data", data, "devices", "import", filepath.Join(simulated, "registry.yaml"))
	sum := replayAll(t, data, filepath.Join(simulated, "readings.ndjson"), "--speed", "max")
	if status, _ := p.request("POST", "/api/v1/telemetry", `{"device":"","ts":1}`); status != http.StatusBadRequest {
		t.Errorf("a bad line: got %d", status)
	}
	p.await(120*time.Second, "the fleet to be in the warehouse", func() bool {
		return p.counter("belfry_ingest_readings_total") >= float64(sum.Accepted) // lag is of what ingestion has seen of the log
	})
	p.await(120*time.Second, "the fleet to be evaluated", func() bool { return p.counter("belfry_analyzer_scopes") > 0 })
	device := p.answer("SELECT d.device FROM devices AS d INNER JOIN (SELECT device FROM heartbeats GROUP BY device ORDER BY count() DESC LIMIT 1) AS h ON h.device = d.device")
	p.handleAnIncident(device)
	p.await(120*time.Second, "a silent device to have its incident", func() bool { return len(p.list("/api/v1/incidents?rule=suspected-offline&condition=firing")) > 0 })
	p.awaitMirror()
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Add(time.Minute)
	shown := dashboards.Shown{From: now.Add(-8 * 24 * time.Hour), To: now, Sites: strings.Fields(p.answer("SELECT site FROM sites")), Devices: []string{device}}
	prometheus, shapes := scrape(t, p), ""
	for _, q := range queries {
		name := q.Dashboard + ": " + q.Panel
		if q.SQL {
			rows, columns := p.shape(t, name, q.Expand(shown))
			if rows == 0 && !excused(name) {
				t.Errorf("%s: no rows:\n%s", name, q.Expand(shown))
			}
			shapes += name + ": " + columns + "\n"
		} else if prometheus != "" {
			checkPromQL(t, p, prometheus, name, q.Expand(shown))
		}
	}
	checkGolden(t, filepath.Join("dashboards", "testdata", "shapes.golden"), shapes)
	p.known(t, shown)
	p.counted(t, simulated, shown)
	pictures := filepath.Join(t.TempDir(), "pictures")
	if keep := os.Getenv("BELFRY_TEST_PICTURES"); keep != "" {
		pictures = keep
	}
	mustCommand(t, "--data", data, "dashboards", "preview", pictures, "--prometheus", prometheus)
	if files, err := filepath.Glob(filepath.Join(pictures, "*.svg")); err != nil || len(files) != 6 {
		t.Errorf("preview wrote %v, %v; want six pictures", files, err)
	}
	p.stop()
}

func excused(name string) bool { _, ok := mayBeEmpty[name]; return ok }

// handleAnIncident reports an incident of a device, takes and resolves it, and
// reports another one that nobody takes.
func (p *program) handleAnIncident(device string) {
	p.t.Helper()
	var made struct{ Ref string }
	report := fmt.Sprintf(`{"summary":"the door squeaks","device":%q,"urgency":"high"}`, device)
	p.must(http.StatusCreated, "POST", "/api/v1/incidents", report, &made)
	resolve := fmt.Sprintf(`{"transition":"resolve","code":"fixed","cause":"hardware","item":%q,"summary":"oil"}`, device)
	for _, step := range []string{`{"transition":"take"}`, resolve} {
		p.must(http.StatusOK, "POST", "/api/v1/incidents/"+made.Ref+"/transitions", step, nil)
	}
	p.must(http.StatusCreated, "POST", "/api/v1/incidents", report, nil)
}

// answer returns what a statement through the door answers, in one line.
func (p *program) answer(sql string) string {
	p.t.Helper()
	status, body := p.ask("default", p.token, sql)
	if status != http.StatusOK {
		p.t.Fatalf("status %d: %.500s\n%s", status, body, sql)
	}
	return strings.TrimSpace(body)
}

// awaitMirror waits until the warehouse has all incidents as they are now.
func (p *program) awaitMirror() {
	p.t.Helper()
	p.await(120*time.Second, "the incidents to be in the warehouse", func() bool {
		n := 0
		for _, inc := range p.list("/api/v1/incidents?limit=500") {
			if p.answer(fmt.Sprintf("SELECT count() FROM incidents WHERE ref = '%s' AND version >= %v", inc["ref"], inc["version"])) == "1" {
				n++
			}
		}
		return n == len(p.list("/api/v1/incidents?limit=500"))
	})
}

// shape runs a statement through the door and returns how many rows it answers,
// and the names and types of its columns.
func (p *program) shape(t *testing.T, name, sql string) (rows int, columns string) {
	t.Helper()
	status, body := p.ask("default", p.token, sql+"\nFORMAT JSON")
	var answer struct {
		Rows int
		Meta []struct{ Name, Type string }
	}
	if err := json.Unmarshal([]byte(body), &answer); status != 200 || err != nil {
		t.Errorf("%s: status %d: %.500s\n%s", name, status, body, sql)
	}
	var list []string
	for _, c := range answer.Meta {
		list = append(list, c.Name+" "+c.Type)
	}
	return answer.Rows, strings.Join(list, ", ")
}

// checkGolden holds a text against its file; -update writes the file.
func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || string(want) != got {
		t.Errorf("%s differs (%v); go test -run EveryPanel -update . writes it anew. Got:\n%s", path, err, got)
	}
}

// known holds what panels show against what is known of the fleet: the devices
// that were made silent, and the incidents that are open.
func (p *program) known(t *testing.T, shown dashboards.Shown) {
	t.Helper()
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	var open []string
	for _, inc := range p.list("/api/v1/incidents?limit=500") {
		if s := inc["state"]; (s == "new" || s == "in_progress" || s == "pending") && inc["held_back"] == nil && inc["parent"] == nil {
			open = append(open, fmt.Sprintf("'%s'", inc["ref"]))
		}
	}
	slices.Sort(open)
	truth := map[string]string{
		"fleet: Silent devices": p.answer(`SELECT arraySort(groupArray(d.device)) FROM devices AS d INNER JOIN sites AS s ON s.site = d.site
			LEFT JOIN (SELECT device, max(arrival) AS heard FROM (SELECT device, arrival FROM readings UNION ALL SELECT device, arrival FROM heartbeats) GROUP BY device) AS h ON h.device = d.device
			WHERE d.status = 'active' AND s.status != 'closed' AND h.heard <= now() - INTERVAL 1 HOUR`),
		"incidents: Open incidents": "[" + strings.Join(open, ",") + "]",
	}
	p.opens(t, queries, shown)
	for _, q := range queries {
		name := q.Dashboard + ": " + q.Panel
		want, ok := truth[name]
		if !ok {
			continue
		}
		column := map[bool]string{true: "device", false: "incident"}[q.Dashboard == "fleet"]
		if got := p.answer("SELECT arraySort(groupArray(" + column + ")) FROM (" + q.Expand(shown) + ")"); got != want || got == "[]" {
			t.Errorf("%s: the panel lists %s, want %s", name, got, want)
		}
		delete(truth, name)
	}
	if len(truth) > 0 {
		t.Errorf("there are no panels %v", truth)
	}
}

// opens holds the shading of a site's opening hours against the site's own calendar.
func (p *program) opens(t *testing.T, queries []dashboards.Query, shown dashboards.Shown) {
	t.Helper()
	for _, q := range queries {
		if q.Dashboard != "site" || q.Panel != "annotation Opening hours" {
			continue
		}
		for _, id := range shown.Sites {
			var site telemetry.Site
			p.must(http.StatusOK, "GET", "/api/v1/sites/"+id, "", &site)
			one := shown
			one.Sites = []string{id}
			got := p.answer("SELECT groupArray((toUnixTimestamp(time), toUnixTimestamp(timeEnd))) FROM (" + q.Expand(one) + ")")
			want := "[]"
			if site.Hours.Known() {
				want = openSpans(&site, shown.From.Truncate(15*time.Minute), shown.To.Truncate(15*time.Minute))
			}
			if got != want {
				t.Errorf("opening hours of %s: the dashboard shades %s, want %s", id, got, want)
			}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// scrape starts a Prometheus over belfry's metrics and returns its address; ""
// when none is installed.
func scrape(t *testing.T, p *program) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Log("no Prometheus is installed: PromQL is not run")
		return ""
	}
	dir, port := t.TempDir(), freePort(t)
	target, err := url.Parse(p.api)
	if err != nil {
		t.Fatal(err)
	}
	config := writeText(t, "prometheus.yml", fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: belfry\n    static_configs: [{targets: ['%s']}]\n", target.Host))
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+dir, "--web.listen-address=127.0.0.1:"+port, "--log.level=error")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address := "http://127.0.0.1:" + port
	p.await(2*time.Minute, "Prometheus to have scraped belfry a few times", func() bool {
		n, err := promQuery(address, "sum(sum_over_time(up{job=\"belfry\"}[5m])) >= 4") // not: tried to
		return err == nil && n > 0
	})
	return address
}

// promQuery runs an instant query and returns the number of its series.
func promQuery(address, expr string) (int, error) {
	resp, err := http.Get(address + "/api/v1/query?" + url.Values{"query": {expr}}.Encode())
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result), nil
}

// checkPromQL polls, since rates need scrapes on both sides of an event.
func checkPromQL(t *testing.T, p *program, prometheus, name, expr string) {
	t.Helper()
	if excused(name) {
		if _, err := promQuery(prometheus, expr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	p.await(time.Minute, name+" to have data: "+expr, func() bool {
		n, err := promQuery(prometheus, expr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return true
		}
		return n > 0
	})
}
