package analyzer

import (
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestARuleYieldsToWhatExplainsIt(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: silent, scope: device, every: 5m, when: silence() > 1h, category: x, yields_to: [outage, not-here] }
  - { name: outage, scope: site, every: 5m, when: silence() > 2h, category: x }
  - { name: cold, scope: device, every: 5m, when: last(temp) < 5, category: x }
  - { name: site-odd, scope: site, every: 5m, when: "sum(total, 10m) > 5", category: x, yields_to: [cold] }
`, []telemetry.Site{shop, kiosk}, []telemetry.Device{{Name: "a", Site: "shop"}, {Name: "b", Site: "shop"}, {Name: "k", Site: "kiosk"}})
	for _, name := range []string{"a", "b", "k"} {
		beat(w, name, monday)
	}
	w.expect(monday)
	beat(w, "b", monday.Add(30*time.Minute))
	w.expect(monday.Add(65*time.Minute), "firing a", "firing k")
	// From 10:35 the outage of the shop stands for its devices: a is known no more, and b is not called silent.
	w.expect(monday.Add(155*time.Minute), "firing kiosk", "unknown k (suppressed by outage)", "firing shop", "unknown a (suppressed by outage)")
	beat(w, "a", monday.Add(160*time.Minute))
	w.expect(monday.Add(160*time.Minute), "clear shop", "clear a", "firing b")

	addHeartbeat(w.batch, "a", monday.Add(165*time.Minute), monday.Add(165*time.Minute), "temp", 2.0)
	addCount(w.batch, "a", monday.Add(164*time.Minute), monday.Add(164*time.Minute), 9, 9)
	addCount(w.batch, "k", monday.Add(164*time.Minute), monday.Add(164*time.Minute), 9, 9)
	w.expect(monday.Add(165*time.Minute), "firing a", "firing kiosk", "clear k", "clear kiosk")
}

func TestRulesThatYieldInACircleAreRefused(t *testing.T) {
	_, err := Load(File{"t.yaml", []byte(`
rules:
  - { name: a, scope: device, every: 5m, when: silence() > 1h, category: x, yields_to: [b] }
  - { name: b, scope: device, every: 5m, when: silence() > 1h, category: x, yields_to: [c] }
  - { name: c, scope: device, every: 5m, when: silence() > 1h, category: x, yields_to: [a] }
  - { name: d, scope: device, every: 5m, when: silence() > 1h, category: x, yields_to: [d, "No Rule"] }
`)})
	for _, want := range []string{`t.yaml:6:89: a rule can't yield to itself`, `"No Rule" is not a rule's name`, `the rule "a" yields to itself, through others`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the faults: %v", want, err)
		}
	}
}
