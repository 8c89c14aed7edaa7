package analyzer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/telemetry"
)

const offlineRule = `
rules:
  - name: offline
    scope: device
    where: { site.status: open }
    when: silence() > limit
    recover: count(heartbeat, 1h) >= 2
    on_missing: fire
    every: 5m
    category: suspected_offline
    urgency: high
    renotify: 24h
    summary: "{{ .device }} at {{ .site }} has been silent for {{ duration .value }}"
    params: { limit: 72h }
    override:
      - where: { site.label.kind: outdoor }
        params: { limit: 96h }
`

var (
	shop   = telemetry.Site{ID: "shop", Zone: "Europe/Paris"}
	kiosk  = telemetry.Site{ID: "kiosk", Zone: "Europe/Paris", Labels: map[string]string{"kind": "outdoor"}}
	shut   = telemetry.Site{ID: "shut", Zone: "Europe/Paris", Status: telemetry.SiteClosed}
	monday = time.Date(2026, 3, 23, 8, 0, 0, 0, time.UTC)
)

func beat(w *world, device string, at time.Time) { addHeartbeat(w.batch, device, at, at) }

func TestADeviceGoesOfflineAndComesBack(t *testing.T) {
	w := newWorld(t, offlineRule, []telemetry.Site{shop, kiosk, shut},
		[]telemetry.Device{{Name: "door", Site: "shop"}, {Name: "gate", Site: "kiosk"}, {Name: "lost", Site: "shut"}})
	for _, name := range []string{"door", "gate", "lost"} {
		beat(w, name, monday)
	}
	w.expect(monday.Add(72 * time.Hour))
	if err := w.analyzer.Evaluate(t.Context(), monday.Add(72*time.Hour+5*time.Minute)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 {
		t.Fatalf("heard %v; want one finding", w.said)
	}
	f := w.said[0]
	if *f.Value != 72*3600+300 || *f.Threshold != 72*3600 || *f.Score <= 1 || f.Expected != "at most 3d" || f.Site != "shop" ||
		f.Summary != "door at shop has been silent for 3d" || f.Impact != "device" || f.Urgency != "high" || f.Renotify != 24*time.Hour {
		t.Errorf("the finding is %+v", f)
	}
	if why := f.Evidence[0]; why.What != "why" || !strings.HasPrefix(why.Note, "silence() is 72h 5m, and at most 72h is expected: time since") {
		t.Errorf("why: %+v", why)
	}
	if f.Evidence = f.Evidence[1:]; len(f.Evidence) != 1 || f.Evidence[0].What != "silence()" || *f.Evidence[0].Value != 72*3600+300 {
		t.Errorf("the evidence is %+v", f.Evidence)
	}
	w.heard(f.At, "firing door")

	w.restart()
	w.expect(monday.Add(95 * time.Hour)) // a restart says nothing twice
	w.expect(monday.Add(97*time.Hour), "firing gate")
	back := monday.Add(98 * time.Hour)
	beat(w, "door", back)
	w.expect(back.Add(10 * time.Minute)) // heard of once is not enough
	beat(w, "door", back.Add(15*time.Minute))
	w.expect(back.Add(20*time.Minute), "clear door")
	if len(w.states.states) != 1 {
		t.Errorf("kept states %v; want that of gate", w.states.states)
	}
}

func TestTwoRulesShareOneScan(t *testing.T) {
	rules := offlineRule + `
  - name: never
    scope: device
    when: unheard() > 24h and count(heartbeat, 1h) < 1
    every: 5m
    category: never_seen
  - name: site-silent
    scope: site
    when: silence() > 2h
    every: 5m
    category: feed_outage
`
	w := newWorld(t, rules, []telemetry.Site{shop}, []telemetry.Device{{Name: "a", Site: "shop"}, {Name: "b", Site: "shop"}})
	beat(w, "a", monday)
	beat(w, "b", monday.Add(-70*time.Hour))
	w.expect(monday.Add(time.Hour))
	if len(w.scans) != 1 || len(w.scans[0].Columns) != 2 || w.scans[0].Devices != nil {
		t.Errorf("scans %v; want one of two columns over every device", w.scans)
	}
	w.expect(monday.Add(3*time.Hour), "firing shop", "firing b")
}

func TestNeverHeardOf(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: never, scope: device, when: unheard() > 24h, every: 5m, category: never_seen }
  - { name: silent, scope: device, when: silence() > 72h, every: 5m, category: x, on_missing: fire }
`, []telemetry.Site{shop}, []telemetry.Device{{Name: "since", Site: "shop", InServiceSince: monday}, {Name: "ever", Site: "shop"}, {Name: "later", Site: "shop", InServiceSince: monday.Add(240 * time.Hour)}})
	w.expect(monday.Add(24 * time.Hour))
	w.expect(monday.Add(25*time.Hour), "firing since")
	w.expect(monday.Add(73*time.Hour), "firing since") // silence counts from coming into service
	beat(w, "since", monday.Add(74*time.Hour))
	w.expect(monday.Add(75*time.Hour), "clear since", "clear since")
}

func TestNoDataDoesWhatTheRuleSays(t *testing.T) {
	for onMissing, want := range map[string][]string{
		"keep": nil, "unknown": {"unknown door (no data)"}, "fire": {}, "resolve": {"clear door"},
	} {
		t.Run(onMissing, func(t *testing.T) {
			w := newWorld(t, strings.ReplaceAll(`
rules:
  - { name: hot, scope: device, when: "avg(temp, 10m) > 60", every: 5m, category: x, on_missing: MISSING }
`, "MISSING", onMissing), []telemetry.Site{shop}, []telemetry.Device{{Name: "door", Site: "shop"}})
			addHeartbeat(w.batch, "door", monday, monday, "temp", 70.0)
			w.expect(monday, "firing door")
			w.expect(monday.Add(30*time.Minute), want...)
		})
	}
}

const discrepancyRule = `
rules:
  - name: discrepancy
    scope: site
    at: close+60m
    when: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10%
    unless: sum(total, day) < 200 or completeness(day) < 95%
    recover: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) <= 8%
    category: in_out_discrepancy
