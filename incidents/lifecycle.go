package incidents

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"belfry/telemetry"
)

// Transition is the name of a change of an incident, and the kind of the event
// that records it.
type Transition string

// The transitions. Those that people ask for are listed by Allowed.
const (
	Open        Transition = "open"         // a finding opens it
	Report      Transition = "report"       // a person opens it
	Repeat      Transition = "repeat"       // the rule fires again while it is open
	Observe     Transition = "observe"      // its condition changes without firing anew
	AutoResolve Transition = "auto_resolve" // recovered before anybody touched it
	Reopen      Transition = "reopen"       // the rule fires again soon after it was resolved
	Supersede   Transition = "supersede"    // the rule fires again too late; a new one takes over the key
	Qualify     Transition = "qualify"      // kind, category, impact, urgency
	Take        Transition = "take"
	Assign      Transition = "assign"
	Ask         Transition = "ask"      // somebody at the site is asked to do something
	Reply       Transition = "answer"   // an action is done
	Withdraw    Transition = "withdraw" // an action is no longer needed
	Remind      Transition = "remind"   // half of an action's time is over
	Expire      Transition = "expire"   // an action's time is over
	Hold        Transition = "hold"
	Wake        Transition = "wake"
	Escalate    Transition = "escalate"
	Return      Transition = "return" // to the level below, with a solution
	Resolve     Transition = "resolve"
	Approve     Transition = "approve"
	Reject      Transition = "reject"
	Rate        Transition = "rate"
	Chase       Transition = "chase" // approval is asked for again
	Close       Transition = "close" // without approval
	Merge       Transition = "merge"
	Absorb      Transition = "absorb" // another one was merged into it
	Cancel      Transition = "cancel"
	Major       Transition = "declare_major"
	Elapse      Transition = "elapse"    // a clock passes a threshold
	HoldBack    Transition = "hold_back" // it is kept from people's attention
	Release     Transition = "release"   // and no longer
	Adopt       Transition = "adopt"     // a site incident stands for it
	Detach      Transition = "detach"    // it stands for itself again
	Calm        Transition = "calm"      // it flaps no longer
	Summarise   Transition = "summarise" // what a day of flapping came to
	NoNews      Transition = "no_news"   // its reporter has heard nothing for long
	Comment     Transition = "comment"
)

// Request asks for a transition.
type Request struct {
	Transition Transition
	Version    int64   // the version that it is meant for; 0 for any
	Answers    []Given // answer: to the questions of the action, in their order

	Kind       Kind        // qualify; "" leaves it
	Category   string      // qualify; "" leaves it
	Impact     Impact      // qualify; "" leaves it
	Urgency    Urgency     // qualify; "" leaves it
	Assignee   string      // assign
	Actions    []NewAction // ask
	Action     int         // answer, withdraw: which
	Until      time.Time   // hold: when it wakes
	Supplier   string      // hold for a vendor, escalate to level 3
	Reference  string      // the supplier's own
	Override   string      // escalate: why although somebody was asked and has not answered
	Into       string      // merge, qualify as a reminder: the incident that stays
	Code       string      // resolve, cancel: one of ResolutionCodes, CancelCodes
	Cause      string      // resolve: one of CauseCodes
	Summary    string      // resolve: what was done; return: the solution
	Workaround string      // resolve with the code workaround: how to live with it
	Item       string      // resolve: the device or site that it was about
	Force      bool        // resolve: although the condition is not clear
	Reason     string      // why; hold: one of HoldReasons
	Points     int         // approve, rate: 1 to 5
	Text       string      // what is said
	Internal   bool        // comment: for the desk's eyes only
	Shared     bool        // comment: internal, and for the supplier's eyes too

	Channel Source // by which it came; "" for the actor's own

	Once *Once // makes the request safe to repeat; nil when it is not

	finding  *telemetry.Finding // open, repeat, observe, reopen
	report   *NewReport         // report
	ref      string             // open, report: the reference to be
	make     Make               // open, report: of the device
	priority int                // open, report
	previous string             // open: the incident of the same key before it
	other    *Incident          // merge, absorb: the other one
	matrix   Matrix             // qualify; nil means DefaultMatrix
	held     Held               // open, repeat, reopen, hold_back, adopt
	parent   string             // open, reopen, adopt

	unrecorded bool   // open: the caller records what changed
	key        string // open of a site incident: its key
	book       *Book  // what clocks go by; nil: there are none
}

// move is one row of the table of transitions.
type move struct {
	name   Transition
	from   []State
	to     State  // "" leaves the state as it is
	by     []Role // who may ask for it; nil when only belfry itself may
	guards []func(*change) error
	effect func(*change)
}

