package notices

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

func TestEachSubscriberIsToldOnceOfEachUpdate(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	ear := newEar(t)
	for _, w := range []incidents.Webhook{{URL: ear.URL, Kinds: []incidents.Transition{incidents.Announced}}, {URL: ear.URL, Site: "oslo"},
		{URL: ear.URL, Kinds: []incidents.Transition{incidents.Open}}} {
		if _, err := o.store.CreateWebhook(ctx, w); err != nil {
			t.Fatal(err)
		}
	}
	err := o.store.Import(ctx, []telemetry.Site{{ID: "milan", Zone: "Europe/Rome", Contact: "boss@rome.example"}, {ID: "oslo", Zone: "Europe/Oslo", Contact: "olav@oslo.example"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.contact(incidents.Contact{Name: "boss", Email: "boss@rome.example", Language: "fr"})
	a, err := o.desk.Draft(ctx, incidents.Announcement{Title: "New routers", Text: "On Tuesday.", Planned: true, Sites: []string{"rome", "milan"},
		From: noon, To: noon.Add(time.Hour)}, anna, o.now)
	if err != nil || o.pass(time.Minute) != 0 {
		t.Fatalf("a draft told somebody, %v", err)
	}
	for i, text := range []string{"", "The first is in.", "All are in."} {
		if a, err = o.desk.Tell(ctx, a.Ref, a.Version, text, i == 2, anna, o.now); err != nil {
			t.Fatal(err)
		}
		if n := o.pass(time.Minute); n != 2 {
			t.Errorf("update %d made %d messages, want one e-mail and one call", i+1, n)
		}
	}
	if n := o.pass(time.Hour); n != 0 {
		t.Errorf("%d messages more", n)
	}
	if len(ear.bodies) != 3 || !strings.Contains(ear.bodies[1], "The first is in.") || !strings.Contains(ear.bodies[1], `"kind":"announcement"`) {
		t.Errorf("the webhook heard %v", ear.bodies)
	}
	mails := o.post.got()
	if len(mails) != 3 {
		t.Fatalf("got %d mails: %+v", len(mails), mails)
	}
	for i, want := range []string{"anna annonce", "The first is in.", "termin"} {
		if l := mails[i]; !strings.Contains(l.to, "boss@rome.example") || !strings.Contains(l.header.Get("Subject"), "ANN-000001") || !strings.Contains(l.parts["text/plain"], want) {
			t.Errorf("mail %d: got %+v, want %q", i+1, l, want)
		}
	}
	for _, row := range o.notices(incidents.NoticeQuery{Ref: a.Ref}) {
		if row.Outcome != incidents.Sent || row.Language == "en" {
			t.Errorf("got %+v", row.Notice)
		}
	}
	if _, err := o.desk.Tell(ctx, a.Ref, 0, "more", false, anna, o.now); err == nil {
		t.Error("what is over can be told more of")
	}
}

// TestWhoHearsOfAnAnnouncement tells of a major incident in rome.
func TestWhoHearsOfAnAnnouncement(t *testing.T) {
	o, ctx := newOffice(t), context.Background()
	follow := []incidents.Topic{incidents.Announcements}
	for _, c := range []incidents.Contact{
		{Name: "rosa", Email: "rosa@rome.example", Language: "en"}, // reported it
		{Name: "mia", Email: "mia@belfry.example", Language: "en", Topics: follow},
		{Name: "rita", Email: "rita@rome.example", Language: "en", Topics: follow, Sites: []string{"rome"}},
		{Name: "olav", Email: "olav@oslo.example", Language: "en", Topics: follow, Sites: []string{"oslo"}},
		{Name: "paul", Email: "paul@belfry.example", Language: "en", Topics: []incidents.Topic{incidents.Escalations}},
		{Name: "anna", Email: "anna@belfry.example", Language: "en", Topics: follow}, // writes it
	} {
		o.contact(c)
	}
	o.move(o.report(), anna, incidents.Request{Transition: incidents.Major, Reason: "the whole mall"})
	if _, err := o.desk.Tell(ctx, "ANN-000001", 0, "", false, anna, o.now); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range o.notices(incidents.NoticeQuery{Ref: "ANN-000001"}) {
		got = append(got, row.Recipient+" "+string(row.Reason))
	}
	slices.Sort(got)
	want := []string{"boss@rome.example contact_of_the_site", "mia@belfry.example announcements", "rita@rome.example announcements", "rosa@rome.example you_reported_it"}
	if !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}
