package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// quick are rules for tests that run as fast as a test can wait.
const quick = `rules:
  - name: suspected-offline
    scope: device
    when: silence() > 72h
    recover: count(heartbeat, 1h) >= 2
    on_missing: fire
    every: 1s
    category: suspected_offline
    impact: device
    urgency: high
    summary: "{{ .device }} at {{ .site }} has been silent for {{ duration .value }}"
`

func writeText(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// listing is a list that the API answers.
type listing struct {
	Items []map[string]any `json:"items"`
}

func (p *program) list(path string) []map[string]any {
	p.t.Helper()
	var answer listing
	p.must(http.StatusOK, "GET", path, "", &answer)
	return answer.Items
}

func TestFromBytesToIncident(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*testing.T) []string{
		"on the embedded parts":  func(*testing.T) []string { return nil },
		"on a real Apache Kafka": realKafka,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := writeText(t, "rules.yaml", quick)
			bytesToIncident(t, append(settings(t), "BELFRY_ANALYZER_RULES="+rules))
		})
	}
}

// bytesToIncident follows a device that has been silent for four days from the
// bytes it sent to the incident that ends when it is back.
func bytesToIncident(t *testing.T, settings []string) {
	data := t.TempDir()
	p := serve(t, data, settings...)
	p.must(http.StatusOK, "POST", "/api/v1/devices/import", `{
		"sites": [{"id": "paris", "zone": "Europe/Paris"}],
		"devices": [{"name": "lost", "site": "paris", "heartbeat_every": 900}, {"name": "well", "site": "paris", "heartbeat_every": 900}]}`, nil)

	// Lost was heard of four days ago, well just now; and somebody sends nonsense.
	old := time.Now().Add(-4 * 24 * time.Hour).UTC()
	recorded := writeText(t, "old.ndjson", fmt.Sprintf(`{"device":"lost","ts":%d,"kind":"heartbeat"}`+"\n", old.UnixMilli()))
	out, errs, code := command(t, settings, "--data", data, "replay", recorded, "--json")
	if code != 0 || !strings.Contains(out, `"accepted": 1`) {
		t.Fatalf("replay: exit code %d\n%s%s", code, out, errs)
	}
	now := time.Now().UTC().Truncate(time.Second)
	status, answer := p.request("POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"well","ts":"%s","in":12,"out":9}
{"device":"well","ts":%d,"kind":"heartbeat","temp":41.5}
{"device":"","ts":"%s","in":1,"out":1}`, now.Format(time.RFC3339), now.UnixMilli(), now.Format(time.RFC3339)))
	if status != http.StatusBadRequest || !strings.Contains(answer, "bad_device") {
		t.Errorf("a bad line among good ones: got %d %s, want 400 naming bad_device", status, answer)
	}

	var incident map[string]any
	p.await(2*time.Minute, "the incident of the lost device", func() bool {
		list := p.list("/api/v1/incidents?device=lost&category=suspected_offline&site=paris&state=new")
		if len(list) == 1 {
			incident = list[0]
		}
		return len(list) > 0
	})
	ref := incident["ref"].(string)
	if got := p.list("/api/v1/incidents?device=well"); len(got) != 0 {
		t.Errorf("the device that is well has incidents: %v", got)
	}
	p.await(2*time.Minute, "the reading of the device that is well", func() bool {
		in, n := p.total("well", now.Add(-time.Hour), now)
		return in == 12 && n == 1
	})
	if got := p.list("/api/v1/incidents/" + ref + "/evidence"); len(got) == 0 {
		t.Error("the incident has no evidence")
	}

	// The desk takes it; it can't be resolved while it fires; a kill changes nothing.
	p.must(http.StatusOK, "POST", "/api/v1/incidents/"+ref+"/transitions", `{"transition":"take"}`, nil)
	if status, answer := p.request("POST", "/api/v1/incidents/"+ref+"/transitions", `{"transition":"resolve","code":"fixed","cause":"cabling","summary":"x","item":"lost"}`); status != http.StatusConflict {
		t.Errorf("resolving what still fires: got %d %s, want 409", status, answer)
	}
	p.metricsAreThere()
	p.kill()
	p = serve(t, data, settings...)
	p.comesBack("lost")
	p.await(2*time.Minute, "the condition to clear", func() bool {
		p.must(http.StatusOK, "GET", "/api/v1/incidents/"+ref, "", &incident)
		return incident["condition"] == "clear"
	})
	if incident["state"] != "in_progress" {
		t.Errorf("clearing closed what a person owns: state %v", incident["state"])
	}
	p.must(http.StatusOK, "POST", "/api/v1/incidents/"+ref+"/transitions", `{"transition":"resolve","code":"fixed","cause":"cabling","summary":"cable plugged in","item":"lost"}`, &incident)
	if incident["state"] != "resolved" {
		t.Errorf("resolved: got state %v", incident["state"])
	}
	if got := len(p.list("/api/v1/incidents")); got != 1 {
		t.Errorf("after a kill and a restart: %d incidents, want 1", got)
	}
	var kinds []string
	for _, e := range p.list("/api/v1/incidents/" + ref + "/timeline") {
		kinds = append(kinds, fmt.Sprint(e["kind"]))
	}
	if got := strings.Join(kinds, " "); got != "open take observe resolve" {
		t.Errorf("timeline: got %q", got)
	}
	p.stop()
}

// comesBack sends two heartbeats of a device. Of one time they would be one.
func (p *program) comesBack(device string) {
	p.t.Helper()
	now := time.Now()
	for _, at := range []time.Time{now.Add(-time.Second), now} {
		p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":%q,"ts":%d,"kind":"heartbeat"}`, device, at.UnixMilli()), nil)
	}
}

