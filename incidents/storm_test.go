package incidents

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/telemetry"
)

// many returns findings of so many devices, each at a site of its own.
func many(condition telemetry.Condition, from, to int, at time.Time) (list []telemetry.Finding) {
	for i := from; i < to; i++ {
		list = append(list, telemetry.Finding{Rule: "suspected-offline", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: fmt.Sprint("FC-", i)},
			Site: fmt.Sprint("site-", i), Condition: condition, At: at, Since: at, Category: "suspected_offline", Impact: "device", Urgency: "high", Summary: "x"})
	}
	return list
}

func TestAStormGoesIntoOneIncidentThatHoldsTheList(t *testing.T) {
	store, ctx, reg := newMemory(), context.Background(), prometheus.NewRegistry()
	d := NewDesk(store, Config{StormLimit: 5}, reg, nil)
	must[int](t)(0, d.Receive(ctx, many(telemetry.Firing, 0, 8, noon)))
	must[int](t)(0, d.Receive(ctx, many(telemetry.Firing, 8, 12, noon.Add(time.Second)))) // the same minute, another batch
	must[int](t)(0, d.Receive(ctx, many(telemetry.Firing, 12, 14, noon.Add(time.Minute))))

	storm := store.rows["INC-000007"]
	children := must[[]Incident](t)(store.Children(storm.Ref))
	if storm.Category != "storm" || storm.Priority != 1 || len(children) != 7 {
		t.Fatalf("it is %+v and stands for %d, want 7", storm, len(children))
	}
	for _, inc := range store.sorted() {
		held := inc.Parent == storm.Ref && inc.Held.By == "storm" && strings.HasPrefix(inc.Held.Why, storm.Ref)
		if alone := inc.Parent == "" && inc.Held.By == "" && inc.ClockState() == "ok"; alone == held {
			t.Errorf("%s has the parent %q, held %+v, clocks %s", inc.Ref, inc.Parent, inc.Held, inc.ClockState())
		}
	}
	if n := series(t, reg)["belfry_incidents_suppressed_total by=storm"]; n != 7 {
		t.Errorf("%v findings were counted, want 7", n)
	}

	// Half an hour later all is well again: what was not taken up ends by itself.
	must[int](t)(0, d.Receive(ctx, many(telemetry.Clear, 0, 14, noon.Add(30*time.Minute))))
	for _, inc := range store.sorted() {
		if inc.State != Resolved {
			t.Errorf("%s is %s after all has cleared", inc.Ref, inc.State)
		}
	}
	must[int](t)(0, d.Receive(ctx, many(telemetry.Firing, 100, 106, noon.Add(72*time.Hour))))
	if again := store.sorted()[len(store.rows)-1]; len(must[[]Incident](t)(store.Children(again.Ref))) != 1 || again.RecurrenceOf != storm.Ref {
		t.Errorf("the next storm has %+v", again)
	}
}

func TestWhoEndsAStormFreesWhatItHolds(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{StormLimit: 1}, nil, nil)
	must[int](t)(0, d.Receive(ctx, many(telemetry.Firing, 0, 3, noon)))
	ana := Actor{Name: "ana", Role: SecondLine, Source: ByAPI}
	at := noon.Add(time.Minute)
	must[Incident](t)(d.Transition(ctx, "INC-000003", Request{Transition: Take}, ana, at))
	must[Incident](t)(d.Transition(ctx, "INC-000003", Request{Transition: Resolve, Code: "fixed", Cause: "network", Summary: "the line is back",
		Item: "all", Force: true, Reason: "one by one now"}, ana, at))
	for _, ref := range []string{"INC-000002", "INC-000004"} {
		if inc := store.rows[ref]; inc.Parent != "" || inc.Held.By != "" || !clockOf(t, inc, "resolve").Running() {
			t.Errorf("%s has the parent %q and is held by %q", ref, inc.Parent, inc.Held.By)
		}
	}
}

