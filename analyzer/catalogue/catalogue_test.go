package catalogue

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	for _, r := range rules.Rules {
		if len(r.About) < 100 || r.Summary == "" || r.Category == "" {
			t.Errorf("rule %s does not tell the helpdesk what to do", r.Name)
		}
	}
}

// TestTheCatalogueIsWhole holds the table against the files, and its numbers and
// defaults against those agreed.
func TestTheCatalogueIsWhole(t *testing.T) {
	var files, defaults []string
	numbers := map[int]bool{}
	for _, e := range Entries {
		files = append(files, "catalogue/"+e.File+".yaml")
		if numbers[e.Number] = true; e.Default {
			defaults = append(defaults, fmt.Sprint(e.Number))
		}
	}
	slices.Sort(files)
	var there []string
	for _, f := range Files() {
		there = append(there, f.Name)
	}
	if !slices.Equal(files, there) {
		t.Errorf("the table has the files %q; there are %q", files, there)
	}
	for n := 1; n <= 28; n++ {
		if !numbers[n] {
			t.Errorf("the catalogue has no number %d", n)
		}
	}
	if got, want := strings.Join(defaults, " "), "1 3 6 7 8 12 18 20 22 22 23"; got != want {
		t.Errorf("on a new fleet run %s; want %s", got, want)
	}
	if got, want := len(Defaults()), len(defaults); got != want {
		t.Errorf("%d files of %d default rules", got, want)
	}
}

// TestWhatSuppressesWhat holds yields_to against the table of what stands for what.
func TestWhatSuppressesWhat(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]int{1: {18}, 2: {18, 1, 20}, 3: {18}, 4: {18, 1}, 5: {18}, 6: {18, 1, 4, 20}, 7: {1}, 8: {12, 7}, 10: {12, 7, 9}, 13: {12, 17, 22},
		14: {18, 1, 4, 7, 17, 22}, 15: {22}, 16: {1, 4, 12, 17, 22}, 21: {20}, 23: {18, 1}}
	for _, e := range Entries {
		if e.File == "resent-readings" {
			continue
		}
		var by []int
		for _, name := range rules.Rule(ruleOf(t, rules, e)).YieldsTo {
			i := slices.IndexFunc(Entries, func(e Entry) bool { return e.File == name })
			if i >= 0 {
				by = append(by, Entries[i].Number)
			}
		}
		for _, n := range want[e.Number] {
			if !slices.Contains(by, n) {
				t.Errorf("rule %d, %s, yields to %v; want %d among them", e.Number, e.File, by, n)
			}
		}
	}
}

// ruleOf is the name of a file's first rule.
func ruleOf(t *testing.T, rules *analyzer.RuleSet, e Entry) string {
	t.Helper()
	for _, r := range rules.Rules {
		if r.File == "catalogue/"+e.File+".yaml" {
			return r.Name
		}
	}
	t.Fatalf("%s holds no rule", e.File)
	return ""
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