func (p *program) metricsAreThere() {
	p.t.Helper()
	var text string
	for _, name := range []string{"belfry_ingest_readings_total", "belfry_ingest_rejected_total", "belfry_ingest_lag_seconds", "belfry_ingest_lag_records",
		"belfry_ingest_batch_seconds", "belfry_analyzer_evaluation_seconds", "belfry_analyzer_scopes", "belfry_incidents", "belfry_incidents_opened_total",
		"belfry_api_request_seconds", "belfry_warehouse_query_seconds", "belfry_warehouse_bytes"} {
		p.await(time.Minute, "the metric "+name, func() bool { // some are there only after an evaluation
			_, text = p.request("GET", "/metrics", "")
			return strings.Contains("\n"+text, "\n"+name)
		})
	}
	if _, err := exec.LookPath("promtool"); err != nil {
		p.t.Log("metrics are not checked with promtool: it is not here; make setup-tests brings it")
		return
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil {
		p.t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// realKafka starts an Apache Kafka of its own for the test, or skips.
func realKafka(t *testing.T) []string {
	script := filepath.Join("deploy", "kafka", "kafka.sh")
	if out, err := exec.Command(script, "present").CombinedOutput(); err != nil {
		t.Skipf("no Apache Kafka here; make setup-tests brings it: %s", out)
	}
	dir, port := t.TempDir(), freePort(t)
	if out, err := exec.Command(script, "up", port, dir).CombinedOutput(); err != nil {
		t.Fatalf("start Apache Kafka: %v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "down", dir).CombinedOutput(); err != nil {
			t.Errorf("stop Apache Kafka: %v\n%s", err, out)
		}
	})
	return []string{"BELFRY_LOG_BROKERS=127.0.0.1:" + port}
}

// total reads what a device has counted, from the API.
func (p *program) total(device string, from, to time.Time) (in, readings int64) {
	p.t.Helper()
	q := url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}, "step": {"24h"}}
	var answer struct {
		Readings []struct{ In, Readings int64 } `json:"readings"`
	}
	p.must(http.StatusOK, "GET", "/api/v1/devices/"+device+"/readings?"+q.Encode(), "", &answer)
	for _, r := range answer.Readings {
		in, readings = in+r.In, readings+r.Readings
	}
	return in, readings
}

func TestKilledInTheMiddleOfIngestionNothingIsLostOrDoubled(t *testing.T) {
	t.Parallel()
	const devices, perDevice, rounds = 20, 2000, 4
	data := t.TempDir()
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	want := make([]int64, devices)
	before, after := start.Add(-time.Minute), start.AddDate(0, 1, 0) // spans leave their beginning out
	random := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		p := serve(t, data)
		var body strings.Builder
		for i := range perDevice {
			for d := range devices {
				n := random.IntN(50)
				want[d] += int64(n)
				ts := start.Add(time.Duration(round*perDevice+i) * time.Minute)
				fmt.Fprintf(&body, `{"device":"d%d","ts":"%s","in":%d,"out":%d}`+"\n", d, ts.Format(time.RFC3339), n, n)
			}
		}
		p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", body.String(), nil)
		// What was answered with 202 is in the log, and on its way. The moment of
		// the kill is chosen by how much has arrived, so that it is in the middle.
		if round < rounds-1 {
			p.await(2*time.Minute, "ingestion to be under way", func() bool { return p.counter("belfry_ingest_readings_total") > 0 })
		} else {
			p.await(3*time.Minute, "everything to be ingested", func() bool {
				for d := range devices {
					if _, n := p.total("d"+strconv.Itoa(d), before, after); n < perDevice*rounds {
						return false
					}
				}
				return true
			})
			for d, sum := range want {
				if in, n := p.total("d"+strconv.Itoa(d), before, after); in != sum || n != perDevice*rounds {
					t.Errorf("device d%d: got %d people in %d readings, want %d in %d", d, in, n, sum, perDevice*rounds)
				}
			}
		}
		p.kill()
	}
}

// counter adds up a metric over its labels.
func (p *program) counter(name string) (sum float64) {
	p.t.Helper()
	_, text := p.request("GET", "/metrics", "")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			fields := strings.Fields(line)
			n, err := strconv.ParseFloat(fields[len(fields)-1], 64)
			if err != nil {
				p.t.Fatalf("metric line %q: %v", line, err)
			}
			sum += n
		}
	}
	return sum
}

