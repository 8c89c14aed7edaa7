package incidents

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belfry/telemetry"
)

func book(t interface {
	Helper()
	Fatal(...any)
}) *Book {
	t.Helper()
	b, err := NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tick lets the desk do what is due, and again, when nothing must be left.
func tick(ctx context.Context, t *rapid.T, d *Desk, at time.Time) {
	for again := range 2 {
		if n, err := d.Tick(ctx, at); err != nil || again == 1 && n > 0 {
			t.Fatalf("tick %d: %d changes, %v", again, n, err)
		}
	}
}

// clocksHold checks what must be true of every clock at any time.
func clocksHold(t *rapid.T, d *Desk, store *memory, at time.Time) {
	b := book(t)
	for ref := range store.rows {
		views, err := d.Clocks(context.Background(), ref, ana, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range views {
			var sum time.Duration
			for i, s := range k.Segments {
				sum += s.Consumed
				if i > 0 && s.From.Before(k.Segments[i-1].To) {
					t.Fatalf("%s %s: segment %d begins before the one before it ends", ref, k.Name, i)
				}
			}
			if got := k.Clock.Consumed(b, at); sum != k.Consumed || got != sum {
				t.Fatalf("%s %s: segments of %v, consumed %v, %v", ref, k.Name, sum, k.Consumed, got)
			}
			if !k.Running() && (!k.Due.IsZero() || !k.Next.IsZero()) {
				t.Fatalf("%s %s stands still and is due at %v", ref, k.Name, k.Due)
			}
			if len(k.Passed) > len(thresholds) {
				t.Fatalf("%s %s: a threshold was passed twice: %v", ref, k.Name, k.Passed)
			}
		}
	}
}

// opened returns an incident of priority 3 that was opened at noon, in progress.
func openedAtNoon(t testing.TB) Incident {
	t.Helper()
	f := finding(telemetry.Firing, noon)
	inc, _, err := Apply(Incident{}, Request{Transition: Open, finding: &f, ref: "INC-000001", priority: 3, book: book(t)}, analyzer, noon)
	if err == nil {
		inc, _, err = Apply(inc, Request{Transition: Take, book: book(t)}, ana, noon.Add(time.Minute))
	}
	if err != nil {
		t.Fatal(err)
	}
	return inc
}

func clockOf(t interface{ Fatalf(string, ...any) }, inc Incident, name string) *Clock {
	for i := range inc.Clocks {
		if inc.Clocks[i].Name == name {
			return &inc.Clocks[i]
		}
	}
	t.Fatalf("%s has no clock %s: %+v", inc.Ref, name, inc.Clocks)
	return nil
}

// TestPausingMovesDueDatesLaterAndNothingBreachesMeanwhile holds and wakes at
// random times.
func TestPausingMovesDueDatesLaterAndNothingBreachesMeanwhile(t *testing.T) {
	start, b := openedAtNoon(t), book(t)
	rapid.Check(t, func(t *rapid.T) {
		inc, at, due := start, noon.Add(time.Minute), clockOf(t, start, "resolve").Due
		apply := func(req Request, actor Actor) {
			req.book = b
			next, _, err := Apply(inc, req, actor, at)
			if err != nil {
				t.Fatal(err)
			}
			inc = next
		}
		for range rapid.IntRange(1, 6).Draw(t, "pauses") {
			at = at.Add(time.Duration(rapid.IntRange(1, 180).Draw(t, "work")) * time.Minute)
			reason := rapid.SampledFrom([]string{"requester", "scheduled", "vendor", "change"}).Draw(t, "reason")
			apply(Request{Transition: Hold, Reason: reason, Text: "x", Until: at.Add(999 * time.Hour), Supplier: "Xovis"}, ana)
			held := clockOf(t, inc, "resolve")
			if held.Running() == HoldReasons[reason].Pauses {
				t.Fatalf("held for %s, and the clock runs: %v", reason, held.Running())
			}
			at = at.Add(time.Duration(rapid.IntRange(1, 600).Draw(t, "wait")) * time.Minute)
			apply(Request{Transition: Elapse}, clockwork)
			if k := clockOf(t, inc, "resolve"); HoldReasons[reason].Pauses && len(k.Passed) > len(held.Passed) {
				t.Fatalf("passed %v while paused", k.Passed)
			}
			apply(Request{Transition: Wake}, clockwork)
			now := clockOf(t, inc, "resolve").Due
			if now.Before(due) || !HoldReasons[reason].Pauses && !now.Equal(due) {
				t.Fatalf("waiting for %s moved the due date from %v to %v", reason, due, now)
			}
			due = now
		}
	})
}

func TestChangingThePriorityKeepsWhatWasConsumed(t *testing.T) {
	inc, b := openedAtNoon(t), book(t)
	at := noon.Add(3 * time.Hour)
	next, _, err := Apply(inc, Request{Transition: Qualify, Impact: ImpactClient, Urgency: UrgencyHigh, book: b}, ana, at)
	if err != nil {
		t.Fatal(err)
	}
	first := clockOf(t, next, "level-1") // 8 h before, 4 h now
	if got := first.Consumed(b, at); got != 3*time.Hour || first.Target != 240 {
		t.Errorf("consumed %v of %d min, want 3h of 240", got, first.Target)
	}
	if want := noon.Add(4 * time.Hour); !first.Due.Equal(want) || !first.passed(75) || first.Breached() {
		t.Errorf("due %v, passed %v; want %v and 75 %%", first.Due, first.Passed, want)
	}
}

func TestAPolicyThatIsEditedDoesNotTouchRunningClocks(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	edited := document(AgreementDocument, "client", Agreement{ID: "client", Kind: SLA, Calendar: "24x7", Targets: map[int]Targets{3: {Respond: 1, Resolve: 2}}})
	if _, err := d.PutDocument(ctx, edited, Expected{}, noon); err != nil {
		t.Fatal(err)
	}
	must[Incident](t)(d.Transition(ctx, "INC-000001", Request{Transition: Take}, ana, noon.Add(time.Minute)))
	if k := clockOf(t, store.rows["INC-000001"], "resolve"); k.Target != 24*60 || k.Agreement != "client@0" {
		t.Errorf("got %+v, want the agreement of before", k)
	}
	other := finding(telemetry.Firing, noon.Add(time.Hour))
	other.Scope.Name = "FC-2"
	if err := d.Receive(ctx, []telemetry.Finding{other}); err != nil {
		t.Fatal(err)
	}
	if k := clockOf(t, store.rows["INC-000002"], "resolve"); k.Target != 2 || k.Agreement != "client@1" {
		t.Errorf("got %+v, want the agreement as it is now", k)
	}
}

func TestThresholdsArePassedOnceAlsoAfterADowntime(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon) // a Friday; priority 3
	back := noon.Add(30 * time.Hour)
	if n := must[int](t)(d.Tick(ctx, back)); n == 0 {
		t.Fatal("nothing was done after a downtime of 30 h")
	}
	if n := must[int](t)(d.Tick(ctx, back)); n != 0 {
		t.Errorf("the second time %d things were done", n)
	}
	k := clockOf(t, store.rows["INC-000001"], "resolve")
	if len(k.Passed) != 2 || !k.Passed[0].At.Equal(noon.Add(18*time.Hour)) || !k.Passed[1].At.Equal(noon.Add(24*time.Hour)) || !k.Passed[1].Noted.Equal(back) {
		t.Errorf("passed %+v", k.Passed)
	}
	row := store.rows["INC-000001"]
	if got := row.ClockState(); got != "breached" {
		t.Errorf("the clock state is %q", got)
	}
}

func TestWhatTheFirstLineDoesNotDoInTimeGoesUpByItselfOnce(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon) // Friday noon UTC: 6 office hours, and 2 on Monday
	monday := time.Date(2026, 3, 30, 10, 0, 0, 0, time.UTC)
	must[int](t)(d.Tick(ctx, monday.Add(-time.Minute)))
	if got := store.rows["INC-000001"].Level; got != 1 {
		t.Errorf("level %d before the time", got)
	}
	must[int](t)(d.Tick(ctx, monday))
	if got := store.rows["INC-000001"]; got.Level != 2 || !clockOf(t, got, "level-2").Running() || clockOf(t, got, "level-1").Running() {
		t.Errorf("level %d, clocks %+v", got.Level, got.Clocks)
	}
	must[Incident](t)(d.Transition(ctx, "INC-000001", Request{Transition: Return, Summary: "restart it"}, bob, monday.Add(time.Hour)))
	must[int](t)(d.Tick(ctx, monday.Add(2*time.Hour)))
	if got := store.rows["INC-000001"].Level; got != 1 {
		t.Errorf("what came back went up again by itself, to level %d", got)
	}
}

