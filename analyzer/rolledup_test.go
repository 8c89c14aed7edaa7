package analyzer

import (
	"maps"
	"slices"
	"testing"
	"time"

	"belfry/telemetry"
)

// AtADesk counts by rule the incidents that a desk has of a report's findings; this
// package can't import one.
var AtADesk func(t *testing.T, r *Report, f *Fleet) map[string]int

// byRule counts a report's incidents.
func byRule(all []RolledUp) map[string]int {
	n := map[string]int{}
	for _, i := range all {
		n[i.Rule]++
	}
	return n
}

// TestAReportCountsWhatADeskHas hands findings to a desk: of a pavement of a real bridge
// that is closed on mornings in a row, and of a shop whose devices fall silent alone and
// together. The whole of the public data is held against a desk by TestEvidence.
func TestAReportCountsWhatADeskHas(t *testing.T) {
	bridge, closed := fremont(t)
	shop, silent := shopOfFive(t)
	for _, c := range []struct {
		rules    *RuleSet
		fleet    *Fleet
		batch    *telemetry.Batch
		from, to string
		want     int // incidents, by hand
		each     int // and if none were reopened
	}{
		// Closed on several mornings of a week, and the next week again.
		{shipped(t, "one-direction-dead"), bridge, closed, "2014-09-01 00:00", "2014-10-20 00:00", 7, 12},
		// Three together; one of them again within a day, by itself; all five; and of these
		// one again. What is reopened leaves the site's incident, so there are as many.
		{mustLoad(t, "rules: [{ name: silent, scope: device, when: silence() > 1h, every: 5m, category: x }]"), shop, silent, "2026-03-02 00:00", "2026-03-09 00:00", 4, 4},
	} {
		report, err := Backtest(t.Context(), BacktestConfig{Rules: c.rules, Fleet: c.fleet, Load: loadBatch(c.batch), From: utc(t, c.from), To: utc(t, c.to)})
		if err != nil {
			t.Fatal(err)
		}
		got, desk := byRule(report.Incidents), AtADesk(t, report, c.fleet)
		if each := len(report.rollUp(c.fleet.devicesAt(), 0)); !maps.Equal(got, desk) || len(report.Incidents) != c.want || each != c.each {
			t.Errorf("the report counts %v, %d if none were reopened, and a desk has %v; want %d and %d", got, each, desk, c.want, c.each)
			for _, i := range report.Incidents {
				t.Logf("%s %s %v, fired %d times", i.From, i.Rule, i.Scopes, i.Fired)
			}
		}
	}
}

// shopOfFive is five devices of a shop, with a sign of life every ten minutes but for the
// hours in which they are silent.
func shopOfFive(t *testing.T) (*Fleet, *telemetry.Batch) {
	start, b, devices := utc(t, "2026-03-02 00:00"), &telemetry.Batch{}, []telemetry.Device{}
	for d, silent := range [][][2]float64{
		{{5, 10}, {14, 18}, {50, 60}},
		{{5.1, 10}, {50, 60}},
		{{5.1, 10}, {50, 60}},
		{{50, 60}, {80, 84}},
		{{50, 60}},
	} {
		name := string(rune('a' + d))
		devices = append(devices, telemetry.Device{Name: name, Site: "shop", InServiceSince: start})
		for at := start; at.Before(start.AddDate(0, 0, 7)); at = at.Add(10 * time.Minute) {
			hour := at.Sub(start).Hours()
			if !slices.ContainsFunc(silent, func(s [2]float64) bool { return s[0] < hour && hour < s[1] }) {
				addHeartbeat(b, name, at, at)
			}
		}
	}
	return mustFleet(t, []telemetry.Site{{ID: "shop", Zone: "UTC"}}, devices), b
}
