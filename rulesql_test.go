package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
	"belfry/warehouse"
	"belfry/warehouse/door"
)

// TestTheRuleInSQLOfTheDocsPassesItsTest takes the rule and its test out of the page
// and runs them, as a reader would.
func TestTheRuleInSQLOfTheDocsPassesItsTest(t *testing.T) {
	page, err := os.ReadFile("docs/sql-rules.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML; want the rule and its test", len(blocks))
	}
	dir := t.TempDir()
	for i, name := range []string{"one-door-takes-all.yaml", "test.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(blocks[i][1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := mustCommand(t, "rules", "test", filepath.Join(dir, "test.yaml")), "1 tests, all as expected\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got, want := mustCommand(t, "rules", "check", filepath.Join(dir, "one-door-takes-all.yaml")), "1 rule, no faults\n"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestARuleInSQLRuns writes rules in SQL through the API: who may, what is refused, and
// that what runs live is found by a backtest.
func TestARuleInSQLRuns(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := serve(t, data)
	mustCommand(t, "--data", data, "tenants", "add", "acme")
	now := time.Now()
	p.must(202, "POST", "/api/v1/telemetry", fmt.Sprintf("{\"device\":\"door\",\"ts\":%d,\"in\":3,\"out\":1}\n{\"device\":\"gate\",\"ts\":%d,\"in\":300,\"out\":1}", now.UnixMilli(), now.UnixMilli()), nil)
	rule := func(name, sql string) string {
		return "rules:\n  - name: " + name + "\n    scope: device\n    query: |\n      " + sql + "\n    when: value() > most\n    params: { most: 100 }\n    every: 1s\n    category: crowd\n"
	}
	const crowd = "SELECT device AS scope, sum(in) AS value FROM readings_as_of(as_of = {as_of:DateTime64(3)}) WHERE ts > {at:DateTime} - INTERVAL 1 HOUR GROUP BY device"
	put := func(status int, name, sql string, header ...string) string {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"text": rule(name, sql)})
		got, answer := p.request("PUT", "/api/v1/rules/"+name, string(body), header...)
		if got != status {
			t.Fatalf("put %q: got %d: %s; want %d", sql, got, answer, status)
		}
		return answer
	}
	for sql, want := range map[string]string{
		"SELECT device AS scope, 1 AS value FROM reedings":                                        "reedings",
		"SELECT device, 1 AS value FROM readings":                                                 "scope",
		"SELECT device AS scope, device AS value, 1 FROM":                                         "Syntax error",
		"SELECT device AS scope, 1 AS value FROM url('http://localhost', 'CSV', 'device String')": "url",
		"SELECT name AS scope, 1 AS value FROM system.processes":                                  "system.processes",
		"SELECT 'x' AS scope, 1 AS value) UNION ALL (SELECT file('/etc/passwd'), 1":               "file",
		"SELECT device AS scope, 1 AS value FROM readings; DROP TABLE raw_counts":                 "Syntax error",
	} {
		if got := put(422, "bad", sql); !strings.Contains(got, want) || !strings.Contains(got, "the query can't run") || !strings.Contains(got, `"line":5`) {
			t.Errorf("%s: the answer does not say %q of line 5: %s", sql, want, got)
		}
	}
	said := ""
	for n := range 4 { // one of them is acme's
		said += put(422, "bad", fmt.Sprintf("SELECT device AS scope, 1 AS value FROM belfry_tenant_%d.readings", n))
	}
	if strings.Count(said, "Not enough privileges") != 1 || strings.Count(said, "does not exist") != 3 {
		t.Errorf("of other tenants' databases is said %s", said)
	}
	admin := p.token
	var manager struct {
		Secret string `json:"secret"`
	}
	p.must(201, "POST", "/api/v1/tokens", `{"name":"boss","role":"manager"}`, &manager)
	p.token = manager.Secret
	if got := put(403, "crowd", crowd); !strings.Contains(got, "only an administrator") {
		t.Errorf("a manager is told %s", got)
	}
	body, _ := json.Marshal(map[string]any{"files": []map[string]string{{"name": "crowd.yaml", "text": rule("crowd", crowd)}}, "from": now.Add(-time.Minute), "to": now.Add(time.Second)})
	p.must(403, "POST", "/api/v1/rules/backtest", string(body), nil)
	p.must(403, "POST", "/api/v1/rules/explain", `{"files":[{"name":"crowd.yaml","text":`+string(mustJSON(t, rule("crowd", crowd)))+`}]}`, nil)
	p.token = admin

	put(200, "crowd", crowd)
	p.await(time.Minute, "the rule in SQL to open an incident", func() bool { return len(p.list("/api/v1/incidents?category=crowd")) == 1 })
	if got := p.list("/api/v1/incidents?category=crowd")[0]["scope"]; fmt.Sprint(got) != "map[level:device name:gate]" {
		t.Errorf("it is about %v", got)
	}
	var report struct {
		Findings []struct {
			Scope struct{ Name string }
			Value float64
		}
	}
	body, _ = json.Marshal(map[string]any{"rule": "crowd", "from": now.Add(-time.Minute), "to": time.Now(), "findings": true})
	p.must(200, "POST", "/api/v1/rules/backtest", string(body), &report)
	if len(report.Findings) != 1 || report.Findings[0].Scope.Name != "gate" || report.Findings[0].Value != 300 {
		t.Errorf("the backtest finds %+v", report.Findings)
	}
	var x struct {
		Scans []struct {
			What    string
			Columns []string
			Rows    int
		}
	}
	p.must(200, "POST", "/api/v1/rules/explain", `{"files":[{"name":"crowd.yaml","text":`+string(mustJSON(t, rule("crowd", crowd)))+`}]}`, &x)
	if len(x.Scans) != 1 || x.Scans[0].What != "query" || x.Scans[0].Rows != 2 || !strings.HasPrefix(x.Scans[0].Columns[0], "SELECT device AS scope") {
		t.Errorf("explained as %+v", x.Scans)
	}
}