func TestNobodyApproves(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	must[Incident](t)(d.Transition(ctx, "INC-000001", forced("shut"), ana, noon.Add(time.Minute))) // Friday
	for _, tt := range []struct {
		day    int
		chased int
		state  State
	}{{31, 0, Resolved}, {32, 1, Resolved}, {33, 1, Resolved}, {34, 2, Resolved}, {36, 2, Resolved}, {37, 2, Closed}} {
		must[int](t)(d.Tick(ctx, time.Date(2026, 3, tt.day, 7, 59, 0, 0, time.UTC))) // nobody is reminded at night or on a weekend
		if got := store.rows["INC-000001"]; got.Chased == tt.chased && tt.day == 32 {
			t.Error("asked before the office opens")
		}
		must[int](t)(d.Tick(ctx, time.Date(2026, 3, tt.day, 8, 0, 0, 0, time.UTC)))
		if got := store.rows["INC-000001"]; got.Chased != tt.chased || got.State != tt.state {
			t.Errorf("March %d: asked %d times, %s; want %d, %s", tt.day, got.Chased, got.State, tt.chased, tt.state)
		}
	}
}

func TestRejectionGoesOnWhereTheClockStood(t *testing.T) {
	inc, b := openedAtNoon(t), book(t)
	step := func(req Request, actor Actor, at time.Time) {
		t.Helper()
		req.book = b
		next, _, err := Apply(inc, req, actor, at)
		if err != nil {
			t.Fatal(err)
		}
		inc = next
	}
	step(forced("x"), ana, noon.Add(2*time.Hour))
	step(Request{Transition: Reject, Reason: "still dark"}, carl, noon.Add(10*time.Hour))
	k := clockOf(t, inc, "resolve")
	if got := k.Consumed(b, noon.Add(11*time.Hour)); got != 3*time.Hour || inc.Reopened != 1 || inc.State != InProgress {
		t.Errorf("consumed %v, reopened %d, %s; want 3h, 1, in_progress", got, inc.Reopened, inc.State)
	}
}

func TestTheClockStateIsThatOfTheWorstClock(t *testing.T) {
	met := Clock{Name: "respond", Kind: SLA, Segments: []Segment{{From: noon, To: noon}}}
	runs := Clock{Name: "resolve", Kind: SLA, Segments: []Segment{{From: noon}}}
	late, level, stands := runs, runs, met
	late.Passed, level.Kind, stands.Name = []Passed{{Percent: 75}}, OLA, "resolve"
	broken := late
	broken.Passed = append(broken.Passed, Passed{Percent: 100})
	tests := map[string]struct {
		state  State
		clocks []Clock
	}{
		"":         {New, []Clock{level}},
		"ok":       {InProgress, []Clock{met, runs}},
		"at_risk":  {InProgress, []Clock{met, late}},
		"breached": {Resolved, []Clock{met, broken}},
		"paused":   {Pending, []Clock{met, stands}},
		"met":      {Resolved, []Clock{met, stands}},
	}
	for want, tt := range tests {
		inc := in(tt.state)
		inc.Clocks = tt.clocks
		if got := inc.ClockState(); got != want {
			t.Errorf("%s with %+v: got %q, want %q", tt.state, tt.clocks, got, want)
		}
	}
}
