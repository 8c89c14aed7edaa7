package analyzer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/telemetry"
)

// TestALateBackFillWithdrawsAFinding, and one is found late: the OUT door of one shop
// sends its afternoon two days late, which makes the day of the shop well; of the other
// shop what comes late shows that the day was not.
func TestALateBackFillWithdrawsAFinding(t *testing.T) {
	cases, err := casesOfRule(`
rules:
  - name: unequal
    scope: site
    at: close+60m
    when: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10%
    unless: sum(total, day) < 200
    category: in_out_discrepancy
`, `
rules: [rule.yaml]
tests:
  - name: a late back-fill that withdraws a finding, and one that shows another
    zone: Europe/Paris
    start: 2026-03-26 08:00
    from: 2026-03-26 00:00
    sites:
      - { id: well, hours: { mon-sun: "08:00-20:00" } }
      - { id: ill, hours: { mon-sun: "08:00-20:00" } }
    devices:
      - { name: way-in, site: well }
      - { name: way-out, site: well }
      - { name: door, site: ill }
      - { name: side-door, site: ill }
    series:
      - { device: way-in, in: 50x12 }
      - { device: way-out, out: 50x6 }
      - { device: way-out, start: 2026-03-26 14:00, out: 50x6, arrive: 2026-03-28 10:10 }
      - { device: door, in: 50x12, out: 50x12 }
      - { device: side-door, in: 90x6, out: 10x6, arrive: 2026-03-27 07:10 }
    expect:
      - { at: 2026-03-26 21:00, findings: [{ scope: "site:well", value: 50% }] }
      - { at: 2026-03-27 07:10, findings: [] }
      - { at: 2026-03-27 07:15, findings: [{ scope: "site:ill", late: true }] }
      - { at: 2026-03-28 10:10, findings: [], firing: ["site:well", { scope: "site:ill", late: true }] }
      - { at: 2026-03-28 10:15, findings: [{ scope: "site:well", is: clear, reason: backfilled }] }
`)
	holds(t, cases, err)
}

// TestALateReadingTakesBackWhatARuleWithEveryFound: an hour seemed weak until the rest of
// its readings came, while the rule waits for a good day before it recovers. Of a door
// whose hour stays weak, and of one that is weak again by then, nothing is taken back.
func TestALateReadingTakesBackWhatARuleWithEveryFound(t *testing.T) {
	cases, err := casesOfRule(`
rules:
  - { name: weak, scope: device, every: 10m, when: "sum(total, 1h) < 80", recover: "sum(total, 1h) > 500", category: x }
`, `
rules: [rule.yaml]
tests:
  - name: a weak hour that was not
    start: 2026-03-26 08:00
    from: 2026-03-26 10:55
    step: 30m
    devices: [{ name: well }, { name: ill }, { name: again }]
    series:
      - { device: well, in: 50x4 10 50x4 50x9 }
      - { device: well, start: 2026-03-26 10:01, in: 25x2, arrive: 2026-03-26 13:04 }
      - { device: ill, in: 50x4 10 50x4 50x9 }
      - { device: ill, start: 2026-03-26 10:01, in: 1, arrive: 2026-03-26 13:04 }
      - { device: again, in: 50x4 10 50x4 0x9 }
      - { device: again, start: 2026-03-26 10:01, in: 25x2, arrive: 2026-03-26 13:04 }
    expect:
      - { at: 2026-03-26 11:00, findings: [well, ill, again] }
      - { at: 2026-03-26 13:09, firing: [well, ill, again] }
      - { at: 2026-03-26 13:10, findings: [{ scope: well, is: clear, reason: backfilled }], firing: [ill, again] }
      - { at: 2026-03-26 14:00, findings: [] }
`)
	holds(t, cases, err)
}

// TestLateReadingsAreFoundOnceTheyCanBe: while the question fails nothing changes, and
// then it is asked anew; a restart forgets nothing.
func TestLateReadingsAreFoundOnceTheyCanBe(t *testing.T) {
	start := time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC)
	w := newWorld(t, `
rules:
  - { name: few, scope: device, at: midnight+1h, when: "sum(in, day) < 100", category: x }
`, []telemetry.Site{{ID: "s", Zone: "UTC"}}, []telemetry.Device{{Name: "door", Site: "s"}})
	var fail error
	w.config.Late = func(ctx context.Context, from, to, since time.Time) ([]LateCell, error) {
		if fail != nil {
			return nil, fail
		}
		return NewReel(w.batch).Late(ctx, from, to, since)
	}
	w.restart()
	addCount(w.batch, "door", start.Add(9*time.Hour), start.Add(9*time.Hour), 60, 0)
	day := start.Add(25 * time.Hour)
	w.expect(day, "firing door")
	addCount(w.batch, "door", start.Add(10*time.Hour), day.Add(3*time.Hour), 60, 0)
	fail = errors.New("no answer")
	w.expect(day.Add(4 * time.Hour))
	w.restart()
	fail = nil
	w.expect(day.Add(5*time.Hour), "clear door (backfilled)")
	w.expect(day.Add(6 * time.Hour))
	if len(w.states.states) != 0 {
		t.Errorf("kept %v", w.states.states)
	}
}

func TestTheReelListsWhatCameLate(t *testing.T) {
	b, noon := &telemetry.Batch{}, time.Date(2026, 3, 26, 12, 0, 0, 0, time.UTC)
	addCount(b, "a", noon, noon.Add(LateAfter-time.Millisecond), 1, 1)
	addCount(b, "a", noon.Add(time.Minute), noon.Add(3*time.Hour), 1, 1)
	addCount(b, "a", noon.Add(2*time.Minute), noon.Add(3*time.Hour), 1, 1)
	addCount(b, "a", noon.Add(-20*24*time.Hour), noon.Add(3*time.Hour), 1, 1)
	addCount(b, "b", noon, noon.Add(4*time.Hour), 1, 1)
	got, err := NewReel(b).Late(t.Context(), noon, noon.Add(3*time.Hour), noon.Add(-lateBack))
	want := []LateCell{{telemetry.IDOf("a"), noon.Add(time.Minute), noon.Add(2 * time.Minute)}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}
