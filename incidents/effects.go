package incidents

import (
	"slices"
	"time"

	"belfry/telemetry"
)

// lateKept is how many late findings an incident remembers.
const lateKept = 8

// see takes in what a finding says about the condition.
func (c *change) see() {
	f, inc := c.req.finding, c.inc
	inc.remember(f)
	if inc.Condition != f.Condition {
		inc.flip(f)
		inc.Condition, inc.ConditionAt = f.Condition, millis(f.At)
		inc.Since = millis(f.Since)
	}
	if f.Condition != telemetry.Unknown {
		inc.Value, inc.Threshold, inc.Score, inc.Expected, inc.Complete = f.Value, f.Threshold, f.Score, f.Expected, f.Completeness
	}
}

func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// remember notes that a finding was taken in. The list starts anew with each
// later instant and keeps only the late ones from before, for these come out of
// order and can't be told by their time alone.
func (inc *Incident) remember(f *telemetry.Finding) {
	at := millis(f.At)
	var kept []Seen
	for _, s := range inc.Evaluated {
		if s.Late || s.At.Equal(at) || at.Before(inc.EvaluatedAt) {
			kept = append(kept, s)
		}
	}
	kept = append(kept, Seen{at, f.Condition, f.Late})
	inc.Evaluated = kept[max(0, len(kept)-lateKept):]
	inc.EvaluatedAt = later(inc.EvaluatedAt, at)
}

// has reports whether a finding was taken in before, or is older than what was.
func (inc *Incident) has(f *telemetry.Finding) bool {
	at := millis(f.At)
	if slices.ContainsFunc(inc.Evaluated, func(s Seen) bool { return s.Condition == f.Condition && s.At.Equal(at) }) {
		return true
	}
	if f.Late && at.Before(inc.EvaluatedAt) {
		return f.Condition == inc.Condition
	}
	return at.Before(inc.EvaluatedAt)
}

func (c *change) open() {
	f, inc := c.req.finding, c.inc
	inc.Ref, inc.Origin, inc.Level = c.req.ref, FromRule, 1
	if inc.Key = c.req.key; inc.Key == "" {
		inc.Key = KeyOf(f.Rule, f.Scope)
	}
	inc.RolledUp, inc.Parent = c.req.key != "", c.req.parent
	inc.OpenKey = inc.Key
	inc.Rule, inc.RuleHash, inc.Scope, inc.Site = f.Rule, f.RuleHash, f.Scope, f.Site
	if f.Scope.Level == telemetry.LevelDevice {
		inc.Device = f.Scope.Name
		inc.Model, inc.Firmware = c.req.make.Model, c.req.make.Firmware
	}
	inc.Category, inc.Summary = f.Category, f.Summary
	inc.Team = c.req.book.category(f.Category).Team
	inc.Impact, inc.Urgency = c.req.book.importanceOf(f.Category, Impact(f.Impact), Urgency(f.Urgency))
	inc.Priority = c.req.priority
	inc.Late = f.Late
	inc.OpenedAt, inc.RecurrenceOf = c.at, c.req.previous
	c.fire()
}

func (c *change) fire() {
	c.see()
	if c.req.held.By != "" {
		c.inc.Held = c.req.held
	}
	c.inc.Occurrences++
	c.inc.LastFiredAt = later(c.inc.LastFiredAt, c.at)
	c.inc.Renotify = c.req.finding.Renotify
	if c.inc.Renotify > 0 && c.inc.Held.By == "" && !c.at.Before(c.inc.ToldAt.Add(c.inc.Renotify)) {
		c.inc.ToldAt = c.at
	}
}

func (c *change) report() {
	r, inc := c.req.report, c.inc
	inc.Ref, inc.Origin, inc.Level = c.req.ref, FromPerson, 1
	inc.Condition = telemetry.None
	inc.Site, inc.Device = r.Site, r.Device
	inc.Model, inc.Firmware = c.req.make.Model, c.req.make.Firmware
	inc.Category, inc.Summary, inc.Description = r.Category, r.Summary, r.Description
	inc.Team = c.req.book.category(r.Category).Team
	inc.Kind = r.Kind
	inc.Impact, inc.Urgency, inc.Priority = r.Impact, r.Urgency, c.req.priority
	inc.Reporter, inc.OpenedAt, inc.Channel = c.actor.Name, c.at, c.actor.Source
	if r.Reporter != "" {
		inc.Reporter = r.Reporter
	}
	if c.actor.Role == ThirdLine { // where it sees what it has reported; a supplier sees nothing else
		inc.Level, inc.Highest = 3, 3
	}
	if c.actor.Supplier != "" {
		inc.Vendor = VendorCase{Supplier: c.actor.Supplier, OpenedAt: c.at}
	}
}

func (c *change) repeat() { c.fire() }

func (c *change) observe() {
	c.see()
	if c.inc.Condition == telemetry.Clear {
		c.inc.Muted = false
	}
}

func (c *change) autoResolve() {
	c.inc.Resolution = Resolution{Code: Recovered}
	c.inc.ResolvedAt = c.at
}

// reopen gives the work back to whoever had it. What nobody had ever taken is
// new again: it has no owner who would see it among the work in progress.
func (c *change) reopen() {
	if c.inc.Assignee == "" {
		c.inc.State = New
	}
	c.inc.Reopened++
	c.undo()
	c.inc.Parent, c.inc.Held = c.req.parent, Held{}
	c.fire()
}

func (c *change) release() { c.inc.OpenKey = "" }

func (c *change) take() {
	c.inc.Assignee = c.actor.Name
	c.takeUp()
}

func (c *change) assign() {
	c.inc.Assignee = c.req.Assignee
	c.takeUp()
}

// takeUp begins the clocks of what was held back: somebody works on it now.
func (c *change) takeUp() {
	c.inc.Held = Held{}
	c.workedBy()
	c.respond()
}

// respond records the first human response.
func (c *change) respond() {
	if c.inc.FirstResponse.IsZero() {
		c.inc.FirstResponse = c.at
	}
}

func (c *change) resolve() {
	c.respond()
	c.inc.ResolvedAt = c.at
	c.inc.Resolution = Resolution{Code: c.req.Code, Cause: c.req.Cause, Summary: c.req.Summary,
		Workaround: c.req.Workaround, Item: c.req.Item, By: c.actor.Name}
	c.wake()
	if !c.settled() {
		c.inc.Resolution.Forced, c.inc.Muted = c.req.Reason, true
	}
}

func (c *change) close() {
	c.inc.ClosedAt = c.at
	c.inc.OpenKey = ""
}

func (c *change) comment() {
	if c.actor.Role.OnDesk() && !c.req.Internal && !c.req.Shared {
		c.respond()
	}
}
