package incidents

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

var (
	noon     = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	ana      = Actor{Name: "ana", Role: FirstLine, Source: ByAPI, Request: "req-1"}
	bob      = Actor{Name: "bob", Role: SecondLine, Source: ByAPI}
	carl     = Actor{Name: "carl", Role: SiteManager, Site: "paris", Source: ByAPI}
	analyzer = Actor{Name: "analyzer", Source: ByAnalyzer}
)

func finding(c telemetry.Condition, at time.Time) telemetry.Finding {
	value := 80.0
	return telemetry.Finding{
		Rule: "suspected-offline", RuleHash: "h1", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: "FC-1"},
		Site: "paris", Condition: c, At: at, Since: at.Add(-3 * time.Hour), Value: &value, Category: "suspected_offline",
		Impact: "device", Urgency: "high", Summary: "FC-1 at Paris has been silent for 80 h",
		Evidence: []telemetry.Evidence{{At: at, What: "silence()", Value: &value}},
	}
}

// in returns an incident in a state, as the rule or people would have left it.
func in(s State) Incident {
	if s == Absent {
		return Incident{}
	}
	f := finding(telemetry.Clear, noon)
	inc := Incident{Ref: "INC-000001", Version: 3, Origin: FromRule, State: s, Condition: telemetry.Clear, Level: 1,
		Key: KeyOf(f.Rule, f.Scope), OpenKey: KeyOf(f.Rule, f.Scope), Category: f.Category, Site: "paris", OpenedAt: noon}
	switch s {
	case Closed, Cancelled:
		inc.OpenKey = ""
	case InProgress, Pending:
		inc.Assignee, inc.Touched = "ana", true
	}
	return inc
}

// request returns a request that nothing but the state stands against, and who makes it.
func request(name Transition) (Request, Actor) {
	req, actor := Request{Transition: name}, ana
	f := finding(telemetry.Firing, noon.Add(time.Hour))
	switch name {
	case Open, Repeat, Reopen:
		req.finding, req.ref, actor = &f, "INC-000001", analyzer
	case Observe:
		f.Condition = telemetry.Unknown
		req.finding, actor = &f, analyzer
	case AutoResolve, Supersede:
		actor = analyzer
	case Report:
		req.report, req.ref = &NewReport{Summary: "the door counts nobody", Site: "paris"}, "INC-000001"
		req.report.fill()
	case Assign:
		req.Assignee = "bob"
	case Resolve:
		req.Code = "fixed"
	case Comment:
		req.Text = "rang the shop"
	}
	return req, actor
}

const refused = State("refused")