// change is a transition under way.
type change struct {
	inc   *Incident // being changed
	req   *Request
	actor Actor
	at    time.Time
	kind  Transition
}

var (
	open   = []State{New, InProgress, Pending}
	active = []State{New, InProgress}
)

// moves is the whole life cycle: single, bulk and automatic changes all go
// through it. A pair of state and transition that is not here is refused.
var moves = []move{
	{Open, []State{Absent}, New, nil, nil, (*change).open},
	{Report, []State{Absent}, New, reporters, guards((*change).reported), (*change).report},
	{Repeat, open, "", nil, nil, (*change).repeat},
	{Observe, States, "", nil, guards((*change).listening), (*change).observe},
	{AutoResolve, []State{New}, Resolved, nil, guards((*change).untouched, (*change).clear), (*change).autoResolve},
	{Reopen, []State{Resolved}, InProgress, nil, guards((*change).unmuted), (*change).reopen},
	{Supersede, []State{Resolved}, "", nil, nil, (*change).release},
	{Qualify, open, "", workers, guards((*change).qualifiable, (*change).mergeableReminder), (*change).qualify},
	{Take, active, InProgress, workers, guards((*change).categorised), (*change).take},
	{Assign, active, InProgress, workers, guards((*change).categorised, (*change).assignable), (*change).assign},
	{Ask, []State{InProgress}, Pending, workers, guards((*change).askable), (*change).ask},
	{Reply, open, "", asked, guards((*change).actionOpen, (*change).answerable), (*change).answer},
	{Withdraw, open, "", workers, guards((*change).reasoned, (*change).actionOpen), (*change).withdraw},
	{Remind, open, "", nil, guards((*change).actionOpen), (*change).remind},
	{Expire, open, "", nil, guards((*change).actionOpen), (*change).expire},
	{Hold, []State{InProgress}, Pending, workers, guards((*change).holdable), (*change).hold},
	{Wake, []State{Pending}, InProgress, workers, nil, (*change).wake},
	{Escalate, active, "", desk, guards((*change).mayEscalate, (*change).escalable), (*change).escalate},
	{Return, active, "", upper, guards((*change).returnable), (*change).giveBack},
	{Resolve, open, Resolved, workers, guards((*change).resolvable, (*change).nothingAsked, (*change).clearOrForced), (*change).resolve},
	{Approve, []State{Resolved}, Closed, concerned, guards((*change).ratable), (*change).approve},
	{Reject, []State{Resolved}, InProgress, concerned, guards((*change).reasoned), (*change).reject},
	{Rate, []State{Resolved, Closed}, "", concerned, guards((*change).rated, (*change).ratable), (*change).rate},
	{Chase, []State{Resolved}, "", nil, nil, (*change).chase},
	{Close, []State{Resolved}, Closed, desk, guards((*change).unanswered), (*change).close},
	{Merge, open, Cancelled, desk, guards((*change).mergeable), (*change).merge},
	{Absorb, open, "", nil, nil, (*change).absorb},
	{Cancel, open, Cancelled, desk, guards((*change).cancellable), (*change).cancel},
	{Major, open, "", desk, guards((*change).reasoned, (*change).minor), (*change).major},
	{Elapse, States, "", nil, nil, (*change).elapse},
	{HoldBack, open, "", nil, nil, (*change).holdBack},
	{Release, open, "", nil, nil, (*change).letGo},
	{Adopt, open, "", nil, nil, (*change).adopt},
	{Detach, open, "", nil, nil, (*change).detach},
	{Calm, States, "", nil, nil, (*change).calm},
	{Summarise, States, "", nil, nil, (*change).summarise},
	{NoNews, open, "", nil, nil, (*change).noNews},
	{Comment, States, "", reporters, guards((*change).speaking), (*change).comment},
}

func guards(g ...func(*change) error) []func(*change) error { return g }

func moveOf(name Transition) *move {
	for i := range moves {
		if moves[i].name == name {
			return &moves[i]
		}
	}
	return nil
}

func (m *move) mayBe(a Actor) bool {
	if m.by == nil || a.automatic() {
		return a.automatic()
	}
	return slices.Contains(m.by, a.Role)
}

// Allowed returns the transitions that the actor may ask for in that state. The
// incident's other circumstances may still stand against one of them.
func Allowed(s State, a Actor) []Transition {
	out := []Transition{}
	for i := range moves {
		m := &moves[i]
		if m.by != nil && s != Absent && m.mayBe(a) && slices.Contains(m.from, s) {
			out = append(out, m.name)
		}
	}
	return out
}