`

// fillDay gives a device 24 hourly counts on the local day that starts at from.
func fillDay(w *world, device string, from time.Time, hours int, in, out uint32) {
	for h := range hours {
		at := from.Add(time.Duration(h+1) * time.Hour)
		addCount(w.batch, device, at, at, in, out)
	}
}

func TestInAndOutOfASiteDiffer(t *testing.T) {
	tokyo := telemetry.Site{ID: "tokyo", Zone: "Asia/Tokyo"}
	w := newWorld(t, discrepancyRule, []telemetry.Site{shop, tokyo}, []telemetry.Device{
		{Name: "a", Site: "shop", ReadingEvery: 3600}, {Name: "b", Site: "shop", ReadingEvery: 3600},
		{Name: "gone", Site: "shop", ReadingEvery: 3600, RetiredAt: monday.Add(-240 * time.Hour)}, {Name: "c", Site: "tokyo", ReadingEvery: 3600}})
	midnight := time.Date(2026, 3, 26, 23, 0, 0, 0, time.UTC) // of Friday 27 March, in Paris
	fillDay(w, "a", midnight, 24, 20, 10)
	fillDay(w, "b", midnight, 24, 20, 20)
	fillDay(w, "gone", midnight, 24, 0, 500)
	fillDay(w, "c", midnight.Add(-8*time.Hour), 24, 20, 20)
	day := 24 * time.Hour
	w.expect(midnight.Add(time.Hour))
	w.scans = nil
	if err := w.analyzer.Evaluate(t.Context(), midnight.Add(day+time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.scans) != 2 || len(w.scans[0].Devices) != 1 || len(w.scans[1].Devices) != 3 {
		t.Errorf("scans %v; want one for Tokyo's close and one for Paris's", w.scans)
	}
	if len(w.said) == 1 {
		f := w.said[0]
		if *f.Value != 0.25 || f.Expected != "at most 10 %" || f.Summary != "site shop: discrepancy" || !f.Evidence[1].At.Equal(midnight.Add(day)) || *f.Evidence[1].Value != 960 {
			t.Errorf("the finding is %+v", f)
		}
	}
	w.heard(midnight, "firing shop")

	fillDay(w, "a", midnight.Add(day), 24, 20, 18) // 5 % on Saturday, and b has a gap
	fillDay(w, "b", midnight.Add(day), 20, 20, 20)
	w.expect(midnight.Add(2*day+time.Hour), "unknown shop (unless: sum(total, day) < 200 or completeness(day) < 95%)")
	fillDay(w, "a", midnight.Add(2*day), 23, 20, 19) // the short Sunday of the change to summer time
	fillDay(w, "b", midnight.Add(2*day), 23, 20, 20)
	w.expect(midnight.Add(3*day), "clear shop")
}

func TestForCountsEventTime(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: hot, scope: device, when: "last(temp) > 60", every: 5m, for: 1h, keep_firing_for: 30m, category: x }
`, []telemetry.Site{shop}, []telemetry.Device{{Name: "door", Site: "shop"}})
	addHeartbeat(w.batch, "door", monday, monday, "temp", 70.0)
	w.expect(monday)
	w.restart()
	w.expect(monday.Add(55 * time.Minute))
	w.restart()
	w.expect(monday.Add(time.Hour), "firing door")
	addHeartbeat(w.batch, "door", monday.Add(2*time.Hour), monday.Add(2*time.Hour), "temp", 50.0)
	w.expect(monday.Add(2 * time.Hour))
	w.expect(monday.Add(2*time.Hour + 25*time.Minute))
	w.expect(monday.Add(2*time.Hour+30*time.Minute), "clear door")
}

