package bench

import (
	"bytes"
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
	o := StorageOptions{Readings: 1_100_000, Devices: 1000, State: 2000, Rounds: 1, Warehouse: first, Second: second}
	r, err := Storage(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.Print(&out)
	if r.PerReading <= 0 || r.HourRows != 276_000 || len(r.Questions) != 6 || len(r.State) != 2 || !strings.Contains(out.String(), "goal 50 ms") {
		t.Errorf("got %+v and\n%s", *r, out.String())
	}
	if r, err = Storage(t.Context(), o); err != nil || r.Insert.PerSecond != 0 || r.HourRows != 276_000 {
		t.Errorf("of a warehouse that was kept: got %+v, %v; want the same, and nothing inserted", *r, err)
	}
	o.Readings = 1_000_000
	if _, err := Storage(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds 1100000 readings of an earlier run") {
		t.Errorf("of one with other readings: got %v", err)
	}
}
