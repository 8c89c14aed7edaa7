package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// TestAFullDiskLeavesNothingHalfDone fills the database to the last page that it may
// have, as a full disk would, and gives it room again.
func TestAFullDiskLeavesNothingHalfDone(t *testing.T) {
	s, ctx := openTickets(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 10, noon)); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.write.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		t.Helper()
		var now int
		if err := s.write.QueryRowContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", n)).Scan(&now); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	err := desk.Receive(ctx, findings(telemetry.Firing, 2000, noon.Add(time.Minute)))
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("a full disk: got %v", err)
	}
	if list := holds(t, s); len(list) != 10 {
		t.Errorf("after the failure there are %d incidents, want the 10 from before", len(list))
	}
	limit(1 << 30)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 2000, noon.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Incidents(ctx, incidents.Query{Limit: 1}); err != nil || list[0].Ref != "INC-002000" {
		t.Errorf("with room again the newest is %v, %v; want INC-002000, for no number was lost", list, err)
	}
}

// BenchmarkStorm has 200,000 devices of 2,000 sites fail in the same minute: every
// finding durable and rolled up.
func BenchmarkStorm(b *testing.B) {
	const sites, each = 2000, 100
	ctx := context.Background()
	var places []telemetry.Site
	var devices []telemetry.Device
	var storm []telemetry.Finding
	for i := range sites * each {
		site, device := fmt.Sprintf("site-%04d", i/each), fmt.Sprintf("FC-%06d", i)
		if i%each == 0 {
			places = append(places, telemetry.Site{ID: site, Zone: "UTC"})
		}
		devices = append(devices, telemetry.Device{Name: device, Site: site, HeartbeatEvery: 900, ReadingEvery: 900})
		value := 80.0
		storm = append(storm, telemetry.Finding{Rule: "suspected-offline", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: device}, Site: site,
			Condition: telemetry.Firing, At: noon, Since: noon, Category: "suspected_offline", Impact: "device", Urgency: "high", Value: &value,
			Summary: device + " is silent", Evidence: []telemetry.Evidence{{At: noon, What: "silence()", Value: &value}}})
	}
	for b.Loop() {
		b.StopTimer()
		s := openTickets(b)
		if err := s.Import(ctx, places, devices); err != nil {
			b.Fatal(err)
		}
		desk := incidents.NewDesk(s, incidents.Config{GroupWait: 30 * time.Second, StormLimit: 200}, nil, nil)
		b.StartTimer()
		if err := desk.Receive(ctx, storm); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		var all, alone int
		err := s.read.QueryRowContext(ctx, "SELECT COUNT(*), COUNT(*) FILTER (WHERE parent IS NULL) FROM incidents").Scan(&all, &alone)
		if err != nil || all != sites*each+sites+1 || alone != 201 {
			b.Fatalf("%d incidents, %d of them for people, %v; want %d and 201", all, alone, err, sites*each+sites+1)
		}
		b.StartTimer()
	}
	b.ReportMetric(sites*each*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
}
