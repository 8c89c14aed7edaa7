package main

import (
	"log/slog"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
	"belfry/warehouse"
)

// TestAnIncidentKnowsTheFirmwareThatItsDeviceSays sends heartbeats, the newest before
// older ones that come late, and opens an incident after each look.
func TestAnIncidentKnowsTheFirmwareThatItsDeviceSays(t *testing.T) {
	server, err := warehouse.Open(warehouse.Options{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	w, err := server.Database(t.Context(), "firmware")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	tickets := mirroredTickets(t, 0, 0, at)
	device := telemetry.Device{Name: "d0", Site: "s0", Labels: map[string]string{"model": "Heron", "firmware": "as it was bought"}}
	if err := tickets.Import(t.Context(), []telemetry.Site{{ID: "s0", Zone: "UTC"}}, []telemetry.Device{device}); err != nil {
		t.Fatal(err)
	}
	if err := w.PutDevices(t.Context(), []telemetry.Device{device}, 1); err != nil {
		t.Fatal(err)
	}
	known := &firmware{tickets: tickets, warehouse: w, log: slog.New(slog.DiscardHandler)}
	opened := 0
	for name, step := range []struct {
		said     string
		ts       time.Time
		arrives  time.Time
		changed  int
		firmware string
	}{
		{"", at, at, 0, "as it was bought"},
		{"5.2", at.Add(time.Minute), at.Add(time.Minute), 1, "5.2"},
		{"5.2", at.Add(16 * time.Minute), at.Add(16 * time.Minute), 0, "5.2"},
		{"5.1", at.Add(-time.Hour), at.Add(17 * time.Minute), 0, "5.2"},
		{"5.3", at.Add(31 * time.Minute), at.Add(31 * time.Minute), 1, "5.3"},
	} {
		b := telemetry.Batch{Heartbeats: telemetry.Heartbeats{Device: []telemetry.DeviceID{telemetry.IDOf("d0")}, TS: []int64{step.ts.UnixMilli()},
			Arrival: []int64{step.arrives.UnixMilli()}, Offset: []int64{int64(name)}, Firmware: []string{step.said}, MeasureEnd: []int{0}}}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		if changed, err := known.take(t.Context()); err != nil || changed != step.changed {
			t.Fatalf("step %d: %d changed, %v; want %d", name, changed, err, step.changed)
		}
		opened++
		inc, err := incidents.NewDesk(tickets, incidents.Config{}, nil, nil).Report(t.Context(), incidents.NewReport{Summary: "it hums", Site: "s0", Device: "d0"},
			incidents.Actor{Name: "ana", Role: incidents.FirstLine, Source: incidents.ByAPI}, step.arrives)
		if err != nil || inc.Firmware != step.firmware || inc.Model != "Heron" {
			t.Errorf("step %d: opened on %s, %s, %v; want %s", name, inc.Model, inc.Firmware, err, step.firmware)
		}
	}
	row, err := tickets.Device(t.Context(), "d0")
	if want := (incidents.Firmware{Version: "5.3", Since: at.Add(31 * time.Minute)}); err != nil || row.Firmware != want || row.Version != 1 {
		t.Errorf("the registry has %+v, %v; want %+v and the first version", row, err, want)
	}
}
