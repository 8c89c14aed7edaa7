package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/analyzer"
)

// replayAll replays into a folder of its own, and returns the summary.
func replayAll(t *testing.T, data string, args ...string) (sum replayed) {
	t.Helper()
	out := mustCommand(t, append([]string{"--data", data, "replay", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &sum); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return sum
}

// warehoused returns how many readings the API gives back for a device, and their sums.
func (p *program) warehoused(devices []map[string]any) (in, readings int64) {
	for _, d := range devices {
		i, n := p.total(d["name"].(string), museum.from, museum.to)
		in, readings = in+i, readings+n
	}
	return in, readings
}

func backtest(t *testing.T, data string, args ...string) (report analyzer.Report) {
	t.Helper()
	out := mustCommand(t, append([]string{"--data", data, "rules", "backtest", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return report
}

// museum is a span that holds all the real measurements.
var museum = span{parse("2005-01-01"), parse("2019-01-01")}

// The sums are those of the file itself, counted without belfry. With the zone
// Australia/Melbourne 18 more stamps are refused: package recording tests that.
func TestMelbourneGoesThroughTheLogAndOutOfTheWarehouse(t *testing.T) {
	t.Parallel()
	file := sharedData(t, "melbourne_pedestrian", "pedestriancounts_melbourne_2012_2016.csv.gz")
	data := t.TempDir()
	sum := replayAll(t, data, file, "--columns", "device=SensorID,in=PedestrianCount,ts=Date+Hour",
		"--time-format", "02-Jan-2006 15", "--tz", "+10:00", "--interval", "3600", "--stamps", "start", "--device-prefix", "melbourne-")
	if sum.Rows != 656_823 || sum.Accepted != 656_807 || sum.Refused["bad_in"] != 14 || sum.Refused["bad_device"] != 2 || len(sum.Refused) != 2 {
		t.Errorf("got %+v, want 656807 of 656823 rows, and 14 and 2 refused", sum)
	}
	p := serve(t, data)
	defer p.kill()
	devices := p.list("/api/v1/devices?limit=500")
	if in, n := p.warehoused(devices); len(devices) != 39 || in != 411_015_312 || n != 656_807 {
		t.Errorf("out of the warehouse: %d people in %d readings of %d devices, want 411015312 in 656807 of 39", in, n, len(devices))
	}
	if dead := p.list("/api/v1/ingest/dead?limit=100"); len(dead) != 16 {
		t.Errorf("dead letters: got %d, want 16", len(dead))
	}
	// 25 gaps in the file are longer than 72 h, and three sensors stop before it ends.
	report := backtest(t, data, filepath.Join("docs", "example", "silence.yaml"), "--from", "2012-01-01", "--to", "2015-02-16")
	if r := report.Rules[0]; r.Opened != 28 || r.Cleared != 25 || r.Open != 3 {
		t.Errorf("silences: got %+v, want 28 opened and 25 cleared", r)
	}
	if got := report.Findings[0].Summary; !strings.HasPrefix(got, "melbourne-15 has been silent") {
		t.Errorf("the first finding: %q", got)
	}
}

func TestCalIt2sDiscrepancies(t *testing.T) {
	t.Parallel()
	file := sharedData(t, "uci_calit2", "CalIt2.data")
	data := t.TempDir()
	mustCommand(t, "--data", data, "devices", "import", filepath.Join("docs", "example", "calit2.csv"))
	sum := replayAll(t, data, file, "--format", "csv", "--no-header", "--columns", "device='CalIt2',flow=1,ts=2+3,count=4", "--flows", "9=in,7=out",
		"--time-format", "01/02/06 15:04:05", "--tz", "America/Los_Angeles", "--interval", "1800", "--stamps", "start")
	if sum.Rows != 10_080 || sum.Accepted != 5_040 || len(sum.Refused) != 0 {
		t.Errorf("got %+v, want 5040 readings of 10080 rows", sum)
	}
	report := backtest(t, data, filepath.Join("docs", "example", "discrepancy.yaml"), "--from", "2005-07-24", "--to", "2005-11-08")
	if bare, floor := report.Rules[0].HitDays, report.Rules[1].HitDays; bare != 44 || floor != 15 {
		t.Errorf("days over 10 %%: got %d, and %d with the floor; want 44 and 15", bare, floor)
	}
	p := serve(t, data)
	defer p.kill()
	if in, n := p.total("CalIt2", museum.from, museum.to); in != 19_597 || n != 5_040 {
		t.Errorf("out of the warehouse: %d people in %d readings, want 19597 in 5040", in, n)
	}
}

type span struct{ from, to time.Time }

func parse(date string) time.Time {
	at, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return at
}
