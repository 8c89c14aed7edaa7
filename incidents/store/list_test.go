package store

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"belfry/incidents"
	"belfry/telemetry"
)

// worked fills a database with incidents of several sites, categories and rules,
// some of which people have taken, held or resolved.
func worked(t *testing.T, s *Tickets, n int) {
	t.Helper()
	ctx, random := context.Background(), rand.New(rand.NewPCG(1, 2))
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	list := findings(telemetry.Firing, n, noon)
	for i := range list {
		list[i].Site, list[i].Category = fmt.Sprint("site-", random.IntN(5)), []string{"suspected_offline", "data_gap", "clock_skew"}[random.IntN(3)]
		list[i].Rule += []string{"", "-2"}[random.IntN(2)]
		list[i].At = noon.Add(time.Duration(i) * time.Second)
	}
	if err := desk.Receive(ctx, list); err != nil {
		t.Fatal(err)
	}
	for _, i := range random.Perm(n)[:n/2] {
		actor := incidents.Actor{Name: fmt.Sprint("p", random.IntN(3)), Role: incidents.FirstLine, Source: incidents.ByAPI}
		at := noon.Add(time.Hour + time.Duration(random.IntN(10_000))*time.Second)
		ref := refOf(int64(1 + i))
		for _, req := range []incidents.Request{{Transition: incidents.Take}, {Transition: incidents.Hold, Reason: []string{"scheduled", "vendor"}[random.IntN(2)], Supplier: fmt.Sprint("s", random.IntN(2)), Text: "x", Until: at.Add(time.Hour)}}[:1+random.IntN(2)] {
			if _, err := desk.Transition(ctx, ref, req, actor, at); err != nil {
				t.Fatal(ref, req.Transition, err)
			}
		}
	}
}

// asked draws a query; each filter is asked for now and then.
func asked(random *rand.Rand, n int) (q incidents.Query) {
	some := func(set func(), one int) {
		if random.IntN(one) == 0 {
			set()
		}
	}
	some(func() { q.Site = fmt.Sprint("site-", random.IntN(6)) }, 4)
	some(func() { q.Assignee = fmt.Sprint("p", random.IntN(4)) }, 4)
	some(func() { q.Supplier = fmt.Sprint("s", random.IntN(3)) }, 6)
	some(func() { q.Category = []string{"suspected_offline", "data_gap", "nothing"}[random.IntN(3)] }, 4)
	some(func() {
		q.State = []incidents.State{incidents.New, incidents.InProgress, incidents.Pending, incidents.Closed}[random.IntN(4)]
	}, 3)
	some(func() { q.Priority = 1 + random.IntN(4) }, 5)
	some(func() { q.Level = 1 + random.IntN(2) }, 6)
	some(func() { q.Clock = incidents.ClockStates[random.IntN(len(incidents.ClockStates))] }, 5)
	some(func() { q.Condition = telemetry.Firing }, 8)
	some(func() { q.Rule = "suspected-offline-2" }, 8)
	some(func() { q.UpdatedSince = noon.Add(time.Duration(random.IntN(12_000)) * time.Second) }, 4)
	some(func() { q.Before = refOf(int64(random.IntN(n + 2))) }, 4)
	some(func() { q.Q = []string{"silent", "fc 0000", "nowhere"}[random.IntN(3)] }, 6)
	q.Limit = 1 + random.IntN(30)
	return q
}

// lets says plainly what a query asks for.
func lets(q incidents.Query, inc *incidents.Incident) bool {
	id, _ := idOf(inc.Ref)
	before, ok := idOf(q.Before)
	for _, pair := range [][2]string{{q.Site, inc.Site}, {q.Assignee, inc.Assignee}, {q.Supplier, inc.With()}, {q.Category, inc.Category}, {string(q.State), string(inc.State)},
		{q.Clock, inc.ClockState()}, {string(q.Condition), string(inc.Condition)}, {q.Rule, inc.Rule}} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	words := spaced(inc.Summary)
	for _, phrase := range phrases(q.Q) {
		if !strings.Contains(words, " "+strings.Join(phrase, " ")) {
			return false
		}
	}
	return (q.Priority == 0 || q.Priority == inc.Priority) && (q.Level == 0 || q.Level == inc.Level) && !inc.UpdatedAt.Before(q.UpdatedSince) && (!ok || id < before)
}

