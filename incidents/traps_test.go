package incidents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"belfry/telemetry"
)

// The tests of this file hold what the trackers of other systems record as fallen
// into, where no other test does.

// TestAPauseOutlastsAnotherAgreement is GLPI #6902 and #15605: what waits for the
// client keeps waiting, and keeps what it has consumed, when its priority, its
// category and with it its agreement change.
func TestAPauseOutlastsAnotherAgreement(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	gold := Agreement{ID: "gold", Kind: SLA, Calendar: "office", Category: "data_gap", Targets: map[int]Targets{3: {Respond: 10, Resolve: 300}, 4: {Respond: 10, Resolve: 600}}}
	if err := lay(t, d, AgreementDocument, "gold", gold, Expected{New: true}); err != nil {
		t.Fatal(err)
	}
	receive(t, d, "f", noon)
	does(t, d, "INC-000001", Request{Transition: Take}, ana, noon.Add(time.Hour))
	does(t, d, "INC-000001", Request{Transition: Hold, Reason: "requester", Text: "when?", Until: noon.Add(100 * time.Hour)}, ana, noon.Add(2*time.Hour))
	does(t, d, "INC-000001", Request{Transition: Qualify, Category: "data_gap", Urgency: UrgencyLow}, ana, noon.Add(3*time.Hour))
	inc := store.rows["INC-000001"]
	k := clockOf(t, inc, "resolve")
	if inc.State != Pending || k.Running() || k.Agreement != "gold@1" || k.Consumed(book(t), noon.Add(90*time.Hour)) != 2*time.Hour {
		t.Errorf("%s, running %v under %s, consumed %v", inc.State, k.Running(), k.Agreement, k.Consumed(book(t), noon.Add(90*time.Hour)))
	}
	must[int](t)(d.Tick(ctx, noon.Add(99*time.Hour)))
	if k := clockOf(t, store.rows["INC-000001"], "resolve"); len(k.Passed) > 0 {
		t.Errorf("breached while it waited: %+v", k.Passed)
	}
	must[int](t)(d.Tick(ctx, noon.Add(100*time.Hour)))
	if k := clockOf(t, store.rows["INC-000001"], "resolve"); !k.Running() || k.Calendar != "office@0" {
		t.Errorf("awake it runs: %v, in %s", k.Running(), k.Calendar)
	}
}

// TestAnAlarmAndFirstDataInTheSameInstant is ThingsBoard #7909: whichever of the two
// comes first, what is true in the end is what came last.
func TestAnAlarmAndFirstDataInTheSameInstant(t *testing.T) {
	for order, want := range map[string]string{"fc": "INC-000001 resolved clear ×1", "fcf": "INC-000001 resolved clear ×1", "cf": "INC-000001 new firing ×1"} {
		store := newMemory()
		d := NewDesk(store, Config{}, nil, nil)
		for _, c := range order {
			f := finding(map[rune]telemetry.Condition{'f': telemetry.Firing, 'c': telemetry.Clear}[c], noon)
			if err := d.Receive(context.Background(), []telemetry.Finding{f}); err != nil {
				t.Fatal(err)
			}
		}
		if got := shown(store); !slices.Equal(got, []string{want}) {
			t.Errorf("%s at one instant: got %v, want %s", order, got, want)
		}
	}
}

// TestNothingIsCutAtAHundred is the history that was capped at 100 rows.
func TestNothingIsCutAtAHundred(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	does(t, d, "INC-000001", Request{Transition: Take}, ana, noon)
	const times = 1200
	for i := 1; i < times; i++ {
		receive(t, d, "f", noon.Add(time.Duration(i)*time.Hour))
	}
	var entries, shown int
	for after, more := int64(0), true; more; more = after > 0 {
		page, next, err := d.Timeline(ctx, "INC-000001", after, 100, ana)
		if err != nil {
			t.Fatal(err)
		}
		entries, after = entries+len(page), next
	}
	for after, more := int64(0), true; more; more = after > 0 {
		page, next, err := d.Evidence(ctx, "INC-000001", after, 100, ana)
		if err != nil {
			t.Fatal(err)
		}
		shown, after = shown+len(page), next
	}
	if entries < times+1 || shown != times {
		t.Errorf("%d entries and %d pieces of evidence, want %d and %d", entries, shown, times+1, times)
	}
}

// TestARestartFloodsNobody is ThingsBoard #13715: a desk that starts anew is given
// again what there is, and does nothing.
func TestARestartFloodsNobody(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	var all []telemetry.Finding
	for i := range 30 {
		f := finding(telemetry.Firing, noon)
		f.Scope.Name, f.Site = fmt.Sprintf("FC-%d", i), fmt.Sprintf("site-%d", i)
		all = append(all, f)
	}
	count := func() (n int) {
		for _, events := range store.events {
			n += len(events)
		}
		return n
	}
	for restart := range 3 {
		d := NewDesk(store, Config{GroupWait: 30 * time.Second, StormLimit: 10}, nil, nil)
		if err := d.Receive(ctx, all); err != nil {
			t.Fatal(err)
		}
		must[int](t)(d.Tick(ctx, noon.Add(time.Minute)))
		if restart > 0 && count() != 31 {
			t.Errorf("restart %d: %d events, want one for each of 30 and the overflow", restart, count())
		}
	}
}