func TestWhoLeavesResolves(t *testing.T) {
	devices := func() []telemetry.Device {
		return []telemetry.Device{{Name: "a", Site: "shop"}, {Name: "b", Site: "shop"}, {Name: "c", Site: "kiosk"}}
	}
	rule := `
rules:
  - { name: silent, scope: device, where: { site.status: open }, when: silence() > 1h, every: 5m, category: x }
`
	w := newWorld(t, rule, []telemetry.Site{shop, kiosk}, devices())
	for _, name := range []string{"a", "b", "c"} {
		beat(w, name, monday)
	}
	w.expect(monday.Add(2*time.Hour), "firing a", "firing b", "firing c")
	left, closed := devices()[:1], kiosk
	left[0].RetiredAt = monday.Add(3 * time.Hour)
	closed.Status = telemetry.SiteRefit
	w.analyzer.SetFleet(mustFleet(t, []telemetry.Site{shop, closed}, append(left, devices()[2])))
	w.expect(monday.Add(3*time.Hour), "clear a (retired)", "clear b (no longer in the registry)", "clear c (no longer chosen by the rule's where)")
	if len(w.states.states) != 0 {
		t.Errorf("kept %v", w.states.states)
	}
}

func TestARuleThatChangesKeepsItsStates(t *testing.T) {
	rule := "rules: [{ name: silent, scope: device, when: silence() > 1h, every: 5m, category: x }]"
	w := newWorld(t, rule, []telemetry.Site{shop}, []telemetry.Device{{Name: "a", Site: "shop"}})
	beat(w, "a", monday)
	w.expect(monday.Add(2*time.Hour), "firing a")
	w.analyzer.SetRules(mustLoad(t, strings.Replace(rule, "1h", "90m", 1)))
	w.expect(monday.Add(3 * time.Hour))
	w.analyzer.SetRules(mustLoad(t, strings.Replace(rule, "silent", "mute", 1)))
	w.expect(monday.Add(4*time.Hour), "clear a (rule removed)", "firing a")
}

func TestAFailingScanChangesNothingAndIsTriedAgain(t *testing.T) {
	w := newWorld(t, offlineRule+discrepancyRule[len("\nrules:"):], []telemetry.Site{shop}, []telemetry.Device{{Name: "door", Site: "shop", ReadingEvery: 3600}})
	registry := prometheus.NewPedanticRegistry()
	w.config.Registry = registry
	w.restart()
	beat(w, "door", monday)
	fillDay(w, "door", monday.Add(-9*time.Hour), 24, 20, 10)
	w.expect(monday)
	w.scanFail = func(s Scan) error {
		for _, c := range s.Columns {
			if c.Fn == LastArrival {
				return errors.New("warehouse is away")
			}
		}
		return nil
	}
	w.expect(monday.Add(73*time.Hour), "firing shop", "unknown shop (unless: sum(total, day) < 200 or completeness(day) < 95%)") // full on Monday, empty on Tuesday
	if got := metric(t, registry, "belfry_analyzer_rule_errors_total", "offline"); got != 1 {
		t.Errorf("counted %v failed evaluations; want 1", got)
	}
	for rule, want := range map[string]time.Time{"offline": monday, "discrepancy": monday.Add(73 * time.Hour)} {
		if got := metric(t, registry, "belfry_analyzer_evaluated_timestamp_seconds", rule); got != float64(want.Unix()) {
			t.Errorf("%s is said to be evaluated up to %v; want %v", rule, got, want.Unix())
		}
	}
	w.scanFail = nil
	beat(w, "door", monday.Add(17*time.Hour)) // arrived meanwhile, and counts
	w.expect(monday.Add(73*time.Hour + time.Minute))
	w.expect(monday.Add(93*time.Hour), "firing door")
	if got := metric(t, registry, "belfry_analyzer_scopes", "offline", "firing"); got != 1 {
		t.Errorf("the gauge says %v scopes fire; want 1", got)
	}
}

