package analyzer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

const ailingRules = `
rules:
  - { name: well, scope: device, when: silence() > 400d, every: 5m, category: x }
  - { name: divides-by-zero, scope: device, when: "1 / (sum(in, 1h) - sum(in, 1h)) > 3", every: 5m, category: x }
  - { name: nobody, scope: device, where: { label.kind: submarine }, when: silence() > 1h, every: 5m, category: x }
  - { name: no-label, scope: group(region), when: devices() > 3, every: 5m, category: x }
  - { name: no-history, scope: device, when: "z(sum(in, 1h)) > 4", every: 1h, category: x }
  - { name: never-measured, scope: device, when: last(temq) > 40, every: 5m, category: x }
  - { name: too-young, scope: device, when: "sum(in, 90d) < 5 and sum(in, 1h) > 99", every: 1h, category: x }
`

// TestRulesThatCanFindNothingAreFindings: a rule that divides by zero, matches no device,
// names a label that none has, needs more history than there is or a measurement that
// none sends says so, each once, and hurts no other rule.
func TestRulesThatCanFindNothingAreFindings(t *testing.T) {
	start := time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, ailingRules, nil, []telemetry.Device{{Name: "door", Site: "s", InServiceSince: start}})
	w.config.Health = true
	w.restart()
	for m := range 40 * 60 / 5 {
		at := start.Add(time.Duration(m) * 5 * time.Minute)
		addCount(w.batch, "door", at, at, 3, 1)
	}
	said := map[string]string{}
	for h := range 30 {
		if err := w.analyzer.Evaluate(t.Context(), start.Add(time.Duration(h)*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if h == 27 {
			w.restart() // nothing is said twice
		}
		for _, f := range w.said {
			if f.Rule != RuleHealth || f.Condition != telemetry.Firing || f.Category != "rule_health" || said[f.Scope.Name] != "" {
				t.Errorf("after %d h: %+v", h, f)
			}
			said[f.Scope.Name] = f.Summary
		}
		w.said = nil
	}
	for rule, want := range map[string]string{
		"nobody": "matches no device", "no-label": "has the label region", "divides-by-zero": "or it divides by zero",
		"no-history": "no values of z(sum(in, 1h))", "never-measured": "no values of last(temq)", "too-young": "looks back over 90d"} {
		if !strings.Contains(said[rule], want) {
			t.Errorf("%s: said %q; want %q", rule, said[rule], want)
		}
	}
	if len(said) != 6 {
		t.Errorf("said %v; want six", said)
	}
	w.analyzer.SetFleet(mustFleet(t, nil, []telemetry.Device{{Name: "door", Site: "s", InServiceSince: start, Labels: map[string]string{"kind": "submarine"}}}))
	w.expect(start.Add(30*time.Hour), "clear nobody")
	w.analyzer.SetRules(mustLoad(t, ailingRules[:strings.Index(ailingRules, "  - { name: never-measured")]))
	w.expect(start.Add(31*time.Hour), "clear never-measured (rule removed)", "clear too-young (rule removed)")
}

// TestAScanThatFailsShowsInTheRulesHealth, leaves states as they were, and is forgotten
// once it works.
func TestAScanThatFailsShowsInTheRulesHealth(t *testing.T) {
	start := time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, `
rules:
  - { name: silent, scope: device, when: silence() > 1h, every: 5m, category: x }
`, nil, []telemetry.Device{{Name: "door", Site: "s", InServiceSince: start}})
	w.config.Health = true
	w.restart()
	w.expect(start.Add(2*time.Hour), "firing door")
	w.scanFail = func(Scan) error { return errors.New("the disk is on fire") }
	w.expect(start.Add(2*time.Hour + 5*time.Minute))
	if err := w.analyzer.Evaluate(t.Context(), start.Add(2*time.Hour+11*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 || w.said[0].Urgency != "high" || !strings.Contains(w.said[0].Summary, "the rule silent fails and finds nothing: ") || !strings.Contains(w.said[0].Summary, "the disk is on fire") {
		t.Errorf("said %+v", w.said)
	}
	w.said = nil
	w.expect(start.Add(3 * time.Hour))
	w.scanFail = nil
	w.expect(start.Add(3*time.Hour+5*time.Minute), "clear silent")
	if got := fmt.Sprint(len(w.states.states)); got != "1" {
		t.Errorf("kept %v; want that of door", w.states.states)
	}
}

func TestNoRuleMayHaveTheNameOfTheRuleAboutRules(t *testing.T) {
	if _, err := Load(File{"r.yaml", []byte("rules: [{ name: rule-health, scope: device, when: silence() > 1h, every: 5m, category: x }]")}); err == nil || !strings.Contains(err.Error(), "the rule about rules") {
		t.Errorf("got %v", err)
	}
}
