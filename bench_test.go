package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"belfry/bench"
)

// TestBenchRunsEachSuite checks that all of them work from the command line, each
// in a process of its own; what they measure is checked in bench.
func TestBenchRunsEachSuite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var reports struct {
		Ingest   *bench.IngestReport   `json:"ingest"`
		Storage  *bench.StorageReport  `json:"storage"`
		Analyzer *bench.AnalyzerReport `json:"analyzer"`
		API      *bench.APIReport      `json:"api"`
	}
	out := mustCommand(t, "bench", "all", "--quick", "--json", "--report", dir)
	if err := json.Unmarshal([]byte(out), &reports); err != nil {
		t.Fatalf("printed %s: %v", out, err)
	}
	if reports.Ingest == nil || reports.Ingest.Readings != 20_000 || reports.Ingest.Intake == nil || reports.Storage == nil || reports.Storage.Readings != 110_000 ||
		reports.Analyzer == nil || len(reports.Analyzer.Fleets) != 2 || reports.API == nil {
		t.Fatalf("printed %s", out)
	}
	listsWhatThereIs(t, reports.API)
	for _, suite := range benchSuites {
		for _, form := range []string{".json", ".txt"} {
			if text, err := os.ReadFile(filepath.Join(dir, suite.name+form)); err != nil || len(text) == 0 {
				t.Errorf("%s holds %q, %v", suite.name+form, text, err)
			}
		}
	}
}

// listsWhatThereIs holds a quick report of bench api against what is known of its incidents.
func listsWhatThereIs(t *testing.T, r *bench.APIReport) {
	t.Helper()
	if r.Incidents != 3000 || r.Requests != 72 || r.Failed != 0 || r.All.Requests != 72 || r.Mirrored <= 0 {
		t.Errorf("%d requests among %d incidents, %d answered, %d failed, %.0f events a second mirrored; want 72, 3000, 72, none, some",
			r.Requests, r.Incidents, r.All.Requests, r.Failed, r.Mirrored)
	}
	rows, sum := map[string]int{}, 0
	for _, list := range r.Lists {
		rows[list.List], sum = list.Rows, sum+list.Requests
	}
	if sum != 72 || rows[""] != 20 || rows["state=in_progress"] != 20 || rows["q=site-0031"] != 10 || rows["category=clock_skew&state=in_progress&priority=2"] != 0 {
		t.Errorf("%d requests, rows %v", sum, rows)
	}
}
