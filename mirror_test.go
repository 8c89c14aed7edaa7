package main

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
	"belfry/warehouse"
)

// TestTheMirrorGoesOnWhereItWas copies incidents in several goes, with a new
// mirror each time as after a kill, and the last page once more.
func TestTheMirrorGoesOnWhereItWas(t *testing.T) {
	server, err := warehouse.Open(warehouse.Options{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	w, err := server.Database(t.Context(), "mirrored")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Second)
	tickets := mirroredTickets(t, 0, 40, at)
	ask := func(sql string) string {
		t.Helper()
		out, err := w.Query(t.Context(), "test", sql, "TSV", nil)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	copyAll := func(from *store.Tickets, copied int64) *mirror {
		t.Helper()
		m := newMirror(from, w, slog.New(slog.DiscardHandler), nil)
		m.copied = copied
		if err := m.copyAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		return m
	}
	hold := func(from *store.Tickets) {
		t.Helper()
		last, err := from.LastEvent(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := ask("SELECT count(), countIf(text != '' AND internal) FROM {db}.incident_events"), fmt.Sprintf("%d\t0", last); got != want {
			t.Errorf("events: got %s, want %s", got, want)
		}
		list, err := from.Incidents(t.Context(), incidents.Query{Limit: 5000})
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []incidents.Incident{list[0], list[len(list)/2], list[len(list)-1]} {
			want := fmt.Sprintf("%d\t%s\t%s\t%s\t%d\t%d", len(list), i.State, i.Device, i.Category, i.Version, i.OpenedAt.UnixMilli())
			got := ask("SELECT (SELECT count() FROM {db}.incidents), state, device, category, version, toUnixTimestamp64Milli(opened_at) FROM {db}.incidents WHERE ref = '" + i.Ref + "'")
			if got != want {
				t.Errorf("%s: got %q, want %q", i.Ref, got, want)
			}
		}
	}
	m := copyAll(tickets, -1)
	hold(tickets)
	receive(t, tickets, 40, 260, at.Add(time.Minute))
	if err := m.copyAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	hold(tickets)
	copyAll(tickets, m.copied-70) // killed before it knew that the last page was there
	hold(tickets)
	if got, want := ask("SELECT count(), uniq(device) FROM {db}.findings WHERE kind = 'open' AND rule = 'quiet' AND value = 7"), "260\t260"; got != want {
		t.Errorf("findings: got %s, want %s", got, want)
	}
	other := newMirror(tickets, w, slog.New(slog.DiscardHandler), nil) // of a process that asked for the newest event before
	if last, err := other.begin(t.Context(), m.copied-10); err != nil || last != m.copied || other.copied != m.copied {
		t.Errorf("begun at %d of %d events, %v; want all %d", other.copied, last, err, m.copied)
	}
	hold(tickets)
	older := mirroredTickets(t, 0, 3, at)
	copyAll(older, -1) // put back from a backup
	hold(older)
}

// mirroredTickets returns a store with incidents of the devices in [from, to).
func mirroredTickets(t *testing.T, from, to int, at time.Time) *store.Tickets {
	t.Helper()
	tickets, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tickets.Close() })
	receive(t, tickets, from, to, at)
	return tickets
}

func receive(t *testing.T, tickets *store.Tickets, from, to int, at time.Time) {
	t.Helper()
	value := 7.0
	var findings []telemetry.Finding
	for i := from; i < to; i++ {
		name := fmt.Sprintf("d%d", i)
		findings = append(findings, telemetry.Finding{Rule: "quiet", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: name}, Site: fmt.Sprintf("s%d", i),
			Condition: telemetry.Firing, At: at, Since: at, Value: &value, Category: "sensor", Impact: "device", Urgency: "low", Summary: name + " is quiet"})
	}
	if err := incidents.NewDesk(tickets, incidents.Config{}, nil, nil).Receive(t.Context(), findings); err != nil {
		t.Fatal(err)
	}
}