func TestCommandsDoTheSameWithAndWithoutAServer(t *testing.T) {
	t.Parallel()
	registry := writeText(t, "registry.yaml", "sites:\n  - {id: s, zone: Europe/Paris}\ndevices:\n  - {name: a, site: s}\n  - {name: b, site: s}\n")
	var outputs [2][]string
	for i := range outputs {
		data := t.TempDir()
		var p *program
		if i == 1 {
			p = serve(t, data)
		}
		for _, args := range [][]string{
			{"devices", "import", registry}, {"devices", "list", "--json"}, {"devices", "list", "--site", "s"}, {"rules", "list"},
		} {
			outputs[i] = append(outputs[i], mustCommand(t, append([]string{"--data", data}, args...)...))
		}
		if p != nil {
			p.stop()
		}
	}
	for i := range outputs[0] {
		if outputs[0][i] != outputs[1][i] {
			t.Errorf("alone:\n%s\nthrough the server:\n%s", outputs[0][i], outputs[1][i])
		}
	}
}

func TestTokens(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	if !strings.Contains(p.log.String(), p.token) {
		t.Error("the first start does not print the administrator's token")
	}
	if info, err := os.Stat(filepath.Join(data, "admin.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("admin.token: %v, %v; want mode 0600", info, err)
	}
	token := strings.TrimSpace(mustCommand(t, "--data", data, "tokens", "create", "--role", "first_line", "--name", "Ada"))
	ask := func(token string) int {
		status, _ := p.request("GET", "/api/v1/incidents", "", "Authorization", "Bearer "+token)
		return status
	}
	if got := ask(token); got != http.StatusOK {
		t.Errorf("with the new token: got %d", got)
	}
	if out := mustCommand(t, "--data", data, "tokens", "list"); !strings.Contains(out, "Ada") || strings.Contains(out, token) {
		t.Errorf("the list of tokens: %s", out)
	}
	mustCommand(t, "--data", data, "tokens", "revoke", strings.Split(token, "_")[1])
	if got := ask(token); got != http.StatusUnauthorized {
		t.Errorf("with a revoked token: got %d, want 401", got)
	}
	p.stop()
	p = serve(t, data)
	if strings.Contains(p.log.String(), p.token) {
		t.Error("the second start prints the token again")
	}
	p.stop()
}

func TestASecondProcessIsToldWhoHoldsTheFolder(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	_, errs, code := command(t, nil, "serve", "--data", data)
	if want := fmt.Sprintf("held by process %d", p.cmd.Process.Pid); code != 1 || !strings.Contains(errs, want) || !strings.Contains(errs, p.api) {
		t.Errorf("got exit code %d and %q, want 1 and %q with the API's address", code, errs, want)
	}
	p.stop()
}

func TestBadCallsEndWithAClearErrorAndTheRightCode(t *testing.T) {
	data := t.TempDir()
	broken := writeText(t, "rules.yaml", "rules:\n  - name: x\n    scope: device\n    when: silense() > 72h\n    evry: 5m\n")
	registry := writeText(t, "devices.csv", "name,site,reading_every\na,s,soon\n,s,60\n")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "--help", []string{"swerve"}},
		{2, "BELFRY", []string{"version", "--config", filepath.Join(data, "none.yaml")}},
		{1, "did you mean", []string{"rules", "check", broken}},
		{1, "there is no such site", []string{"tokens", "create", "--role", "site_manager", "--site", "nowhere"}},
		{1, "devices.csv:2", []string{"devices", "import", registry}},
		{2, "--speed", []string{"replay", "--speed", "-1", registry}},
		{1, "", []string{"rules", "check", filepath.Join(data, "none.yaml")}},
		{2, "--from", []string{"rules", "backtest", "--from", "yesterday"}},
	} {
		out, errs, code := command(t, nil, append([]string{"--data", data}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.want) && c.want != "BELFRY" {
			t.Errorf("%v: got exit code %d\n%s%s\nwant %d and %q", c.args, code, out, errs, c.code, c.want)
		}
	}
	if entries, err := os.ReadDir(data); err != nil || len(entries) > 0 {
		for _, e := range entries {
			if e.Name() != "lock" && e.Name() != "control.db" && e.Name() != "tenants" && e.Name() != "admin.token" {
				t.Errorf("a refused command left %s", e.Name())
			}
		}
	}
}

func TestVersionAndDoctor(t *testing.T) {
	var v map[string]string
	if err := json.Unmarshal([]byte(mustCommand(t, "version", "--json")), &v); err != nil || v["engine"] == "" {
		t.Errorf("version: %v, %v", v, err)
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(mustCommand(t, "--data", t.TempDir(), "doctor", "--json")), &list); err != nil || len(list) < 5 {
		t.Errorf("doctor: %v, %v", list, err)
	}
	out, _, code := command(t, []string{"BELFRY_ENGINE=/nowhere.so"}, "--data", t.TempDir(), "doctor")
	if code != 1 || !strings.Contains(out, "make setup") {
		t.Errorf("doctor without the engine: exit code %d\n%s", code, out)
	}
}