// Apply is the one way to change an incident: it returns the next version and
// the event that records the step. A change that changes nothing (taking what is
// already one's own) returns the incident as it was and an Event with Seq 0.
//
// The errors are, in this order: InvalidError for an unknown transition,
// ForbiddenError, ErrStale, ConflictError for the state, then what the guards
// of the transition say (InvalidError or ConflictError).
func Apply(inc Incident, req Request, actor Actor, at time.Time) (Incident, Event, error) {
	s := &Step{Before: inc}
	if err := s.apply(&req, actor, at); err != nil {
		return inc, Event{}, err
	}
	return s.After, s.Event, nil
}

// apply is Apply to Before: it sets the rest of the step. An incident is long, and in a
// storm there are many, so none is copied more often than it must be.
func (s *Step) apply(req *Request, actor Actor, at time.Time) error {
	m, inc := moveOf(req.Transition), &s.Before
	if m == nil {
		return noTransition(req.Transition)
	}
	actor, err := actor.through(req.Channel)
	if err != nil {
		return err
	}
	if m.name == Escalate && actor.Role == SiteManager {
		return &ForbiddenError{"end-user-cannot-escalate",
			"an incident is escalated by the desk; tell it in a comment what is urgent"}
	}
	if !m.mayBe(actor) {
		return &ForbiddenError{"transition-not-yours",
			fmt.Sprintf("the role %q may not %s an incident", actor.Role, m.name)}
	}
	if req.Version != 0 && req.Version != inc.Version {
		return fmt.Errorf("%s is at version %d, not %d: %w", inc.Ref, inc.Version, req.Version, ErrStale)
	}
	if !slices.Contains(m.from, inc.State) {
		return &ConflictError{"not-allowed-in-state",
			fmt.Sprintf("an incident that is %s can't be changed by %s", inc.State, m.name), inc.State, Allowed(inc.State, actor)}
	}
	return m.apply(s, req, actor, at.UTC().Truncate(time.Millisecond))
}

func noTransition(name Transition) error {
	return &InvalidError{[]Fault{{"transition", fmt.Sprintf("no transition %q; want one of %v", name, Askable())}}}
}

// Askable returns the transitions that people may ask for, in table order.
func Askable() []Transition {
	out := []Transition{}
	for i := range moves {
		if moves[i].by != nil && moves[i].name != Report && moves[i].name != Comment {
			out = append(out, moves[i].name)
		}
	}
	return out
}

func (m *move) apply(s *Step, req *Request, actor Actor, at time.Time) error {
	s.After, s.Event = s.Before, Event{}
	inc, next := &s.Before, &s.After
	c := &change{inc: next, req: req, actor: actor, at: at, kind: m.name}
	for _, guard := range m.guards {
		if err := guard(c); err != nil {
			return withAllowed(err, Allowed(inc.State, actor))
		}
	}
	if m.to != "" {
		next.State = m.to
	}
	m.effect(c)
	c.handBack(inc)
	c.hear(inc)
	c.runClocks(inc)
	if !actor.automatic() {
		next.Touched = next.Touched || m.name != Report
	}
	next.TimerAt, _ = next.timer(req.book)
	var before, after json.RawMessage
	if !req.unrecorded {
		var err error
		if before, after, err = diff(inc, next); err != nil {
			return fmt.Errorf("record %s of %s: %w", m.name, inc.Ref, err)
		}
		if len(after) == len("{}") && m.name != Comment && m.name != Absorb {
			s.After = s.Before
			return nil
		}
	}
	next.Version++
	next.UpdatedAt = later(inc.UpdatedAt, at)
	s.Event = c.event(m.name, before, after)
	return nil
}

func withAllowed(err error, allowed []Transition) error {
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		conflict.Allowed = allowed
	}
	return err
}

func (c *change) event(kind Transition, before, after []byte) Event {
	e := Event{
		Ref: c.inc.Ref, Seq: c.inc.Version, At: c.at, Kind: kind, Before: before, After: after,
		Actor: c.actor.Name, Source: c.actor.Source, Request: c.actor.Request,
		Text: c.req.Text, Internal: c.req.Internal || c.req.Shared, Shared: c.req.Shared, Supplier: c.sharedWith(),
	}
	if e.Text == "" {
		e.Text = c.req.Reason
	}
	if f := c.req.finding; f != nil {
		e.Text = f.Reason
		e.Evidence = f.Evidence
	}
	return e
}
