package incidents

import (
	"slices"
	"strconv"
	"time"
)

// Clock measures an incident against one promise. It runs in segments; the time
// it has consumed is their length, each measured in its own calendar.
type Clock struct {
	Name      string        `json:"name"`      // respond, resolve, level-1, vendor
	Kind      AgreementKind `json:"kind"`      // sla, ola or uc
	Agreement string        `json:"agreement"` // id@version: a snapshot, for versions don't change
	Calendar  string        `json:"calendar"`  // id@version
	Target    int           `json:"target"`    // minutes
	Segments  []Segment     `json:"segments"`
	Passed    []Passed      `json:"passed,omitempty"` // thresholds
	Due       time.Time     `json:"due,omitzero"`     // when the target is consumed, while it runs
	Next      time.Time     `json:"next,omitzero"`    // when the next threshold is passed, while it runs
	Ended     bool          `json:"ended,omitempty"`  // it has done its work
	Escalated bool          `json:"escalated,omitempty"`
}

// Segment is a stretch of time during which a clock ran.
type Segment struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to,omitzero"` // zero while it runs
	Start    string    `json:"start"`       // why it began
	Stop     string    `json:"stop,omitempty"`
	Calendar string    `json:"calendar"` // id@version that measures it
}

// Passed is a threshold that was passed, once.
type Passed struct {
	Percent int       `json:"percent"`
	At      time.Time `json:"at"`    // when it was passed
	Noted   time.Time `json:"noted"` // when somebody was there to notice
}

// Running reports whether the clock runs.
func (c *Clock) Running() bool {
	return len(c.Segments) > 0 && c.Segments[len(c.Segments)-1].To.IsZero()
}

// Breached reports whether the target was passed.
func (c *Clock) Breached() bool { return c.passed(100) }

func (c *Clock) passed(percent int) bool {
	return slices.ContainsFunc(c.Passed, func(p Passed) bool { return p.Percent == percent })
}

// Consumed returns the time that the clock has measured until that instant.
func (c *Clock) Consumed(b *Book, at time.Time) (sum time.Duration) {
	for i := range c.Segments {
		sum += c.Segments[i].length(b, at)
	}
	return sum
}

func (s *Segment) length(b *Book, at time.Time) time.Duration {
	to := s.To
	if to.IsZero() {
		to = at
	}
	return b.calendar(s.Calendar).Between(s.From, to)
}

func (c *Clock) start(at time.Time, why string) {
	if n := len(c.Segments); n > 0 {
		at = later(at, c.Segments[n-1].To)
	}
	c.Segments = append(slices.Clip(c.Segments), Segment{From: at, Start: why, Calendar: c.Calendar})
}

func (c *Clock) stop(at time.Time, why string) {
	c.Segments = slices.Clone(c.Segments)
	s := &c.Segments[len(c.Segments)-1]
	s.To, s.Stop = later(at, s.From), why
}

// note writes down the thresholds that were passed until that instant.
func (c *Clock) note(b *Book, at time.Time) {
	for !c.Next.IsZero() && !c.Next.After(at) {
		c.Passed = append(slices.Clip(c.Passed), Passed{c.percent(), c.Next, at})
		c.plan(b)
	}
}

// percent is the next threshold; 0 when all have been passed.
func (c *Clock) percent() int {
	for _, p := range thresholds {
		if !c.passed(p) {
			return p
		}
	}
	return 0
}

// plan works out when the clock is due and when its next threshold is passed. A
// clock that stands still is due at no time.
func (c *Clock) plan(b *Book) {
	c.Due, c.Next = time.Time{}, time.Time{}
	if !c.Running() {
		return
	}
	last := &c.Segments[len(c.Segments)-1]
	before := c.Consumed(b, last.From)
	calendar := b.calendar(last.Calendar)
	at := func(percent int) time.Time {
		return calendar.Add(last.From, minutes(c.Target)*time.Duration(percent)/100-before)
	}
	c.Due = at(100)
	if p := c.percent(); p > 0 {
		c.Next = at(p)
	}
}

