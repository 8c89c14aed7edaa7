package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/telemetry"
)

// TestWhatAnotherFindingExplainsIsOnePieceOfWork runs a day over an analyzer with a desk,
// and over a backtest. A device falls silent, is then lost, and at last so is its site:
// one incident stands for all, as the backtest counts it. When the site is back and the
// device is not, that one stands for itself again.
func TestWhatAnotherFindingExplainsIsOnePieceOfWork(t *testing.T) {
	rules, err := analyzer.Load(analyzer.File{Name: "r.yaml", Data: []byte(`
rules:
  - { name: late, scope: device, when: silence() > 2h, every: 5m, category: x, yields_to: [lost, site-lost] }
  - { name: lost, scope: device, when: silence() > 6h, every: 5m, category: x, yields_to: [site-lost] }
  - { name: site-lost, scope: site, when: share(silence() > 1h) >= 50%, every: 5m, for: 2h, category: y }
`)})
	if err != nil {
		t.Fatal(err)
	}
	batch, devices := &telemetry.Batch{}, []telemetry.Device{}
	beat := func(name string, minute int) {
		ts, b := noon.Add(time.Duration(minute)*time.Minute).UnixMilli(), &batch.Heartbeats
		b.Device, b.TS, b.Arrival, b.Offset = append(b.Device, telemetry.IDOf(name)), append(b.TS, ts), append(b.Arrival, ts), append(b.Offset, int64(len(b.Offset)))
		b.Firmware, b.MeasureEnd = append(b.Firmware, ""), append(b.MeasureEnd, len(b.Name))
	}
	for _, name := range []string{"a", "b", "c"} {
		devices = append(devices, telemetry.Device{Name: name, Site: "shop", InServiceSince: noon.Add(-time.Hour)})
	}
	beat("a", 0) // and never again
	for minute := 0; minute <= 21*60; minute += 10 {
		beat("c", minute)
		if minute < 10*60 || minute >= 20*60 {
			beat("b", minute)
		}
	}
	fleet := func() *analyzer.Fleet {
		f, err := analyzer.NewFleet([]telemetry.Site{{ID: "shop", Zone: "UTC", Status: telemetry.SiteOpen}}, devices)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	tickets, err := Open(t.Context(), filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer tickets.Close()
	desk, reel := incidents.NewDesk(tickets, incidents.Config{}, nil, nil), analyzer.NewReel(batch)
	live, err := analyzer.New(t.Context(), analyzer.Config{Rules: rules, Fleet: fleet(), Query: reel.Query, Series: reel.Series, Emit: desk.Receive, States: tickets.States(), Start: noon, EachInstant: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hours float64
		want  string // what is open: rule and scope, condition, and what stands for it
	}{
		{3, "late device:a firing"},
		{7, "late device:a unknown under lost; lost device:a firing"},
		{12, "late device:a unknown under lost; lost device:a firing"}, // the site is not known to be lost yet
		{14, "late device:a unknown under lost; lost device:a unknown under site-lost; site-lost site:shop firing"},
		{21, "late device:a unknown under lost; lost device:a firing; site-lost site:shop clear"},
	} {
		at := noon.Add(time.Duration(c.hours * float64(time.Hour)))
		if err := live.Evaluate(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		list, err := tickets.Incidents(t.Context(), incidents.Query{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		rule, got, alone := map[string]string{}, "", 0
		for _, inc := range list {
			rule[inc.Ref] = inc.Rule
		}
		for i := len(list) - 1; i >= 0; i-- { // the oldest first
			inc := list[i]
			one := fmt.Sprintf("%s %s %s", inc.Rule, inc.Scope, inc.Condition)
			if alone++; inc.Parent != "" {
				alone--
				one += " under " + rule[inc.Parent]
			}
			if (inc.Parent != "") != (inc.Held.By == "explained") {
				t.Errorf("after %gh %s is held by %q under %q", c.hours, inc.Rule, inc.Held.By, inc.Parent)
			}
			if got != "" {
				got += "; "
			}
			got += one
		}
		if got != c.want {
			t.Errorf("after %gh there are\n%s; want\n%s", c.hours, got, c.want)
		}
		report, err := analyzer.Backtest(t.Context(), analyzer.BacktestConfig{Rules: rules, Fleet: fleet(), From: noon, To: at,
			Load: func(context.Context, time.Time, time.Time) (*telemetry.Batch, error) { return batch, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Incidents) != alone {
			t.Errorf("after %gh the backtest counts %d incidents; %d stand for themselves", c.hours, len(report.Incidents), alone)
		}
	}
}
