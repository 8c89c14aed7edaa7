package incidents

import (
	"fmt"
	"slices"
	"strings"
)

func (c *change) reasoned() error {
	var f faults
	f.reason(c.req.Reason)
	return f.err()
}

func (f *faults) reason(text string) {
	if strings.TrimSpace(text) == "" {
		f.add("reason", "is missing")
	}
	f.text("reason", text)
}

// mayEscalate holds who escalates from where: the first line to the second, the
// second to the third, managers from anywhere.
func (c *change) mayEscalate() error {
	role, level := c.actor.Role, c.inc.Level
	if role == FirstLine && level > 1 || role == SecondLine && level < 2 {
		return &ForbiddenError{"not-your-level", fmt.Sprintf("the role %q may not escalate from level %d", role, level)}
	}
	return nil
}

func (c *change) escalable() error {
	if c.inc.Level >= 3 {
		return c.conflict("highest-level", "%s is at level 3 already", c.inc.Ref)
	}
	var f faults
	f.reason(c.req.Reason)
	f.text("override", c.req.Override)
	if c.inc.Level == 2 && c.inc.Vendor.Supplier == "" {
		f.name("supplier", c.req.Supplier)
	}
	if len(c.req.Reference) > MaxName {
		f.add("reference", "has %d bytes; at most %d", len(c.req.Reference), MaxName)
	}
	if err := f.err(); err != nil {
		return err
	}
	if n := c.inc.openActions(); n > 0 && strings.TrimSpace(c.req.Override) == "" {
		return c.conflict("open-actions", "%s has %d open actions; wait for them, or say in override why not", c.inc.Ref, n)
	}
	return c.questionsAsked()
}

// escalate leaves the owner: the desk answers for it to the end.
func (c *change) escalate() {
	c.inc.Level++
	c.inc.Highest = max(c.inc.Highest, c.inc.Level)
	if c.req.Override != "" && !c.actor.automatic() {
		c.req.Text = c.req.Reason + " (at once, because: " + c.req.Override + ")"
	}
	if c.inc.Level == 3 {
		c.openVendorCase()
	}
	if !c.actor.automatic() {
		c.respond()
		return
	}
	c.inc.Clocks = slices.Clone(c.inc.Clocks)
	for i := range c.inc.Clocks {
		c.inc.Clocks[i].Escalated = c.inc.Clocks[i].Escalated || c.inc.Clocks[i].Name == levelClock(1)
	}
}

func (c *change) returnable() error {
	if c.inc.Level <= 1 {
		return c.conflict("lowest-level", "%s is at level 1", c.inc.Ref)
	}
	var f faults
	if strings.TrimSpace(c.req.Summary) == "" {
		f.add("summary", "is missing; want a solution for the line below")
	}
	f.text("summary", c.req.Summary)
	return f.err()
}

func (c *change) giveBack() {
	c.inc.Level--
	c.req.Text = c.req.Summary
}
