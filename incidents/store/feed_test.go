package store

import (
	"context"
	"testing"

	"belfry/incidents"
	"belfry/telemetry"
)

func TestTheFeedHasEveryEventOnceInOrder(t *testing.T) {
	s, ctx := openTickets(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if last, err := s.LastEvent(ctx); last != 0 || err != nil {
		t.Fatalf("an empty feed ends at %d, %v; want 0", last, err)
	}
	if err := desk.Receive(ctx, findings(telemetry.Firing, 150, noon)); err != nil { // of two sites
		t.Fatal(err)
	}
	last, err := s.LastEvent(ctx)
	if last != 150 || err != nil {
		t.Fatalf("the feed ends at %d, %v; want 150", last, err)
	}
	count := map[string]int{}
	for after := int64(0); after < last; after += 40 {
		page, err := s.Feed(ctx, after, min(after+40, last), "")
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range page {
			if e.ID != after+int64(i)+1 || e.Ref != refOf(e.ID) || e.Seq != 1 || e.Kind != incidents.Open {
				t.Fatalf("after %d: got event %d, %s %d %s", after, e.ID, e.Ref, e.Seq, e.Kind)
			}
			count[e.Site]++
		}
	}
	if count["site-0000"] != 100 || count["site-0001"] != 50 {
		t.Errorf("got %v", count)
	}
	if page, err := s.Feed(ctx, 0, last, "site-0001"); len(page) != 50 || err != nil {
		t.Errorf("one site: got %d events, %v; want 50", len(page), err)
	}
}
