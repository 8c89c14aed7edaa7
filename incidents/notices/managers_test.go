package notices

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// told returns the templates of the mails to an address, in the order in which they
// were written.
func (o *office) told(email string) (out []string) {
	o.t.Helper()
	for _, row := range slices.Backward(o.notices(incidents.NoticeQuery{})) {
		if row.Recipient == email {
			out = append(out, fmt.Sprint(row.Template, " ", row.Outcome))
		}
	}
	return out
}

func (o *office) tick() {
	o.t.Helper()
	if _, err := o.desk.Tick(context.Background(), o.now); err != nil {
		o.t.Fatal(err)
	}
}

// TestManagersAreToldOnceEachOfWhatEscalates goes from a report to the breach.
func TestManagersAreToldOnceEachOfWhatEscalates(t *testing.T) {
	o := newOffice(t)
	all := []incidents.Topic{incidents.Escalations}
	o.contact(incidents.Contact{Name: "mia", Email: "mia@belfry.example", Language: "fr", Topics: all})
	o.contact(incidents.Contact{Name: "olav", Email: "olav@belfry.example", Language: "en", Topics: all, Sites: []string{"oslo"}})
	o.contact(incidents.Contact{Name: "quiet", Email: "quiet@belfry.example", Language: "en"})
	ref := o.report()
	o.now = o.now.Add(time.Minute)
	o.move(ref, anna, incidents.Request{Transition: incidents.Qualify, Impact: incidents.ImpactClient, Urgency: incidents.UrgencyHigh})
	for _, back := range []incidents.Urgency{incidents.UrgencyLow, incidents.UrgencyHigh} { // it is of priority 1 once more
		o.move(ref, anna, incidents.Request{Transition: incidents.Qualify, Urgency: back})
	}
	o.move(ref, anna, incidents.Request{Transition: incidents.Major, Reason: "the whole mall"})
	o.move(ref, anna, incidents.Request{Transition: incidents.Take})
	o.now = noon.Add(19 * time.Hour) // three quarters of the day are over, and an internal note is what notices it
	o.say(ref, "he is cross", true)
	o.now = noon.Add(30 * time.Hour) // belfry was down at the breach
	o.tick()
	o.tick()
	o.pass(incidents.Gathering)
	want := []string{"priority_1 sent", "declare_major sent", "resolve_75 sent", "resolve_100 sent"}
	if got := o.told("mia@belfry.example"); !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	for _, email := range []string{"olav@belfry.example", "quiet@belfry.example"} {
		if got := o.told(email); len(got) > 0 {
			t.Errorf("%s was told %v", email, got)
		}
	}
	for _, l := range o.post.got() {
		text := l.parts["text/plain"]
		if strings.Contains(l.to, "mia@") && (!strings.Contains(text, "l'accord n'est pas tenu") || !strings.Contains(text, "escalades") || strings.Contains(text, "cross")) {
			t.Errorf("the manager reads %s", text)
		}
	}
}

// TestNobodyIsRemindedOfWhatWasDoneInTheMeantime asks somebody who is told in the
// morning alone, and who answers in the evening before.
func TestNobodyIsRemindedOfWhatWasDoneInTheMeantime(t *testing.T) {
	o := newOffice(t)
	c := incidents.Contact{Name: "boss", Email: "boss@rome.example", Language: "en"}
	if err := c.Hours.Add("mon-sun", "08:00-13:00"); err != nil {
		t.Fatal(err)
	}
	o.contact(c)
	ref := o.report()
	o.move(ref, anna, incidents.Request{Transition: incidents.Take})
	o.move(ref, anna, incidents.Request{Transition: incidents.Ask, Actions: []incidents.NewAction{{Text: "is it lit?", Due: noon.Add(10 * time.Hour)}}})
	o.now = noon.Add(5 * time.Hour)
	o.tick()
	o.move(ref, rosa, incidents.Request{Transition: incidents.Reply, Action: 1, Text: "it is"})
	o.pass(15 * time.Hour) // eight in the morning
	if got, want := o.told("boss@rome.example"), []string{"ask sent", "remind dropped"}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

// TestARuleIsToldAsOftenAsItSays counts the calls of a webhook for a rule that fires
// each hour and may be told twice a day.
func TestARuleIsToldAsOftenAsItSays(t *testing.T) {
	o, e := newOffice(t), newEar(t)
	o.subscribe(incidents.Webhook{URL: e.URL, Kinds: []incidents.Transition{incidents.Open, incidents.Repeat}})
	for range 25 {
		f := telemetry.Finding{Rule: "r", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: "FC-2"}, Site: "rome", Condition: telemetry.Firing,
			At: o.now, Since: o.now, Category: "suspected_offline", Impact: "device", Urgency: "high", Summary: "silent", Renotify: 12 * time.Hour}
		if err := o.desk.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
			t.Fatal(err)
		}
		o.pass(time.Hour)
	}
	if len(e.bodies) != 3 {
		t.Errorf("%d calls, want one for each half day", len(e.bodies))
	}
}
