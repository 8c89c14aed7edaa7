package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

func openTickets(t testing.TB) *Tickets {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "a folder #1%", "tickets.db"))
}

func reopen(t testing.TB, path string) *Tickets {
	t.Helper()
	if err := makeFolder(path); err != nil {
		t.Fatal(err)
	}
	tickets, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tickets.Close(); err != nil {
			t.Error(err)
		}
	})
	return tickets
}

func finding(c telemetry.Condition, device int, at time.Time) telemetry.Finding {
	name := fmt.Sprintf("FC-%06d", device)
	value, threshold := 80.0, 72.0
	return telemetry.Finding{
		Rule: "suspected-offline", RuleHash: "h1", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: name},
		Site: fmt.Sprintf("site-%04d", device/100), Condition: c, At: at, Since: at, Value: &value, Threshold: &threshold,
		Category: "suspected_offline", Impact: "device", Urgency: "high", Summary: name + " has been silent for 80 h",
		Evidence: []telemetry.Evidence{{At: at, What: "silence()", Value: &value}},
	}
}

func findings(c telemetry.Condition, n int, at time.Time) []telemetry.Finding {
	out := make([]telemetry.Finding, n)
	for i := range out {
		out[i] = finding(c, i, at)
	}
	return out
}

// holds checks the invariants over everything in the database: the rows equal
// the replay of their events, no key is open twice, the references have neither
// gaps nor repeats, and the tallies are the counts. It returns the incidents.
func holds(t testing.TB, s *Tickets) []incidents.Incident {
	t.Helper()
	ctx := context.Background()
	list, err := s.Incidents(ctx, incidents.Query{Limit: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	counts, open := map[incidents.Tally]int64{}, map[string]string{}
	for i, inc := range list {
		if want := refOf(int64(len(list) - i)); inc.Ref != want {
			t.Fatalf("got %s in place of %s", inc.Ref, want)
		}
		if other, twice := open[inc.OpenKey]; inc.OpenKey != "" && twice {
			t.Fatalf("%s and %s are open for the same key", inc.Ref, other)
		}
		open[inc.OpenKey] = inc.Ref
		counts[incidents.Tally{Category: inc.Category, State: inc.State, Level: inc.Level, Priority: inc.Priority}]++
		events, err := s.Events(ctx, inc.Ref, 0, 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		replayed, err := incidents.Replay(events)
		if diff := cmp.Diff(inc, replayed); err != nil || diff != "" {
			t.Fatalf("%s: %v (-row +replay)\n%s", inc.Ref, err, diff)
		}
	}
	tally, err := s.Tally(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tally {
		k := n
		k.Count = 0
		if counts[k] != n.Count {
			t.Errorf("tally %+v; counted %d", n, counts[k])
		}
		delete(counts, k)
	}
	if len(counts) > 0 {
		t.Errorf("not tallied: %v", counts)
	}
	return list
}

func TestALifeSurvivesReopening(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "tickets.db"), context.Background()
	s, err := Open(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	ana := incidents.Actor{Name: "ana", Role: incidents.FirstLine, Source: incidents.ByAPI, Request: "r1"}
	for hour, c := range []telemetry.Condition{"firing", "clear", "firing", "unknown", "firing"} {
		if err := desk.Receive(ctx, findings(c, 150, noon.Add(time.Duration(hour)*time.Hour))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := desk.Transition(ctx, "INC-000007", incidents.Request{Transition: incidents.Take}, ana, noon.Add(9*time.Hour)); err != nil {
		t.Fatal(err)
	}
	force := incidents.Request{Transition: incidents.Resolve, Code: "fixed", Cause: "cabling",
		Summary: "new cable", Item: "FC-000006", Force: true, Reason: "new cable"}
	if _, err := desk.Transition(ctx, "INC-000007", force, ana, noon.Add(10*time.Hour)); err != nil {
		t.Fatal(err)
	}
	before := holds(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, holds(t, reopen(t, path))); diff != "" {
		t.Errorf("(-before +after)\n%s", diff)
	}
	if got := before[150-7]; got.State != incidents.Resolved || !got.Muted || got.Occurrences != 3 {
		t.Errorf("got %+v", got)
	}
}

func testManyAnalyzersOpenOneIncidentForEachKey(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
			for hour, c := range []telemetry.Condition{"firing", "clear", "firing"} {
				if err := desk.Receive(ctx, findings(c, 40, noon.Add(time.Duration(hour)*time.Hour))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list := holds(t, s)
	if len(list) != 40 {
		t.Fatalf("%d incidents for 40 keys", len(list))
	}
	for _, inc := range list {
		if inc.Occurrences != 2 || inc.State != incidents.New {
			t.Errorf("%s is %s with %d occurrences, want new with 2", inc.Ref, inc.State, inc.Occurrences)
		}
	}
}

func testOfTwoWhoTakeAtOnceOneIsTold(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 1, noon)); err != nil {
		t.Fatal(err)
	}
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			actor := incidents.Actor{Name: fmt.Sprint("p", i), Role: incidents.FirstLine, Source: incidents.ByAPI}
			_, errs[i] = desk.Transition(ctx, "INC-000001", incidents.Request{Transition: incidents.Take, Version: 1}, actor, noon)
		})
	}
	wg.Wait()
	stale := 0
	for _, err := range errs {
		if errors.Is(err, incidents.ErrStale) {
			stale++
		}
	}
	if stale != 7 {
		t.Errorf("%d of 8 were told that they are late, want 7: %v", stale, errs)
	}
	holds(t, s)
}

func testAReferenceThatWasNotUsedIsNotLost(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	boom := errors.New("boom")
	err := s.Update(ctx, func(tx incidents.Tx) error {
		if next, err := tx.Refs(); err != nil || next() != "INC-000001" {
			t.Errorf("it is not INC-000001, %v", err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 2, noon)); err != nil {
		t.Fatal(err)
	}
	if list := holds(t, s); len(list) != 2 {
		t.Errorf("%d incidents, want 2", len(list))
	}
}

func testASupersededIncidentGivesItsKeyAway(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	batch := append(findings(telemetry.Firing, 3, noon), findings(telemetry.Clear, 3, noon.Add(time.Hour))...)
	batch = append(batch, findings(telemetry.Firing, 3, noon.Add(100*time.Hour))...)
	if err := desk.Receive(ctx, batch); err != nil {
		t.Fatal(err)
	}
	list := holds(t, s)
	if len(list) != 6 || list[0].RecurrenceOf != "INC-000003" || list[5].OpenKey != "" {
		t.Errorf("got %d incidents, the newest after %q", len(list), list[0].RecurrenceOf)
	}
}

func testTheTimerFindsWhatHasRecovered(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := incidents.NewDesk(s, incidents.Config{StableFor: time.Hour}, nil, nil)
	if err := desk.Receive(ctx, append(findings(telemetry.Firing, 1200, noon), findings(telemetry.Clear, 1100, noon.Add(time.Minute))...)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{time.Minute, 0}, {61 * time.Minute, 1100}, {62 * time.Minute, 0}} {
		if got, err := desk.Tick(ctx, noon.Add(tt.after)); got != tt.want || err != nil {
			t.Errorf("after %v: got %d, %v; want %d", tt.after, got, err, tt.want)
		}
	}
	holds(t, s)
}

func testRegistry(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	sites := []telemetry.Site{{ID: "paris", Zone: "Europe/Paris"}}
	devices := []telemetry.Device{{Name: "a", Site: "paris", Labels: map[string]string{"floor": "1"}, InServiceSince: noon}, {Name: "b"}}
	if err := s.Import(ctx, sites, devices); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Revision(ctx)
	if err := s.Import(ctx, sites, devices); err != nil {
		t.Fatal(err)
	}
	if changed, err := s.DevicesSince(ctx, before, 10); len(changed) != 0 || err != nil {
		t.Errorf("importing the same again changed %v, %v", changed, err)
	}
	devices[0].Status = telemetry.DeviceRetired
	if err := s.PutDevices(ctx, devices); err != nil {
		t.Fatal(err)
	}
	changed, err := s.DevicesSince(ctx, before, 10)
	if err != nil || len(changed) != 1 || changed[0].Version != 2 || changed[0].Status != telemetry.DeviceRetired {
		t.Errorf("got %+v, %v; want one change, to version 2", changed, err)
	}
	if diff := cmp.Diff(devices[0], changed[0].Device); diff != "" {
		t.Errorf("(-put +read)\n%s", diff)
	}
	if sites, err := s.SitesSince(ctx, 0, 10); len(sites) != 2 || err != nil {
		t.Errorf("got %d sites, %v; want paris and unassigned", len(sites), err)
	}
}

func testDevicesRegisterThemselvesOnce(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	if err := s.Import(ctx, []telemetry.Site{{ID: "paris"}}, []telemetry.Device{{Name: "b", Site: "paris"}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0} {
		added, err := s.RegisterDevices(ctx, []telemetry.Device{{Name: "a", ReadingEvery: 3600, InServiceSince: noon.Add(time.Duration(i) * time.Hour)}, {Name: "b", InServiceSince: noon}})
		if added != want || err != nil {
			t.Errorf("time %d: added %d, %v; want %d", i+1, added, err, want)
		}
	}
	a, err := s.Device(ctx, "a")
	if err != nil || a.Site != telemetry.Unassigned || !a.SelfRegistered || !a.InServiceSince.Equal(noon) || a.ReadingEvery != 3600 {
		t.Errorf("got %+v, %v", a, err)
	}
	if b, err := s.Device(ctx, "b"); err != nil || b.Site != "paris" {
		t.Errorf("a known device became %+v, %v", b, err)
	}
}

func testStates(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	var states analyzer.States = s.States()
	if list, p, err := states.Load(ctx); len(list) != 0 || !p.At.IsZero() || err != nil {
		t.Errorf("at first: %v, %v, %v", list, p, err)
	}
	value := 3.5
	want := []analyzer.State{
		{Rule: "r", RuleHash: "h", Scope: telemetry.Scope{Level: "device", Name: "a"}, Phase: analyzer.InFire, Since: noon, At: noon.Add(time.Nanosecond), Value: &value},
		{Rule: "r", RuleHash: "h", Scope: telemetry.Scope{Level: "device", Name: "b"}, Phase: analyzer.Pending, Unknown: true, Since: noon, At: noon},
	}
	progress := analyzer.Progress{At: noon, Rules: map[string]time.Time{"r": noon}}
	if err := states.Save(ctx, want, analyzer.Progress{}); err != nil {
		t.Fatal(err)
	}
	gone := want[1]
	gone.Phase = analyzer.Inactive
	want[0].Phase, want[0].Calm = analyzer.Recovering, noon
	if err := states.Save(ctx, []analyzer.State{want[0], gone}, progress); err != nil {
		t.Fatal(err)
	}
	got, p, err := states.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[:1], got) + cmp.Diff(progress, p); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	testSpells(t, states, want[0])
}

// testSpells ends what fired: it is a spell then, until half a year later.
func testSpells(t *testing.T, states analyzer.States, s analyzer.State) {
	ctx := context.Background()
	s.Began, s.Fired, s.Calm, s.At, s.Phase = noon.Add(-time.Hour), noon.Add(time.Minute), noon.Add(2*time.Hour), noon.Add(3*time.Hour), analyzer.Inactive
	if err := states.Save(ctx, []analyzer.State{s, s}, analyzer.Progress{}); err != nil {
		t.Fatal(err)
	}
	want := []analyzer.Spell{{Rule: s.Rule, Scope: s.Scope, Began: s.Began, Fired: s.Fired, Ended: s.Calm}}
	got, err := states.Spells(ctx, time.Time{})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	if got, err := states.Spells(ctx, noon.Add(3*time.Hour)); len(got) != 0 || err != nil {
		t.Errorf("since after its end: %v, %v", got, err)
	}
	s.Fired, s.Calm, s.At = noon.AddDate(1, 0, 0), time.Time{}, noon.AddDate(1, 0, 1)
	if err := states.Save(ctx, []analyzer.State{s}, analyzer.Progress{}); err != nil {
		t.Fatal(err)
	}
	if got, err := states.Spells(ctx, time.Time{}); len(got) != 1 || err != nil {
		t.Errorf("a year later: %v, %v; want the new one alone", got, err)
	}
}

func TestTokens(t *testing.T) {
	path, ctx := filepath.Join(t.TempDir(), "control.db"), context.Background()
	c, err := OpenControl(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	token, secret, err := c.CreateToken(ctx, incidents.Token{Name: "ana", Role: incidents.FirstLine, Tenant: "default", ExpiresAt: noon.Add(time.Hour)}, noon)
	if err != nil || !strings.HasPrefix(secret, "bf_"+token.ID+"_") || len(token.ID) != 8 {
		t.Fatalf("got %+v, %q, %v", token, secret, err)
	}
	if got, err := c.Authenticate(ctx, secret, noon); err != nil || got.Name != "ana" || got.Role != incidents.FirstLine {
		t.Errorf("got %+v, %v", got, err)
	}
	last := byte('a')
	if secret[len(secret)-1] == 'a' {
		last = 'b'
	}
	for name, text := range map[string]string{"empty": "", "no prefix": secret[3:], "cut": secret[:20],
		"another end": secret[:len(secret)-1] + string(last), "another id": "bf_aaaaaaaa" + secret[11:]} {
		if _, err := c.Authenticate(ctx, text, noon); !errors.Is(err, incidents.ErrNotFound) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := c.Authenticate(ctx, secret, noon.Add(time.Hour)); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("expired: got %v", err)
	}
	if err := c.RevokeToken(ctx, "other", token.ID, noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("another tenant revokes it: %v", err)
	}
	if err := c.RevokeToken(ctx, "default", token.ID, noon); err != nil {
		t.Error(err)
	}
	if _, err := c.Authenticate(ctx, secret, noon); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("revoked: got %v", err)
	}
	if _, _, err := c.CreateToken(ctx, incidents.Token{Name: "x", Role: "king"}, noon); err == nil {
		t.Error("a role that does not exist: no error")
	}
	if list, err := c.Tokens(ctx, "default"); len(list) != 1 || list[0].RevokedAt.IsZero() || err != nil {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestAFileThatIsNoDatabaseIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tickets.db")
	if err := writeFile(path, "this is no database, and longer than a header of one hundred bytes "+strings.Repeat("x", 100)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}

func TestListsUseTheRightIndex(t *testing.T) {
	s, ctx := openTickets(t), context.Background()
	for _, c := range []struct {
		index string
		by    way
		q     incidents.Query
	}{
		{"COVERING INDEX incidents_site (site=? AND id<?)", 0, incidents.Query{Site: "x", State: incidents.New, Category: "c", Priority: 1, Level: 1, Before: "INC-000100"}},
		{"COVERING INDEX incidents_assignee (assignee=?)", 0, incidents.Query{Assignee: "x", State: incidents.New, Clock: "ok"}},
		{"incidents_device", 0, incidents.Query{Device: "x", State: incidents.New}},
		{"incidents_parent", 0, incidents.Query{Parent: "INC-000001", State: incidents.New}},
		{"incidents_reporter", 0, incidents.Query{Reporter: "x", State: incidents.New}},
		{"incidents_sort (sort=?)", bySort, incidents.Query{Assignee: "x", State: incidents.New}},
		{"COVERING INDEX incidents_sort (sort=?)", bySort, incidents.Query{UpdatedSince: noon, State: incidents.New}},
		{"COVERING INDEX incidents_updated (updated_at>?)", byChange, incidents.Query{UpdatedSince: noon, State: incidents.New}},
		{"incidents_updated (updated_at>?)", byChange, incidents.Query{UpdatedSince: noon, Site: "x", Assignee: "x"}},
	} {
		f := sqlite.conditions(c.q, c.by)
		plan := explain(ctx, t, s, "SELECT id FROM incidents"+f.where()+" ORDER BY "+f.id+" DESC LIMIT 50", f.args...)
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "TEMP B-TREE") && c.by == 0 {
			t.Errorf("want %s: %s", c.index, plan)
		}
	}
	query, args := sqlite.merged(incidents.Query{State: incidents.New, Before: "INC-000100", Limit: 50})
	if plan := explain(ctx, t, s, query, args...); strings.Count(plan, "COVERING INDEX incidents_sort (sort=? AND id<?)") != 2 {
		t.Errorf("of some sorts: %s", plan)
	}
	plan := explain(ctx, t, s, "SELECT MAX(id) FROM incidents WHERE key <> '' AND key IN (?,?) GROUP BY key", "x", "y")
	if !strings.Contains(plan, "incidents_key") {
		t.Errorf("by key: %s", plan)
	}
	plan = explain(ctx, t, s, "SELECT id FROM incidents WHERE site = ? AND open = 1 AND sort IN (SELECT id FROM sorts WHERE rule = ?)", "x", "y")
	if !strings.Contains(plan, "incidents_place (site=? AND sort=?)") {
		t.Errorf("of a rule at a site: %s", plan)
	}
}

func explain(ctx context.Context, t *testing.T, s *Tickets, query string, args ...any) string {
	t.Helper()
	rows, err := s.read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, step)
	}
	slices.Sort(plan)
	return strings.Join(plan, "; ")
}

// testTheDatabaseRefusesASecondOpenOne writes the like of an incident past the desk: open
// under a key that is held, open under one that was given up, and closed.
func testTheDatabaseRefusesASecondOpenOne(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	if err := incidents.NewDesk(s, incidents.Config{}, nil, nil).Receive(ctx, findings(telemetry.Firing, 1, noon)); err != nil {
		t.Fatal(err)
	}
	again := func(id, open int) error {
		_, err := s.write.ExecContext(ctx, fmt.Sprintf(`INSERT INTO incidents (id, key, open, sort, updated_at, opened_at, words, site, device, assignee, reporter, supplier)
			SELECT %d, key, %d, sort, updated_at, opened_at, words, site, device, assignee, reporter, supplier FROM incidents WHERE id = 1`, id, open))
		return err
	}
	if err := again(2, 1); err == nil {
		t.Error("a key is open twice")
	}
	for id := 3; id < 5; id++ {
		if err := again(id, 0); err != nil {
			t.Errorf("a closed one beside an open one: %v", err)
		}
	}
	if _, err := s.write.ExecContext(ctx, "UPDATE incidents SET open = 1 WHERE id = 3"); err == nil {
		t.Error("a key is open twice by a change")
	}
	if _, err := s.write.ExecContext(ctx, "UPDATE incidents SET open = 0 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(ctx, "UPDATE incidents SET open = 1 WHERE id = 3"); err != nil {
		t.Errorf("open again once the key is free: %v", err)
	}
}

func BenchmarkReceive(b *testing.B) {
	ctx := context.Background()
	for b.Loop() {
		b.StopTimer()
		s := openTickets(b)
		desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
		batch := findings(telemetry.Firing, 20_000, noon)
		b.StartTimer()
		if err := desk.Receive(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(20_000*float64(b.N)/b.Elapsed().Seconds(), "findings/s")
}

func BenchmarkTake(b *testing.B) {
	ctx, s := context.Background(), openTickets(b)
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 1, noon)); err != nil {
		b.Fatal(err)
	}
	for n := 0; b.Loop(); n++ {
		actor := incidents.Actor{Name: fmt.Sprint("p", n), Role: incidents.FirstLine, Source: incidents.ByAPI}
		if _, err := desk.Transition(ctx, "INC-000001", incidents.Request{Transition: incidents.Take}, actor, noon); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}

func BenchmarkPutDevices(b *testing.B) {
	ctx := context.Background()
	devices := make([]telemetry.Device, 100_000)
	for i := range devices {
		devices[i] = telemetry.Device{Name: fmt.Sprintf("FC-%06d", i), Site: fmt.Sprintf("site-%04d", i/100), HeartbeatEvery: 900,
			Labels: map[string]string{"model": "m1"}, InServiceSince: noon}
	}
	sites := make([]telemetry.Site, 1000)
	for i := range sites {
		sites[i] = telemetry.Site{ID: fmt.Sprintf("site-%04d", i), Zone: "Europe/Paris"}
	}
	for b.Loop() {
		b.StopTimer()
		s := openTickets(b)
		b.StartTimer()
		if err := s.Import(ctx, sites, devices); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "devices/s")
}
