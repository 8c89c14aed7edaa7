package incidents

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"belfry/telemetry"
)

// receive gives a desk findings of one rule and device: "f" fires, "c" clears,
// "u" is unknown, each an hour after the one before, from noon on.
func receive(t *testing.T, d *Desk, conditions string, from time.Time) {
	t.Helper()
	kinds := map[rune]telemetry.Condition{'f': telemetry.Firing, 'c': telemetry.Clear, 'u': telemetry.Unknown}
	for i, c := range conditions {
		f := finding(kinds[c], from.Add(time.Duration(i)*time.Hour))
		if err := d.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
			t.Fatalf("receive %c: %v", c, err)
		}
	}
}

// show writes an incident in short.
func show(inc Incident) string {
	s := fmt.Sprintf("%s %s %s ×%d", inc.Ref, inc.State, inc.Condition, inc.Occurrences)
	if inc.RecurrenceOf != "" {
		s += " after " + inc.RecurrenceOf
	}
	return s
}

func TestFindings(t *testing.T) {
	tests := map[string]struct {
		findings string
		want     []string
	}{
		"firing opens an incident":                                    {"f", []string{"INC-000001 new firing ×1"}},
		"firing again is an occurrence, not another incident":         {"fff", []string{"INC-000001 new firing ×3"}},
		"clearing resolves what nobody touched":                       {"fc", []string{"INC-000001 resolved clear ×1"}},
		"clear without an incident is nothing":                        {"c", nil},
		"unknown neither opens":                                       {"u", nil},
		"nor clears":                                                  {"fu", []string{"INC-000001 new unknown ×1"}},
		"seeing it fire again after losing sight is no new event":     {"fuf", []string{"INC-000001 new firing ×1"}},
		"firing again within a day reopens it, for nobody had it":     {"fcf", []string{"INC-000001 new firing ×2"}},
		"and it still resolves by itself":                             {"fcfc", []string{"INC-000001 resolved clear ×2"}},
		"firing again after the window is a new one, with a link":     {"fc" + strings.Repeat("c", 24) + "f", []string{"INC-000002 new firing ×1 after INC-000001", "INC-000001 resolved clear ×1"}},
		"within the window to the hour it is the same":                {"fc" + strings.Repeat("c", 23) + "f", []string{"INC-000001 new firing ×2"}},
		"unknown for what has ended is not attached":                  {"fcu", []string{"INC-000001 resolved clear ×1"}},
		"clearing while unknown resolves it: the rule has seen again": {"fuc", []string{"INC-000001 resolved clear ×1"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			receive(t, NewDesk(store, Config{}, nil, nil), tt.findings, noon)
			if diff := cmp.Diff(tt.want, shown(store)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func shown(store *memory) (out []string) {
	list, _ := store.Incidents(context.Background(), Query{})
	for _, inc := range list {
		out = append(out, show(inc))
	}
	return out
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestClearingDoesNotCloseWhatAPersonOwns(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	inc := must[Incident](t)(d.Transition(ctx, "INC-000001", Request{Transition: Take}, ana, noon.Add(time.Minute)))
	if inc.State != InProgress || inc.Assignee != "ana" || !inc.FirstResponse.Equal(noon.Add(time.Minute)) {
		t.Errorf("taken: got %s, %q, response %v", inc.State, inc.Assignee, inc.FirstResponse)
	}
	receive(t, d, "c", noon.Add(time.Hour))
	if diff := cmp.Diff([]string{"INC-000001 in_progress clear ×1"}, shown(store)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	inc = must[Incident](t)(d.Transition(ctx, "INC-000001", fixed(Resolve), ana, noon.Add(2*time.Hour)))
	receive(t, d, "f", noon.Add(3*time.Hour))
	if diff := cmp.Diff([]string{"INC-000001 in_progress firing ×2"}, shown(store)); diff != "" {
		t.Errorf("fires again after %s: (-want +got)\n%s", inc.State, diff)
	}
}

func TestWhatIsResolvedByForceIsSilentUntilClear(t *testing.T) {
	store, ctx, reg := newMemory(), context.Background(), prometheus.NewRegistry()
	d := NewDesk(store, Config{}, reg, nil)
	receive(t, d, "f", noon)
	force := forced("refit until May")
	must[Incident](t)(d.Transition(ctx, "INC-000001", force, ana, noon.Add(time.Minute)))
	receive(t, d, "ff", noon.Add(40*time.Hour))
	if diff := cmp.Diff([]string{"INC-000001 resolved firing ×1"}, shown(store)); diff != "" {
		t.Errorf("while it fires: (-want +got)\n%s", diff)
	}
	if got := series(t, reg)["belfry_incidents_suppressed_total by=silence"]; got != 2 {
		t.Errorf("held back %v findings, want 2", got)
	}
	must[Incident](t)(d.Transition(ctx, "INC-000001", Request{Transition: Approve}, carl, noon.Add(41*time.Hour)))
	receive(t, d, "fcf", noon.Add(50*time.Hour))
	want := []string{"INC-000002 new firing ×1 after INC-000001", "INC-000001 closed clear ×1"}
	if diff := cmp.Diff(want, shown(store)); diff != "" {
		t.Errorf("after it cleared: (-want +got)\n%s", diff)
	}
}

func TestTheTimerResolvesWhatHasBeenClearForLongEnough(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{StableFor: 2 * time.Hour}, nil, nil)
	receive(t, d, "fc", noon)
	for _, tt := range []struct {
		at   time.Time
		want int
	}{{noon.Add(2 * time.Hour), 0}, {noon.Add(3 * time.Hour), 1}, {noon.Add(4 * time.Hour), 0}} {
		if got := must[int](t)(d.Tick(ctx, tt.at)); got != tt.want {
			t.Errorf("at %v: resolved %d, want %d", tt.at, got, tt.want)
		}
	}
	if got := store.rows["INC-000001"]; got.Resolution.Code != Recovered {
		t.Errorf("got %q with code %q, want it recovered", got.State, got.Resolution.Code)
	}
}

func TestAFindingThatComesLateWithdraws(t *testing.T) {
	store := newMemory()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	late := finding(telemetry.Clear, noon.Add(-time.Hour))
	if err := d.Receive(context.Background(), []telemetry.Finding{late}); err != nil || store.rows["INC-000001"].Condition != telemetry.Firing {
		t.Errorf("an old finding that is not late: got %v, condition %s", err, store.rows["INC-000001"].Condition)
	}
	late.Late, late.Reason = true, "backfilled"
	for range 2 {
		if err := d.Receive(context.Background(), []telemetry.Finding{late}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"INC-000001 resolved clear ×1"}, shown(store)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if e := store.events["INC-000001"][1]; e.Text != "backfilled" || e.Kind != Observe {
		t.Errorf("got %s %q, want the reason on the timeline", e.Kind, e.Text)
	}
}

func TestARepeatedRequestHasTheSameAnswer(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	report := NewReport{Summary: "door 2 counts nobody", Site: "paris", Once: &Once{Key: "carl k1", Hash: "a"}}
	first := must[Incident](t)(d.Report(ctx, report, carl, noon))
	again := must[Incident](t)(d.Report(ctx, report, carl, noon.Add(time.Hour)))
	if diff := cmp.Diff(first, again); diff != "" || len(store.rows) != 1 {
		t.Errorf("%d incidents, (-first +again)\n%s", len(store.rows), diff)
	}
	report.Once = &Once{Key: "carl k1", Hash: "b"}
	if _, err := d.Report(ctx, report, carl, noon); !errors.Is(err, ErrKeyReused) {
		t.Errorf("another request under the same key: got %v", err)
	}
	if _, err := d.Tick(ctx, noon.Add(25*time.Hour)); err != nil || len(store.answers) != 0 {
		t.Errorf("a day later %d answers are kept, %v", len(store.answers), err)
	}
}

func TestAFailedSaveLeavesNothingBehind(t *testing.T) {
	store, reg := newMemory(), prometheus.NewRegistry()
	d := NewDesk(store, Config{}, reg, nil)
	store.saving = errors.New("disk full")
	err := d.Receive(context.Background(), []telemetry.Finding{finding(telemetry.Firing, noon)})
	if !errors.Is(err, store.saving) || len(store.rows) != 0 || opened(t, reg) != 0 {
		t.Errorf("got %v, %d rows, %v opened", err, len(store.rows), opened(t, reg))
	}
	store.saving = nil
	receive(t, d, "f", noon)
	if diff := cmp.Diff([]string{"INC-000001 new firing ×1"}, shown(store)); diff != "" {
		t.Errorf("once there is room: (-want +got)\n%s", diff)
	}
}

func opened(t *testing.T, reg *prometheus.Registry) float64 {
	return series(t, reg)["belfry_incidents_opened_total category=suspected_offline origin=rule"]
}

func TestWhatOneMayNotSeeDoesNotExist(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	other := Actor{Name: "dora", Role: SiteManager, Site: "rome", Source: ByAPI}
	_, getErr := d.Get(ctx, "INC-000001", other)
	_, moveErr := d.Comment(ctx, "INC-000001", Request{Text: "x"}, other, noon)
	_, _, lineErr := d.Timeline(ctx, "INC-000001", 0, 10, other)
	_, _, evidenceErr := d.Evidence(ctx, "INC-000001", 0, 10, other)
	for _, err := range []error{getErr, moveErr, lineErr, evidenceErr} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want not found", err)
		}
	}
	if list, err := d.List(ctx, Query{Site: "paris"}, other); len(list) != 0 || err != nil {
		t.Errorf("listed %d, %v", len(list), err)
	}
}

func TestInternalNotesStayOnTheDesk(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	must[Event](t)(d.Comment(ctx, "INC-000001", Request{Text: "they never answer", Internal: true}, ana, noon))
	must[Event](t)(d.Comment(ctx, "INC-000001", Request{Text: "the lens was exchanged in May", Shared: true}, ana, noon))
	raised := store.rows["INC-000001"]
	raised.Level = 3
	store.rows["INC-000001"] = raised
	for actor, want := range map[Actor]int{ana: 3, mona: 3, sven: 2, carl: 1} {
		events, _, err := d.Timeline(ctx, "INC-000001", 0, 10, actor)
		if err != nil || len(events) != want {
			t.Errorf("%s sees %d events, %v; want %d", actor.Name, len(events), err, want)
		}
	}
	if evidence, _, err := d.Evidence(ctx, "INC-000001", 0, 10, carl); err != nil || len(evidence) != 1 || evidence[0].Evidence[0].What != "silence()" {
		t.Errorf("got evidence %v", evidence)
	}
}

// TestTheRowIsWhatTheTimelineAddsUpTo does random things at random times, gives
// findings twice, and compares.
func TestTheRowIsWhatTheTimelineAddsUpTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		store, ctx := newMemory(), context.Background()
		d := NewDesk(store, Config{ReopenWindow: 5 * time.Hour}, nil, nil)
		at := noon
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 180).Draw(t, "minutes")) * time.Minute)
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				deliver(t, d, store, randomFinding(t, at))
			case 2:
				tick(ctx, t, d, at)
			default:
				act(ctx, t, d, at)
			}
			clocksHold(t, d, store, at)
		}
		holds(t, store)
	})
}

