package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/analyzer/catalogue"
	"belfry/api"
	"belfry/incidents/store"
)

// TestARuleIsChangedThroughTheAPIWithoutARestart writes a rule, changes it, writes one
// that can't run, and drops it, while belfry works.
func TestARuleIsChangedThroughTheAPIWithoutARestart(t *testing.T) {
	t.Parallel()
	p := serve(t, t.TempDir())
	p.must(202, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":%d,"in":3,"out":1}`, time.Now().UnixMilli()), nil)
	put := func(status int, name, text string, into any, header ...string) string {
		t.Helper()
		body, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		got, answer := p.request("PUT", "/api/v1/rules/"+name, string(body), header...)
		if got != status {
			t.Fatalf("put %s: got %d: %s; want %d", name, got, answer, status)
		}
		if into != nil {
			if err := json.Unmarshal([]byte(answer), into); err != nil {
				t.Fatal(err)
			}
		}
		return answer
	}
	rule := func(when string) string {
		return "rules:\n  - name: quick\n    scope: device\n    when: " + when + "\n    every: 1s\n    category: suspected_offline\n"
	}
	var first struct {
		Hash    string `json:"hash"`
		Version int64  `json:"version"`
		Actor   string `json:"actor"`
		Text    string `json:"text"`
	}
	put(200, "quick", rule("silence() > 1s"), &first)
	if first.Version != 1 || first.Actor != "admin" || first.Text != rule("silence() > 1s") {
		t.Errorf("written: %+v", first)
	}
	p.await(time.Minute, "the new rule to open an incident", func() bool {
		return len(p.list("/api/v1/incidents?device=door&category=suspected_offline")) == 1
	})

	put(428, "quick", rule("silence() > 400d"), nil)
	put(412, "quick", rule("silence() > 400d"), nil, "If-Match", `"0123456789abcdef"`)
	faults := put(422, "quick", "rules:\n  - name: quick\n    scope: devise\n    when: silense() > 1\n    every: 1s\n    category: x\n", nil, "If-Match", `"`+first.Hash+`"`)
	for _, want := range []string{`"line":3`, `"line":4`, `no scope \"devise\"`, "silence"} {
		if !strings.Contains(faults, want) {
			t.Errorf("%s is not among the faults: %s", want, faults)
		}
	}
	put(422, "other", rule("silence() > 1s"), nil)
	var now struct {
		Hash string `json:"hash"`
	}
	if p.must(200, "GET", "/api/v1/rules/quick", "", &now); now.Hash != first.Hash {
		t.Error("a rule that was refused changed the one that runs")
	}

	put(200, "quick", rule("silence() > 400d"), nil, "If-Match", `"`+first.Hash+`"`)
	p.await(time.Minute, "the incident to clear by the changed rule", func() bool {
		list := p.list("/api/v1/incidents?device=door&category=suspected_offline")
		return len(list) == 1 && list[0]["condition"] == "clear"
	})
	var report struct {
		Rules []struct {
			Rule   string `json:"rule"`
			Opened int    `json:"opened"`
		} `json:"rules"`
	}
	body, _ := json.Marshal(map[string]any{"text": rule("silence() > 1s"), "from": time.Now().Add(-time.Minute), "to": time.Now()})
	if p.must(200, "POST", "/api/v1/rules/quick/backtest", string(body), &report); len(report.Rules) != 1 || report.Rules[0].Opened != 1 {
		t.Errorf("the dry run says %+v; want one opened", report)
	}

	if status, answer := p.request("DELETE", "/api/v1/rules/quick", "", "If-Match", "*"); status != http.StatusNoContent {
		t.Fatalf("drop: %d %s", status, answer)
	}
	p.must(404, "GET", "/api/v1/rules/quick", "", nil)
	var versions struct {
		Items []struct {
			Version int64 `json:"version"`
			Dropped bool  `json:"dropped"`
		} `json:"items"`
	}
	if p.must(200, "GET", "/api/v1/rules/quick/versions", "", &versions); len(versions.Items) != 3 || !versions.Items[0].Dropped || versions.Items[2].Version != 1 {
		t.Errorf("versions: %+v", versions)
	}

	file := filepath.Join(t.TempDir(), "quick.yaml")
	if err := os.WriteFile(file, []byte(rule("silence() > 1s")), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := mustCommand(t, "--data", p.data, "rules", "dry-run", file, "--days", "1"); !strings.HasPrefix(out, "this would have opened 1 incident from ") || !strings.Contains(out, "device:door") {
		t.Errorf("the dry run prints %q", out)
	}
}

// TestARuleThatCantBeReadHurtsNoOther: what an older belfry took may be refused by this
// one. The others that were written run, the file's own rule of that name too, and each
// can be written, until it is written anew.
func TestARuleThatCantBeReadHurtsNoOther(t *testing.T) {
	ctx := t.Context()
	tickets, err := store.Open(ctx, filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer tickets.Close()
	rule := func(name, when string) string {
		return "rules: [{ name: " + name + ", scope: device, when: " + when + ", every: 1m, category: own }]"
	}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for name, when := range map[string]string{"well": "silence() > 1h", "ill": "bygone() > 1h", "suspected-offline": "bygone() > 3h"} {
		if _, err := tickets.PutRule(ctx, store.RuleVersion{Name: name, Text: rule(name, when), Actor: "admin", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	var log strings.Builder
	book := &ruleBook{base: catalogue.Defaults(), tickets: tickets, log: slog.New(slog.NewTextHandler(&log, nil)), revision: -1}
	runs := func() []bool {
		set, err := book.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		offline := set.Rule("suspected-offline")
		return []bool{set.Rule("well") != nil, set.Rule("ill") != nil, offline != nil && offline.Category != "own"}
	}
	if got, want := fmt.Sprint(runs()), "[true false true]"; got != want {
		t.Errorf("well, ill and the shipped one run: got %v; want %v", got, want)
	}
	if strings.Count(log.String(), "bygone") != 2 {
		t.Errorf("the log says %s; want both rules that can't be read", log.String())
	}
	if _, err := book.put(ctx, api.RuleChange{Name: "third", Text: rule("third", "silence() > 2h"), Actor: "admin", At: at}); err != nil {
		t.Errorf("another rule is refused: %v", err)
	}
	if _, err := book.put(ctx, api.RuleChange{Name: "ill", Text: rule("ill", "silence() > 3h"), Actor: "admin", At: at}); err != nil {
		t.Errorf("the rule written anew is refused: %v", err)
	}
	if got, want := fmt.Sprint(runs()), "[true true true]"; got != want {
		t.Errorf("once it is written anew: got %v; want %v", got, want)
	}
}
