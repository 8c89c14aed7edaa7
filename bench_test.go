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
	if reports.Ingest == nil || reports.Ingest.Readings != 50_000 || reports.Ingest.Intake == nil || reports.Storage == nil || reports.Storage.Readings != 1_100_000 ||
		reports.Analyzer == nil || len(reports.Analyzer.Fleets) != 2 || reports.API == nil || reports.API.Failed > 0 || reports.API.Incidents != 10_000 {
		t.Errorf("printed %s", out)
	}
	for _, suite := range benchSuites {
		for _, form := range []string{".json", ".txt"} {
			if text, err := os.ReadFile(filepath.Join(dir, suite.name+form)); err != nil || len(text) == 0 {
				t.Errorf("%s holds %q, %v", suite.name+form, text, err)
			}
		}
	}
}
