package incidents

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/telemetry"
)

// lay writes a document as managers do.
func lay(t *testing.T, d *Desk, kind DocumentKind, id string, v any, want Expected) error {
	t.Helper()
	doc := document(kind, id, v)
	_, err := d.PutDocument(context.Background(), doc, want, noon)
	return err
}

func TestASilenceOutlivesResolveAndEndsByItself(t *testing.T) {
	store, ctx, reg := newMemory(), context.Background(), prometheus.NewRegistry()
	d := NewDesk(store, Config{}, reg, nil)
	s := Silence{ID: "s1", Rule: "suspected-offline", Site: "paris", From: noon, To: noon.Add(10 * time.Hour), Reason: "new shelves"}
	if err := lay(t, d, SilenceDocument, "s1", s, Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	receive(t, d, "fcf", noon)
	got := store.rows["INC-000001"]
	if got.Held.By != "silence" || got.Held.Why != "of the silence s1: new shelves" || got.ClockState() != "" && got.ClockState() != "met" {
		t.Errorf("held %+v, clocks %+v", got.Held, got.Clocks)
	}
	if n := series(t, reg)["belfry_incidents_suppressed_total by=silence"]; n != 2 {
		t.Errorf("%v findings were counted, want 2", n)
	}
	must[int](t)(d.Tick(ctx, s.To))
	got = store.rows["INC-000001"]
	if k := clockOf(t, got, "resolve"); got.Held.By != "" || !k.Running() || !k.Segments[0].From.Equal(s.To) {
		t.Errorf("held %+v, clock %+v; want one that begins at the end of the silence", got.Held, k)
	}
}

func TestWhatHoldsFindingsBack(t *testing.T) {
	window := Window{ID: "w", Sites: []string{"paris"}, From: noon, To: noon.Add(time.Hour), Reason: "new router"}
	elsewhere, past := window, window
	elsewhere.Sites, past.From, past.To = []string{"rome"}, noon.Add(-2*time.Hour), noon
	silence := Silence{ID: "s", Device: "FC-1", From: noon, To: noon.Add(time.Hour), Reason: "x"}
	other := silence
	other.Device = "FC-2"
	tests := map[string]struct {
		kind   DocumentKind
		doc    any
		closed map[string]telemetry.SiteStatus
		want   Held
	}{
		"maintenance at the site":               {WindowDocument, window, nil, Held{"maintenance", "of the maintenance w: new router", window.To}},
		"maintenance elsewhere holds nothing":   {WindowDocument, elsewhere, nil, Held{}},
		"maintenance that is over does neither": {WindowDocument, past, nil, Held{}},
		"a silence for the device":              {SilenceDocument, silence, nil, Held{"silence", "of the silence s: x", silence.To}},
		"a silence for another one is not ours": {SilenceDocument, other, nil, Held{}},
		"a site that is shut": {WindowDocument, elsewhere, map[string]telemetry.SiteStatus{"paris": telemetry.SiteRefit},
			Held{"closed_site", "the site is in the state refit", noon.Add(24 * time.Hour)}},
		"a silence comes before a shut site": {SilenceDocument, silence, map[string]telemetry.SiteStatus{"paris": telemetry.SiteClosed},
			Held{"silence", "of the silence s: x", silence.To}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			d := NewDesk(store, Config{}, nil, nil)
			if err := lay(t, d, tt.kind, "x", tt.doc, Expected{New: true}); err != nil {
				t.Fatal(err)
			}
			store.closed = tt.closed
			receive(t, d, "f", noon)
			if diff := cmp.Diff(tt.want, store.rows["INC-000001"].Held); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAShutSiteIsLookedAtEachDay(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	store.closed = map[string]telemetry.SiteStatus{"paris": telemetry.SiteClosed}
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	must[int](t)(d.Tick(ctx, noon.Add(24*time.Hour)))
	if got := store.rows["INC-000001"].Held; got.By != byClosedSite || !got.Until.Equal(noon.Add(48*time.Hour)) {
		t.Errorf("after a day: %+v", got)
	}
	store.closed = nil
	must[int](t)(d.Tick(ctx, noon.Add(48*time.Hour)))
	if got := store.rows["INC-000001"].Held; got.By != "" {
		t.Errorf("open again: %+v", got)
	}
}

func TestWhatASilenceMatchesDoesNotChange(t *testing.T) {
	d := NewDesk(newMemory(), Config{}, nil, nil)
	s := Silence{ID: "s", Site: "paris", From: noon, To: noon.Add(time.Hour), Reason: "x"}
	if err := lay(t, d, SilenceDocument, "s", s, Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	longer, wider := s, s
	longer.To, wider.Site, wider.Rule = noon.Add(2*time.Hour), "", "suspected-offline"
	if err := lay(t, d, SilenceDocument, "s", wider, Expected{Version: 1}); err == nil {
		t.Error("a silence was made wider")
	}
	if err := lay(t, d, SilenceDocument, "s", longer, Expected{Version: 1}); err != nil {
		t.Errorf("a longer silence: %v", err)
	}
	if err := lay(t, d, SilenceDocument, "all", Silence{ID: "all", From: noon, To: longer.To, Reason: "x"}, Expected{New: true}); err == nil {
		t.Error("everything was silenced")
	}
}

func TestFlapping(t *testing.T) {
	store, ctx, reg := newMemory(), context.Background(), prometheus.NewRegistry()
	d := NewDesk(store, Config{}, reg, nil)
	receive(t, d, "fcfcfc", noon) // five changes after it was opened
	if store.rows["INC-000001"].Flapping {
		t.Error("five changes are no flapping")
	}
	receive(t, d, "fu", noon.Add(6*time.Hour))
	receive(t, d, "cf", noon.Add(8*time.Hour))
	if got := store.rows["INC-000001"]; !got.Flapping || len(got.Flips) != flapsAt {
		t.Errorf("flapping %v, changes at %v", got.Flapping, got.Flips)
	}
	if n := series(t, reg)["belfry_incidents_suppressed_total by=flapping"]; n != 1 {
		t.Errorf("%v findings were counted, want 1", n)
	}
	last := store.rows["INC-000001"].Flips[flapsAt-1]
	must[int](t)(d.Tick(ctx, last.Add(calmAfter-time.Minute)))
	if !store.rows["INC-000001"].Flapping {
		t.Error("it was calm too soon")
	}
	must[int](t)(d.Tick(ctx, last.Add(calmAfter)))
	if got := store.rows["INC-000001"]; got.Flapping || got.Flips != nil {
		t.Errorf("after 12 h of calm: %v, %v", got.Flapping, got.Flips)
	}
}

// TestWhatFlapsIsToldOfOnceADay lets a device flap for three days.
func TestWhatFlapsIsToldOfOnceADay(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	for h := range 36 {
		receive(t, d, "fc", noon.Add(time.Duration(2*h)*time.Hour))
		must[int](t)(d.Tick(ctx, noon.Add(time.Duration(2*h+1)*time.Hour+time.Minute)))
	}
	must[int](t)(d.Tick(ctx, noon.Add(120*time.Hour))) // a downtime: what was due in it is told once
	var told []string
	for _, e := range store.events["INC-000001"] {
		if e.Kind == Summarise || e.Kind == Calm {
			told = append(told, fmt.Sprintf("%.0f h: %s", e.At.Sub(noon).Hours(), e.Text))
		}
		if s := (Step{Before: Incident{Flapping: true}, After: Incident{Flapping: true}, Event: e}); e.Kind == Summarise && (s.quiet() || !s.concernsAssignee()) {
			t.Error("the digest is kept from whoever works on it")
		}
	}
	want := []string{"31 h: it still comes and goes: it has fired 12 times since the last notice, and 16 times in all",
		"55 h: it still comes and goes: it has fired 12 times since the last notice, and 28 times in all",
		"120 h: it still comes and goes: it has fired 8 times since the last notice, and 36 times in all",
		"120 h: calm for 12 hours; it has fired 36 times in all"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if inc := store.rows["INC-000001"]; inc.Digest != (Digest{}) {
		t.Errorf("calm, and yet %+v", inc.Digest)
	}
}

// fail gives a desk findings of devices at Paris, all at one instant.
func fail(t *testing.T, d *Desk, c telemetry.Condition, at time.Time, devices ...string) {
	t.Helper()
	var list []telemetry.Finding
	for _, name := range devices {
		f := finding(c, at)
		f.Scope.Name = name
		list = append(list, f)
	}
	if err := d.Receive(context.Background(), list); err != nil {
		t.Fatal(err)
	}
}

// family writes incidents in short, with their parents.
func family(store *memory) (out []string) {
	for _, inc := range store.sorted() {
		out = append(out, strings.TrimSpace(inc.Ref+" "+inc.Device+" "+string(inc.State)+" "+string(inc.Condition)+" "+inc.Parent))
	}
	return out
}

func TestADeadSiteIsOneIncident(t *testing.T) {
	store, ctx, reg := newMemory(), context.Background(), prometheus.NewRegistry()
	store.devices = map[string]int{"paris": 8}
	d := NewDesk(store, Config{}, reg, nil)
	fail(t, d, telemetry.Firing, noon, "FC-1", "FC-2")
	fail(t, d, telemetry.Firing, noon.Add(5*time.Minute), "FC-3")
	if n := len(store.rows); n != 3 {
		t.Fatalf("3 of 8 devices made %d incidents", n)
	}
	fail(t, d, telemetry.Firing, noon.Add(10*time.Minute), "FC-4")
	fail(t, d, telemetry.Firing, noon.Add(40*time.Minute), "FC-5")
	want := []string{"INC-000001 FC-1 new firing INC-000004", "INC-000002 FC-2 new firing INC-000004",
		"INC-000003 FC-3 new firing INC-000004", "INC-000004  new firing", "INC-000005 FC-4 new firing INC-000004",
		"INC-000006 FC-5 new firing INC-000004"}
	if diff := cmp.Diff(want, family(store)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	if child := store.rows["INC-000001"]; child.ClockState() == "ok" || child.Held.By != byRollUp {
		t.Errorf("a child has clocks of its own: %+v", child.Clocks)
	}
	if n := series(t, reg)["belfry_incidents_suppressed_total by=roll_up"]; n != 5 {
		t.Errorf("%v were counted, want 5", n)
	}
	if got, want := store.rows["INC-000004"].Summary, "4 of 8 devices at paris: suspected offline"; got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
	fail(t, d, telemetry.Clear, noon.Add(time.Hour), "FC-1", "FC-2")
	must[Incident](t)(d.Transition(ctx, "INC-000004", Request{Transition: Resolve, Code: "fixed", Cause: "power", Summary: "fuse",
		Item: "paris"}, ana, noon.Add(2*time.Hour)))
	want = []string{"INC-000001 FC-1 resolved clear INC-000004", "INC-000002 FC-2 resolved clear INC-000004",
		"INC-000003 FC-3 new firing", "INC-000004  resolved firing", "INC-000005 FC-4 new firing", "INC-000006 FC-5 new firing"}
	if diff := cmp.Diff(want, family(store)); diff != "" {
		t.Errorf("after the parent was resolved: (-want +got)\n%s", diff)
	}
	alone := store.rows["INC-000003"]
	if k := clockOf(t, alone, "resolve"); !k.Running() || alone.Held.By != "" {
		t.Errorf("what was detached has the clock %+v, held %+v", k, alone.Held)
	}
}

func TestASiteThatComesBackResolvesByItself(t *testing.T) {
	store := newMemory()
	store.devices = map[string]int{"paris": 4}
	d := NewDesk(store, Config{}, nil, nil)
	for range 2 { // the second time is a replay
		fail(t, d, telemetry.Firing, noon, "FC-1", "FC-2", "FC-3")
	}
	fail(t, d, telemetry.Clear, noon.Add(time.Hour), "FC-1")
	fail(t, d, telemetry.Clear, noon.Add(2*time.Hour), "FC-2", "FC-3")
	want := []string{"INC-000001  resolved clear", "INC-000002 FC-1 resolved clear INC-000001",
		"INC-000003 FC-2 resolved clear INC-000001", "INC-000004 FC-3 resolved clear INC-000001"}
	if diff := cmp.Diff(want, family(store)); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	fail(t, d, telemetry.Firing, noon.Add(3*time.Hour), "FC-1")
	if got := store.rows["INC-000002"]; got.Parent != "" || got.State != New {
		t.Errorf("one device that fires again is %s under %q", got.State, got.Parent)
	}
	fail(t, d, telemetry.Firing, noon.Add(3*time.Hour+time.Minute), "FC-2", "FC-3")
	if got := store.rows["INC-000005"]; !got.RolledUp || got.RecurrenceOf != "INC-000001" {
		t.Errorf("the site dies again: got %+v", got)
	}
}