// TestARuleInSQLAsksServersAsTheirReader puts belfry's own door in front of an engine, in
// the place of ClickHouse servers with users of their own.
func TestARuleInSQLAsksServersAsTheirReader(t *testing.T) {
	near, err := warehouse.Open(warehouse.Options{Path: t.TempDir(), Readers: []string{"belfry_default", "belfry_tenant_2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	users := map[string]door.Backend{}
	for database, in := range map[string]uint32{"belfry_default": 3, "belfry_tenant_2": 500} {
		w, err := near.Database(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		at := []int64{time.Now().UnixMilli()}
		b := telemetry.Batch{Counts: telemetry.Counts{Device: []telemetry.DeviceID{telemetry.IDOf("gate")}, TS: at, Arrival: at,
			Offset: []int64{1}, In: []uint32{in}, Out: []uint32{0}, Interval: []uint32{60}}}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		reader, err := door.NewReader(t.Context(), near.Reader, database, door.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		users["rules_"+database] = reader
	}
	web := httptest.NewServer(door.New(door.Options{Penalty: time.Millisecond, Users: func(_ context.Context, user, password string) (door.Backend, error) {
		if users[user] == nil || password != "secret" {
			return nil, door.ErrDenied
		}
		return users[user], nil
	}}))
	defer web.Close()
	far, err := warehouse.Open(warehouse.Options{Addresses: []string{web.Listener.Addr().String()}, User: "belfry"})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for _, c := range []struct{ user, password, tenant, database, sql, want string }{
		{"rules_{database}", "secret", "default", "belfry_default", "SELECT 'gate' AS scope, sum(in) AS value FROM raw_counts", "[{gate 3}]"},
		{"rules_{database}", "secret", "acme", "belfry_tenant_2", "SELECT 'gate' AS scope, sum(in) AS value FROM raw_counts", "[{gate 500}]"},
		{"rules_belfry_default", "secret", "default", "belfry_default", "SELECT 'gate' AS scope, sum(in) AS value FROM raw_counts", "[{gate 3}]"},
		{"rules_belfry_default", "secret", "acme", "belfry_tenant_2", "SELECT 1", "make one and name it in warehouse.reader"},
		{"", "", "default", "belfry_default", "SELECT 1", "make one and name it in warehouse.reader"},
		{"rules_belfry_default", "secret", "default", "belfry_tenant_2", "SELECT 1", "the ClickHouse user rules_belfry_default"},
		{"rules_{database}", "wrong", "default", "belfry_default", "SELECT 1", "the ClickHouse user rules_belfry_default"},
		{"rules_{database}", "secret", "default", "belfry_default", "SELECT device AS scope, 1 AS value FROM belfry_tenant_2.readings", "Not enough privileges"},
		{"rules_{database}", "secret", "default", "belfry_default", "SELECT device AS scope, 1 AS value FROM readings) FORMAT CSV; (SELECT 1", "Syntax error"},
	} {
		config := WarehouseConfig{}
		config.Reader.User, config.Reader.Password = c.user, c.password
		sql := serversSQL(far, config, c.tenant, c.database)
		rows, err := sql.answer(t.Context(), analyzer.Raw{SQL: c.sql})
		got := fmt.Sprint(rows)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s as %q asks %q: got %s, want %s", c.tenant, c.user, c.sql, got, c.want)
		}
		if err := sql.close(); err != nil {
			t.Error(err)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
