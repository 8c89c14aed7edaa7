package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/api"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTheReferenceSaysWhatTheLoaderReads keeps the page of the language true:
// go test -run Reference -update . writes it.
func TestTheReferenceSaysWhatTheLoaderReads(t *testing.T) {
	const page = "docs/rules-reference.md"
	want := "# Reference of the rule language\n\n<!-- Made from the loader's tables by go test -run Reference -update . -->\n\n" + analyzer.Reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what the loader reads (%v); go test -run Reference -update . writes it anew", page, err)
	}
}

// ruleTestFiles writes a rule and a file of tests for it, and returns the latter.
func ruleTestFiles(t *testing.T, wanted string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"busy.yaml": "rules: [{ name: busy, scope: device, when: \"sum(in, 1h) > 100\", every: 1h, category: busy }]\n",
		"busy.test.yaml": "rules: [busy.yaml]\ntests:\n  - name: a rush\n    start: 2026-06-01 08:00\n    series:\n      - { device: door, in: 50 101 }\n" +
			"    expect:\n      - { at: 2026-06-01 11:00, findings: [" + wanted + "] }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "busy.test.yaml")
}

func TestRuleTestsSayWhatIsNotAsExpected(t *testing.T) {
	for _, c := range []struct{ wanted, out, fails string }{
		{"door", "1 tests, all as expected\n", ""},
		{"", ":8: at 2026-06-01T11:00:00Z: findings: got firing door by busy with 101; want none (a rush)\n", "1 of 1 tests failed"},
		{"gate", "got firing door by busy with 101; want firing gate (a rush)\n", "1 of 1 tests failed"},
		{"door, {scope: door, iss: clear}", "", `unknown key "iss"; did you mean "is"?`},
	} {
		var out, said bytes.Buffer
		file := ruleTestFiles(t, c.wanted)
		err := run(t.Context(), []string{"rules", "test", file}, &out, &said)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if !strings.HasSuffix(out.String(), c.out) || !strings.Contains(text, c.fails) || (err == nil) != (c.fails == "") {
			t.Errorf("findings: [%s]: printed %q and %q; want %q and %q", c.wanted, out.String(), text, c.out, c.fails)
		}
	}
}

func TestShippedRulesAreChosenByName(t *testing.T) {
	for pattern, want := range map[string]int{"catalogue:spike": 1, "catalogue:*-day": 2, "catalogue:*": 29, "": 11} {
		var patterns []string
		if pattern != "" {
			patterns = []string{pattern}
		}
		if got, err := readRuleFiles(patterns); err != nil || len(got) != want {
			t.Errorf("%q: got %d files, %v; want %d", pattern, len(got), err, want)
		}
	}
	if _, err := readRuleFiles([]string{"catalogue:spoke"}); err == nil {
		t.Error("a name that no shipped rule has was taken")
	}
}

func TestABacktestIsScoredAgainstLabels(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	mustCommand(t, "--data", data, "devices", "import", filepath.Join("docs", "example", "registry.csv"))
	mustCommand(t, "--data", data, "replay", filepath.Join("docs", "example", "shop.csv"), "--columns", "ts=Timestamp,device=Counter,in=Entries,out=Exits",
		"--time-format", "02/01/2006 15:04", "--tz", "Europe/Paris", "--interval", "3600")
	labels := filepath.Join(data, "labels.csv")
	text := "dataset,device,start,end,kind,basis,note\nshop,door-north,2026-03-30T09:00:00,2026-04-03T09:00:00,no_rows,source,\n" +
		"shop,door-south,2026-03-30T09:00:00,2026-04-03T09:00:00,runaway_count,source,\nother,door-south,2026-03-30T09:00:00,2026-04-03T09:00:00,no_rows,source,\n"
	if err := os.WriteFile(labels, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"--data", data, "rules", "backtest", filepath.Join("docs", "example", "rules.yaml"), "--from", "2026-03-23", "--to", "2026-04-06", "--labels", labels, "--dataset", "shop"}
	var report analyzer.Report
	if err := json.Unmarshal([]byte(mustCommand(t, append(args, "--json")...)), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.Kinds) != 2 || report.Kinds[0].Kind != "no_rows" || report.Kinds[0].Found != 1 || report.Kinds[1].Found != 0 || len(report.Precision) != 2 {
		t.Errorf("got %+v and %+v", report.Kinds, report.Precision)
	}
	explained := mustCommand(t, "--data", data, "rules", "explain", filepath.Join("docs", "example", "rules.yaml"), "--at", "2026-04-05T12:00:00Z")
	for _, want := range []string{"2 devices on 1 site", "last_arrival", "in-out-discrepancy", "suspected-offline"} {
		if !strings.Contains(explained, want) {
			t.Errorf("%q is not in the explanation:\n%s", want, explained)
		}
	}
	page := filepath.Join(data, "page.html")
	if out := mustCommand(t, append(args, "--html", page)...); !strings.Contains(out, "KIND") || !strings.Contains(out, "no_rows        1      1      1.00    73h0m0s") {
		t.Errorf("printed %s", out)
	}
	written, err := os.ReadFile(page)
	if err != nil || strings.Count(string(written), "<svg") != 2 || !strings.Contains(string(written), "door-north at shop has been silent") {
		t.Errorf("the page has %d pictures, %v; want 2:\n%s", strings.Count(string(written), "<svg"), err, written)
	}
}

