package analyzer

import (
	"maps"
	"testing"

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

// TestAReportCountsWhatADeskHas runs real findings through a desk: pavements of a bridge
// that are closed on mornings in a row, and sensors of a city that fall silent alone and,
// where the file ends, together.
func TestAReportCountsWhatADeskHas(t *testing.T) {
	for _, c := range []struct {
		name     string
		read     func(testing.TB) (*Fleet, *telemetry.Batch)
		rules    []string
		from, to string
	}{
		{"fremont", fremont, []string{"one-direction-dead", "incomplete-day"}, "2015-05-01 00:00", "2015-10-01 00:00"},
		{"melbourne", melbourne, []string{"suspected-offline", "incomplete-day"}, "2014-10-01 00:00", "2015-02-20 00:00"},
	} {
		fleet, batch := c.read(t)
		report, err := Backtest(t.Context(), BacktestConfig{Rules: shipped(t, c.rules...), Fleet: fleet, Load: loadBatch(batch), From: utc(t, c.from), To: utc(t, c.to)})
		if err != nil {
			t.Fatal(err)
		}
		got, want := byRule(report.Incidents), AtADesk(t, report, fleet)
		each := len(report.rollUp(fleet.devicesAt(), 0))
		if !maps.Equal(got, want) {
			t.Errorf("%s: the report counts %v, and a desk has %v", c.name, got, want)
		}
		t.Logf("%s: %d findings, %v incidents, %d if none were reopened", c.name, len(report.Findings), got, each)
	}
}