// metric reads a metric with all these label values.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			found := 0
			for _, l := range m.GetLabel() {
				if slices.Contains(labels, l.GetValue()) {
					found++
				}
			}
			if family.GetName() == name && found == len(labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %v", name, labels)
	return 0
}

func TestFindingsThatCouldNotBeHandedOnGoFirst(t *testing.T) {
	w := newWorld(t, offlineRule, []telemetry.Site{shop}, []telemetry.Device{{Name: "door", Site: "shop"}})
	beat(w, "door", monday)
	w.expect(monday)
	away := errors.New("away")
	w.emitFail = away
	at := monday.Add(73 * time.Hour)
	if err := w.analyzer.Evaluate(t.Context(), at); !errors.Is(err, away) {
		t.Fatalf("got %v; want the emitter's error", err)
	}
	if len(w.states.states) != 0 {
		t.Error("states were saved before their findings were emitted")
	}
	w.emitFail, w.states.fail = nil, away
	if err := w.analyzer.Evaluate(t.Context(), at); !errors.Is(err, away) {
		t.Fatalf("got %v; want the store's error", err)
	}
	w.heard(at, "firing door")
	w.states.fail = nil
	w.expect(at) // the finding is out, and not said again
	if len(w.states.states) != 1 {
		t.Errorf("kept %v; want one state", w.states.states)
	}
	w.restart()
	w.expect(at.Add(5 * time.Minute))
}

func TestWhileThePipelineLagsNothingIsKnown(t *testing.T) {
	w := newWorld(t, offlineRule, []telemetry.Site{shop}, []telemetry.Device{{Name: "a", Site: "shop"}, {Name: "b", Site: "shop"}})
	beat(w, "a", monday.Add(-73*time.Hour))
	beat(w, "b", monday.Add(-72*time.Hour))
	advance := func(now, watermark time.Time, want ...string) {
		t.Helper()
		if err := w.analyzer.Advance(t.Context(), now, watermark); err != nil {
			t.Fatal(err)
		}
		w.heard(now, want...)
	}
	advance(monday, time.Time{}) // nothing is known of the pipeline yet, which is no outage
	advance(monday, monday, "firing a")
	late := monday.Add(5 * time.Minute)
	advance(late, monday.Add(time.Minute), "unknown a (the pipeline lags)")
	advance(late.Add(time.Minute), monday.Add(time.Minute))
	back := late.Add(2 * time.Minute)
	advance(back, back) // b has been silent too long, and gets its time
	advance(back.Add(14*time.Minute), back.Add(14*time.Minute))
	advance(back.Add(20*time.Minute), back.Add(20*time.Minute), "firing a (known again)", "firing b")

	w.restart() // and a start long after the last progress is such an outage too
	beat(w, "b", back.Add(21*time.Minute))
	beat(w, "b", back.Add(22*time.Minute))
	later := back.Add(40 * time.Minute)
	advance(later, later)
	advance(later.Add(20*time.Minute), later.Add(20*time.Minute), "clear b")
}

func TestRunEvaluatesAtEachTick(t *testing.T) {
	w := newWorld(t, offlineRule, []telemetry.Site{shop}, []telemetry.Device{{Name: "a", Site: "shop"}})
	beat(w, "a", monday.Add(-73*time.Hour))
	ticks := make(chan time.Time, 1)
	ticks <- monday
	close(ticks)
	if err := w.analyzer.Run(t.Context(), ticks, func(now time.Time) time.Time { return now }); err != nil {
		t.Fatal(err)
	}
	w.heard(monday, "firing a")
}

// TestATrailingWindowHoldsTheCountsThatCanHaveCome: counts are stamped with the end of
// their interval and come seconds behind it. An hour up to the full hour is whole all the
// same, of devices that count by the quarter and by the hour.
func TestATrailingWindowHoldsTheCountsThatCanHaveCome(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: counted, scope: device, every: 1h, when: "sum(total, 1h) == 40 and completeness(1h) == 100%", category: x }
  - { name: rows, scope: device, every: 1h, when: "count(count, 1h) == 4 or count(count, 2h) == 2", category: x }
