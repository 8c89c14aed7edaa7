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
	sven     = Actor{Name: "sven", Role: ThirdLine, Source: ByAPI}
	mona     = Actor{Name: "mona", Role: Manager, Source: ByAPI}

	clockwork = belfry
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
		Key: KeyOf(f.Rule, f.Scope), OpenKey: KeyOf(f.Rule, f.Scope), Category: f.Category, Site: "paris", Device: "FC-1",
		Impact: ImpactDevice, Urgency: UrgencyMedium, Priority: 4, OpenedAt: noon, UpdatedAt: noon}
	switch s {
	case Closed, Cancelled:
		inc.OpenKey = ""
	case Pending:
		inc.PendingReason = AwaitingEndUser
		fallthrough
	case InProgress:
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
		req.report.fill(nil)
	case Assign:
		req.Assignee = "bob"
	case Resolve:
		req = fixed(name)
	case Qualify:
		req.Kind, req.Urgency = KindIncident, UrgencyHigh
	case Ask:
		req.Actions = []NewAction{{Text: "is the light on?", Due: noon.Add(24 * time.Hour)}}
	case Reply:
		req.Action, req.Text, actor = 1, "it was unplugged", carl
	case Withdraw:
		req.Action, req.Reason = 1, "not needed"
	case Remind, Expire:
		req.Action, actor = 1, clockwork
	case Hold:
		req.Reason, req.Text, req.Until = "requester", "we wait for you", noon.Add(24*time.Hour)
	case Escalate:
		req.Reason = "no remedy here"
	case Return:
		req.Summary, actor = "restart it twice", bob
	case Approve:
		actor = carl
	case Reject:
		req.Reason, actor = "still dark", carl
	case Rate:
		req.Points, actor = 4, carl
	case HoldBack:
		req.held, actor = Held{By: bySilence, Why: "x", Until: noon.Add(9 * time.Hour)}, clockwork
	case Adopt:
		req.parent, actor = "INC-000009", clockwork
	case Detach, Release, Calm, Chase, Elapse, Summarise, NoNews:
		actor = clockwork
	case Merge, Absorb:
		other := in(InProgress)
		other.Ref = "INC-000009"
		req.Into, req.other = other.Ref, &other
		if name == Absorb {
			actor = clockwork
		}
	case Cancel:
		req.Code, req.Reason = "false_positive", "the shop was shut"
	case Major:
		req.Reason = "the whole mall"
	case Comment:
		req.Text = "rang the shop"
	}
	return req, actor
}

func fixed(name Transition) Request {
	return Request{Transition: name, Code: "fixed", Cause: "cabling", Summary: "plugged in", Item: "FC-1"}
}

