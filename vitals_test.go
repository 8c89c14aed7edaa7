package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestTheLogsBytesAreThoseOfItsFiles(t *testing.T) {
	p := &process{folder: &folder{path: t.TempDir()}, metrics: prometheus.NewRegistry()}
	p.measureLog()
	for files := range 3 {
		families, err := p.metrics.Gather()
		if err != nil {
			t.Fatal(err)
		}
		name, got := families[0].GetName(), families[0].GetMetric()[0].GetGauge().GetValue()
		if want := float64(700 * files); name != "belfry_ingest_log_bytes" || got != want {
			t.Errorf("%s is %v; want %v bytes of %d files", name, got, want, files)
		}
		dir := p.folder.file("log", fmt.Sprint("partition-", files))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "0.dat"), make([]byte, 700), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
