package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

func init() {
	suite["A list finds words as they begin"] = testListFindsWords
	suite["A search ranks"] = testSearchRanks
	suite["A search shows what may be read"] = testSearchShowsWhatMayBeRead
	suite["Records"] = testRecords
	suite["What closes alike is a problem"] = testWhatClosesAlikeIsAProblem
	suite["Open actions are listed until they end"] = testOpenActions
	suite["Reports read what was opened in the span"] = testReports
	suite["An older database is indexed"] = testOlderDatabase
	suite["A history on every channel"] = testHistory
	suite["What fails on one firmware is a problem of it"] = testWhatFailsOnOneFirmwareIsAProblemOfIt
	suite["What is resolved was about something that there is"] = testWhatIsResolvedWasAboutSomethingThatThereIs
	suite["Copies are searched"] = testCopiesAreSearched
}

var (
	ana  = incidents.Actor{Name: "ana", Role: incidents.FirstLine, Source: incidents.ByAPI}
	carl = incidents.Actor{Name: "carl", Role: incidents.SiteManager, Site: "paris", Source: incidents.ByAPI}
)

// told opens incidents with these summaries at paris, and returns their desk.
func told(t *testing.T, s *Tickets, summaries ...string) *incidents.Desk {
	t.Helper()
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	for _, summary := range summaries {
		if _, err := desk.Report(context.Background(), incidents.NewReport{Summary: summary, Site: "paris"}, ana, noon); err != nil {
			t.Fatal(err)
		}
	}
	return desk
}

// solve takes and resolves an incident with a summary.
func solve(t *testing.T, desk *incidents.Desk, ref, how string, at time.Time) {
	t.Helper()
	item := "paris"
	for _, req := range []incidents.Request{{Transition: incidents.Take},
		{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: how, Item: item}} {
		if _, err := desk.Transition(context.Background(), ref, req, ana, at); err != nil {
			t.Fatal(err)
		}
	}
}

