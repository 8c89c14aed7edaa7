package incidents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// close reports, solves and closes an incident.
func closeOne(t *testing.T, d *Desk, r NewReport, code string, at time.Time) string {
	t.Helper()
	inc := must[Incident](t)(d.Report(context.Background(), r, ana, at))
	does(t, d, inc.Ref, Request{Transition: Take}, ana, at)
	item := r.Device
	if item == "" {
		item = r.Site
	}
	does(t, d, inc.Ref, Request{Transition: Resolve, Code: code, Cause: "power", Summary: "fuse", Item: item, Workaround: "x"}, ana, at.Add(time.Hour))
	does(t, d, inc.Ref, Request{Transition: Approve}, ana, at.Add(2*time.Hour))
	return inc.Ref
}

func TestThreeThatCloseAlikeAreAProblem(t *testing.T) {
	day := 24 * time.Hour
	type closing struct {
		r    NewReport
		code string
		at   time.Duration
	}
	at := func(site, device, category, code string, days int) closing {
		return closing{NewReport{Summary: "dark", Site: site, Device: device, Category: category}, code, time.Duration(days) * day}
	}
	const a, b = "suspected_offline", "data_gap"
	tests := map[string]struct {
		closed []closing
		want   []string
	}{
		"two are not":                         {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", a, "fixed", 1)}, nil},
		"three are":                           {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", a, "fixed", 1), at("paris", "", a, "fixed", 2)}, []string{"proposed 3"}},
		"the fourth joins, not twice":         {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", a, "fixed", 1), at("paris", "", a, "fixed", 2), at("paris", "", a, "fixed", 3)}, []string{"proposed 4"}},
		"of three categories they are not":    {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", b, "fixed", 1), at("paris", "", "clock_skew", "fixed", 2)}, nil},
		"at three sites they are not":         {[]closing{at("paris", "", a, "fixed", 0), at("rome", "", a, "fixed", 1), at("oslo", "", a, "fixed", 2)}, nil},
		"within 31 days they are not":         {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", a, "fixed", 1), at("paris", "", a, "fixed", 31)}, nil},
		"false positives don't count":         {[]closing{at("paris", "", a, "fixed", 0), at("paris", "", a, "false_positive", 1), at("paris", "", a, "site_closed", 2)}, nil},
		"of one make at three sites they are": {[]closing{at("paris", "D1", a, "fixed", 0), at("rome", "D2", a, "fixed", 1), at("oslo", "D3", a, "fixed", 2)}, []string{"proposed 3 m1 5.2"}},
		"of another firmware they are not":    {[]closing{at("paris", "D1", a, "fixed", 0), at("rome", "D2", a, "fixed", 1), at("oslo", "D4", a, "fixed", 2)}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			store.makes = map[string][2]string{"D1": {"m1", "5.2"}, "D2": {"m1", "5.2"}, "D3": {"m1", "5.2"}, "D4": {"m1", "5.3"}}
			d := NewDesk(store, Config{}, nil, nil)
			for _, c := range tt.closed {
				closeOne(t, d, c.r, c.code, noon.Add(c.at))
			}
			list, _, err := d.Problems(context.Background(), RecordQuery{Limit: 10}, ana)
			var got []string
			for _, p := range list {
				got = append(got, strings.TrimSpace(fmt.Sprint(p.State, " ", len(p.Incidents), " ", strings.Join(p.Models, " "), " ", strings.Join(p.Firmware, " "))))
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

func TestWhatWasRejectedIsProposedAgainOnlyForNewOnes(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	r := NewReport{Summary: "dark", Site: "paris", Category: "suspected_offline"}
	for day := range 3 {
		closeOne(t, d, r, "fixed", noon.Add(time.Duration(day)*24*time.Hour))
	}
	reject := func(ref string, at time.Time) {
		must[Problem](t)(d.ChangeProblem(ctx, ref, 0, func(p *Problem) { p.State, p.Reason = ProblemRejected, "chance" }, bob, at))
	}
	reject("PRB-000001", noon.Add(60*time.Hour))
	for day := 3; day < 6; day++ {
		list, _, _ := d.Problems(ctx, RecordQuery{Limit: 10}, ana)
		if len(list) != 1 {
			t.Errorf("on day %d there are %d problems", day, len(list))
		}
		closeOne(t, d, r, "fixed", noon.Add(time.Duration(day)*24*time.Hour))
	}
	list, _, _ := d.Problems(ctx, RecordQuery{Limit: 10}, ana)
	if len(list) != 2 || len(list[0].Incidents) != 3 || list[0].Incidents[0] != "INC-000004" {
		t.Errorf("got %+v", list)
	}
}

func TestAMajorIncidentHasAProblemAndADraft(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "the mall is dark", Site: "paris"}, ana, noon))
	inc := does(t, d, "INC-000001", Request{Transition: Major, Reason: "all of it"}, mona, noon)
	p := must[Problem](t)(d.Problem(ctx, "PRB-000001", bob))
	a := must[Announcement](t)(d.Announcement(ctx, "ANN-000001", ana))
	if inc.Priority != 1 || !p.Major || p.State != ProblemOpen || p.Incidents[0] != inc.Ref || a.State != AnnouncementDraft || a.Incident != inc.Ref || a.Sites[0] != "paris" {
		t.Errorf("got %+v\n%+v", p, a)
	}
	if _, err := d.Announcement(ctx, a.Ref, carl); !errors.Is(err, ErrNotFound) {
		t.Errorf("a draft is seen at the site: %v", err)
	}
	if len(store.announced) > 0 {
		t.Errorf("somebody was told of a draft: %v", store.announced)
	}
	a = must[Announcement](t)(d.Tell(ctx, a.Ref, a.Version, "", false, ana, noon))
	must[Announcement](t)(d.Announcement(ctx, a.Ref, carl))
	rosa := Actor{Name: "rosa", Role: SiteManager, Site: "rome", Source: ByAPI}
	if _, err := d.Announcement(ctx, a.Ref, rosa); !errors.Is(err, ErrNotFound) {
		t.Errorf("rome sees what is for paris: %v", err)
	}
	if _, err := d.Tell(ctx, a.Ref, 1, "late", false, ana, noon); !errors.Is(err, ErrStale) {
		t.Errorf("an update of an old version: %v", err)
	}
	if _, err := d.ChangeDraft(ctx, a.Ref, 0, func(a *Announcement) { a.Title = "x" }, ana, noon); err == nil {
		t.Error("what is out was changed")
	}
	must[Announcement](t)(d.Tell(ctx, a.Ref, 0, "over", true, ana, noon.Add(time.Hour)))
	if !slices.Equal(store.announced, []string{"ANN-000001/1", "ANN-000001/2"}) {
		t.Errorf("told: %v", store.announced)
	}
}

func TestProblemsSayWhatTheirStateWants(t *testing.T) {
	d, ctx := NewDesk(newMemory(), Config{}, nil, nil), context.Background()
	p := must[Problem](t)(d.OpenProblem(ctx, Problem{Title: "resets"}, bob, noon))
	for name, tt := range map[string]struct {
		change func(*Problem)
		want   string
	}{
		"a known error without anything": {func(p *Problem) { p.State = ProblemKnownError }, "cause: is missing; want what it comes from; symptom: is missing; want how it shows; workaround: is missing"},
		"rejected without a reason":      {func(p *Problem) { p.State = ProblemRejected }, "reason: is missing"},
		"closed without a fix or reason": {func(p *Problem) { p.State = ProblemClosed }, "reason: is missing"},
		"no such state":                  {func(p *Problem) { p.State = "done" }, `no state "done"`},
		"an incident that is not there":  {func(p *Problem) { p.Incidents = []string{"INC-000009"} }, `there is no incident "INC-000009"`},
		"without a title":                {func(p *Problem) { p.Title = " " }, "title"},
	} {
		if _, err := d.ChangeProblem(ctx, p.Ref, 1, tt.change, bob, noon); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	p = must[Problem](t)(d.ChangeProblem(ctx, p.Ref, 1, func(p *Problem) { p.State, p.Fix = ProblemClosed, "5.3"; p.Key = "mine" }, bob, noon.Add(time.Hour)))
	if p.EndedAt.IsZero() || p.Version != 2 || p.Key != "" || p.UpdatedBy != "bob" {
		t.Errorf("got %+v", p)
	}
	if _, err := d.ChangeProblem(ctx, p.Ref, 1, func(*Problem) {}, bob, noon); !errors.Is(err, ErrStale) {
		t.Errorf("an old version: got %v", err)
	}
	if _, err := d.Problem(ctx, p.Ref, carl); !errors.Is(err, ErrNotFound) {
		t.Errorf("a site manager sees problems: %v", err)
	}
}

func TestTheGuideOfTheFirstIncident(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon)
	g := must[Guide](t)(d.Guide(ctx, "INC-000001", "ro", ana))
	if g.Questionnaire == nil || g.Version != "offline@0" || g.Done || g.Category.Team != "first line" || len(g.Articles) != 1 || !strings.HasPrefix(g.Articles[0].Title, "Un contor") {
		t.Errorf("got %+v", g)
	}
	closeOne(t, d, NewReport{Summary: "dark", Site: "paris", Device: "FC-1", Category: "suspected_offline"}, "fixed", noon)
	closeOne(t, d, NewReport{Summary: "dark", Site: "paris", Device: "FC-2", Category: "suspected_offline"}, "fixed", noon)
	closeOne(t, d, NewReport{Summary: "dark", Site: "rome", Device: "FC-3", Category: "suspected_offline"}, "fixed", noon)
	g = must[Guide](t)(d.Guide(ctx, "INC-000001", "en", ana))
	if len(g.Device) != 1 || g.Device[0].Ref != "INC-000002" || len(g.Site) != 1 || g.Site[0].Ref != "INC-000003" || len(g.Others) != 1 || g.Others[0].Ref != "INC-000004" {
		t.Errorf("solved before: %v, %v, %v", shownRefs(g.Device), shownRefs(g.Site), shownRefs(g.Others))
	}
	g = must[Guide](t)(d.Guide(ctx, "INC-000001", "en", carl))
	if len(g.Others) != 0 {
		t.Errorf("carl of paris sees what was solved in rome: %v", shownRefs(g.Others))
	}
}

func shownRefs(list []Incident) (out []string) {
	for _, inc := range list {
		out = append(out, inc.Ref)
	}
	return out
}

func TestFiguresOfASpan(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	receive(t, d, "f", noon) // a Friday
	does(t, d, "INC-000001", Request{Transition: Take}, ana, noon.Add(4*time.Hour))
	wrong := fixed(Resolve)
	wrong.Code, wrong.Force, wrong.Reason = "false_positive", true, "the shop was shut"
	does(t, d, "INC-000001", wrong, ana, noon.Add(72*time.Hour))
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "rome"}, carl, noon.Add(time.Hour)))
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "rome"}, carl, noon.Add(2*time.Hour)))
	does(t, d, "INC-000002", Request{Transition: Take}, ana, noon.Add(time.Hour))
	does(t, d, "INC-000002", Request{Transition: Escalate, Reason: "x"}, ana, noon.Add(2*time.Hour))
	does(t, d, "INC-000002", Request{Transition: Resolve, Code: "fixed", Cause: "power", Summary: "x", Item: "rome"}, bob, noon.Add(3*time.Hour))
	does(t, d, "INC-000002", Request{Transition: Approve, Points: 4}, Actor{Name: "rosa", Role: SiteManager, Site: "rome", Source: ByAPI}, noon.Add(4*time.Hour))
	list := must[[]Figures](t)(d.Figures(ctx, ReportQuery{From: noon, To: noon.Add(24 * time.Hour), By: "site"}, mona))
	if len(list) != 3 || list[0].Group != "paris" || list[1].Group != "rome" || list[2].Group != "" {
		t.Fatalf("got %+v", list)
	}
	paris, rome, all := list[0], list[1], list[2]
	if paris.FalsePositives != 1 || *paris.FalsePositiveRate != 1 || *paris.ResolveMedian != 72*3600 || *paris.ResolveBusiness != (6+4)*3600 || paris.RespondBreaches != 1 || *paris.FirstContactShare != 1 {
		t.Errorf("paris: %+v", paris)
	}
	if rome.Opened != 2 || rome.Open != 1 || rome.Resolved != 1 || rome.FirstContact != 0 || *rome.Satisfaction != 4 || rome.Judged != 0 || rome.FalsePositiveRate != nil {
		t.Errorf("rome: %+v", rome)
	}
	if all.Opened != paris.Opened+rome.Opened || all.Resolved != 2 {
		t.Errorf("all: %+v", all)
	}
	for by, want := range map[string][]string{"level": {"1", "2", ""}, "rule": {"-", "suspected-offline", ""}, "category": {"suspected_offline", "user_report/other", ""}} {
		var got []string
		for _, f := range must[[]Figures](t)(d.Figures(ctx, ReportQuery{From: noon, To: noon.Add(24 * time.Hour), By: by}, mona)) {
			got = append(got, f.Group)
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: got %v, want %v", by, got, want)
		}
	}
	if _, err := d.Figures(ctx, ReportQuery{From: noon, To: noon}, mona); err == nil {
		t.Error("an empty span was taken")
	}
	if list := must[[]Figures](t)(d.Figures(ctx, ReportQuery{From: noon, To: noon.Add(time.Hour), Site: "rome"}, carl)); len(list) != 1 || list[0].Opened != 0 {
		t.Errorf("carl of paris sees figures of rome: %+v", list)
	}
}