// prepared returns an incident in a state, with what the transition acts upon.
func prepared(s State, name Transition) Incident {
	inc := in(s)
	switch name {
	case Reply, Withdraw, Remind, Expire:
		inc.Actions = []Action{{ID: 1, Text: "is the light on?", AskedAt: noon, Due: noon.Add(time.Hour)}}
	case Return:
		inc.Level = 2
	case Detach:
		inc.Parent = "INC-000009"
	case Release:
		inc.Held = Held{By: bySilence}
	case Calm:
		inc.Flapping, inc.Flips = true, []time.Time{noon}
	case Elapse:
		inc.Clocks = []Clock{{Name: "resolve", Kind: SLA, Calendar: "24x7@0", Target: 60, Next: noon.Add(45 * time.Minute),
			Segments: []Segment{{From: noon, Calendar: "24x7@0"}}}}
	}
	return inc
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
		{Qualify, "what is open can be qualified, and what waits wakes when it gets worse",
			[7]State{refused, New, InProgress, InProgress, refused, refused, refused}},
		{Ask, "only who works on it asks the site, and then waits",
			[7]State{refused, refused, Pending, refused, refused, refused, refused}},
		{Reply, "an answer is taken while it is open, and the last one wakes what waits for it",
			[7]State{refused, New, InProgress, InProgress, refused, refused, refused}},
		{Withdraw, "an action can be withdrawn while it is open, and the last one wakes what waits for it",
			[7]State{refused, New, InProgress, InProgress, refused, refused, refused}},
		{Remind, "half time reminds, and changes no state",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Expire, "an action whose time is over wakes what waits for it",
			[7]State{refused, New, InProgress, InProgress, refused, refused, refused}},
		{Hold, "only what somebody works on can be held",
			[7]State{refused, refused, Pending, refused, refused, refused, refused}},
		{Wake, "only what waits can wake",
			[7]State{refused, refused, refused, InProgress, refused, refused, refused}},
		{Escalate, "what is worked on, or soon will be, can go a level up",
			[7]State{refused, New, InProgress, refused, refused, refused, refused}},
		{Return, "and comes down a level again",
			[7]State{refused, New, InProgress, refused, refused, refused, refused}},
		{Approve, "what is resolved can be approved, and is closed",
			[7]State{refused, refused, refused, refused, Closed, refused, refused}},
		{Reject, "what is resolved can be rejected, and without an owner it is new again",
			[7]State{refused, refused, refused, refused, New, refused, refused}},
		{Rate, "how well it was done is said when it is done",
			[7]State{refused, refused, refused, refused, Resolved, Closed, refused}},
		{Chase, "approval is asked for while it is wanting",
			[7]State{refused, refused, refused, refused, Resolved, refused, refused}},
		{Merge, "what is open can go into another one",
			[7]State{refused, Cancelled, Cancelled, Cancelled, refused, refused, refused}},
		{Absorb, "only what is open takes others in",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Cancel, "what is open can be cancelled",
			[7]State{refused, Cancelled, Cancelled, Cancelled, refused, refused, refused}},
		{Major, "what is open can be declared major, and what waits wakes, for it got worse",
			[7]State{refused, New, InProgress, InProgress, refused, refused, refused}},
		{Summarise, "what flaps is told of each day, and changes no state",
			[7]State{refused, New, InProgress, Pending, Resolved, Closed, Cancelled}},
		{NoNews, "whoever waits for news is told that there are none while it is open",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Elapse, "a clock passes its thresholds whatever the state",
			[7]State{refused, New, InProgress, Pending, Resolved, Closed, Cancelled}},
		{Adopt, "what is open can become part of a site incident, and stays where it is",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Detach, "and stand for itself again",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{HoldBack, "what is open can be held back, and stays where it is",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Release, "and be let go",
			[7]State{refused, New, InProgress, Pending, refused, refused, refused}},
		{Calm, "what flapped becomes calm whatever the state",
			[7]State{refused, New, InProgress, Pending, Resolved, Closed, Cancelled}},
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
				if req.book = book(t); row.name != Elapse {
					req.book = nil
				}
				next, event, err := Apply(prepared(from, row.name), req, actor, noon.Add(time.Hour))
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
		"resolving needs a code":                                   {in(InProgress), Request{Transition: Resolve}, ana, "code:"},
		"resolving needs a cause":                                  {in(InProgress), Request{Transition: Resolve}, ana, "cause:"},
		"resolving needs a summary":                                {in(InProgress), Request{Transition: Resolve}, ana, "summary: is missing"},
		"resolving needs the item confirmed":                       {in(InProgress), Request{Transition: Resolve}, ana, "item:"},
		"resolving with a workaround needs one":                    {in(InProgress), Request{Transition: Resolve, Code: "workaround"}, ana, "workaround: is missing"},
		"resolving needs a code that exists":                       {in(InProgress), Request{Transition: Resolve, Code: "magic"}, ana, "no resolution code"},
		"what still fires can't be resolved":                       {firing, fixed(Resolve), ana, "is firing, not clear"},
		"what is unknown is not clear":                             {unknown, fixed(Resolve), ana, "is unknown, not clear"},
		"force needs a reason":                                     {firing, forced(""), ana, "reason: is missing"},
		"force with a reason resolves what fires":                  {firing, forced("shop is shut"), ana, ""},
		"what waits for answers can't be resolved":                 {prepared(Pending, Reply), fixed(Resolve), ana, "1 open actions"},
		"an end user cannot escalate":                              {in(New), Request{Transition: Escalate, Reason: "now!"}, carl, "escalated by the desk"},
		"escalating needs a reason":                                {in(New), Request{Transition: Escalate}, ana, "reason: is missing"},
		"the first line does not escalate to the supplier":         {prepared(InProgress, Return), Request{Transition: Escalate, Reason: "x"}, ana, "may not escalate from level 2"},
		"the second line does not escalate from the first":         {in(InProgress), Request{Transition: Escalate, Reason: "x"}, bob, "may not escalate from level 1"},
		"a manager escalates from anywhere":                        {in(InProgress), Request{Transition: Escalate, Reason: "x"}, mona, ""},
		"escalating to a supplier names it":                        {prepared(InProgress, Return), Request{Transition: Escalate, Reason: "x"}, bob, "supplier:"},
		"escalating to a supplier opens its case":                  {prepared(InProgress, Return), Request{Transition: Escalate, Reason: "x", Supplier: "Xovis"}, bob, ""},
		"there is nothing above level 3":                           {atLevel(3), Request{Transition: Escalate, Reason: "x"}, mona, "at level 3 already"},
		"escalating over open actions says why":                    {prepared(InProgress, Reply), Request{Transition: Escalate, Reason: "x"}, ana, "say in override"},
		"and then it goes":                                         {prepared(InProgress, Reply), Request{Transition: Escalate, Reason: "x", Override: "they are on holiday"}, ana, ""},
		"returning needs a solution":                               {prepared(InProgress, Return), Request{Transition: Return}, bob, "want a solution"},
		"nothing is below level 1":                                 {in(InProgress), Request{Transition: Return, Summary: "x"}, bob, "is at level 1"},
		"the first line returns nothing":                           {prepared(InProgress, Return), Request{Transition: Return, Summary: "x"}, ana, "may not return"},
		"a supplier works on its own cases":                        {atLevel(3), Request{Transition: Take}, sven, ""},
		"a supplier cancels nothing":                               {atLevel(3), Request{Transition: Cancel, Code: "mistake", Reason: "x"}, sven, "may not cancel"},
		"asking needs something to ask":                            {in(InProgress), Request{Transition: Ask}, ana, "actions: has 0"},
		"asking needs a text and a time to come":                   {in(InProgress), Request{Transition: Ask, Actions: []NewAction{{}}}, ana, "actions[0].text: is missing, and the category has no questionnaire; actions[0].due"},
		"an action for somebody else is not for me to answer":      {forSomebody("dora"), Request{Transition: Reply, Action: 1, Text: "x"}, carl, "is for somebody else"},
		"the desk answers on somebody's behalf":                    {forSomebody("dora"), Request{Transition: Reply, Action: 1, Text: "x"}, ana, ""},
		"an answer says something":                                 {forSomebody("carl"), Request{Transition: Reply, Action: 1}, carl, "text: is missing"},
		"there is no action 7":                                     {forSomebody("carl"), Request{Transition: Reply, Action: 7, Text: "x"}, carl, "has no action 7"},
		"holding needs a reason, a note and an end":                {in(InProgress), Request{Transition: Hold}, ana, "reason: \"\" is none; want one of change, requester, scheduled, site_visit, vendor; text: is missing; want what the requester is to know; until"},
		"waiting for a supplier names it":                          {in(InProgress), Request{Transition: Hold, Reason: "vendor", Text: "x", Until: noon.Add(9 * time.Hour)}, ana, "supplier:"},
		"qualifying says something":                                {in(New), Request{Transition: Qualify}, ana, "kind: is missing"},
		"qualifying takes only what there is":                      {in(New), Request{Transition: Qualify, Kind: "wish", Category: "x", Impact: "y", Urgency: "z"}, ana, "no kind \"wish\""},
		"a reminder says of what":                                  {in(New), Request{Transition: Qualify, Kind: KindReminder}, ana, "into: is missing"},
		"merging needs an incident that is there":                  {in(New), Request{Transition: Merge, Into: "INC-7"}, ana, "there is no incident"},
		"nothing is merged into itself":                            {in(New), mergeInto(in(New)), ana, "the incident itself"},
		"nothing is merged into what has ended":                    {in(New), mergeInto(elsewhere(Closed)), ana, "is closed; merge into an open"},
		"cancelling needs a code and a reason":                     {in(New), Request{Transition: Cancel}, ana, "want one of false_positive, mistake, site_closed; reason"},
		"a major incident is major already":                        {majorOne(), Request{Transition: Major, Reason: "x"}, ana, "major incident already"},
		"the solver does not rate":                                 {resolvedBy("ana"), Request{Transition: Rate, Points: 5}, ana, "somebody else says how well"},
		"a rating has points":                                      {resolvedBy("ana"), Request{Transition: Rate}, carl, "points: is missing"},
		"of which there are five":                                  {resolvedBy("ana"), Request{Transition: Rate, Points: 6}, carl, "want 1 to 5"},
		"the second line does not approve":                         {resolvedBy("ana"), Request{Transition: Approve}, bob, "may not approve"},
		"rejecting needs a reason":                                 {resolvedBy("ana"), Request{Transition: Reject}, carl, "reason: is missing"},
		"closing is not approving":                                 {resolvedBy("ana"), Request{Transition: Close}, bob, ""},
		"what people worked on is closed only when nobody answers": {answeredBy(1), Request{Transition: Close}, bob, "asked for approval 1 of 2 times"},
		"and then it is":                                           {answeredBy(2), Request{Transition: Close}, bob, ""},
		"a supplier writes no internal notes of the desk's":        {atLevel(3), Request{Transition: Comment, Text: "x", Internal: true}, sven, "no internal notes"},
		"but those that it shares":                                 {atLevel(3), Request{Transition: Comment, Text: "x", Shared: true}, sven, ""},
		"a site manager shares none":                               {in(New), Request{Transition: Comment, Text: "x", Shared: true}, carl, "no internal notes"},
		"assigning needs somebody":                                 {in(New), Request{Transition: Assign}, ana, "assignee:"},
		"taking needs a category":                                  {bare, Request{Transition: Take}, ana, "no category"},
		"an empty comment says nothing":                            {in(New), Request{Transition: Comment, Text: "  "}, ana, "text: is missing"},
		"a comment has a length":                                   {in(New), Request{Transition: Comment, Text: strings.Repeat("x", MaxText+1)}, ana, "at most"},
		"a site manager writes no internal notes":                  {in(New), Request{Transition: Comment, Text: "x", Internal: true}, carl, "no internal notes"},
		"a site manager takes no incident":                         {in(New), Request{Transition: Take}, carl, "may not take"},
		"a person can't pretend to be the analyzer":                {in(New), Request{Transition: Observe, finding: &f}, ana, "may not observe"},
		"the zero actor may do nothing":                            {in(New), Request{Transition: Take}, Actor{}, "may not take"},
		"an unknown transition is named":                           {in(New), Request{Transition: "explode"}, ana, `no transition "explode"`},
		"an old version is told so":                                {in(New), Request{Transition: Take, Version: 2}, ana, "changed in the meantime"},
		"what a person touched does not resolve by itself":         {touched, Request{Transition: AutoResolve}, analyzer, "somebody has worked on"},
		"what fires does not resolve by itself":                    {with(in(New), telemetry.Firing), Request{Transition: AutoResolve}, analyzer, "is firing"},
		"what was resolved by force is not reopened while muted":   {muted, Request{Transition: Reopen, finding: &again}, analyzer, "silent until"},
		"what was resolved by force still hears that it clears":    {muted, Request{Transition: Observe, finding: &f}, analyzer, ""},
		"what had an owner goes back to its owner":                 {owned, Request{Transition: Reopen, finding: &again}, analyzer, ""},
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

func forced(reason string) Request {
	req := fixed(Resolve)
	req.Force, req.Reason = true, reason
	return req
}

func atLevel(level int) Incident {
	inc := in(InProgress)
	inc.Level = level
	return inc
}

func forSomebody(name string) Incident {
	inc := prepared(Pending, Reply)
	inc.Actions[0].Assignee = name
	return inc
}

func mergeInto(other Incident) Request {
	return Request{Transition: Merge, Into: other.Ref, other: &other}
}

func elsewhere(s State) Incident {
	inc := in(s)
	inc.Ref = "INC-000009"
	return inc
}

func majorOne() Incident {
	inc := in(New)
	inc.Major = true
	return inc
}

func resolvedBy(name string) Incident {
	inc := in(Resolved)
	inc.Resolution = Resolution{Code: "fixed", By: name}
	return inc
}

// answeredBy returns an incident whose approval was asked for so often.
func answeredBy(chased int) Incident {
	inc := resolvedBy("ana")
	inc.Touched, inc.Chased = true, chased
	return inc
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
	if want := []Transition{Approve, Reject, Rate, Close, Comment}; !slices.Equal(conflict.Allowed, want) {
		t.Errorf("got %v, want %v", conflict.Allowed, want)
	}
	if got, want := Allowed(New, carl), []Transition{Reply, Comment}; !slices.Equal(got, want) {
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
