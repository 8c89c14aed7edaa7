package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

func testTheFeedHasEveryEventOnceInOrder(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
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
		page, err := s.Feed(ctx, incidents.FeedQuery{After: after, To: min(after+40, last)})
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
	if page, err := s.Feed(ctx, incidents.FeedQuery{To: last, Site: "site-0001"}); len(page) != 50 || err != nil {
		t.Errorf("one site: got %d events, %v; want 50", len(page), err)
	}
}

func testAuditRecords(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	for i := range 5 {
		r := incidents.AuditRecord{At: noon.Add(time.Duration(i) * time.Hour), Name: []string{"anna", "mia"}[i%2], Method: "POST", Route: "/x", Path: "/x", Status: 200 + i}
		if err := s.Record(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	for want, q := range map[int]incidents.AuditQuery{5: {}, 3: {Name: "anna"}, 1: {Status: 202}, 2: {Since: noon.Add(3 * time.Hour)}, 4: {Until: noon.Add(4 * time.Hour)}} {
		q.Limit = 10
		if list, err := s.AuditRecords(ctx, q); len(list) != want || err != nil {
			t.Errorf("%+v: got %d records, %v; want %d", q, len(list), err, want)
		}
	}
	if err := s.ForgetRecords(ctx, noon.Add(2*time.Hour)); err != nil {
		t.Error(err)
	}
	if list, err := s.AuditRecords(ctx, incidents.AuditQuery{Limit: 10}); len(list) != 3 || list[0].Status != 204 || err != nil {
		t.Errorf("got %v, %v", list, err)
	}
}

func testNoticesAreClaimedOnceAndWrittenDown(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	hook, err := s.CreateWebhook(ctx, incidents.Webhook{URL: "https://a.example/", CreatedAt: noon})
	if err != nil {
		t.Fatal(err)
	}
	desk := incidents.NewDesk(incidents.WithNotices(s, true, func() time.Time { return noon }), incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 3, noon)); err != nil {
		t.Fatal(err)
	}
	first, err := s.ClaimNotices(ctx, noon, noon.Add(time.Minute), 2)
	if len(first) != 2 || err != nil {
		t.Fatalf("claimed %d, %v; want 2", len(first), err)
	}
	if rest, err := s.ClaimNotices(ctx, noon, noon.Add(time.Minute), 2); len(rest) != 1 || err != nil {
		t.Errorf("claimed %d, %v; want the third", len(rest), err)
	}
	done := []incidents.Delivery{{Notice: first[0].ID, At: noon, Attempt: 1, OK: true, Answer: "200 OK", Took: time.Second, Outcome: incidents.Sent}}
	if err := s.Delivered(ctx, done); err != nil {
		t.Fatal(err)
	}
	sent, err := s.Notices(ctx, incidents.NoticeQuery{Webhook: hook.ID, Outcome: incidents.Sent, Limit: 10})
	if len(sent) != 1 || err != nil || len(sent[0].Deliveries) != 1 || !sent[0].DueAt.IsZero() || sent[0].Reason != incidents.YouSubscribe {
		t.Errorf("got %+v, %v", sent, err)
	}
	if err := s.Replay(ctx, hook.ID, first[0].ID, noon); err != nil {
		t.Error(err)
	}
	if again, err := s.ClaimNotices(ctx, noon, noon.Add(time.Minute), 9); len(again) != 1 || again[0].Key != first[0].Key || err != nil {
		t.Errorf("after a replay: %+v, %v", again, err)
	}
	if err := s.DeleteWebhook(ctx, hook.ID, noon); err != nil {
		t.Error(err)
	}
	if left, err := s.ClaimNotices(ctx, noon.Add(time.Hour), noon.Add(2*time.Hour), 9); len(left) != 0 || err != nil {
		t.Errorf("after the end of the subscription: %+v, %v", left, err)
	}
}

func testContactsAreChangedByVersion(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	c, err := s.PutContact(ctx, incidents.Contact{Name: "rosa", Email: "r@rome.example", Language: "ro"}, 0)
	if err != nil || c.Version != 1 {
		t.Fatalf("got %+v, %v", c, err)
	}
	if _, err := s.PutContact(ctx, c, 0); !errors.Is(err, incidents.ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	c.Language = "fr"
	if c, err = s.PutContact(ctx, c, 1); err != nil || c.Version != 2 {
		t.Errorf("got %+v, %v", c, err)
	}
	if _, err := s.PutContact(ctx, c, 1); !errors.Is(err, incidents.ErrStale) {
		t.Errorf("a stale change: %v", err)
	}
	if got, err := s.ContactAt(ctx, "r@rome.example"); got.Language != "fr" || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	if list, err := s.Contacts(ctx, "", 10); len(list) != 1 || err != nil {
		t.Errorf("got %+v, %v", list, err)
	}
}
