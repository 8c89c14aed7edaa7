package catalogue

import (
	"context"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

func TestEveryRuleIsInOrderAndExplainsItself(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"suspected-offline", "in-out-discrepancy", "never-reported"} {
		if rules.Rule(name) == nil {
			t.Errorf("no rule %s", name)
		}
	}
	if got := len(Defaults()); got != len(defaults) {
		t.Errorf("%d of the %d default rules are there", got, len(defaults))
	}
	for _, r := range rules.Rules {
		if len(r.About) < 100 || r.Summary == "" || r.Category == "" {
			t.Errorf("rule %s does not tell the helpdesk what to do", r.Name)
		}
	}
}

// TestTheRulesFindWhatTheyAreFor runs the catalogue over a week of three devices:
// one is well, one dies and one never speaks.
func TestTheRulesFindWhatTheyAreFor(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	batch := &telemetry.Batch{}
	for at := start.Add(time.Hour); !at.After(start.AddDate(0, 0, 7)); at = at.Add(time.Hour) {
		count(batch, "well", at, 20, 10)
		if at.Before(start.AddDate(0, 0, 2)) {
			count(batch, "dies", at, 10, 10)
		}
	}
	var devices []telemetry.Device
	for _, name := range []string{"well", "dies", "mute"} {
		devices = append(devices, telemetry.Device{Name: name, Site: "shop", ReadingEvery: 3600, InServiceSince: start})
	}
	fleet, err := analyzer.NewFleet([]telemetry.Site{{ID: "shop", Zone: "UTC", Status: telemetry.SiteOpen}}, devices[:2])
	if err != nil {
		t.Fatal(err)
	}
	with, err := analyzer.NewFleet([]telemetry.Site{{ID: "shop", Zone: "UTC", Status: telemetry.SiteOpen}}, devices)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		fleet  *analyzer.Fleet
		opened map[string]int
	}{
		{fleet, map[string]int{"suspected-offline": 1, "in-out-discrepancy": 1, "never-reported": 0}},
		{with, map[string]int{"suspected-offline": 2, "in-out-discrepancy": 0, "never-reported": 1}}, // a day with a mute door is not complete
	} {
		report, err := analyzer.Backtest(t.Context(), analyzer.BacktestConfig{Rules: rules, Fleet: c.fleet, From: start, To: start.AddDate(0, 0, 7),
			Load: func(context.Context, time.Time, time.Time) (*telemetry.Batch, error) { return batch, nil }})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Rules {
			if want, asked := c.opened[r.Rule]; asked && r.Opened != want {
				t.Errorf("%d devices: %s opened %d; want %d", report.Devices, r.Rule, r.Opened, want)
			}
		}
	}
}

func count(b *telemetry.Batch, device string, at time.Time, in, out uint32) {
	c := &b.Counts
	c.Device = append(c.Device, telemetry.IDOf(device))
	c.TS, c.Arrival, c.Offset = append(c.TS, at.UnixMilli()), append(c.Arrival, at.UnixMilli()), append(c.Offset, int64(len(c.Offset)))
	c.In, c.Out, c.Interval = append(c.In, in), append(c.Out, out), append(c.Interval, 3600)
}
