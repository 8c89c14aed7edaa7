package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestStorageAddsUp checks the work and the report of a short run, not its times.
func TestStorageAddsUp(t *testing.T) {
	first, err := engine(t).Database(t.Context(), "storage")
	if err != nil {
		t.Fatal(err)
	}
	second, err := engine(t).Database(t.Context(), "storage_state")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var out bytes.Buffer
	r, err := Storage(t.Context(), StorageOptions{Readings: 1_100_000, Devices: 1000, State: 2000, Rounds: 1, Warehouse: first, Second: second, Report: dir}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if r.PerReading <= 0 || r.HourRows != 276_000 || len(r.Questions) != 4 || len(r.State) != 2 || !strings.Contains(out.String(), "goal 50 ms") {
		t.Errorf("got %+v and\n%s", r, out.String())
	}
	text, err := os.ReadFile(filepath.Join(dir, "storage.json"))
	var saved StorageReport
	if err != nil || json.Unmarshal(text, &saved) != nil || saved.Readings != 1_100_000 {
		t.Errorf("the report says %s, %v", text, err)
	}
}