func index(t *testing.T, s *Tickets) {
	t.Helper()
	err := s.Update(context.Background(), func(tx incidents.Tx) error {
		for {
			if n, err := tx.Index(100); n < 100 || err != nil {
				return err
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testListFindsWords(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	told(t, s, "FC-10042 at Orléans is silent", "FC-2000 at Orly counts nobody", "Ușa din București nu numără", "Straße, 100% dark")
	for _, indexed := range []bool{false, true} {
		if indexed {
			index(t, s)
		}
		for q, want := range map[string]string{
			"silent": "1", "SIL": "1", "lent": "", "fc-100": "1", "fc": "2 1", "10042": "1", "orleans": "1", "Orléans silent": "1", "or": "2 1",
			"usa": "3", "BUCURESTI numara": "3", "strasse": "4", "100%": "4 1", "silent nobody": "", "at orly": "2", "***": "", "'; drop": "", `"`: "", "or*": "2 1", "a OR b": "", "NEAR(": "",
		} {
			var got []string
			list, err := s.Incidents(ctx, incidents.Query{Q: q, Limit: 10})
			if err != nil {
				t.Fatalf("%q: %v", q, err)
			}
			for _, inc := range list {
				got = append(got, strings.TrimLeft(strings.TrimPrefix(inc.Ref, prefix), "0"))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%q, indexed %v: got %v, want %q", q, indexed, got, want)
			}
		}
	}
}

func testOlderDatabase(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	var summaries []string
	for i := range 30 {
		summaries = append(summaries, fmt.Sprintf("door %d is dark", i))
	}
	desk := told(t, s, summaries...)
	solve(t, desk, "INC-000003", "new fuse", noon)
	foundOnce := func(when string) {
		t.Helper()
		if hits, err := s.Search(ctx, incidents.SearchQuery{Q: "new fuse", Limit: 5}); err != nil || len(hits) != 1 || hits[0].Ref != "INC-000003" {
			t.Errorf("%s, what was solved is found as %v, %v", when, hits, err)
		}
	}
	foundOnce("while nothing is in the index yet")
	for _, statement := range []string{"UPDATE incidents SET words = 'door 2 is dark', opened_at = 0 WHERE id = 3", "DELETE FROM endings"} { // as it was before
		if _, err := s.write.ExecContext(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	index(t, s)
	foundOnce("once all is in the index")
	if list, err := s.SolvedBefore(ctx, incidents.SolvedQuery{Site: "paris", Limit: 5}); err != nil || len(list) != 1 {
		t.Errorf("got %d solved, %v; want the one that was solved before", len(list), err)
	}
	byWords, err := s.indexed(ctx, incidents.Query{}, phrases("door dark"), 25, 50)
	if err != nil || len(byWords) != 25 || byWords[0].Ref != "INC-000025" {
		t.Errorf("the index has %d up to the 25th, %v", len(byWords), err)
	}
	one, err := s.indexed(ctx, incidents.Query{Before: "INC-000020", State: incidents.Resolved}, phrases("door 2"), 30, 50)
	if err != nil || len(one) != 1 || one[0].Ref != "INC-000003" {
		t.Errorf("got %v, %v", one, err)
	}
	if list, err := s.Incidents(ctx, incidents.Query{Q: "door 2", Limit: 50}); err != nil || len(list) != 11 {
		t.Errorf("got %d, %v; want doors 2 and 20 to 29", len(list), err)
	}
}

func testSearchRanks(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "The modem is dark", "Door 2 counts nobody", "An échec of the lift", "Nothing in particular")
	solve(t, desk, "INC-000001", "new fuse for the modem", noon)
	solve(t, desk, "INC-000002", "the modem had no electricity; a fuse had blown in the cellar, behind the boiler, next to the stairs that lead to the yard", noon)
	solve(t, desk, "INC-000003", "oiled", noon)
	for id, title := range map[string]string{"modems": "How a modem is restarted", "lifts": "Lifts and escalators"} {
		body := "Hold the button for ten seconds."
		a := incidents.Article{Title: incidents.Text{"en": title, "fr": "Redémarrer"}, Body: incidents.Text{"en": body}}
		putArticle(t, desk, id, a)
	}
	for q, want := range map[string]string{
		"modem":           "INC-000001 modems INC-000002", // a title before a body
		"modem fuse":      "INC-000001 INC-000002 modems", // all words before some
		"echec":           "INC-000003",
		"redémarr":        "modems lifts",
		"REDEMARRER lift": "lifts INC-000003 modems",
		"boiler stairs":   "INC-000002",
		"particular":      "", // not solved
		"zebra":           "",
	} {
		hits, err := desk.Search(ctx, incidents.SearchQuery{Q: q, Limit: 10}, "en", ana)
		if err != nil {
			t.Fatalf("%q: %v", q, err)
		}
		got := refs(hits)
		same := strings.Join(got, " ") == want
		if q == "redémarr" || q == "REDEMARRER lift" { // equal texts in any order
			slices.Sort(got)
			wanted := strings.Fields(want)
			slices.Sort(wanted)
			same = slices.Equal(got, wanted)
		}
		if !same {
			t.Errorf("%q: got %v, want %s", q, got, want)
		}
	}
}

func refs(hits []incidents.Hit) (out []string) {
	for _, h := range hits {
		if h.Kind != incidents.ArticleHit || !slices.ContainsFunc([]string{"device-", "counts-", "data-", "site-"}, func(p string) bool { return strings.HasPrefix(h.Ref, p) }) {
			out = append(out, h.Ref)
		}
	}
	return out
}

func putArticle(t *testing.T, desk *incidents.Desk, id string, a incidents.Article) {
	t.Helper()
	a.ID = id
	doc := incidents.Document{Kind: incidents.ArticleDocument, ID: id, Actor: "mona", Data: asJSON(t, a)}
	if _, err := desk.PutDocument(context.Background(), doc, incidents.Expected{New: true}, noon); err != nil {
		t.Fatal(err)
	}
}

func testSearchShowsWhatMayBeRead(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "a zebra stands in the door")
	solve(t, desk, "INC-000001", "led it out", noon)
	putArticle(t, desk, "inside", incidents.Article{Title: incidents.Text{"en": "zebra: what we think"}, Body: incidents.Text{"en": "x"}})
	putArticle(t, desk, "outside", incidents.Article{Title: incidents.Text{"en": "zebra: what you can do"}, Body: incidents.Text{"en": "x"}, Public: true})
	problem, err := desk.OpenProblem(ctx, incidents.Problem{Title: "zebra", State: incidents.ProblemKnownError, Symptom: "stripes", Cause: "zoo", Workaround: "hay"}, ana, noon)
	if err != nil {
		t.Fatal(err)
	}
	rome := incidents.Actor{Name: "rosa", Role: incidents.SiteManager, Site: "rome", Source: incidents.ByAPI}
	sven := incidents.Actor{Name: "sven", Role: incidents.ThirdLine, Source: incidents.ByAPI}
	for who, tt := range map[string]struct {
		actor incidents.Actor
		want  string
	}{
		"the desk sees all":                               {ana, "INC-000001 PRB-000001 inside outside"},
		"a site manager: the site's, and public ones":     {carl, "INC-000001 outside"},
		"that of another site: the public ones":           {rome, "outside"},
		"a supplier: what is at level 3, and public ones": {sven, "outside"},
	} {
		hits, err := desk.Search(ctx, incidents.SearchQuery{Q: "zebra", Limit: 10}, "en", tt.actor)
		got := refs(hits)
		slices.Sort(got)
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, %v; want %s", who, got, err, tt.want)
		}
	}
	_, err = desk.ChangeProblem(ctx, problem.Ref, 1, func(p *incidents.Problem) { p.State, p.Reason = incidents.ProblemRejected, "no zebras here" }, ana, noon)
	hits, searched := desk.Search(ctx, incidents.SearchQuery{Q: "zebra", Kind: incidents.KnownErrorHit, Limit: 10}, "en", ana)
	if err != nil || searched != nil || len(hits) > 0 {
		t.Errorf("a rejected problem is still found: %v, %v, %v", hits, err, searched)
	}
}

func testRecords(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "the lift")
	for i := range 3 {
		p, err := desk.OpenProblem(ctx, incidents.Problem{Title: fmt.Sprint("p", i)}, ana, noon)
		if err != nil || p.Ref != recordRef(incidents.ProblemRecord, int64(i+1)) || p.Version != 1 {
			t.Errorf("got %+v, %v", p, err)
		}
	}
	list, next, err := desk.Problems(ctx, incidents.RecordQuery{Limit: 2}, ana)
	if err != nil || len(list) != 2 || list[0].Ref != "PRB-000003" || next != "PRB-000002" {
		t.Errorf("got %d problems, then %q, %v", len(list), next, err)
	}
	list, next, err = desk.Problems(ctx, incidents.RecordQuery{Limit: 2, Before: next, Live: true, State: "open"}, ana)
	if err != nil || len(list) != 1 || list[0].Ref != "PRB-000001" || next != "" {
		t.Errorf("got %d problems, then %q, %v", len(list), next, err)
	}
	if _, err := desk.Problem(ctx, "PRB-1", ana); err != incidents.ErrNotFound {
		t.Errorf("a reference that is none: got %v", err)
	}
}

func testWhatClosesAlikeIsAProblem(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s)
	err := s.Import(ctx, []telemetry.Site{{ID: "site-0000", Zone: "UTC"}}, []telemetry.Device{
		{Name: "FC-000001", Site: "site-0000", Labels: map[string]string{"model": "m1", "firmware": "5.2"}}})
	if err != nil {
		t.Fatal(err)
	}
	for day := range 4 {
		at := noon.Add(time.Duration(day) * 48 * time.Hour)
		if err := desk.Receive(ctx, []telemetry.Finding{finding(telemetry.Firing, 1, at)}); err != nil {
			t.Fatal(err)
		}
		ref := refOf(int64(day + 1))
		for _, req := range []incidents.Request{{Transition: incidents.Take},
			{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "fuse", Item: "FC-000001", Force: true, Reason: "it is late"}, {Transition: incidents.Approve}} {
			if _, err := desk.Transition(ctx, ref, req, ana, at.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := desk.Receive(ctx, []telemetry.Finding{finding(telemetry.Clear, 1, at.Add(2*time.Hour))}); err != nil {
			t.Fatal(err)
		}
		list, _, err := desk.Problems(ctx, incidents.RecordQuery{Limit: 10}, ana)
		if want := map[bool]int{true: 2}[day >= 2]; err != nil || len(list) != want {
			t.Fatalf("after %d closings: %d problems, %v; want %d", day+1, len(list), err, want)
		}
		for _, p := range list {
			if len(p.Incidents) != day+1 || p.State != incidents.ProblemProposed {
				t.Errorf("got %+v", p)
			}
		}
	}
	verdicts, err := desk.Verdicts(ctx, noon.Add(240*time.Hour))
	if v := verdicts["suspected-offline"]; err != nil || v.Judged != 4 || v.FalsePositives != 0 {
		t.Errorf("got %+v, %v", verdicts, err)
	}
}

// testWhatFailsOnOneFirmwareIsAProblemOfIt closes incidents of devices at three sites
// after all but one of the devices have another firmware.
func testWhatFailsOnOneFirmwareIsAProblemOfIt(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s)
	var sites []telemetry.Site
	var devices []telemetry.Device
	said, upgraded := map[string]incidents.Firmware{"FC-unknown": {Version: "1"}}, map[string]incidents.Firmware{}
	for i := range 3 {
		f := finding(telemetry.Firing, i+1, noon)
		sites = append(sites, telemetry.Site{ID: f.Site, Zone: "UTC"})
		devices = append(devices, telemetry.Device{Name: f.Scope.Name, Site: f.Site, Labels: map[string]string{"model": "m1"}})
		said[f.Scope.Name], upgraded[f.Scope.Name] = incidents.Firmware{Version: "5.2", Since: noon}, incidents.Firmware{Version: "5.3", Since: noon}
	}
	delete(upgraded, devices[0].Name)
	slices.SortFunc(sites, func(a, b telemetry.Site) int { return strings.Compare(a.ID, b.ID) })
	sites = slices.CompactFunc(sites, func(a, b telemetry.Site) bool { return a.ID == b.ID })
	if err := s.Import(ctx, sites, devices); err != nil {
		t.Fatal(err)
	}
	before, err := s.Revision(ctx)
	for range 2 {
		changed, noted := s.NoteFirmware(ctx, said)
		if err != nil || noted != nil || changed != len(said)-1 {
			t.Fatalf("%d changed, %v, %v; want %d", changed, err, noted, len(said)-1)
		}
		said = map[string]incidents.Firmware{"FC-unknown": {Version: "1"}}
	}
	if after, err := s.Revision(ctx); after != before || err != nil {
		t.Errorf("the registry's revision went from %d to %d, %v", before, after, err)
	}
	for i := range 3 {
		if err := desk.Receive(ctx, []telemetry.Finding{finding(telemetry.Firing, i+1, noon.Add(time.Duration(i)*time.Hour))}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.NoteFirmware(ctx, upgraded); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		ref := refOf(int64(i + 1))
		for _, req := range []incidents.Request{{Transition: incidents.Take},
			{Transition: incidents.Resolve, Code: "fixed", Cause: "firmware", Summary: "upgraded", Item: devices[i].Name, Force: true, Reason: "it is late"}, {Transition: incidents.Approve}} {
			if _, err := desk.Transition(ctx, ref, req, ana, noon.Add(9*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if inc, err := desk.Get(ctx, ref, ana); err != nil || inc.Firmware != "5.2" || inc.Model != "m1" {
			t.Errorf("%s is of %s %s, %v", ref, inc.Model, inc.Firmware, err)
		}
	}
	list, _, err := desk.Problems(ctx, incidents.RecordQuery{Limit: 10}, ana)
	list = slices.DeleteFunc(list, func(p incidents.Problem) bool { return p.Site != "" })
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Firmware, []string{"5.2"}) || len(list[0].Incidents) != 3 {
		t.Errorf("got %+v, %v", list, err)
	}
}

func testWhatIsResolvedWasAboutSomethingThatThereIs(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "one", "two", "three")
	if err := s.Import(ctx, []telemetry.Site{{ID: "rome", Zone: "UTC"}}, []telemetry.Device{{Name: "FC-7", Site: "rome"}}); err != nil {
		t.Fatal(err)
	}
	refs := []string{"INC-000001", "INC-000002", "INC-000003"}
	resolve := incidents.Request{Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "fuse", Item: "nowhere"}
	var invalid *incidents.InvalidError
	for _, a := range desk.Bulk(ctx, refs, resolve, ana, noon) {
		if !errors.As(a.Err, &invalid) || invalid.Faults[0].Field != "item" {
			t.Errorf("%s for what is not there: %v", a.Ref, a.Err)
		}
	}
	for i, item := range []string{"paris", "rome", "FC-7"} { // its own site need not be in the registry
		resolve.Item = item
		if inc, err := desk.Transition(ctx, refs[i], resolve, ana, noon); err != nil || inc.Resolution.Item != item {
			t.Errorf("for %s: %+v, %v", item, inc.Resolution, err)
		}
	}
}

func testOpenActions(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "the lift", "the stairs")
	do := func(ref string, req incidents.Request, actor incidents.Actor) {
		t.Helper()
		if _, err := desk.Transition(ctx, ref, req, actor, noon); err != nil {
			t.Fatal(err)
		}
	}
	for i, ref := range []string{"INC-000001", "INC-000002"} {
		do(ref, incidents.Request{Transition: incidents.Take}, ana)
		do(ref, incidents.Request{Transition: incidents.Ask, Actions: []incidents.NewAction{
			{Text: "look", Due: noon.Add(time.Duration(9-i) * time.Hour)}, {Text: "and say", Due: noon.Add(24 * time.Hour), Assignee: "dora"}}}, ana)
	}
	listed := func(q incidents.ActionQuery, who incidents.Actor) (out []string) {
		q.Limit = 3
		list, err := desk.OpenActions(ctx, q, who)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			out = append(out, fmt.Sprint(a.Incident, "/", a.ID))
		}
		return out
	}
	if got := listed(incidents.ActionQuery{}, ana); !slices.Equal(got, []string{"INC-000002/1", "INC-000001/1", "INC-000001/2"}) {
		t.Errorf("got %v", got)
	}
	place := fmt.Sprintf("%d/1/2", noon.Add(24*time.Hour).UnixMilli())
	if got := listed(incidents.ActionQuery{After: place}, ana); !slices.Equal(got, []string{"INC-000002/2"}) {
		t.Errorf("then %v", got)
	}
	if got := listed(incidents.ActionQuery{Assignee: "carl"}, carl); !slices.Equal(got, []string{"INC-000002/1", "INC-000001/1"}) {
		t.Errorf("for carl %v", got)
	}
	do("INC-000001", incidents.Request{Transition: incidents.Reply, Action: 1, Text: "it is dark"}, carl)
	do("INC-000002", incidents.Request{Transition: incidents.Cancel, Code: "mistake", Reason: "a test"}, ana)
	if got := listed(incidents.ActionQuery{}, ana); !slices.Equal(got, []string{"INC-000001/2"}) {
		t.Errorf("what is left: %v", got)
	}
}

func testReports(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s, "the lift", "the stairs")
	solve(t, desk, "INC-000002", "swept", noon.Add(time.Hour))
	figures, err := desk.Figures(ctx, incidents.ReportQuery{From: noon, To: noon.Add(time.Hour), By: "site"}, ana)
	if err != nil || len(figures) != 2 || figures[0].Group != "paris" || figures[0].Opened != 2 || figures[0].Resolved != 1 || *figures[1].ResolveMedian != 3600 {
		t.Errorf("got %+v, %v", figures, err)
	}
	for _, q := range []incidents.ReportQuery{{From: noon.Add(time.Millisecond), To: noon.Add(time.Hour)}, {From: noon.Add(-time.Hour), To: noon}} {
		if figures, err := desk.Figures(ctx, q, ana); err != nil || figures[0].Opened != 0 {
			t.Errorf("outside: got %+v, %v", figures, err)
		}
	}
}

func asJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func testCopiesAreSearched(t *testing.T, open opener) {
	s, to, ctx := open(t), open(t), context.Background()
	desk := told(t, s, "a zebra stands in the door")
	solve(t, desk, "INC-000001", "led it out", noon)
	if _, err := desk.OpenProblem(ctx, incidents.Problem{Title: "zebra", State: incidents.ProblemKnownError, Symptom: "x", Cause: "zoo", Workaround: "hay"}, ana, noon); err != nil {
		t.Fatal(err)
	}
	putArticle(t, desk, "zebras", incidents.Article{Title: incidents.Text{"en": "zebra"}, Body: incidents.Text{"en": "x"}})
	index(t, s)
	if err := s.CopyTo(ctx, to, func(string, int64) {}); err != nil {
		t.Fatal(err)
	}
	hits, err := incidents.NewDesk(to, incidents.Config{}, nil, nil).Search(ctx, incidents.SearchQuery{Q: "zebra", Limit: 10}, "en", ana)
	got := refs(hits)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"INC-000001", "PRB-000001", "zebras"}) {
		t.Errorf("a copy finds %v, %v", got, err)
	}
	if list, err := to.Incidents(ctx, incidents.Query{Q: "zebra", Limit: 10}); err != nil || len(list) != 1 {
		t.Errorf("a copy lists %d, %v", len(list), err)
	}
}

