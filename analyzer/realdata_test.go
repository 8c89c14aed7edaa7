package analyzer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// openData opens one of the public data sets that lie beside the repository, and
// skips the test where they are missing.
func openData(t testing.TB, parts ...string) io.ReadCloser {
	t.Helper()
	path := filepath.Join(append([]string{"..", "..", "shared", "data"}, parts...)...)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the public data set %s is not here", filepath.Join(parts...))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func mustLoad(t testing.TB, text string) *RuleSet {
	t.Helper()
	rules, err := Load(File{"test.yaml", []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func mustFleet(t testing.TB, sites []telemetry.Site, devices []telemetry.Device) *Fleet {
	t.Helper()
	for i := range sites {
		if err := sites[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range devices {
		if err := devices[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	fleet, err := NewFleet(sites, devices)
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

func addCount(b *telemetry.Batch, device string, ts, arrival time.Time, in, out uint32) {
	c := &b.Counts
	c.Device = append(c.Device, telemetry.IDOf(device))
	c.TS, c.Arrival, c.Offset = append(c.TS, ts.UnixMilli()), append(c.Arrival, arrival.UnixMilli()), append(c.Offset, int64(len(c.Offset)))
	c.In, c.Out, c.Interval = append(c.In, in), append(c.Out, out), append(c.Interval, 60)
}

func addHeartbeat(b *telemetry.Batch, device string, ts, arrival time.Time, measures ...any) {
	h := &b.Heartbeats
	h.Device = append(h.Device, telemetry.IDOf(device))
	h.TS, h.Arrival, h.Offset = append(h.TS, ts.UnixMilli()), append(h.Arrival, arrival.UnixMilli()), append(h.Offset, int64(len(h.Offset)))
	h.Firmware = append(h.Firmware, "")
	for i := 0; i < len(measures); i += 2 {
		h.Name, h.Value = append(h.Name, measures[i].(string)), append(h.Value, measures[i+1].(float64))
	}
	h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
}

// loadBatch is a BacktestConfig.Load that has everything at hand.
func loadBatch(b *telemetry.Batch) func(context.Context, time.Time, time.Time) (*telemetry.Batch, error) {
	return func(context.Context, time.Time, time.Time) (*telemetry.Batch, error) { return b, nil }
}

// calit2 reads the door counter of the CalIt2 building: flow 9 is IN, 7 is OUT,
// stamps are local and taken as the starts of half hours.
func calit2(t testing.TB) (*Fleet, *telemetry.Batch) {
	in := bufio.NewScanner(openData(t, "uci_calit2", "CalIt2.data"))
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	type slot struct{ in, out uint32 }
	slots := map[time.Time]*slot{}
	for in.Scan() {
		f := bytes.Split(in.Bytes(), []byte(","))
		stamp, err := time.ParseInLocation("01/02/06 15:04:05", string(f[1])+" "+string(f[2]), zone)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(bytes.TrimSpace(f[3])))
		if err != nil {
			t.Fatal(err)
		}
		end := stamp.Add(30 * time.Minute).UTC()
		if slots[end] == nil {
			slots[end] = &slot{}
		}
		if string(f[0]) == "9" {
			slots[end].in = uint32(n)
		} else {
			slots[end].out = uint32(n)
		}
	}
	b := &telemetry.Batch{}
	for end, s := range slots {
		addCount(b, "door", end, end, s.in, s.out)
	}
	return mustFleet(t, []telemetry.Site{{ID: "calit2", Zone: "America/Los_Angeles"}},
		[]telemetry.Device{{Name: "door", Site: "calit2", ReadingEvery: 1800}}), b
}

const calit2Rules = `
rules:
  - name: bare
    scope: site
    at: close+60m
    when: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10%
    category: in_out_discrepancy
  - name: floor
    scope: site
    at: close+60m
    when: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10% and sum(total, day) >= 200
    category: in_out_discrepancy
  - name: significant
    scope: site
    at: close+60m
    when: abs(sum(in, day) - sum(out, day)) >= 3 * sqrt(sum(total, day)) and sum(total, day) >= 200
    category: in_out_discrepancy
`

func TestCalIt2DiscrepancyDays(t *testing.T) {
	fleet, batch := calit2(t)
	if got := batch.Counts.Len(); got != 5040 {
		t.Fatalf("read %d half hours; want 5040", got)
	}
	config := BacktestConfig{Rules: mustLoad(t, calit2Rules), Fleet: fleet, Load: loadBatch(batch),
		From: time.Date(2005, 7, 24, 7, 0, 0, 0, time.UTC), To: time.Date(2005, 11, 7, 0, 0, 0, 0, time.UTC)}
	report, err := Backtest(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{44, 15, 0} {
		got := report.Rules[i]
		if got.HitDays != want {
			t.Errorf("rule %s held on %d of 105 days; want %d", got.Rule, got.HitDays, want)
		}
		t.Logf("rule %s: %d days, %d incidents opened, %d cleared", got.Rule, got.HitDays, got.Opened, got.Cleared)
	}
	again, err := Backtest(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := json.Marshal(report)
	b, errB := json.Marshal(again)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("two backtests of the same give different bytes (%v, %v)", errA, errB)
	}
}

// outdoor are the labels of a site that is a street or a bridge, as a registry has them.
var outdoor = map[string]string{"kind": "outdoor"}

// melbourne reads the hourly pedestrian counts of the City of Melbourne; an
// hour's reading is stamped with its end and has no direction.
func melbourne(t testing.TB) (*Fleet, *telemetry.Batch) {
	zipped, err := gzip.NewReader(openData(t, "melbourne_pedestrian", "pedestriancounts_melbourne_2012_2016.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Australia/Melbourne")
	if err != nil {
		t.Fatal(err)
	}
	in := csv.NewReader(zipped)
	in.ReuseRecord = true
	if _, err := in.Read(); err != nil {
		t.Fatal(err)
	}
	b, first := &telemetry.Batch{}, map[string]time.Time{}
	for {
		f, err := in.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		count, err := strconv.ParseFloat(f[5], 64)
		if f[3] == "NaN" || err != nil || count != count {
			continue
		}
		day, err := time.ParseInLocation("02-Jan-2006", f[0], zone)
		if err != nil {
			t.Fatal(err)
		}
		hour, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(err)
		}
		start := time.Date(day.Year(), day.Month(), day.Day(), hour, 0, 0, 0, zone)
		if start.Hour() != hour {
			continue // the hour that the clocks skipped; replay refuses it too
		}
		end := start.Add(time.Hour).UTC()
		addCount(b, f[3], end, end, uint32(count), 0)
		if name := string([]byte(f[3])); first[name].IsZero() || end.Before(first[name]) {
			first[name] = end
		}
	}
	var devices []telemetry.Device
	for name, since := range first { // as devices that register themselves have it
		devices = append(devices, telemetry.Device{Name: name, Site: "melbourne", ReadingEvery: 3600, InServiceSince: since.Add(-time.Hour)})
	}
	return mustFleet(t, []telemetry.Site{{ID: "melbourne", Zone: "Australia/Melbourne", Labels: outdoor}}, devices), b
}

const silentRule = `
rules:
  - name: silent
    scope: device
    every: EVERY
    when: silence() > 72h
    category: suspected_offline
`

// silence is a stretch of local time in which a sensor has no rows.
type silence struct {
	device     string
	start, end time.Time
}

// listedSilences reads Melbourne's gaps of at least 72 hours from the list of
// spans that came with the data; the sensor "NaN" is 2 rows without a sensor.
func listedSilences(t *testing.T) (longer, exact []silence) {
	zone, err := time.LoadLocation("Australia/Melbourne")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(openData(t, "real_incidents.csv")).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r[0] != "melbourne_pedestrian" || r[4] != "no_rows" || r[1] == "NaN" {
			continue
		}
		var s silence
		s.device = r[1]
		for i, at := range []*time.Time{&s.start, &s.end} {
			if *at, err = time.ParseInLocation("2006-01-02T15:04:05", r[2+i], zone); err != nil {
				t.Fatal(err)
			}
		}
		hours, err := strconv.Atoi(strings.Fields(r[6])[0])
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case hours > 72:
			longer = append(longer, s)
		case hours == 72:
			exact = append(exact, s)
		}
	}
	return longer, exact
}

// TestMelbourneSilences holds the findings against the listed gaps. RULES speaks
// of 34 silences: 25 gaps longer than 72 hours, 8 of exactly 72 hours (the
// silence between two readings is then 73 hours, which an hourly grid sees at 72
// at most and a finer one beyond), and the rows without a sensor. Three sensors
// besides fall silent for good before the file ends.
func TestMelbourneSilences(t *testing.T) {
	fleet, batch := melbourne(t)
	longer, exact := listedSilences(t)
	if len(longer) != 25 || len(exact) != 8 {
		t.Errorf("the list has %d gaps longer than 72 hours and %d of exactly 72; want 25 and 8", len(longer), len(exact))
	}
	for _, c := range []struct {
		every string
		want  []silence
	}{{"1h", longer}, {"30m", append(longer, exact...)}} {
		report, err := Backtest(t.Context(), BacktestConfig{Fleet: fleet, Load: loadBatch(batch), Rules: mustLoad(t, strings.Replace(silentRule, "EVERY", c.every, 1)),
			From: time.Date(2011, 12, 31, 12, 0, 0, 0, time.UTC), To: time.Date(2015, 2, 14, 16, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		got := report.Rules[0]
		if got.Opened != len(c.want)+3 || got.Cleared != len(c.want) || got.Open != 3 {
			t.Errorf("every %s: %d silences began, %d ended, %d still open; want %d, %d and 3", c.every, got.Opened, got.Cleared, got.Open, len(c.want)+3, len(c.want))
		}
		for _, s := range c.want {
			step := map[string]time.Duration{"1h": time.Hour, "30m": 30 * time.Minute}[c.every]
			if !fired(report.Findings, s.device, s.start.Add(72*time.Hour+step), s.end.Add(time.Hour)) {
				t.Errorf("every %s: sensor %s without rows from %s to %s was not found as such", c.every, s.device, s.start, s.end)
			}
		}
		t.Logf("every %s: %d rows, %d silences, %d ended, %d days of silence on %d sensors", c.every, report.Rows, got.Opened, got.Cleared, got.HitDays, got.Scopes)
	}
}

// fired reports whether a device's condition began and cleared at these instants.
func fired(findings []telemetry.Finding, device string, from, to time.Time) bool {
	at := func(condition telemetry.Condition, at time.Time) bool {
		return slices.ContainsFunc(findings, func(f telemetry.Finding) bool {
			return f.Scope.Name == device && f.Condition == condition && f.At.Equal(at)
		})
	}
	return at(telemetry.Firing, from) && at(telemetry.Clear, to)
}
