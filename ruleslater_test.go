package main

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

	"belfry/analyzer/catalogue"
	"belfry/api"
	"belfry/incidents"
	"belfry/incidents/store"
)

// laterBook is a rule book over a ticket store of its own, where nobody chose rules.
func laterBook(t *testing.T, tickets *store.Tickets) *ruleBook {
	t.Helper()
	b := &ruleBook{base: catalogue.Defaults(), later: catalogue.Later(), tickets: tickets, revision: -1}
	if _, err := b.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestRulesThatNeedHistoryRunByThemselvesAfterFourWeeks goes through the weeks of a
// fleet whose first counts came on the first of June, in a time of the test's own.
func TestRulesThatNeedHistoryRunByThemselvesAfterFourWeeks(t *testing.T) {
	ctx := t.Context()
	tickets, err := store.Open(ctx, filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer tickets.Close()
	june := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	first := func(_ context.Context, since time.Time) (time.Time, error) {
		if june.Before(since) {
			return since, nil
		}
		return june, nil
	}
	book := laterBook(t, tickets)
	running := func(b *ruleBook) (names []string) {
		t.Helper()
		set, err := b.current(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range catalogue.Later() {
			if set.Rule(catalogue.NameOf(f)) != nil {
				names = append(names, catalogue.NameOf(f))
			}
		}
		return names
	}
	ripen := func(b *ruleBook, at time.Time, first firstCount, want ...string) {
		t.Helper()
		if begun, err := b.ripen(ctx, at, first); err != nil || !slices.Equal(begun, want) {
			t.Errorf("on %s begin %v, %v; want %v", at.Format(time.DateTime), begun, err, want)
		}
	}
	ripen(book, june.AddDate(1, 0, 0), func(context.Context, time.Time) (time.Time, error) { return time.Time{}, nil }) // no counts at all
	ripen(book, june.AddDate(0, 0, 28).Add(-time.Second), first)
	if got := running(book); len(got) != 0 {
		t.Errorf("after less than four weeks run %v", got)
	}

	// Who does not want one says so before, and who wants one with another limit too.
	if _, err := book.put(ctx, api.RuleChange{Name: "peer-outlier", Drop: true, Actor: "eva", At: june}); err != nil {
		t.Fatalf("drop a rule that waits: %v", err)
	}
	own := "rules:\n  - { name: drop, scope: device, when: drop() > 3, every: 1h, category: unusual_low }\n"
	if _, err := book.put(ctx, api.RuleChange{Name: "drop", Text: own, Actor: "eva", At: june}); err != nil {
		t.Fatal(err)
	}
	if _, err := book.put(ctx, api.RuleChange{Name: "stuck", Drop: true, Actor: "eva", At: june}); !errors.Is(err, incidents.ErrNotFound) {
		t.Errorf("a rule that neither runs nor waits was dropped: %v", err)
	}
	fourWeeks := june.AddDate(0, 0, 28)
	ripen(book, fourWeeks, first, "group-event", "level-shift", "spike")
	ripen(book, fourWeeks.Add(time.Minute), first)
	want := []string{"drop", "group-event", "level-shift", "spike"}
	if got := running(book); !slices.Equal(got, want) {
		t.Errorf("after four weeks run %v; want %v", got, want)
	}
	list, err := book.list(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if own := r.Name == "drop"; slices.Contains(want, r.Name) && (own != (r.Actor == "eva") || own != (r.Why == "") || r.Version != 1) {
			t.Errorf("%s: version %d by %s, why %q", r.Name, r.Version, r.Actor, r.Why)
		}
	}
	all, err := catalogued(list, []api.LaterRule{{Name: "peer-outlier", From: fourWeeks, Why: laterWhy}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"spike": "from 2026-06-29, after four weeks of history", "peer-outlier": "from 2026-06-29, after four weeks of history", "drop": "-", "runaway": "yes", "stuck": "no"} {
		if i := slices.IndexFunc(all, func(r listedRule) bool { return r.Name == name }); all[i].when() != want {
			t.Errorf("the list says of %s %q; want %q", name, all[i].when(), want)
		}
	}

	// Started again, after retention took what was there, they run on; and what a person
	// drops stays so.
	book = laterBook(t, tickets)
	ripen(book, fourWeeks.AddDate(1, 0, 0), first)
	if got := running(book); !slices.Equal(got, want) {
		t.Errorf("started again run %v; want %v", got, want)
	}
	if _, err := book.put(ctx, api.RuleChange{Name: "spike", Drop: true, Match: "*", Actor: "eva", At: fourWeeks}); err != nil {
		t.Fatal(err)
	}
	ripen(book, fourWeeks.AddDate(0, 0, 1), first)
	if got := running(book); slices.Contains(got, "spike") {
		t.Error("a rule that was dropped runs again by itself")
	}
	history, err := book.history(ctx, "spike")
	if err != nil || len(history) != 2 || !history[0].Dropped || history[1].Actor != laterActor || !strings.Contains(history[1].Text, "name: spike") {
		t.Errorf("its versions: %+v, %v", history, err)
	}

	// Where rules are chosen in the configuration, none runs by itself, whatever was before.
	chosen := &ruleBook{base: catalogue.Defaults(), tickets: tickets, revision: -1}
	ripen(chosen, fourWeeks, first)
	if got := running(chosen); !slices.Equal(got, []string{"drop"}) {
		t.Errorf("beside chosen rules run %v; want that which was written", got)
	}
}

// TestTheAnalyzersOfAFolderHaveOneName asks for it as several tenants do at the first start.
func TestTheAnalyzersOfAFolderHaveOneName(t *testing.T) {
	f := &folder{path: t.TempDir()}
	var names [8]string
	var asking sync.WaitGroup
	for i := range names {
		asking.Go(func() {
			var err error
			if names[i], err = f.holderName(); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	if slices.Sort(names[:]); names[0] == "" || names[0] != names[7] {
		t.Errorf("the folder is called %v", names)
	}
}

// TestRulesListSaysWhenMoreRulesRun looks at a fleet whose history begins, and then
// gets five weeks of it.
func TestRulesListSaysWhenMoreRulesRun(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := serve(t, data)
	now := time.Now().UTC()
	p.must(202, "POST", "/api/v1/telemetry", fmt.Sprintf(`{"device":"door","ts":%d,"in":3,"out":1}`, now.AddDate(0, 0, -2).UnixMilli()), nil)
	list := func() string { return mustCommand(t, "--data", data, "rules", "list") }
	listed := func(day time.Time) {
		t.Helper()
		if want, got := "from "+day.Format(time.DateOnly)+", after four weeks of history", list(); strings.Count(got, want) != 5 {
			t.Errorf("want five times %q in\n%s", want, got)
		}
	}
	var rules struct {
		Items []api.Rule
		Later []api.LaterRule
	}
	wait := func(from time.Time) bool {
		rules.Later = nil
		p.must(200, "GET", "/api/v1/rules", "", &rules)
		return len(rules.Later) == 5 && rules.Later[0].From.Equal(from.Truncate(24*time.Hour))
	}
	p.await(time.Minute, "the day from which on they will run", func() bool { return wait(now.AddDate(0, 0, 26)) })
	listed(now.AddDate(0, 0, 26))

	var lines strings.Builder
	for day := range 35 {
		fmt.Fprintf(&lines, "{\"device\":\"door\",\"ts\":%d,\"in\":3,\"out\":1}\n", now.AddDate(0, 0, -35+day).UnixMilli())
	}
	mustCommand(t, "--data", data, "replay", writeText(t, "weeks.ndjson", lines.String()))
	p.await(time.Minute, "five weeks of history", func() bool { return wait(now.AddDate(0, 0, -7)) || len(rules.Later) == 0 })
	p.stop() // it looks once a minute, and when it starts
	p = serve(t, data)
	p.await(time.Minute, "more rules to run", func() bool {
		rules.Items, rules.Later = nil, nil
		p.must(200, "GET", "/api/v1/rules", "", &rules)
		begun := slices.DeleteFunc(rules.Items, func(r api.Rule) bool { return r.Why != laterWhy })
		return len(begun) == 5 && len(rules.Later) == 0
	})
	var spike api.Rule
	p.must(200, "GET", "/api/v1/rules/spike", "", &spike)
	if spike.Version != 1 || spike.Actor != laterActor || spike.Why != laterWhy || spike.Source != "catalogue/spike.yaml" {
		t.Errorf("it runs as %+v", spike)
	}
	listed(spike.ChangedAt)
	p.stop()
}