func TestEveryCellOfTheLifeCycle(t *testing.T) {
	order := append([]State{Absent}, States...)
	table := []struct {
		name Transition
		says string
		to   [7]State // from Absent, New, InProgress, Pending, Resolved, Closed, Cancelled
	}{
		{Open, "a finding opens only what is not there yet",
			[7]State{New, refused, refused, refused, refused, refused, refused}},
		{Report, "a person's report opens only what is not there yet",
			[7]State{New, refused, refused, refused, refused, refused, refused}},
		{Repeat, "firing again adds an occurrence to what is open and leaves its state alone",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Observe, "a changed condition changes no state, and what has ended no longer listens",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{AutoResolve, "only what is new resolves by itself: clearing does not close what a person owns",
			[7]State{refused, Resolved, refused, refused, refused, refused, refused}},
		{Reopen, "only what is resolved is reopened, and without an owner it is new again",
			[7]State{refused, refused, refused, refused, New, refused, refused}},
		{Supersede, "only what is resolved gives its key to a new incident",
			[7]State{refused, refused, refused, refused, Resolved, refused, refused}},
		{Take, "taking starts the work, also from somebody else's hands",
			[7]State{refused, InProgress, InProgress, refused, refused, refused, refused}},
		{Assign, "assigning starts the work of somebody else",
			[7]State{refused, InProgress, InProgress, refused, refused, refused, refused}},
		{Resolve, "whatever is open can be resolved, once",
			[7]State{refused, Resolved, Resolved, Resolved, refused, refused, refused}},
		{Close, "only what is resolved is closed",
			[7]State{refused, refused, refused, refused, Closed, refused, refused}},
		{Comment, "a comment is taken in every state and changes none",
			[7]State{refused, New, InProgress, Pending, Resolved, Closed, Cancelled}},
	}
	if len(table) != len(moves) {
		t.Fatalf("the test knows %d transitions, the table has %d", len(table), len(moves))
	}
	for _, row := range table {
		t.Run(string(row.name)+": "+row.says, func(t *testing.T) {
			for i, from := range order {
				req, actor := request(row.name)
				if from == InProgress && row.name == Take {
					actor = bob // ana has it already
				}
				next, event, err := Apply(in(from), req, actor, noon.Add(time.Hour))
				check(t, from, row.to[i], next, event, err)
			}
		})
	}
}

func check(t *testing.T, from, want State, next Incident, event Event, err error) {
	t.Helper()
	var conflict *ConflictError
	switch {
	case want == refused && !errors.As(err, &conflict):
		t.Errorf("from %q: got %v and state %q, want a conflict", from, err, next.State)
	case want == refused && next.Version != in(from).Version:
		t.Errorf("from %q: refused, and yet the version went to %d", from, next.Version)
	case want != refused && err != nil:
		t.Errorf("from %q: got %v, want state %q", from, err, want)
	case want != refused && (next.State != want || event.Seq != in(from).Version+1):
		t.Errorf("from %q: got state %q and event %d, want %q and %d", from, next.State, event.Seq, want, in(from).Version+1)
	}
}

func TestGuards(t *testing.T) {
	firing, unknown, muted := in(InProgress), in(InProgress), in(Resolved)
	firing.Condition, unknown.Condition = telemetry.Firing, telemetry.Unknown
	muted.Condition, muted.Muted = telemetry.Firing, true
	touched, bare, owned := in(New), in(New), in(Resolved)
	touched.Touched, bare.Category, owned.Assignee = true, "", "ana"
	f := finding(telemetry.Clear, noon.Add(time.Hour))
	again := finding(telemetry.Firing, noon.Add(time.Hour))
	tests := map[string]struct {
		inc   Incident
		req   Request
		actor Actor
		want  string // in the error; "" for none
	}{
		"resolving needs a code":                                 {in(InProgress), Request{Transition: Resolve}, ana, "code:"},
		"resolving needs a code that exists":                     {in(InProgress), Request{Transition: Resolve, Code: "magic"}, ana, "no resolution code"},
		"what still fires can't be resolved":                     {firing, Request{Transition: Resolve, Code: "fixed"}, ana, "is firing, not clear"},
		"what is unknown is not clear":                           {unknown, Request{Transition: Resolve, Code: "fixed"}, ana, "is unknown, not clear"},
		"force needs a reason":                                   {firing, Request{Transition: Resolve, Code: "fixed", Force: true}, ana, "reason: is missing"},
		"force with a reason resolves what fires":                {firing, Request{Transition: Resolve, Code: "fixed", Force: true, Reason: "shop is shut"}, ana, ""},
		"assigning needs somebody":                               {in(New), Request{Transition: Assign}, ana, "assignee:"},
		"taking needs a category":                                {bare, Request{Transition: Take}, ana, "no category"},
		"an empty comment says nothing":                          {in(New), Request{Transition: Comment, Text: "  "}, ana, "text: is missing"},
		"a comment has a length":                                 {in(New), Request{Transition: Comment, Text: strings.Repeat("x", MaxText+1)}, ana, "at most"},
		"a site manager writes no internal notes":                {in(New), Request{Transition: Comment, Text: "x", Internal: true}, carl, "no internal notes"},
		"a site manager takes no incident":                       {in(New), Request{Transition: Take}, carl, "may not take"},
		"a person can't pretend to be the analyzer":              {in(New), Request{Transition: Observe, finding: &f}, ana, "may not observe"},
		"the zero actor may do nothing":                          {in(New), Request{Transition: Take}, Actor{}, "may not take"},
		"an unknown transition is named":                         {in(New), Request{Transition: "explode"}, ana, `no transition "explode"`},
		"an old version is told so":                              {in(New), Request{Transition: Take, Version: 2}, ana, "changed in the meantime"},
		"what a person touched does not resolve by itself":       {touched, Request{Transition: AutoResolve}, analyzer, "somebody has worked on"},
		"what fires does not resolve by itself":                  {with(in(New), telemetry.Firing), Request{Transition: AutoResolve}, analyzer, "is firing"},
		"what was resolved by force is not reopened while muted": {muted, Request{Transition: Reopen, finding: &again}, analyzer, "silent until"},
		"what was resolved by force still hears that it clears":  {muted, Request{Transition: Observe, finding: &f}, analyzer, ""},
		"what had an owner goes back to its owner":               {owned, Request{Transition: Reopen, finding: &again}, analyzer, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := Apply(tt.inc, tt.req, tt.actor, noon.Add(time.Hour))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func with(inc Incident, c telemetry.Condition) Incident {
	inc.Condition = c
	return inc
}

func TestAConflictSaysWhatIsPossible(t *testing.T) {
	_, _, err := Apply(in(Resolved), Request{Transition: Take}, ana, noon)
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("got %v, want a conflict", err)
	}
	if want := []Transition{Close, Comment}; !slices.Equal(conflict.Allowed, want) {
		t.Errorf("got %v, want %v", conflict.Allowed, want)
	}
	if got, want := Allowed(New, carl), []Transition{Comment}; !slices.Equal(got, want) {
		t.Errorf("a site manager may %v, want %v", got, want)
	}
}

func TestTakingWhatIsOnesOwnChangesNothing(t *testing.T) {
	inc := in(InProgress)
	inc.FirstResponse = noon
	next, event, err := Apply(inc, Request{Transition: Take}, ana, noon.Add(time.Hour))
	if err != nil || event.Seq != 0 || next.Version != inc.Version {
		t.Errorf("got event %d, version %d, %v; want nothing", event.Seq, next.Version, err)
	}
}

func TestReplayRefusesWhatIsNoTimeline(t *testing.T) {
	tests := map[string][]Event{
		"a gap":            {{Ref: "INC-000001", Seq: 1, After: []byte(`{}`)}, {Ref: "INC-000001", Seq: 3, After: []byte(`{}`)}},
		"broken JSON":      {{Ref: "INC-000001", Seq: 1, After: []byte(`{`)}},
		"an unknown field": {{Ref: "INC-000001", Seq: 1, After: []byte(`{"colour":"red"}`)}},
		"a wrong type":     {{Ref: "INC-000001", Seq: 1, After: []byte(`{"level":"one"}`)}},
	}
	for name, events := range tests {
		if _, err := Replay(events); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestPriorityMatrix(t *testing.T) {
	tests := []struct {
		impact  Impact
		urgency Urgency
		want    int
	}{
		{ImpactClient, UrgencyHigh, 1}, {ImpactSite, UrgencyHigh, 2}, {ImpactDevice, UrgencyHigh, 3},
		{ImpactDevice, UrgencyLow, 4}, {"", "", 4}, {"planet", UrgencyHigh, 3}, {ImpactSite, "now", 3},
	}
	for _, tt := range tests {
		if got := DefaultMatrix.Priority(tt.impact, tt.urgency); got != tt.want {
			t.Errorf("%q × %q: got %d, want %d", tt.impact, tt.urgency, got, tt.want)
		}
	}
	if got := (Matrix{}).Priority(ImpactSite, UrgencyHigh); got != 4 {
		t.Errorf("an empty matrix: got %d, want 4", got)
	}
}
