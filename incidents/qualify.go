package incidents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (c *change) qualifiable() error {
	r, f := c.req, faults{}
	if r.Kind == "" && r.Category == "" && r.Impact == "" && r.Urgency == "" {
		f.add("kind", "is missing, and so are category, impact and urgency; want one of them at least")
	}
	if r.Kind != "" && !slices.Contains(Kinds, r.Kind) {
		f.add("kind", "no kind %q; want one of %v", r.Kind, Kinds)
	}
	if r.Category != "" && r.Category != c.inc.Category {
		f.choosable(c.req.book, r.Category)
	}
	f.importance(r.Impact, r.Urgency)
	return f.err()
}

// importance checks an impact and an urgency; empty ones are left as they are.
func (f *faults) importance(impact Impact, urgency Urgency) {
	if _, ok := DefaultMatrix[impact]; !ok && impact != "" {
		f.add("impact", "no impact %q; want client, site or device", impact)
	}
	if _, ok := DefaultMatrix[ImpactDevice][urgency]; !ok && urgency != "" {
		f.add("urgency", "no urgency %q; want high, medium or low", urgency)
	}
}

// mergeableReminder checks a reminder, which goes into the incident that it
// reminds of and ends as one.
func (c *change) mergeableReminder() error {
	if c.req.Kind != KindReminder {
		return nil
	}
	return c.mergeable()
}

func (c *change) qualify() {
	inc, r, before := c.inc, c.req, c.inc.Priority
	set(&inc.Kind, r.Kind)
	if r.Category != "" {
		inc.Category, inc.Team = r.Category, r.book.category(r.Category).Team
	}
	set(&inc.Impact, r.Impact)
	set(&inc.Urgency, r.Urgency)
	if r.Impact != "" || r.Urgency != "" {
		matrix := r.matrix
		if matrix == nil {
			matrix = DefaultMatrix
		}
		if inc.Priority = matrix.Priority(inc.Impact, inc.Urgency); inc.Major {
			inc.Priority = 1
		}
	}
	switch {
	case r.Kind == KindReminder:
		inc.State = Cancelled
		c.merge()
	case inc.State == Pending && inc.Priority < before: // it got worse: no more waiting
		inc.State = InProgress
		c.wake()
	}
}

func set[T comparable](field *T, value T) {
	var none T
	if value != none {
		*field = value
	}
}

// mergeable checks the incident that stays.
func (c *change) mergeable() error {
	o := c.req.other
	switch {
	case c.req.Into == "":
		return &InvalidError{[]Fault{{"into", "is missing; want the reference of the incident that stays"}}}
	case o == nil:
		return &InvalidError{[]Fault{{"into", fmt.Sprintf("there is no incident %q", c.req.Into)}}}
	case o.Ref == c.inc.Ref:
		return &InvalidError{[]Fault{{"into", "names the incident itself"}}}
	case !slices.Contains(open, o.State):
		return c.conflict("target-ended", "%s is %s; merge into an open incident", o.Ref, o.State)
	}
	return nil
}

// merge ends the incident in favour of another. What still fires is silent
// until it is clear: the other one stands for it.
func (c *change) merge() {
	c.inc.DuplicateOf = c.req.other.Ref
	c.end("duplicate")
}

// end is the common part of merge and cancel.
func (c *change) end(code string) {
	c.inc.Resolution = Resolution{Code: code, Summary: c.req.Reason, By: c.actor.Name}
	c.inc.ClosedAt, c.inc.OpenKey = c.at, ""
	c.inc.Muted = c.inc.Muted || !c.settled()
	c.wake()
	c.closeActions()
}

// closeActions withdraws what people need no longer do.
func (c *change) closeActions() {
	if c.inc.openActions() == 0 {
		return
	}
	c.inc.Actions = slices.Clone(c.inc.Actions)
	for i := range c.inc.Actions {
		if a := &c.inc.Actions[i]; a.Ended.IsZero() {
			a.Ended, a.How, a.By = c.at, "withdrawn", c.actor.Name
		}
	}
}

// absorb notes that another incident went into this one.
func (c *change) absorb() {
	o := c.req.other
	c.inc.Duplicates = append(slices.Clip(c.inc.Duplicates), o.Ref)
	if o.Kind == KindReminder {
		c.inc.Reminders++
	}
}

func (c *change) cancellable() error {
	f := faults{}
	if _, ok := CancelCodes[c.req.Code]; !ok {
		f.add("code", "%q is no code to cancel with; want one of %s", c.req.Code, strings.Join(slices.Sorted(maps.Keys(CancelCodes)), ", "))
	}
	f.reason(c.req.Reason)
	return f.err()
}

func (c *change) cancel() { c.end(c.req.Code) }

func (c *change) minor() error {
	if c.inc.Major {
		return c.conflict("major-already", "%s is a major incident already", c.inc.Ref)
	}
	return nil
}

// major puts the incident first; what waits wakes, for it got worse.
func (c *change) major() {
	c.inc.Major, c.inc.Priority = true, 1
	if c.inc.State == Pending {
		c.inc.State = InProgress
		c.wake()
	}
}
