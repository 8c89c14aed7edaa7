package analyzer

import (
	"compress/gzip"
	"encoding/csv"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"belfry/telemetry"
)

// shipped loads the catalogue's files, all of them or those named.
func shipped(t testing.TB, names ...string) *RuleSet {
	t.Helper()
	paths, err := filepath.Glob("catalogue/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no catalogue: %v", err)
	}
	var files []File
	for _, path := range paths {
		name := filepath.Base(path)
		if len(names) > 0 && !slices.Contains(names, name[:len(name)-len(".yaml")]) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, File{path, data})
	}
	rules, err := Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// seattle reads the hourly counters of Seattle: the first channel of each is taken
// as IN and the second as OUT; of chief-sealth the pedestrians. Stamps are the
// local beginnings of hours.
func seattle(t testing.TB) (*Fleet, *telemetry.Batch) {
	zipped, err := gzip.NewReader(openData(t, "seattle_counters", "seattle_counters_hourly.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		counter string
		end     time.Time
	}
	flows := map[key]*[2]uint32{}
	firstSeen := map[string]time.Time{}
	in := csv.NewReader(zipped)
	in.ReuseRecord = true
	for {
		row, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		flow, ok := map[string]int{"nb": 0, "sb": 1, "east": 0, "west": 1, "ped_north": 0, "ped_south": 1}[row[2]]
		n, err := strconv.Atoi(row[3])
		if !ok || err != nil {
			continue
		}
		start, err := time.ParseInLocation("2006-01-02T15:04:05", row[1], zone)
		if err != nil {
			t.Fatal(err)
		}
		k := key{string([]byte(row[0])), start.Add(time.Hour).UTC()}
		if flows[k] == nil {
			flows[k] = &[2]uint32{}
		}
		flows[k][flow] = uint32(n)
		if was, ok := firstSeen[k.counter]; !ok || start.Before(was) {
			firstSeen[k.counter] = start
		}
	}
	b := &telemetry.Batch{}
	for k, f := range flows {
		addCount(b, k.counter, k.end, k.end, f[0], f[1])
	}
	var sites []telemetry.Site
	var devices []telemetry.Device
	for name, since := range firstSeen {
		sites = append(sites, telemetry.Site{ID: name, Zone: zone.String(), Labels: outdoor})
		devices = append(devices, telemetry.Device{Name: name, Site: name, ReadingEvery: 3600, InServiceSince: since})
	}
	return mustFleet(t, sites, devices), b
}

// oneZone is the zone of a fleet that has one.
func oneZone(f *Fleet) func(string) *time.Location {
	return func(string) *time.Location { return f.calendars[0].site.Location() }
}

// judged runs rules over a data set and logs what came of it, as EVIDENCE.md has it. It
// returns too how many incidents no label explains when nothing that ends is reopened.
func judged(t *testing.T, dataset string, rules *RuleSet, fleet *Fleet, batch *telemetry.Batch, from, to string) (report *Report, each int) {
	t.Helper()
	var err error
	report, err = Backtest(t.Context(), BacktestConfig{Rules: rules, Fleet: fleet, Load: loadBatch(batch), From: utc(t, from), To: utc(t, to)})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := ReadLabels(openData(t, "real_incidents.csv"), dataset, oneZone(fleet))
	if err != nil {
		t.Fatal(err)
	}
	for i := range labels {
		if labels[i].Device == "main-door" {
			labels[i].Device = "door"
		}
	}
	report.Score(labels, fleet.siteNameOf)
	opened := 0
	for _, r := range report.Rules {
		opened += r.Opened
	}
	alone := *report
	alone.Incidents = report.rollUp(fleet.devicesAt(), 0)
	alone.Score(labels, fleet.siteNameOf)
	t.Logf("%s: %d devices, %.0f weeks, %d findings opened, %d incidents after roll-up, %d if none were reopened", dataset, report.Devices,
		report.To.Sub(report.From).Hours()/168, opened, len(report.Incidents), len(alone.Incidents))
	if got, desk := byRule(report.Incidents), AtADesk(t, report, fleet); !maps.Equal(got, desk) {
		t.Errorf("%s: the report counts %v, and a desk has %v", dataset, got, desk)
	}
	middle := report.From.Add(report.To.Sub(report.From) / 2)
	tally(t, report, "all", report.From, report.To)
	tally(t, report, "first half", report.From, middle)
	tally(t, report, "second half", middle, report.To)
	for _, k := range report.Kinds {
		t.Logf("  %-30s %d of %d found, recall %.2f, detected after %s, by %v", k.Kind, k.Found, k.Spans, k.Recall, k.Detect, k.By)
	}
	for _, p := range report.Precision {
		t.Logf("  %-30s %d opened, %d in labelled spans, precision %.2f", p.Rule, p.Opened, p.Labelled, p.Precision)
	}
	return report, len(alone.Unlabelled)
}

// tally logs how many incidents began in a part of a report, and how many of them no
// label explains.
func tally(t *testing.T, r *Report, part string, from, to time.Time) {
	t.Helper()
	in := func(all []RolledUp) (n int, by map[string]int) {
		by = map[string]int{}
		for _, i := range all {
			if i.From.After(from) && !i.From.After(to) {
				n, by[i.Rule] = n+1, by[i.Rule]+1
			}
		}
		return n, by
	}
	all, _ := in(r.Incidents)
	none, by := in(r.Unlabelled)
	weeks := float64(r.Devices) / 1000 * to.Sub(from).Hours() / 168
	t.Logf("  %-11s %.2f incidents for each 1000 devices and week, of them unlabelled %.2f: %v", part, float64(all)/weeks, float64(none)/weeks, by)
}

var evidence = flag.Bool("evidence", false, "run the catalogue over all of the public data and print what EVIDENCE.md says")

// defaultRules are the names in catalogue.Defaults, which this package can't import.
var defaultRules = []string{"copied-day", "feed-outage", "in-out-discrepancy", "incomplete-day", "never-reported",
	"one-direction-dead", "runaway", "suspected-offline", "zero-in-opening-hours", "clock-skew", "resent-readings"}

// TestEvidence prints the numbers of EVIDENCE.md, all of them or a part:
// go test ./analyzer -run Evidence -evidence -v -timeout 60m
// go test ./analyzer -run Evidence/default/seattle -evidence -v
// The sets are the default one, the same where the registry does not say that streets are
// outdoors, the same where it knows the public holidays of the United States and of Victoria, that with those that run after four weeks of history, and the whole catalogue.
func TestEvidence(t *testing.T) {
	if !*evidence {
		t.Skip("the whole of the public data is run with -evidence")
	}
	later := append(slices.Clone(defaultRules), "spike", "drop", "level-shift", "peer-outlier", "group-event")
	for set, names := range map[string][]string{"default": defaultRules, "unsaid": defaultRules, "holidays": defaultRules, "later": later, "whole": nil} {
		t.Run(set, func(t *testing.T) {
			pooled := pool{shown: map[string]int{}}
			judge := func(t *testing.T, dataset string, read func(testing.TB) (*Fleet, *telemetry.Batch), from, to string) (*Report, *Fleet, *telemetry.Batch) {
				fleet, batch := read(t)
				switch set {
				case "unsaid":
					fleet = changed(t, fleet, func(s *telemetry.Site) { s.Labels = nil })
				case "holidays":
					fleet = changed(t, fleet, func(s *telemetry.Site) { s.Holidays.Of = publicHolidays[s.Zone] })
				}
				report, each := judged(t, dataset, shipped(t, names...), fleet, batch, from, to)
				var showing map[string]int
				if set == "default" || set == "holidays" {
					showing = shownBy(t, report, filesOf(t, dataset, fleet, batch))
				}
				pooled.add(report, each, showing)
				return report, fleet, batch
			}
			t.Run("melbourne", func(t *testing.T) {
				report, fleet, _ := judge(t, "melbourne_pedestrian", melbourne, "2012-01-02 00:00", "2015-02-14 16:00")
				if set == "later" || set == "whole" {
					onHolidays(t, report, oneZone(fleet)(""))
				}
			})
			t.Run("seattle", func(t *testing.T) {
				judge(t, "seattle_counters", seattle, "2014-01-02 00:00", "2018-07-01 00:00")
			})
			t.Run("irvine", func(t *testing.T) {
				judge(t, "uci_calit2", calit2, "2005-07-25 00:00", "2005-11-07 00:00")
			})
			t.Run("fremont", func(t *testing.T) {
				report, _, batch := judge(t, "fremont, held out", fremont, "2012-10-04 00:00", "2015-10-01 00:00")
				deadSides(t, report, batch)
			})
			t.Run("vendor", func(t *testing.T) {
				judge(t, "the vendor's data, held out", vendor, "2015-05-02 00:00", "2018-05-01 00:00")
			})
			pooled.log(t, set)
		})
	}
}

// changed is a fleet with other sites.
func changed(t *testing.T, f *Fleet, change func(*telemetry.Site)) *Fleet {
	t.Helper()
	for i := range f.Sites {
		change(&f.Sites[i])
		if err := f.Sites[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	return mustFleet(t, f.Sites, f.Devices)
}

// publicHolidays are the places whose holidays are those of the data, by zone.
var publicHolidays = map[string]string{"America/Los_Angeles": "US", "Australia/Melbourne": "AU-VIC"}

// pool is the noise of several data sets together.
type pool struct {
	unlabelled, each int            // incidents, and if none were reopened
	shown            map[string]int // of unlabelled, by what the files show
	weeks            float64        // of one device
}

func (p *pool) add(r *Report, each int, showing map[string]int) {
	p.unlabelled, p.each = p.unlabelled+len(r.Unlabelled), p.each+each
	p.weeks += float64(r.Devices) * r.To.Sub(r.From).Hours() / 168
	for what, n := range showing {
		p.shown[what] += n
	}
}

func (p *pool) log(t *testing.T, set string) {
	t.Helper()
	rate := func(n int) string {
		return fmt.Sprintf("%d, %.2f for each 1000 devices and week", n, 1000*float64(n)/p.weeks)
	}
	t.Logf("%s, all that ran, in %.0f weeks of devices: unlabelled incidents %s; if none were reopened %s", set, p.weeks, rate(p.unlabelled), rate(p.each))
	if len(p.shown) > 0 {
		left := p.unlabelled
		for _, what := range shownTrue {
			left -= p.shown[what]
		}
		t.Logf("  what the files show of them: %v; false as far as they show %s; without what they show to be true %s", p.shown, rate(p.shown[common]), rate(left))
	}
}

// deadSides counts, over the spans that one-direction-dead names, both directions in the
// file itself.
func deadSides(t *testing.T, r *Report, b *telemetry.Batch) {
	t.Helper()
	findings, dead, other := 0, uint32(0), uint32(0)
	for _, f := range r.Findings {
		if f.Rule != "one-direction-dead" || f.Condition != telemetry.Firing || f.Reason != "" {
			continue
		}
		in, out := uint32(0), uint32(0)
		for i, ts := range b.Counts.TS {
			if id := telemetry.IDOf(f.Scope.Name); b.Counts.Device[i] == id && ts > beginning(&f).UnixMilli() && ts <= f.At.Add(-settle).UnixMilli() {
				in, out = in+b.Counts.In[i], out+b.Counts.Out[i]
			}
		}
		findings, dead, other = findings+1, dead+min(in, out), other+max(in, out)
	}
	t.Logf("  one-direction-dead: over the spans of its %d findings one side counts %d and the other %d", findings, dead, other)
}

// onHolidays tells how the public holidays were found.
func onHolidays(t *testing.T, r *Report, zone *time.Location) {
	t.Helper()
	events, sensors, days := 0, 0, map[string]bool{}
	for _, day := range holidays {
		n, others := onDay(r, day, zone)
		events, sensors, days[day] = events+n, sensors+len(others), true
	}
	all := 0
	for _, f := range r.Findings {
		if f.Scope.Level == telemetry.LevelDevice && f.Condition == telemetry.Firing && f.Reason == "" && (f.Rule == "spike" || f.Rule == "drop" || f.Rule == "peer-outlier") {
			all++
		}
	}
	t.Logf("  %d of %d public holidays are group events; %d findings of single sensors began on them (%d spikes, drops and outliers in all)", events, len(holidays), sensors, all)
}

// TestKnownFaultsAreFound looks at the spans of the public data of which RULES says
// what is wrong, each by the rule made for it.
func TestKnownFaultsAreFound(t *testing.T) {
	fleet, batch := seattle(t)
	for _, c := range []struct{ rule, device, from, to, begins, ends string }{
		{"direction-swapped", "2nd-ave", "2017-05-15 00:00", "2017-06-10 00:00", "2017-06-02 07:00", "2017-06-08 08:00"},
		{"one-direction-dead", "2nd-ave", "2016-10-25 00:00", "2016-11-25 00:00", "2016-11-01 08:00", "2016-11-25 00:00"},
		{"zero-in-opening-hours", "2nd-ave", "2016-10-25 00:00", "2016-11-10 00:00", "2016-11-01 12:00", "2016-11-03 08:00"},
		{"runaway", "chief-sealth", "2015-03-15 00:00", "2015-03-31 00:00", "2015-03-22 00:00", "2015-03-29 00:00"},
	} {
		report, err := Backtest(t.Context(), BacktestConfig{Rules: shipped(t, c.rule), Fleet: fleet, Load: loadBatch(batch), From: utc(t, c.from), To: utc(t, c.to)})
		if err != nil {
			t.Fatal(err)
		}
		if !found(report, c.rule, c.device, utc(t, c.begins), utc(t, c.ends)) {
			t.Errorf("%s on %s was not found between %s and %s", c.rule, c.device, c.begins, c.ends)
			for _, f := range report.Findings {
				t.Logf("%s %s %s %s %v", f.At, f.Scope, f.Condition, f.Reason, *f.Value)
			}
		}
	}
}

func found(r *Report, rule, device string, from, to time.Time) bool {
	return slices.ContainsFunc(r.Findings, func(f telemetry.Finding) bool {
		return f.Rule == rule && f.Scope.Name == device && f.Condition == telemetry.Firing && !f.At.Before(from) && !f.At.After(to)
	})
}

// TestMelbourneCopiedDays finds the six listed days, each the night after it.
func TestMelbourneCopiedDays(t *testing.T) {
	fleet, batch := melbourne(t)
	labels, err := ReadLabels(openData(t, "real_incidents.csv"), "melbourne_pedestrian", oneZone(fleet))
	if err != nil {
		t.Fatal(err)
	}
	labels = slices.DeleteFunc(labels, func(l Label) bool { return l.Kind != "copied_day" })
	if len(labels) != 6 {
		t.Errorf("%d copied days are listed; want 6", len(labels))
	}
	for _, l := range labels {
		report, err := Backtest(t.Context(), BacktestConfig{Rules: shipped(t, "copied-day"), Fleet: fleet, Load: loadBatch(batch), From: l.Start.UTC(), To: l.End.Add(2 * time.Hour).UTC()})
		if err != nil {
			t.Fatal(err)
		}
		day := l.Start.Format(time.DateOnly)
		if !slices.ContainsFunc(report.Hits, func(h Hit) bool { return h.Scope.Name == l.Device && h.Day == day }) {
			t.Errorf("the copied day of sensor %s on %s was not found: %v", l.Device, day, report.Hits)
		}
	}
}
