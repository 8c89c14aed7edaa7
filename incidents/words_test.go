package incidents

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"belfry/telemetry"
)

// TestWhoWaitsForNewsIsToldThatThereAreNone counts the hours of the office alone:
// noon is on a Friday, and the agreement wants a word every ten hours.
func TestWhoWaitsForNewsIsToldThatThereAreNone(t *testing.T) {
	monday := func(hour int) time.Time { return time.Date(2026, 3, 30, hour, 0, 0, 0, time.UTC) }
	tests := map[string]struct {
		does func(d *Desk)
		by   time.Time
		want int // words of no news
	}{
		"after six hours of Friday and four of Monday": {func(*Desk) {}, monday(12), 1},
		"and not a minute before":                      {func(*Desk) {}, monday(12).Add(-time.Minute), 0},
		"once for a weekend of downtime and a day":     {func(*Desk) {}, monday(23), 1},
		"a word from the desk puts it off": {func(d *Desk) {
			must[Event](t)(d.Comment(context.Background(), "INC-000001", Request{Text: "we look"}, ana, monday(8)))
		}, monday(17), 0},
		"an internal note does not": {func(d *Desk) {
			must[Event](t)(d.Comment(context.Background(), "INC-000001", Request{Text: "he is cross", Internal: true}, ana, monday(8)))
		}, monday(12), 1},
		"nor does their own word": {func(d *Desk) {
			must[Event](t)(d.Comment(context.Background(), "INC-000001", Request{Text: "well?"}, carl, monday(8)))
		}, monday(12), 1},
		"who is asked is not told to wait": {func(d *Desk) {
			does(t, d, "INC-000001", Request{Transition: Take}, ana, noon)
			does(t, d, "INC-000001", Request{Transition: Hold, Reason: "requester", Text: "when may we come?", Until: monday(18)}, ana, noon)
		}, monday(17), 0},
		"nobody waits for what is resolved": {func(d *Desk) {
			does(t, d, "INC-000001", Request{Transition: Resolve, Code: "fixed", Cause: "power", Summary: "fuse", Item: "paris"}, ana, noon)
		}, monday(17), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store, ctx := newMemory(), context.Background()
			d := NewDesk(store, Config{}, nil, nil)
			must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "paris", Urgency: UrgencyMedium}, carl, noon))
			tt.does(d)
			must[int](t)(d.Tick(ctx, tt.by))
			got := 0
			for _, e := range store.events["INC-000001"] {
				got += one(e.Kind == NoNews)
			}
			if got != tt.want {
				t.Errorf("told %d times that there are no news, want %d", got, tt.want)
			}
		})
	}
}

// TestManagersHear holds what of a change managers are told.
func TestManagersHear(t *testing.T) {
	passed := func(name string, kind AgreementKind, percents ...int) Incident {
		inc := in(InProgress)
		k := Clock{Name: name, Kind: kind}
		for _, p := range percents {
			k.Passed = append(k.Passed, Passed{Percent: p})
		}
		inc.Clocks = []Clock{k}
		return inc
	}
	first := func(inc Incident) Incident { inc.Priority = 1; return inc }
	held := first(in(New))
	held.Held.By = bySilence
	declared := first(majorOne())
	for name, tt := range map[string]struct {
		before, after Incident
		want          []string
	}{
		"one of priority 1 is opened":           {Incident{}, first(in(New)), []string{"priority_1"}},
		"one of another priority is opened":     {Incident{}, in(New), nil},
		"one is opened that nobody is told of":  {Incident{}, held, nil},
		"and it is let go":                      {held, first(in(New)), []string{"priority_1"}},
		"one becomes the first":                 {in(New), first(in(New)), []string{"priority_1"}},
		"one of priority 1 is worked on":        {first(in(New)), first(in(InProgress)), nil},
		"one of priority 1 fires anew":          {first(in(Resolved)), first(in(New)), nil},
		"one is declared major":                 {in(New), declared, []string{"declare_major"}},
		"a promise is at risk":                  {passed("resolve", SLA), passed("resolve", SLA, 75), []string{"resolve_75"}},
		"and broken":                            {passed("resolve", SLA, 75), passed("resolve", SLA, 75, 100), []string{"resolve_100"}},
		"both while nobody was there":           {passed("respond", SLA), passed("respond", SLA, 75, 100), []string{"respond_100"}},
		"it stays broken":                       {passed("resolve", SLA, 75, 100), passed("resolve", SLA, 75, 100), nil},
		"what the levels promise one another":   {passed("level-1", OLA), passed("level-1", OLA, 75), nil},
		"the clocks of one that is just opened": {Incident{}, passed("resolve", SLA), nil},
	} {
		s := Step{Before: tt.before, After: tt.after}
		if got := s.alarms(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

// TestARuleSaysHowOftenItIsTold fires twelve times within three days, for a rule
// that may be told once a day.
func TestARuleSaysHowOftenItIsTold(t *testing.T) {
	store := newMemory()
	d := NewDesk(store, Config{}, nil, nil)
	for i := range 12 {
		f := finding(telemetry.Firing, noon.Add(time.Duration(6*i)*time.Hour))
		f.Renotify = 24 * time.Hour
		if err := d.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			does(t, d, "INC-000001", Request{Transition: Take}, ana, noon)
		}
	}
	var told []string
	var before Incident
	for i, e := range store.events["INC-000001"] {
		after := must[Incident](t)(Replay(store.events["INC-000001"][:i+1]))
		if s := (Step{Before: before, After: after, Event: e}); e.Kind == Repeat && !s.quiet() {
			told = append(told, fmt.Sprint(e.At.Sub(noon)))
		}
		before = after
	}
	if want := []string{"24h0m0s", "48h0m0s"}; !slices.Equal(told, want) || before.Occurrences != 12 {
		t.Errorf("told at %v of %d occurrences, want %v of 12", told, before.Occurrences, want)
	}
}
