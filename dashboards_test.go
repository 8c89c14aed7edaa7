package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/dashboards"
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
	mustCommand(t, "--data", data, "replay", filepath.Join(simulated, "readings.ndjson"), "--speed", "max")
	if status, _ := p.request("POST", "/api/v1/telemetry", `{"device":"","ts":1}`); status != http.StatusBadRequest {
		t.Errorf("a bad line: got %d", status)
	}
	p.handleAnIncident()
	p.await(120*time.Second, "the fleet to be in the warehouse", func() bool {
		return p.counter("belfry_ingest_readings_total") > 0 && p.counter("belfry_ingest_lag_records") == 0
	})
	p.await(120*time.Second, "the fleet to be evaluated", func() bool { return p.counter("belfry_analyzer_scopes") > 0 })
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	_, device := p.ask("default", p.token, "SELECT d.device FROM devices AS d INNER JOIN (SELECT device FROM heartbeats GROUP BY device ORDER BY count() DESC LIMIT 1) AS h ON h.device = d.device")
	_, sites := p.ask("default", p.token, "SELECT site FROM sites")
	now := time.Now().UTC()
	shown := dashboards.Shown{From: now.Add(-8 * 24 * time.Hour), To: now, Sites: strings.Fields(sites), Devices: strings.Fields(device)}
	prometheus := scrape(t, p)
	for _, q := range queries {
		name := q.Dashboard + ": " + q.Panel
		if q.SQL {
			if n := p.sqlRows(t, name, q.Expand(shown)); n == 0 && !excused(name) {
				t.Errorf("%s: no rows:\n%s", name, q.Expand(shown))
			}
		} else if prometheus != "" {
			checkPromQL(t, p, prometheus, name, q.Expand(shown))
		}
	}
	p.known(t, shown)
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

// handleAnIncident reports an incident, takes and resolves it.
func (p *program) handleAnIncident() {
	p.t.Helper()
	var made struct{ Ref string }
	report := fmt.Sprintf(`{"summary":"door 2 squeaks","site":"%s"}`, p.list("/api/v1/sites")[0]["id"])
	p.must(http.StatusCreated, "POST", "/api/v1/incidents", report, &made)
	for _, step := range []string{`{"transition":"take"}`, `{"transition":"resolve","code":"fixed","cause":"hardware","item":"door 2","summary":"oil"}`} {
		p.must(http.StatusOK, "POST", "/api/v1/incidents/"+made.Ref+"/transitions", step, nil)
	}
	p.must(http.StatusCreated, "POST", "/api/v1/incidents", report, nil)
}

// sqlRows runs a statement through the door and returns how many rows it answers.
func (p *program) sqlRows(t *testing.T, name, sql string) int {
	t.Helper()
	status, body := p.ask("default", p.token, sql+"\nFORMAT JSON")
	var answer struct{ Rows int }
	if err := json.Unmarshal([]byte(body), &answer); status != 200 || err != nil {
		t.Errorf("%s: status %d: %.500s\n%s", name, status, body, sql)
	}
	return answer.Rows
}

// known holds what the panels show against what was injected: the devices that
// were made silent are the ones shown silent.
func (p *program) known(t *testing.T, shown dashboards.Shown) {
	t.Helper()
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		if q.Dashboard != "fleet" || q.Panel != "Silent devices" {
			continue
		}
		_, listed := p.ask("default", p.token, "SELECT arraySort(groupArray(device)) FROM ("+q.Expand(shown)+")")
		_, truth := p.ask("default", p.token, `SELECT arraySort(groupArray(d.device)) FROM devices AS d INNER JOIN sites AS s ON s.site = d.site
			LEFT JOIN (SELECT device, max(arrival) AS heard FROM (SELECT device, arrival FROM readings UNION ALL SELECT device, arrival FROM heartbeats) GROUP BY device) AS h ON h.device = d.device
			WHERE d.status = 'active' AND s.status != 'closed' AND h.heard <= now() - INTERVAL 1 HOUR`)
		if listed != truth || listed == "[]\n" {
			t.Errorf("silent devices: the panel lists %s, the readings say %s", listed, truth)
		}
	}
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
	p.await(30*time.Second, "Prometheus to have scraped belfry a few times", func() bool {
		n, err := promQuery(address, "sum(count_over_time(up{job=\"belfry\"}[5m])) >= 4")
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
	p.await(20*time.Second, name+" to have data: "+expr, func() bool {
		n, err := promQuery(prometheus, expr)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return true
		}
		return n > 0
	})
}
