package bench

import (
	"path/filepath"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
)

func TestLoadedTicketsAreWhatTheirColumnsSay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tickets.db")
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	if err := LoadTickets(t.Context(), file, 3000, at, func(int) {}); err != nil {
		t.Fatal(err)
	}
	tickets, err := store.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer tickets.Close()
	list, err := tickets.Incidents(t.Context(), incidents.Query{State: incidents.InProgress, Limit: 500})
	if err != nil || len(list) != 40 {
		t.Fatalf("%d are being worked on, %v; want 40", len(list), err)
	}
	for _, inc := range list {
		got, err := tickets.Incidents(t.Context(), incidents.Query{Site: inc.Site, Category: inc.Category, Assignee: inc.Assignee, Device: inc.Device,
			State: inc.State, Level: inc.Level, Priority: inc.Priority, Limit: 10})
		if err != nil || len(got) != 1 || got[0].Ref != inc.Ref {
			t.Fatalf("%s is not found by what it says of itself: %d, %v", inc.Ref, len(got), err)
		}
	}
	if events, err := tickets.Events(t.Context(), list[0].Ref, 0, 10); err != nil || len(events) != 1 {
		t.Errorf("%s has %d events, %v", list[0].Ref, len(events), err)
	}
	inc, err := incidents.NewDesk(tickets, incidents.Config{}, nil, nil).Report(t.Context(), incidents.NewReport{Summary: "x", Site: "site-0001"},
		incidents.Actor{Name: "a", Role: incidents.FirstLine, Source: incidents.ByAPI}, at)
	if err != nil || inc.Ref != "INC-003001" {
		t.Errorf("the next one is %s, %v", inc.Ref, err)
	}
}
