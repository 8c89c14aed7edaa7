package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var duration = regexp.MustCompile(`\d+\.\d s`)

// The worked example of the README is run as it stands there, and prints what
// it says there but for the time it takes.
func TestTheReadmesExamplePrintsWhatItSays(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := duration.ReplaceAllString(string(text), "0.0 s")
	data := t.TempDir()
	for _, args := range [][]string{
		{"devices", "import", "docs/example/registry.csv"},
		{"replay", "docs/example/shop.csv", "--columns", "ts=Timestamp,device=Counter,in=Entries,out=Exits",
			"--time-format", "02/01/2006 15:04", "--tz", "Europe/Paris", "--interval", "3600"},
		{"rules", "backtest", "docs/example/rules.yaml", "--from", "2026-03-23", "--to", "2026-04-06"},
	} {
		if !strings.Contains(readme, "bin/belfry "+args[0]+" "+args[1]) {
			t.Errorf("the README does not call %v", args)
		}
		out := duration.ReplaceAllString(mustCommand(t, append([]string{"--data", data}, args...)...), "0.0 s")
		if !strings.Contains(readme, out) {
			t.Errorf("%v prints\n%s\nand the README does not have it", args, out)
		}
	}
}

// TestTheDemoShowsIncidentsOpenAndClear takes less than a minute where nothing
// else runs; the limit is for a machine that tests everything at once.
func TestTheDemoShowsIncidentsOpenAndClear(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := launch(t, data, nil, "demo", "--data", data, "--devices", "100", "--days", "5")
	p.await(4*time.Minute, "an offline device, a discrepancy, and a device that is back", func() bool {
		text := p.log.String()
		return strings.Contains(text, "opened (suspected_offline)") && strings.Contains(text, "opened (in_out_discrepancy)") &&
			strings.Contains(text, "resolved (suspected_offline)")
	})
	if n := p.counter("belfry_ingest_readings_total"); n < 100*5*288 {
		t.Errorf("%v readings are in the warehouse, want five days of 100 devices", n)
	}
	for _, want := range []string{p.api, p.token, "curl"} {
		if !strings.Contains(p.log.String(), want) {
			t.Errorf("the demo does not print %q:\n%s", want, p.log)
		}
	}
	p.stop()
}

func TestASimulatedFleetIsFoundToBeWhatItIs(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), t.TempDir()
	faults := writeText(t, "faults.yaml", "faults:\n  - {device: FC-10003, kind: offline, from: +3d, to: +9d}\n  - {device: FC-10007, kind: offline, from: +5d, to: +6d}\n")
	args := []string{"simulate", dir, "--devices", "20", "--days", "12", "--every", "15m", "--from", "2026-03-01", "--faults", faults}
	mustCommand(t, args...)
	first, err := os.ReadFile(filepath.Join(dir, "readings.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	mustCommand(t, args...)
	if again, err := os.ReadFile(filepath.Join(dir, "readings.ndjson")); err != nil || string(again) != string(first) {
		t.Errorf("the same seed gives another fleet, %v", err)
	}
	if labels, err := os.ReadFile(filepath.Join(dir, "faults.csv")); err != nil || !strings.Contains(string(labels), "FC-10003") {
		t.Errorf("faults.csv: %v\n%s", err, labels)
	}
	mustCommand(t, "--data", data, "devices", "import", filepath.Join(dir, "registry.yaml"))
	sum := replayAll(t, data, filepath.Join(dir, "readings.ndjson"))
	if sum.Accepted != sum.Rows || len(sum.Refused) > 0 {
		t.Errorf("got %+v, want every row accepted", sum)
	}
	report := backtest(t, data, filepath.Join("docs", "example", "silence.yaml"), "--from", "2026-03-01", "--to", "2026-03-13")
	if len(report.Findings) != 2 || report.Findings[0].Scope.Name != "FC-10003" || report.Findings[1].Scope.Name != "FC-10003" {
		t.Errorf("got %+v, want FC-10003 to fall silent and come back, and nothing else", report.Findings)
	}
}
