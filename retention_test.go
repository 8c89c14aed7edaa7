package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
	"belfry/warehouse"
)

// TestEvidenceOutlivesTheReadings finds a door of which one direction is dead, two months
// ago; then belfry is started with a retention of a day. When the readings are gone the
// incident still shows them, and why the rule fired.
func TestEvidenceOutlivesTheReadings(t *testing.T) {
	t.Parallel()
	data, ctx := t.TempDir(), t.Context()
	server, err := warehouse.Open(warehouse.Options{Path: filepath.Join(data, "warehouse")})
	if err != nil {
		t.Fatal(err)
	}
	w, err := server.Database(ctx, "belfry_default")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(data, "tenants", "default"), 0o700); err != nil {
		t.Fatal(err)
	}
	tickets, err := store.Open(ctx, filepath.Join(data, "tenants", "default", "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	start := time.Date(now.Year(), now.Month()-2, 1, 0, 0, 0, 0, time.UTC)
	door := telemetry.Device{Name: "door", Site: "shop", ReadingEvery: 3600, InServiceSince: start}
	var b telemetry.Batch
	for hour := 1; hour <= 20*24; hour++ {
		ts, c, out := start.Add(time.Duration(hour)*time.Hour).UnixMilli(), &b.Counts, uint32(10)
		if hour > 18*24 {
			out = 0
		}
		c.Device, c.TS, c.Arrival, c.Offset = append(c.Device, telemetry.IDOf("door")), append(c.TS, ts), append(c.Arrival, ts), append(c.Offset, int64(hour))
		c.In, c.Out, c.Interval = append(c.In, uint32(10+hour%7)), append(c.Out, out), append(c.Interval, 3600)
	}
	if err := w.Insert(ctx, &b); err != nil {
		t.Fatal(err)
	}
	files, err := shippedRules("one-direction-dead")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := analyzer.Load(files...)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := analyzer.NewFleet([]telemetry.Site{{ID: "shop", Zone: "UTC", Status: telemetry.SiteOpen}}, []telemetry.Device{door})
	if err != nil {
		t.Fatal(err)
	}
	desk := incidents.NewDesk(tickets, incidents.Config{}, nil, nil)
	a, err := analyzer.New(ctx, analyzer.Config{Rules: rules, Fleet: fleet, Query: w.Scan, Series: w.Series, Emit: desk.Receive, States: tickets.States(),
		Start: start.AddDate(0, 0, 17), EachInstant: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Evaluate(ctx, start.AddDate(0, 0, 20)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Refresh(ctx, 0); err != nil { // a month stays until its hours are up to date
		t.Fatal(err)
	}
	if err := tickets.Close(); err != nil {
		t.Fatal(err)
	}
	server.Close()

	shown := func(p *program) string {
		t.Helper()
		list := p.list("/api/v1/incidents?device=door&category=direction_dead")
		if len(list) != 1 {
			t.Fatalf("there are %d incidents; want one", len(list))
		}
		var found struct {
			Items []struct{ Evidence json.RawMessage }
		}
		p.must(200, "GET", fmt.Sprintf("/api/v1/incidents/%s/evidence", list[0]["ref"]), "", &found)
		var all []telemetry.Evidence
		if err := json.Unmarshal(found.Items[0].Evidence, &all); err != nil {
			t.Fatal(err)
		}
		why, readings := 0, 0
		for _, x := range all {
			switch {
			case x.What == "why" && x.Note != "":
				why++
			case x.What == "readings" && x.In != nil && *x.In > 0:
				readings++
			}
		}
		if why != 1 || readings < 12 {
			t.Errorf("%d reasons and %d readings are shown: %s", why, readings, found.Items[0].Evidence)
		}
		return string(found.Items[0].Evidence)
	}
	span := fmt.Sprintf("/api/v1/devices/door/readings?step=24h&from=%s&to=%s", start.Format(time.RFC3339), start.AddDate(0, 0, 25).Format(time.RFC3339))
	left := func(p *program) int {
		var answer struct{ Readings []map[string]any }
		p.must(200, "GET", span, "", &answer)
		return len(answer.Readings)
	}
	mustCommand(t, "--data", data, "devices", "import", writeText(t, "door.csv", "name,site,reading_every,site.zone\ndoor,shop,3600,UTC\n"))
	p := serve(t, data)
	if left(p) == 0 {
		t.Fatal("there are no readings to lose")
	}
	before := shown(p)
	p.stop()
	p = serve(t, data, "BELFRY_WAREHOUSE_RETENTION_READINGS=1")
	p.await(2*time.Minute, "the readings to be deleted for their age", func() bool { return left(p) == 0 })
	if after := shown(p); after != before {
		t.Errorf("shown are %s; before the readings went %s", after, before)
	}
}