`, []telemetry.Site{shop}, []telemetry.Device{{Name: "by-hour", Site: "shop", ReadingEvery: 3600}, {Name: "by-quarter", Site: "shop", ReadingEvery: 900}})
	for quarter := range 12 {
		ts := monday.Add(time.Duration(quarter-8) * 15 * time.Minute)
		addCount(w.batch, "by-quarter", ts, ts.Add(4*time.Second), 10, 0)
		if quarter%4 == 0 {
			addCount(w.batch, "by-hour", ts, ts.Add(4*time.Second), 40, 0)
		}
	}
	w.expect(monday, "firing by-hour", "firing by-quarter", "firing by-hour", "firing by-quarter")
	w.expect(monday.Add(time.Hour))
}

func TestGroupsAndTheTenant(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: few, scope: group(region), where: { site.status: open }, when: "sum(total, 1h) < 10", every: 1h, category: x }
  - { name: all, scope: tenant, when: "sum(total, 1h) > 20", every: 1h, category: x }
`, []telemetry.Site{{ID: "n", Labels: map[string]string{"region": "north"}}, shut}, []telemetry.Device{
		{Name: "n1", Site: "n"}, {Name: "s1", Site: "n", Labels: map[string]string{"region": "south"}}, {Name: "s2", Site: "shut", Labels: map[string]string{"region": "south"}}})
	for name, n := range map[string]uint32{"n1": 10, "s1": 5, "s2": 10} {
		addCount(w.batch, name, monday.Add(-time.Hour), monday, n, 0)
	}
	w.expect(monday, "firing south", "firing ")
}

func TestARecordThatDoesNotFitIsAnError(t *testing.T) {
	w := newWorld(t, offlineRule, []telemetry.Site{shop}, []telemetry.Device{{Name: "door", Site: "shop"}})
	query := w.config.Query
	w.config.Query = func(ctx context.Context, s Scan) (arrow.Record, error) {
		s.Columns = s.Columns[1:]
		return query(ctx, s)
	}
	w.restart()
	w.expect(monday) // counted and logged, not evaluated
	if got := w.analyzer.progress.Rules["offline"]; !got.IsZero() {
		t.Errorf("the rule counts as evaluated up to %s", got)
	}
}

func TestOpeningHoursWithABreakAreAddedUp(t *testing.T) {
	market := shop
	if err := market.Hours.Add("mon-sun", "09:00-12:00,14:00-18:00"); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, `
rules:
  - name: busy
    scope: site
    at: close+60m
    when: sum(total, open) >= 7 and completeness(open) == 100%
    unless: sum(total, day) > 24
    category: x
`, []telemetry.Site{market}, []telemetry.Device{{Name: "door", Site: "shop", ReadingEvery: 3600}})
	fillDay(w, "door", monday.Add(-9*time.Hour), 24, 1, 0) // Monday in Paris, one person each hour
	w.expect(monday)
	if err := w.analyzer.Evaluate(t.Context(), monday.Add(10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 || *w.said[0].Value != 7 {
		t.Fatalf("heard %v; want one finding of 7 people, three in the morning and four in the afternoon", w.said)
	}
}

// TestWhatOnlyRecoveryNeedsIsAskedOfWhoMayRecover counts the scans' columns.
func TestWhatOnlyRecoveryNeedsIsAskedOfWhoMayRecover(t *testing.T) {
	start := time.Date(2026, 3, 27, 8, 0, 0, 0, time.UTC)
	w := newWorld(t, `
rules:
  - { name: silent, scope: device, when: silence() > 1h, recover: "count(count, 30m) >= 2", every: 5m, category: x }
`, nil, []telemetry.Device{{Name: "a", Site: "s", InServiceSince: start}, {Name: "b", Site: "s", InServiceSince: start}})
	for m := range 24 {
		at := start.Add(time.Duration(m) * 5 * time.Minute)
		addCount(w.batch, "a", at, at, 1, 1)
	}
	w.expect(start.Add(30 * time.Minute))
	if len(w.scans) != 1 || len(w.scans[0].Columns) != 1 {
		t.Errorf("a calm fleet is asked %v; want the arrivals alone", w.scans)
	}
	w.expect(start.Add(65*time.Minute), "firing b")
	w.scans = nil
	at := start.Add(66 * time.Minute)
	addCount(w.batch, "b", at, at, 1, 1)
	w.expect(start.Add(70 * time.Minute))
	if len(w.scans) != 2 || len(w.scans[1].Devices) != 1 || w.scans[1].Devices[0] != telemetry.IDOf("b") {
		t.Errorf("the scans are %v; want one more, about b", w.scans)
	}
	addCount(w.batch, "b", at.Add(time.Minute), at.Add(time.Minute), 1, 1)
	w.expect(start.Add(75*time.Minute), "clear b")
}
