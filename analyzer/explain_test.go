package analyzer

import (
	"slices"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestAnExplanationSaysWhatIsShared(t *testing.T) {
	now := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	rules := mustLoad(t, `
rules:
  - { name: silent, scope: device, when: silence() > 2h, every: 5m, category: x }
  - { name: silent-long, scope: device, when: silence() > 5h, every: 5m, category: x }
  - { name: unequal, scope: site, when: "sum(in, 1h) > 2 * sum(out, 1h)", every: 5m, category: x }
  - { name: usual, scope: device, when: "z(sum(in, 1h)) > 4", every: 1h, category: x }
`)
	batch := &telemetry.Batch{}
	addCount(batch, "a", now.Add(-10*time.Minute), now.Add(-10*time.Minute), 9, 1)
	addCount(batch, "b", now.Add(-3*time.Hour), now.Add(-3*time.Hour), 1, 1)
	reel := NewReel(batch)
	clock := now
	x, err := Explain(t.Context(), Config{Rules: rules, Query: reel.Query, Series: reel.Series,
		Fleet: mustFleet(t, nil, []telemetry.Device{{Name: "a", Site: "s"}, {Name: "b", Site: "s"}}),
		Clock: func() time.Time { clock = clock.Add(time.Millisecond); return clock }}, now)
	if err != nil {
		t.Fatal(err)
	}
	var columns []ExplainedScan
	for _, s := range x.Scans {
		if s.What == "columns" {
			columns = append(columns, s)
		}
	}
	if len(columns) != 1 || len(columns[0].Columns) != 3 || columns[0].Rows != 2 || columns[0].Seconds <= 0 ||
		!slices.Equal(columns[0].Rules, []string{"silent", "silent-long", "unequal"}) {
		t.Errorf("got the scans %+v; want one of three columns for three rules", columns)
	}
	if len(x.Scans) != 3 || x.Scans[1].What != "bins to learn from" || x.Scans[2].What != "bins" || !slices.Equal(x.Scans[2].Rules, []string{"usual"}) {
		t.Errorf("got %+v; want what usual reads behind it", x.Scans)
	}
	for i, want := range []ExplainedRule{{Rule: "silent", Scopes: 2, Holding: 1}, {Rule: "silent-long", Scopes: 2}, {Rule: "unequal", Scopes: 1, Holding: 1}, {Rule: "usual", Scopes: 2}} {
		if got := x.Rules[i]; got.Rule != want.Rule || got.Scopes != want.Scopes || got.Holding != want.Holding || got.Seconds <= 0 {
			t.Errorf("got %+v; want %+v", got, want)
		}
	}
	if x.Findings != 2 || x.ProgramSeconds <= 0 || x.ColumnSeconds <= 0 || x.ScanSeconds <= 0 {
		t.Errorf("got %+v", x)
	}
}