func randomFinding(t *rapid.T, at time.Time) telemetry.Finding {
	c := rapid.SampledFrom([]telemetry.Condition{telemetry.Firing, telemetry.Clear, telemetry.Unknown}).Draw(t, "condition")
	f := finding(c, at)
	f.Scope.Name = rapid.SampledFrom([]string{"FC-1", "FC-2"}).Draw(t, "device")
	if f.Late = rapid.IntRange(0, 4).Draw(t, "late") == 0; f.Late {
		f.At = at.Add(-3 * time.Hour)
	}
	return f
}

// deliver gives a finding twice and fails when the second time changes anything.
func deliver(t *rapid.T, d *Desk, store *memory, f telemetry.Finding) {
	for i := range 2 {
		before := shown(store)
		if err := d.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, shown(store)); i == 1 && diff != "" {
			t.Fatalf("the same finding again: (-before +after)\n%s", diff)
		}
	}
}

func act(ctx context.Context, t *rapid.T, d *Desk, at time.Time) {
	req, actor := request(rapid.SampledFrom([]Transition{Take, Assign, Resolve, Close, Comment, Qualify, Ask, Reply,
		Withdraw, Hold, Wake, Escalate, Return, Approve, Reject, Rate, Merge, Cancel, Major}).Draw(t, "transition"))
	if rapid.Bool().Draw(t, "force") {
		req.Force, req.Reason = true, "because"
	}
	ref := rapid.SampledFrom([]string{"INC-000001", "INC-000002", "INC-000003"}).Draw(t, "ref")
	if actor == ana && rapid.Bool().Draw(t, "bob") {
		actor = bob
	}
	_, err := d.Transition(ctx, ref, req, actor, at)
	var conflict *ConflictError
	var invalid *InvalidError
	var forbidden *ForbiddenError
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.As(err, &conflict) && !errors.As(err, &invalid) && !errors.As(err, &forbidden) {
		t.Fatalf("%s %s: %v", req.Transition, ref, err)
	}
}

func holds(t *rapid.T, store *memory) {
	for ref, row := range store.rows {
		replayed, err := Replay(store.events[ref])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(row, replayed); diff != "" {
			t.Fatalf("%s: (-row +replay)\n%s", ref, diff)
		}
	}
}

func TestMetrics(t *testing.T) {
	store, reg, ctx := newMemory(), prometheus.NewRegistry(), context.Background()
	d := NewDesk(store, Config{}, reg, nil)
	receive(t, d, "fc", noon)
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "x", Site: "paris"}, carl, noon))
	got := series(t, reg)
	for name, want := range map[string]float64{
		"belfry_incidents category=suspected_offline level=1 priority=3 state=resolved": 1,
		"belfry_incidents category=user_report/other level=1 priority=3 state=new":      1,
		"belfry_incidents_opened_total category=suspected_offline origin=rule":          1,
		"belfry_incidents_opened_total category=user_report/other origin=person":        1,
		"belfry_incidents_resolved_total code=recovered":                                1,
		"belfry_incidents_suppressed_total by=silence":                                  0,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s: got %v, %v; want %v", name, v, ok, want)
		}
	}
}

// series returns every counter and gauge as "name label=value ...".
func series(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}
