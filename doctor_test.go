package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctorNamesPartsThatWereSetAside(t *testing.T) {
	data := t.TempDir()
	part := filepath.Join(data, "warehouse", "store", "25f", "25f517c1", "detached", "broken-on-start_202603_1_69_4")
	if d := checkParts(Config{Data: data}); d.Status != diagnosisOK {
		t.Errorf("with none: %+v", d)
	}
	if err := os.MkdirAll(part, 0o700); err != nil {
		t.Fatal(err)
	}
	if d := checkParts(Config{Data: data}); d.Status != diagnosisNote || !strings.Contains(d.Detail, part) || d.Remedy == "" {
		t.Errorf("with one: %+v", d)
	}
}