func TestAReminderGoesIntoTheOpenIncidentAndBumpsIt(t *testing.T) {
	store, ctx := newMemory(), context.Background()
	d := NewDesk(store, Config{}, nil, nil)
	for range 2 {
		must[Incident](t)(d.Report(ctx, NewReport{Summary: "still dark", Site: "paris"}, carl, noon))
	}
	reminder := does(t, d, "INC-000002", Request{Transition: Qualify, Kind: KindReminder, Into: "INC-000001"}, ana, noon.Add(time.Hour))
	inc := store.rows["INC-000001"]
	if reminder.State != Cancelled || reminder.DuplicateOf != inc.Ref || inc.Reminders != 1 || inc.Duplicates[0] != reminder.Ref || !inc.UpdatedAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("got %s of %s; and %d reminders, updated %v", reminder.State, reminder.DuplicateOf, inc.Reminders, inc.UpdatedAt)
	}
}

func TestTimesThatCanNotBeWrittenAreRefused(t *testing.T) {
	d, ctx := NewDesk(newMemory(), Config{}, nil, nil), context.Background()
	never := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	if _, err := d.Draft(ctx, Announcement{Title: "x", From: noon, To: never}, ana, noon); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("an announcement: got %v", err)
	}
	must[Incident](t)(d.Report(ctx, NewReport{Summary: "dark", Site: "paris"}, carl, noon))
	does(t, d, "INC-000001", Request{Transition: Take}, ana, noon)
	for _, req := range []Request{{Transition: Ask, Actions: []NewAction{{Text: "x", Due: never}}}, {Transition: Hold, Reason: "requester", Text: "x", Until: never}} {
		if _, err := d.Transition(ctx, "INC-000001", req, ana, noon); err == nil || !strings.Contains(err.Error(), "9999") {
			t.Errorf("%s: got %v", req.Transition, err)
		}
	}
}
