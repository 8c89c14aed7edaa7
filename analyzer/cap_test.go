package analyzer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// TestAboveItsCapARuleIsOneFinding: of ten devices that fall silent three are told of,
// seven stand in one finding, which follows them as they come back, and gives way to
// single ones under the cap. Nothing is lost over a restart.
func TestAboveItsCapARuleIsOneFinding(t *testing.T) {
	start := time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)
	var devices []telemetry.Device
	for i := range 10 {
		devices = append(devices, telemetry.Device{Name: fmt.Sprint("d", i), Site: "s", InServiceSince: start})
	}
	const rule = "rules: [{ name: silent, scope: device, when: silence() > 1h, every: 5m, category: x, cap: 4 }]"
	w := newWorld(t, rule, nil, devices)
	last := map[int]int{0: 0, 1: 0, 2: 0} // minutes until which each speaks
	for i := 3; i < 10; i++ {
		last[i] = 60
	}
	for i, until := range last {
		for m := 0; m <= until; m += 5 {
			at := start.Add(time.Duration(m) * time.Minute)
			addCount(w.batch, fmt.Sprint("d", i), at, at, 1, 1)
		}
	}
	w.expect(start.Add(65*time.Minute), "firing d0", "firing d1", "firing d2")
	if err := w.analyzer.Evaluate(t.Context(), start.Add(125*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 {
		t.Fatalf("said %+v; want one finding for seven", w.said)
	}
	f := w.said[0]
	if f.Scope != manyScope || *f.Value != 7 || *f.Threshold != 4 || f.Summary != "7 devices more than the cap of 4: silent" ||
		len(f.Evidence) != 1 || f.Evidence[0].Note != "d3, d4, d5, d6, d7, d8, d9" {
		t.Errorf("the finding for many is %+v", f)
	}
	w.said = nil
	w.restart()
	w.expect(start.Add(130 * time.Minute))

	back := start.Add(131 * time.Minute)
	for _, i := range []int{0, 3, 4} {
		addCount(w.batch, fmt.Sprint("d", i), back, back, 1, 1)
	}
	if err := w.analyzer.Evaluate(t.Context(), start.Add(135*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 2 || w.said[0].Condition != telemetry.Clear || w.said[0].Scope.Name != "d0" || *w.said[1].Value != 5 || strings.Contains(w.said[1].Evidence[0].Note, "d3") {
		t.Errorf("said %+v; want d0 clear and five left", w.said)
	}
	w.said = nil
	back = start.Add(136 * time.Minute)
	for _, i := range []int{5, 6, 7} {
		addCount(w.batch, fmt.Sprint("d", i), back, back, 1, 1)
	}
	w.expect(start.Add(140*time.Minute), "firing d8", "firing d9", "clear ")
	for _, s := range w.states.states {
		if s.Capped {
			t.Errorf("%s is capped still", s.Scope)
		}
	}
	if _, err := Load(File{"r.yaml", []byte(strings.Replace(strings.Replace(rule, "scope: device", "scope: tenant", 1), "cap: 4", "cap: 0", 1))}); err == nil {
		t.Error("a cap of nothing was taken")
	}
}

// TestTheFindingForManyGoesWithItsRule, and with its cap.
func TestTheFindingForManyGoesWithItsRule(t *testing.T) {
	start := time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)
	devices := []telemetry.Device{{Name: "a", Site: "s", InServiceSince: start}, {Name: "b", Site: "s", InServiceSince: start}}
	const rule = "rules: [{ name: silent, scope: device, when: silence() > 1h, every: 5m, category: x, cap: 1 }, { name: other, scope: site, when: silence() > 400d, every: 5m, category: x }]"
	w := newWorld(t, rule, nil, devices)
	w.expect(start.Add(2*time.Hour), "firing ")
	w.analyzer.SetRules(mustLoad(t, strings.Replace(rule, ", cap: 1", "", 1)))
	w.expect(start.Add(2*time.Hour+5*time.Minute), "firing a", "firing b", "clear ")
	w.analyzer.SetRules(mustLoad(t, rule))
	w.expect(start.Add(2*time.Hour + 10*time.Minute))

	v := newWorld(t, rule, nil, devices)
	v.expect(start.Add(2*time.Hour), "firing ")
	v.analyzer.SetRules(mustLoad(t, "rules: [{ name: other, scope: site, when: silence() > 400d, every: 5m, category: x }]"))
	v.expect(start.Add(3*time.Hour), "clear  (rule removed)", "clear  (rule removed)")
}