// TestTwoGesturesToTheSupplierEndInTheSamePlace holds for a vendor what a rule has
// found, and escalates what a person told: both have a case, whose clock runs with
// the supplier's agreement, as the client's does, and the desk stays their owner.
func TestTwoGesturesToTheSupplierEndInTheSamePlace(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "paris", Category: "user_report/device", Channel: ByPhone}, ana, noon))
	for _, ref := range []string{"INC-000001", "INC-000002"} {
		does(t, d, ref, Request{Transition: Take}, ana, noon)
	}
	does(t, d, "INC-000001", Request{Transition: Hold, Reason: "vendor", Supplier: "Xovis", Reference: "X-1", Text: "they look at it", Until: noon.Add(90 * time.Hour)}, ana, noon)
	does(t, d, "INC-000002", Request{Transition: Escalate, Reason: "broken", Override: "on the telephone"}, mona, noon)
	does(t, d, "INC-000002", Request{Transition: Escalate, Reason: "broken", Supplier: "Xovis", Reference: "X-1"}, bob, noon)
	for _, ref := range []string{"INC-000001", "INC-000002"} {
		inc := store.rows[ref]
		if want := (VendorCase{Supplier: "Xovis", Reference: "X-1", OpenedAt: noon}); inc.Vendor != want || inc.Assignee != "ana" || inc.Team == "" {
			t.Errorf("%s: %+v, of %s, for %q", ref, inc.Vendor, inc.Assignee, inc.Team)
		}
		if vendor, client := clockOf(t, inc, "vendor"), clockOf(t, inc, "resolve"); !vendor.Running() || vendor.Kind != UC || !client.Running() {
			t.Errorf("%s: the supplier's clock runs: %v (%s), the client's: %v", ref, vendor.Running(), vendor.Kind, client.Running())
		}
	}
	for _, level := range []string{"level-1", "level-2"} { // the level begins when the incident comes to it, and ends when it goes on
		if k := clockOf(t, store.rows["INC-000002"], level); k.Running() || k.Kind != OLA || len(k.Segments) != 1 {
			t.Errorf("%s: %+v", level, k.Segments)
		}
	}
}

// TestWhoMayWhat holds the table of people, cell by cell.
func TestWhoMayWhat(t *testing.T) {
	// in the order of: site manager, first line, second line, third line, manager, NOC, device
	roles := []Role{SiteManager, FirstLine, SecondLine, ThirdLine, Manager, NOC, DeviceRole}
	table := map[string][]Transition{
		"yyyyy--": {Report, Comment},
		"yyy----": {Reply},
		"-yyyy--": {Qualify, Take, Assign, Ask, Hold, Wake, Withdraw, Resolve},
		"-yy-y--": {Escalate, Close, Merge, Cancel, Major},
		"--yyy--": {Return},
		"yy-----": {Approve, Reject, Rate},
		"-------": {Open, Repeat, Observe, AutoResolve, Reopen, Supersede, Remind, Expire, Chase, Absorb, Elapse, HoldBack, Release, Adopt, Detach, Calm, Summarise, NoNews},
	}
	cells := 0
	for row, names := range table {
		for _, name := range names {
			m := moveOf(name)
			for i, role := range roles {
				cells++
				if got := m.mayBe(Actor{Name: "x", Role: role, Source: ByAPI}); got != (row[i] == 'y') {
					t.Errorf("%s may %s: %v", role, name, got)
				}
			}
			if got := m.mayBe(Actor{Role: Admin, Source: ByAPI}); got != (row != "-------") {
				t.Errorf("an administrator may %s: %v", name, got)
			}
		}
	}
	if want := len(moves) * len(roles); cells != want {
		t.Errorf("the table has %d cells, the life cycle %d", cells, want)
	}
	_, _, err := Apply(in(New), Request{Transition: Escalate, Reason: "now!"}, carl, noon)
	var forbidden *ForbiddenError
	if !errors.As(err, &forbidden) || forbidden.Code != "end-user-cannot-escalate" {
		t.Errorf("an end user escalates: %v", err)
	}
}

// TestACalendarThatNeverOpensPromisesNothing has hours, and a holiday on each day of
// them: nothing is ever due, and nothing waits for it for ever.
func TestACalendarThatNeverOpensPromisesNothing(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	shut := Calendar{ID: "office", Zone: "UTC", Hours: map[string]string{"mon-sun": "09:00-17:00"}}
	for day := time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() == 2028; day = day.AddDate(0, 0, 1) { // a leap year
		shut.Holidays = append(shut.Holidays, day.Format("01-02"))
	}
	if err := lay(t, d, CalendarDocument, "office", shut, Expected{}); err != nil {
		t.Fatal(err)
	}
	client := Agreement{ID: "client", Kind: SLA, Calendar: "office", Targets: map[int]Targets{3: {Respond: 1, Resolve: 2, Update: 1}}}
	if err := lay(t, d, AgreementDocument, "client", client, Expected{}); err != nil {
		t.Fatal(err)
	}
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "paris", Urgency: UrgencyMedium}, carl, noon))
	n := must[int](t)(d.Tick(ctx, noon.AddDate(5, 0, 0)))
	k := clockOf(t, store.rows["INC-000001"], "resolve")
	if n != 0 || !k.Running() || !k.Due.IsZero() || len(k.Passed) > 0 || k.Consumed(must[*Book](t)(d.readBook(ctx)), noon.AddDate(5, 0, 0)) != 0 {
		t.Errorf("%d things were done; the clock is %+v", n, k)
	}
	does(t, d, "INC-000001", Request{Transition: Resolve, Code: "fixed", Cause: "power", Summary: "fuse", Item: "paris"}, ana, noon)
	if n := must[int](t)(d.Tick(ctx, noon.AddDate(5, 0, 0))); n != 0 {
		t.Errorf("approval was asked for on a day that never comes: %d", n)
	}
}
