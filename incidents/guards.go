package incidents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// Limits of what a person writes, in bytes.
const (
	MaxSummary = 300
	MaxText    = 20_000
	MaxName    = 128
)

func (c *change) conflict(code, format string, args ...any) error {
	return &ConflictError{Code: code, Detail: fmt.Sprintf(format, args...), State: c.inc.State}
}

// listening refuses findings for what has ended. A muted incident still waits
// for its condition to clear, so that it stops holding findings back.
func (c *change) listening() error {
	if c.inc.State.Ended() && !c.inc.Muted {
		return c.conflict("ended", "%s is %s and takes no findings", c.inc.Ref, c.inc.State)
	}
	return nil
}

func (c *change) untouched() error {
	if c.inc.Touched {
		return c.conflict("touched", "somebody has worked on %s; its owner confirms the recovery", c.inc.Ref)
	}
	return nil
}

func (c *change) clear() error {
	if c.inc.Condition != telemetry.Clear {
		return c.conflict("not-clear", "the condition of %s is %s", c.inc.Ref, c.inc.Condition)
	}
	return nil
}

func (c *change) unmuted() error {
	if c.inc.Muted {
		return c.conflict("muted", "%s was resolved by force; it is silent until its condition is clear", c.inc.Ref)
	}
	return nil
}

func (c *change) categorised() error {
	if c.inc.Category == "" {
		return c.conflict("needs-category", "%s has no category yet", c.inc.Ref)
	}
	return nil
}

func (c *change) assignable() error {
	var f faults
	f.name("assignee", c.req.Assignee)
	return f.err()
}

func (c *change) resolvable() error {
	var f faults
	if _, ok := ResolutionCodes[c.req.Code]; !ok {
		codes := strings.Join(slices.Sorted(maps.Keys(ResolutionCodes)), ", ")
		f.add("code", "%q is no resolution code; want one of %s", c.req.Code, codes)
	}
	orParent(&c.req.Cause, c.inc.Cause) // what the answers to questions pointed at
	if _, ok := CauseCodes[c.req.Cause]; !ok {
		f.add("cause", "%q is no cause; want one of %s", c.req.Cause, strings.Join(slices.Sorted(maps.Keys(CauseCodes)), ", "))
	}
	if strings.TrimSpace(c.req.Summary) == "" {
		f.add("summary", "is missing; want what was done")
	}
	if c.req.Code == "workaround" && strings.TrimSpace(c.req.Workaround) == "" {
		f.add("workaround", "is missing; want how to live with it")
	}
	if c.inc.Device+c.inc.Site != "" || c.req.Item != "" {
		f.name("item", c.req.Item)
	}
	f.text("workaround", c.req.Workaround)
	f.text("summary", c.req.Summary)
	f.text("reason", c.req.Reason)
	if c.req.Force && strings.TrimSpace(c.req.Reason) == "" {
		f.add("reason", "is missing; resolving by force needs one")
	}
	return f.err()
}

// clearOrForced keeps people from resolving what still fires. Unknown is not
// clear: silence about a fault is no recovery.
func (c *change) clearOrForced() error {
	if c.settled() || c.req.Force {
		return nil
	}
	return c.conflict("still-firing",
		"the condition of %s is %s, not clear; wait until it is, or resolve with force and a reason", c.inc.Ref, c.inc.Condition)
}

func (c *change) settled() bool {
	return c.inc.RolledUp || c.inc.Condition == telemetry.Clear || c.inc.Condition == telemetry.None
}

func (c *change) speaking() error {
	var f faults
	if strings.TrimSpace(c.req.Text) == "" {
		f.add("text", "is missing")
	}
	f.text("text", c.req.Text)
	internal, shared := c.req.Internal || c.req.Shared, c.req.Shared && c.actor.Role == ThirdLine
	if internal && !shared && !c.actor.automatic() && !c.actor.Role.OnDesk() {
		return &ForbiddenError{"internal-notes", fmt.Sprintf("the role %q writes no internal notes", c.actor.Role)}
	}
	return f.err()
}

func (c *change) reported() error {
	r, f := c.req.report, faults{}
	if strings.TrimSpace(r.Summary) == "" {
		f.add("summary", "is missing")
	}
	if len(r.Summary) > MaxSummary {
		f.add("summary", "has %d bytes; at most %d", len(r.Summary), MaxSummary)
	}
	f.text("description", r.Description)
	f.choosable(c.req.book, r.Category)
	if len(r.Reporter) > MaxName {
		f.add("reporter", "has %d bytes; at most %d", len(r.Reporter), MaxName)
	}
	if r.Reporter != "" && r.Reporter != c.actor.Name && !c.actor.Role.OnDesk() {
		return &ForbiddenError{"reports-for-others", fmt.Sprintf("the role %q reports for itself alone", c.actor.Role)}
	}
	if r.Kind != "" && !slices.Contains(Kinds, r.Kind) {
		f.add("kind", "no kind %q; want one of %v", r.Kind, Kinds)
	}
	f.importance(r.Impact, r.Urgency)
	return f.err()
}

func (f *faults) text(field, text string) {
	if len(text) > MaxText {
		f.add(field, "has %d bytes; at most %d", len(text), MaxText)
	}
}

// year refuses a time that JSON can't hold.
func (f *faults) year(field string, t time.Time) {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		f.add(field, "lies outside of the years 0 to 9999")
	}
}

func (f *faults) name(field, name string) {
	if strings.TrimSpace(name) == "" || len(name) > MaxName {
		f.add(field, "has %d bytes; want 1 to %d", len(name), MaxName)
	}
}