func TestACandidateWaitsForItsSite(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	store.devices = map[string]int{"paris": 6}
	d := NewDesk(store, Config{GroupWait: 30 * time.Second}, nil, nil)
	fail := func(from, to int, at time.Time) {
		t.Helper()
		list := many(telemetry.Firing, from, to, at)
		for i := range list {
			list[i].Site = "paris"
		}
		must[int](t)(0, d.Receive(ctx, list))
	}
	fail(0, 1, noon)
	first := store.rows["INC-000001"]
	if first.Held.By != "candidate" || !first.Held.Until.Equal(noon.Add(30*time.Second)) || first.ClockState() != "" {
		t.Errorf("held %+v, clocks %q", first.Held, first.ClockState())
	}
	fail(1, 4, noon.Add(20*time.Second))
	if first = store.rows["INC-000001"]; first.Held.By != "roll_up" || !first.Held.Until.IsZero() {
		t.Errorf("the site did not claim it: %+v", first.Held)
	}

	store = newMemory()
	store.devices = map[string]int{"paris": 6}
	d = NewDesk(store, Config{GroupWait: 30 * time.Second}, nil, nil)
	fail(0, 1, noon)
	must[int](t)(d.Tick(ctx, noon.Add(29*time.Second)))
	if inc := store.rows["INC-000001"]; inc.Held.By != "candidate" {
		t.Errorf("after 29 s it is held by %q", inc.Held.By)
	}
	must[int](t)(d.Tick(ctx, noon.Add(30*time.Second)))
	if inc := store.rows["INC-000001"]; inc.Held.By != "" || !clockOf(t, inc, "respond").Running() {
		t.Errorf("after 30 s it is held by %q, its clocks %+v", inc.Held.By, inc.Clocks)
	}

	fail(1, 2, noon.Add(time.Hour))
	ana := Actor{Name: "ana", Role: FirstLine, Source: ByAPI}
	inc := must[Incident](t)(d.Transition(ctx, "INC-000002", Request{Transition: Take}, ana, noon.Add(time.Hour)))
	if inc.Held.By != "" || !clockOf(t, inc, "resolve").Running() {
		t.Errorf("what somebody took is held by %q", inc.Held.By)
	}
}

func TestNobodyIsToldOfWhatIsHeldBackOrFlaps(t *testing.T) {
	held := Incident{Held: Held{By: "silence"}}
	taken, flapping, calm := held, Incident{Flapping: true}, Incident{}
	taken.Touched = true
	for _, c := range []struct {
		what          string
		before, after Incident
		kind          Transition
		quiet         bool
	}{
		{"opened under a silence", Incident{}, held, Open, true},
		{"the silence is over", held, calm, Release, false},
		{"taken although it is held", held, taken, Comment, false},
		{"it begins to flap", calm, flapping, Repeat, false},
		{"it flaps on", flapping, flapping, Repeat, true},
		{"it recovers while it flaps", flapping, flapping, AutoResolve, true},
		{"somebody takes what flaps", flapping, flapping, Take, false},
		{"the digest", flapping, calm, Calm, false},
	} {
		if s := (Step{Before: c.before, After: c.after, Event: Event{Kind: c.kind}}); s.quiet() != c.quiet {
			t.Errorf("%s: quiet is %v", c.what, s.quiet())
		}
	}
	hook := Webhook{Kinds: []Transition{Open}}
	if !hook.wants(&calm, &Event{Kind: Release}) || hook.wants(&calm, &Event{Kind: Observe}) {
		t.Error("who wants to know what opens is told when it is let go, and of nothing else")
	}
}

// TestAClockThatIsSetAcrossAYear lets the machine's clock jump a year ahead and back.
// What was promised is noted once, and what comes afterwards goes on.
func TestAClockThatIsSetAcrossAYear(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	must[int](t)(d.Tick(ctx, noon.Add(365*24*time.Hour)))
	ahead := store.rows["INC-000001"]
	if n := must[int](t)(d.Tick(ctx, noon.Add(time.Minute))); n != 0 {
		t.Errorf("back at noon %d things were done", n)
	}
	if k := clockOf(t, store.rows["INC-000001"], "resolve"); len(k.Passed) != 2 {
		t.Errorf("the thresholds are noted %d times, want 2", len(k.Passed))
	}
	ana := Actor{Name: "ana", Role: FirstLine, Source: ByAPI}
	inc := must[Incident](t)(d.Transition(ctx, "INC-000001", Request{Transition: Take}, ana, noon.Add(time.Hour)))
	if inc.State != InProgress || inc.UpdatedAt.Before(ahead.UpdatedAt) {
		t.Errorf("taken with the clock set back it is %s, changed at %v", inc.State, inc.UpdatedAt)
	}
	for _, k := range inc.Clocks {
		for _, s := range k.Segments {
			if !s.To.IsZero() && s.To.Before(s.From) {
				t.Errorf("clock %s has a segment from %v to %v", k.Name, s.From, s.To)
			}
		}
	}
	events := must[[]Event](t)(store.Events(ctx, "INC-000001", 0, 100))
	if again, err := Replay(events); err != nil || again.Version != inc.Version {
		t.Errorf("the timeline adds up to version %d, %v; want %d", again.Version, err, inc.Version)
	}
}