func testHistory(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	desk := told(t, s)
	for _, r := range []incidents.NewReport{
		{Summary: "dark", Site: "paris", Device: "D1", Channel: incidents.ByPhone, Reporter: "paula"},
		{Summary: "darker", Site: "paris", Channel: incidents.ByVisit, Reporter: "paula"},
		{Summary: "elsewhere", Site: "rome", Channel: incidents.ByScan, Reporter: "rosa"},
	} {
		if _, err := desk.Report(ctx, r, ana, noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []incidents.Request{{Text: "she rang again", Channel: incidents.ByPhone}, {Text: "she seems cross", Internal: true}, {Text: "the lens again", Shared: true}} {
		if _, err := desk.Comment(ctx, "INC-000001", c, ana, noon); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		q    incidents.HistoryQuery
		who  incidents.Actor
		want string
	}{
		"of a requester":                       {incidents.HistoryQuery{Requester: "paula"}, ana, "1/comment/api 1/comment/api 1/comment/phone 2/report/visit 1/report/phone"},
		"of a device":                          {incidents.HistoryQuery{Device: "D1"}, ana, "1/comment/api 1/comment/api 1/comment/phone 1/report/phone"},
		"of a site":                            {incidents.HistoryQuery{Site: "rome"}, ana, "3/report/scan"},
		"for the site, without internal notes": {incidents.HistoryQuery{Site: "paris"}, carl, "1/comment/phone 2/report/visit 1/report/phone"},
		"not of another site":                  {incidents.HistoryQuery{Requester: "rosa"}, carl, ""},
	} {
		tt.q.Limit = 10
		list, _, err := desk.History(ctx, tt.q, tt.who)
		var got []string
		for _, e := range list {
			got = append(got, fmt.Sprintf("%s/%s/%s", strings.TrimLeft(strings.TrimPrefix(e.Ref, prefix), "0"), e.Kind, e.Source))
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: got %v, %v; want %s", name, got, err, tt.want)
		}
	}
	page, next, err := desk.History(ctx, incidents.HistoryQuery{Requester: "paula", Limit: 3}, ana)
	rest, end, err2 := desk.History(ctx, incidents.HistoryQuery{Requester: "paula", Limit: 3, Before: next}, ana)
	if err != nil || err2 != nil || len(page) != 3 || len(rest) != 2 || end != 0 {
		t.Errorf("by pages: %d and %d, %v, %v", len(page), len(rest), err, err2)
	}
	shared, err := s.Events(ctx, "INC-000001", 3, 10)
	if sven := (incidents.Actor{Role: incidents.ThirdLine}); err != nil || len(shared) != 1 || !shared[0].Internal || !shared[0].Shared || !sven.Reads(&shared[0]) {
		t.Errorf("what is shared with the supplier: %+v, %v", shared, err)
	}
	if list, err := s.Incidents(ctx, incidents.Query{Reporter: "paula", Limit: 10}); err != nil || len(list) != 2 || list[1].Channel != incidents.ByPhone {
		t.Errorf("what paula reported: %+v, %v", list, err)
	}
	if _, err := desk.Report(ctx, incidents.NewReport{Summary: "x", Site: "paris", Reporter: "paula"}, carl, noon); err == nil {
		t.Error("a site manager reports for another")
	}
	if _, err := desk.Report(ctx, incidents.NewReport{Summary: "x", Site: "paris", Channel: incidents.ByPhone}, carl, noon); err == nil {
		t.Error("a site manager says that it came by telephone")
	}
}