// runClocks starts and stops the clocks as the change wants it. What a clock has
// passed until now is noted first, so that nothing is lost between two ticks.
func (c *change) runClocks(before *Incident) {
	inc, b := c.inc, c.req.book
	if b == nil {
		return
	}
	now := later(before.UpdatedAt, c.at) // late findings step back; clocks don't
	inc.Clocks = slices.Clone(inc.Clocks)
	for i := range inc.Clocks {
		inc.Clocks[i].note(b, now)
	}
	working := inc.Held.By == "" && (slices.Contains(active, inc.State) || inc.State == Pending && !inc.pauses())
	t := &look{c: c, b: b, now: now, anew: c.selects(before)}
	if a := b.agreement(SLA, 0, inc); a != nil || len(inc.Clocks) > 0 {
		t.clock("respond", a, a.target(inc, true), working && inc.FirstResponse.IsZero(), !inc.FirstResponse.IsZero())
		t.clock("resolve", a, a.target(inc, false), working, inc.State == Closed || inc.State == Cancelled)
	}
	for level := 1; level <= 3; level++ {
		if a := b.agreement(OLA, level, inc); level == inc.Level || t.find(levelClock(level)) != nil {
			t.clock(levelClock(level), a, a.target(inc, false), working && level == inc.Level, false)
		}
	}
	if inc.Vendor.Supplier != "" {
		a := b.agreement(UC, 0, inc)
		t.clock("vendor", a, a.target(inc, false), inc.atVendor(), false)
	}
	if len(inc.Clocks) == 0 {
		inc.Clocks = nil
	}
}

func levelClock(level int) string { return "level-" + strconv.Itoa(level) }

// selects reports whether the agreements are chosen anew: when it is asked for,
// and never because somebody edited one.
func (c *change) selects(before *Incident) bool {
	return c.inc.Priority != before.Priority || c.inc.Category != before.Category || c.inc.Vendor.Supplier != before.Vendor.Supplier
}

// target returns the minutes promised for the incident; 0 for none.
func (a *Agreement) target(inc *Incident, respond bool) int {
	if a == nil {
		return 0
	}
	if respond {
		return a.Targets[inc.Priority].Respond
	}
	return a.Targets[inc.Priority].Resolve
}

// look is one look at an incident's clocks.
type look struct {
	c    *change
	b    *Book
	now  time.Time
	anew bool
}

func (t *look) find(name string) *Clock {
	for i := range t.c.inc.Clocks {
		if t.c.inc.Clocks[i].Name == name {
			return &t.c.inc.Clocks[i]
		}
	}
	return nil
}

// clock brings one clock into the state that it should have.
func (t *look) clock(name string, a *Agreement, target int, run, ended bool) {
	k := t.find(name)
	if k == nil {
		if !run || target == 0 {
			return
		}
		t.c.inc.Clocks = append(t.c.inc.Clocks, Clock{Name: name, Kind: a.Kind, Agreement: a.ref, Calendar: a.calRef, Target: target})
		k = t.find(name)
	}
	changed := t.anew && t.reselect(k, a, target)
	if run != k.Running() {
		if run {
			k.start(t.now, t.why())
		} else {
			k.stop(t.now, t.why())
		}
		changed = true
	}
	if k.Ended = ended; changed {
		k.plan(t.b)
		if !k.Next.IsZero() { // a shorter promise is passed when it is made, not before
			k.Next = later(k.Next, t.now)
		}
		k.note(t.b, t.now)
	}
}

// reselect puts the clock under another agreement or target. What it has
// consumed it keeps: it was measured in the calendar of its time.
func (t *look) reselect(k *Clock, a *Agreement, target int) bool {
	if target == 0 || k.Agreement == a.ref && k.Target == target {
		return false
	}
	k.Agreement, k.Target = a.ref, target
	if k.Calendar != a.calRef {
		running := k.Running()
		if k.Calendar = a.calRef; running {
			k.stop(t.now, "agreement changed")
			k.start(t.now, "agreement changed")
		}
	}
	return true
}

// why says on the segment what started or stopped it.
func (t *look) why() string {
	why := string(t.c.kind)
	if r := t.c.inc.PendingReason; r != "" {
		why += ": " + r
	}
	return why
}

func (c *change) elapse() {}

// ClockStates are the states that ClockState tells of.
var ClockStates = []string{"ok", "at_risk", "breached", "paused", "met"}

// ClockState says in one word how an incident stands against what was promised to
// the client: "" without clocks, ok, at_risk, breached, paused or met.
func (inc *Incident) ClockState() string {
	state := ""
	for i := range inc.Clocks {
		k := &inc.Clocks[i]
		if k.Kind != SLA {
			continue
		}
		switch {
		case k.Breached():
			return "breached"
		case !k.Running() && inc.State == Pending && k.Name == "resolve":
			state = "paused"
		case k.Running() && k.passed(75):
			state = "at_risk"
		case k.Running() && (state == "" || state == "met"):
			state = "ok"
		case state == "":
			state = "met"
		}
	}
	return state
}