func TestRuleTestsAsJSON(t *testing.T) {
	var out, said bytes.Buffer
	if err := run(t.Context(), []string{"rules", "test", "--json", ruleTestFiles(t, "gate")}, &out, &said); err == nil {
		t.Error("a failed test was no error")
	}
	var results []analyzer.CaseResult
	if err := json.Unmarshal(out.Bytes(), &results); err != nil || len(results) != 1 || len(results[0].Failures) != 1 || results[0].Failures[0].Line != 8 {
		t.Errorf("got %s (%v)", out.String(), err)
	}
}

// TestTheListHoldsTheCatalogueAndOnesOwn lays running rules over the shipped ones.
func TestTheListHoldsTheCatalogueAndOnesOwn(t *testing.T) {
	all, err := catalogued([]api.Rule{{Name: "feed-outage"}, {Name: "my-own"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	numbers, running := map[int]bool{}, []string{}
	for _, r := range all {
		if numbers[r.Number] = true; r.Running {
			running = append(running, fmt.Sprint(r.Number, " ", r.Name, " ", r.Default))
		}
	}
	if len(numbers) != 29 || strings.Join(running, ", ") != "18 feed-outage yes, 0 my-own " {
		t.Errorf("%d numbers with that of one's own; %q run", len(numbers), running)
	}
}

// TestCumulativeCountersAreJudgedByTheirTotals sends what counters show: one that begins
// anew three times, and is corrected by a total that comes late; and one that says
// something else the second time. Each opens what it is for, and nothing else.
func TestCumulativeCountersAreJudgedByTheirTotals(t *testing.T) {
	p := serve(t, t.TempDir())
	for _, name := range []string{"counter-reset", "resent-readings"} {
		text, err := os.ReadFile(filepath.Join("analyzer", "catalogue", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		one, _, _ := strings.Cut(string(text), "\n\n  - name:") // the first rule of the file
		one = strings.NewReplacer("every: 15m", "every: 1s", "every: 1h", "every: 1s", "    yields_to: [reboot-loop]\n", "").Replace(one)
		body, _ := json.Marshal(map[string]string{"text": one})
		if status, answer := p.request("PUT", "/api/v1/rules/"+name, string(body), "If-Match", "*"); status != 200 {
			t.Fatalf("put %s: %d %s", name, status, answer)
		}
	}
	begin := time.Now().Add(-3 * time.Hour).Truncate(time.Minute)
	total := func(device string, minute, in int) string {
		return fmt.Sprintf("{\"device\":%q,\"ts\":%d,\"in_total\":%d}\n", device, begin.Add(time.Duration(minute)*time.Minute).UnixMilli(), in)
	}
	send := func(lines string) { p.must(202, "POST", "/api/v1/telemetry", lines, nil) }
	lines := ""
	for i, in := range []int{65_000, 65_500, 20, 40, 5, 30, 2, 9} {
		lines += total("door", 15*i, in)
	}
	send(lines)
	send(total("door", 50, 45))
	send(total("liar", 0, 10) + total("liar", 15, 20))
	send(total("liar", 15, 21))
	p.await(time.Minute, "both to be found", func() bool {
		return len(p.list("/api/v1/incidents?device=door&category=counter_reset")) == 1 && len(p.list("/api/v1/incidents?device=liar&category=duplicate_data")) == 1
	})
	if list := p.list("/api/v1/incidents?device=door"); len(list) != 1 {
		t.Errorf("of the counter that is corrected there are %v", list)
	}
}
