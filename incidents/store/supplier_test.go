package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"belfry/incidents"
)

func init() {
	suite["A supplier sees its own cases alone"] = testASupplierSeesItsOwnCasesAlone
	suite["Reports count what was given back at the level that it reached"] = testReportsByLevel
}

var (
	greta = incidents.Actor{Name: "greta", Role: incidents.Manager, Source: incidents.ByAPI}
	sven  = incidents.Actor{Name: "sven", Role: incidents.ThirdLine, Supplier: "Xovis", Source: incidents.ByAPI}
)

// passOn escalates an incident to the third level.
func passOn(t *testing.T, desk *incidents.Desk, ref, supplier string, at time.Time) {
	t.Helper()
	for range 2 {
		req := incidents.Request{Transition: incidents.Escalate, Reason: "x", Override: "y", Supplier: supplier}
		if _, err := desk.Transition(context.Background(), ref, req, greta, at); err != nil {
			t.Fatal(err)
		}
	}
}

func testASupplierSeesItsOwnCasesAlone(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "the lift is stuck", "the lift hums", "the lift smells", "the lift sings")
	do := func(ref string, actor incidents.Actor, req incidents.Request) {
		t.Helper()
		if _, err := desk.Transition(ctx, ref, req, actor, noon); err != nil {
			t.Fatal(err)
		}
	}
	passOn(t, desk, "INC-000001", "Xovis", noon)
	passOn(t, desk, "INC-000002", "Irisys", noon)
	for _, ref := range []string{"INC-000001", "INC-000002", "INC-000003"} {
		do(ref, greta, incidents.Request{Transition: incidents.Take})
	}
	do("INC-000001", greta, incidents.Request{Transition: incidents.Ask, Actions: []incidents.NewAction{{Text: "look", Due: noon.Add(time.Hour)}}})
	do("INC-000003", greta, incidents.Request{Transition: incidents.Hold, Reason: "vendor", Supplier: "Xovis", Text: "x", Until: noon.Add(time.Hour)})

	sees := func(who incidents.Actor, want ...string) {
		t.Helper()
		for name, q := range map[string]incidents.Query{"all": {}, "by words": {Q: "lift"}, "of a site": {Site: "paris"}, "lately": {UpdatedSince: noon.Add(-time.Hour)}} {
			q.Limit = 10
			list, err := desk.List(ctx, q, who)
			var got []string
			for _, inc := range list {
				got = append(got, inc.Ref)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: a list of %s holds %v, %v; want %v", who.Name, name, got, err, want)
			}
		}
		for _, ref := range []string{"INC-000001", "INC-000002", "INC-000003", "INC-000004"} {
			if _, err := desk.Get(ctx, ref, who); (err == nil) != slices.Contains(want, ref) {
				t.Errorf("%s asks for %s: %v", who.Name, ref, err)
			}
		}
		history, _, err := desk.History(ctx, incidents.HistoryQuery{Site: "paris", Limit: 100}, who)
		if got := refsOf(history); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: the history is of %v, %v; want %v", who.Name, got, err, want)
		}
		q := incidents.FeedQuery{To: 1000}
		if !who.Follow(&q) {
			t.Fatalf("%s follows nothing", who.Name)
		}
		feed, err := s.Feed(ctx, q)
		if got := refsOf(feed); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: the feed is of %v, %v; want %v", who.Name, got, err, want)
		}
		figures, err := desk.Figures(ctx, incidents.ReportQuery{From: noon.Add(-time.Hour), To: noon.Add(time.Hour)}, who)
		if err != nil || figures[0].Opened != len(want) {
			t.Errorf("%s: %+v, %v; want %d opened", who.Name, figures, err, len(want))
		}
	}
	irene, own := sven, sven
	irene.Name, irene.Supplier = "irene", "Irisys"
	own.Name, own.Supplier = "oda", ""
	sees(sven, "INC-000003", "INC-000001")
	sees(irene, "INC-000002")
	sees(own, "INC-000002", "INC-000001")
	if inc, err := desk.Report(ctx, incidents.NewReport{Summary: "the ramp", Site: "rome"}, own, noon); err != nil || !own.Sees(&inc) || sven.Sees(&inc) {
		t.Errorf("an own third line's report is %+v, %v; want one that it sees and a supplier doesn't", inc, err)
	}
	if list, err := desk.OpenActions(ctx, incidents.ActionQuery{Limit: 9}, irene); len(list) != 0 || err != nil {
		t.Errorf("another supplier sees the actions %+v, %v", list, err)
	}
	if list, err := desk.OpenActions(ctx, incidents.ActionQuery{Limit: 9}, sven); len(list) != 1 || err != nil {
		t.Errorf("the supplier sees the actions %+v, %v", list, err)
	}

	do("INC-000003", greta, incidents.Request{Transition: incidents.Wake})
	sees(sven, "INC-000001")
	do("INC-000002", irene, incidents.Request{Transition: incidents.Return, Summary: "wax it"})
	sees(irene)
	passOn(t, desk, "INC-000004", "Irisys", noon)
	do("INC-000004", irene, incidents.Request{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "sang along", Item: "paris"})
	sees(irene, "INC-000004")
	for found, who := range []incidents.Actor{sven, irene} {
		hits, err := desk.Search(ctx, incidents.SearchQuery{Q: "lift", Kind: incidents.IncidentHit, Limit: 9}, "en", who)
		if err != nil || len(hits) != found {
			t.Errorf("%s finds %+v, %v; want %d", who.Name, hits, err, found)
		}
	}
	if guide, err := desk.Guide(ctx, "INC-000001", "en", sven); err != nil || len(guide.Site)+len(guide.Others) != 0 {
		t.Errorf("a supplier is shown how another one solved it: %+v, %v", guide, err)
	}
}

func refsOf(events []incidents.FeedEvent) (out []string) {
	for _, e := range events {
		out = append(out, e.Ref)
	}
	slices.Sort(out)
	out = slices.Compact(out)
	slices.Reverse(out)
	return out
}

func testReportsByLevel(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "the lift", "the stairs", "the door")
	passOn(t, desk, "INC-000001", "Xovis", noon)
	for _, req := range []incidents.Request{{Transition: incidents.Return, Summary: "wax it"}, {Transition: incidents.Return, Summary: "wax it"}} {
		if _, err := desk.Transition(ctx, "INC-000001", req, greta, noon); err != nil {
			t.Fatal(err)
		}
	}
	solve(t, desk, "INC-000001", "waxed", noon.Add(time.Hour))
	solve(t, desk, "INC-000002", "swept", noon.Add(time.Hour))
	figures, err := desk.Figures(ctx, incidents.ReportQuery{From: noon, To: noon.Add(time.Hour), By: "level"}, greta)
	if err != nil || len(figures) != 3 {
		t.Fatalf("got %+v, %v", figures, err)
	}
	first, third, all := figures[0], figures[1], figures[2]
	if first.Group != "1" || first.Opened != 2 || first.FirstContact != 1 || third.Group != "3" || third.Opened != 1 || third.FirstContact != 0 || all.Opened != 3 {
		t.Errorf("got %+v", figures)
	}
}