func testEveryWayToAListFindsTheSame(t *testing.T, open opener) {
	const n = 400
	s, ctx, random := open(t), context.Background(), rand.New(rand.NewPCG(3, 4))
	worked(t, s, n)
	all, found := holds(t, s), 0
	for i := range 600 {
		q := asked(random, n)
		if i == 200 || i == 400 { // half of the incidents are in the index of texts, then all
			err := s.Update(ctx, func(tx incidents.Tx) error { _, err := tx.Index(n / 2); return err })
			if err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for i := range all {
			if lets(q, &all[i]) && len(want) < q.Limit {
				want = append(want, all[i].Ref)
			}
		}
		found += len(want)
		ways := map[string]func() ([]incidents.Incident, error){"as it is asked for": func() ([]incidents.Incident, error) { return s.Incidents(ctx, q) }}
		if q.Q == "" {
			for _, by := range []way{0, bySort, byChange} {
				ways[fmt.Sprint("way ", by)] = func() ([]incidents.Incident, error) { return s.listed(ctx, s.conditions(q, by), q.Limit) }
			}
			if q.Site == "" && q.Assignee == "" && q.Supplier == "" && q.UpdatedSince.IsZero() {
				ways["sorts"] = func() ([]incidents.Incident, error) { query, args := s.merged(q); return s.page(ctx, query, args) }
			}
		}
		for name, way := range ways {
			list, err := way()
			var got []string
			for i := range list {
				got = append(got, list[i].Ref)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("%+v, %s: %v, %v; want %v", q, name, got, err, want)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d rows were found in all", found)
	}
}

// TestOlderTicketsMoveOn makes databases as they were before there were sorts, with two
// incidents in them, of which one is open, and opens them.
func TestOlderTicketsMoveOn(t *testing.T) {
	ctx := context.Background()
	t.Run("SQLite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tickets.db")
		db := &database{dialect: sqlite, path: path}
		if err := db.connect(); err != nil {
			t.Fatal(err)
		}
		olderTickets(t, db)
		testOlderTickets(t, reopen(t, path))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		server := startPostgres(t)
		server.create(t, "older")
		config, err := pgx.ParseConfig(server.source("older"))
		if err != nil {
			t.Fatal(err)
		}
		db := &database{dialect: postgres}
		db.write = newPool(stdlib.OpenDB(*config), db, 1)
		olderTickets(t, db)
		s, err := OpenPostgres(ctx, server.source("older"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		testOlderTickets(t, s)
	})
}

// olderTickets brings a database to the schema before 00220, fills it and closes it.
func olderTickets(t *testing.T, db *database) {
	t.Helper()
	ctx, old := context.Background(), fstest.MapFS{}
	all, err := fs.Glob(migrations, "migrations/"+db.name+"/tickets/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if data, err := fs.ReadFile(migrations, name); err != nil {
			t.Fatal(err)
		} else if base := name[strings.LastIndex(name, "/")+1:]; base < "00220" {
			old[base] = &fstest.MapFile{Data: data}
		}
	}
	provider, err := goose.NewProvider(db.goose, db.write.DB, old)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	for id, state := range []string{"new", "closed"} {
		_, err := db.write.ExecContext(ctx, fmt.Sprintf(`INSERT INTO incidents (id, key, open_key, version, state, condition, category, site, device, rule, assignee, level, priority, updated_at, words, data)
			VALUES (%d, 'k', %s, 1, '%s', 'none', 'other', 'paris', '', 'r', '', 1, 2, 0, '', '{"ref":"%s","key":"k","version":1,"state":"%[3]s"}')`,
			2-id, []string{"'k'", "NULL"}[id], state, refOf(int64(2-id))))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func testOlderTickets(t *testing.T, s *Tickets) {
	t.Helper()
	ctx := context.Background()
	for _, q := range []incidents.Query{{State: incidents.Closed, Limit: 5}, {State: incidents.Closed, Site: "paris", Category: "other", Limit: 5}} {
		if list, err := s.Incidents(ctx, q); err != nil || len(list) != 1 || list[0].Ref != "INC-000001" {
			t.Errorf("%+v: got %v, %v; want INC-000001", q, list, err)
		}
	}
	tally, err := s.Tally(ctx)
	if err != nil || len(tally) != 2 || tally[0].Count != 1 || tally[1].Count != 1 {
		t.Errorf("tallied %v, %v; want one of each state", tally, err)
	}
	err = s.Update(ctx, func(tx incidents.Tx) error {
		latest, err := tx.Latest([]string{"k"})
		if err != nil || latest["k"].Ref != "INC-000002" {
			t.Errorf("the newest of the key is %v, %v; want INC-000002", latest["k"].Ref, err)
		}
		firing, err := tx.Firing("r", "paris")
		if err != nil || len(firing) != 1 || firing[0].Ref != "INC-000002" {
			t.Errorf("open at the site are %v, %v; want INC-000002", firing, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
