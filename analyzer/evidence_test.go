package analyzer

import (
	"compress/gzip"
	"encoding/csv"
	"io"
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
		sites = append(sites, telemetry.Site{ID: name, Zone: zone.String()})
		devices = append(devices, telemetry.Device{Name: name, Site: name, ReadingEvery: 3600, InServiceSince: since})
	}
	return mustFleet(t, sites, devices), b
}

// judged runs rules over a data set and logs what came of it, as EVIDENCE.md has it.
func judged(t *testing.T, dataset string, rules *RuleSet, fleet *Fleet, batch *telemetry.Batch, from, to string) *Report {
	t.Helper()
	began := time.Now()
	report, err := Backtest(t.Context(), BacktestConfig{Rules: rules, Fleet: fleet, Load: loadBatch(batch), From: utc(t, from), To: utc(t, to)})
	if err != nil {
		t.Fatal(err)
	}
	labels, err := ReadLabels(openData(t, "real_incidents.csv"), dataset, fleet.calendars[0].site.Location())
	if err != nil {
		t.Fatal(err)
	}
	siteOf := func(device string) string {
		if row, ok := fleet.deviceRow(device); ok {
			return fleet.Devices[row].Site
		}
		return ""
	}
	kinds, precision := report.Score(labels, siteOf)
	opened := 0
	for _, r := range report.Rules {
		opened += r.Opened
	}
	weeks := report.To.Sub(report.From).Hours() / 168
	t.Logf("%s: %d devices, %.0f weeks, %d incidents, %.2f for each 1000 devices and week, took %s", dataset, report.Devices, weeks,
		opened, float64(opened)/weeks/float64(report.Devices)*1000, time.Since(began).Round(time.Second))
	for _, k := range kinds {
		t.Logf("  %-30s %d of %d found, recall %.2f, detected after %s, by %v", k.Kind, k.Found, k.Spans, k.Recall, k.Detect, k.By)
	}
	for _, p := range precision {
		t.Logf("  %-30s %d opened, %d in labelled spans, precision %.2f", p.Rule, p.Opened, p.Labelled, p.Precision)
	}
	return report
}

func TestTheCatalogueOnSeattle(t *testing.T) {
	fleet, batch := seattle(t)
	judged(t, "seattle_counters", shipped(t), fleet, batch, "2014-01-02 00:00", "2018-07-01 00:00")
}

func TestTheCatalogueOnMelbourne(t *testing.T) {
	fleet, batch := melbourne(t)
	judged(t, "melbourne_pedestrian", shipped(t), fleet, batch, "2012-01-02 00:00", "2015-02-14 16:00")
}

func TestTheCatalogueOnCalIt2(t *testing.T) {
	fleet, batch := calit2(t)
	judged(t, "uci_calit2", shipped(t), fleet, batch, "2005-07-25 00:00", "2005-11-07 00:00")
}
