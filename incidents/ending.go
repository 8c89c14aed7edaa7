package incidents

import (
	"fmt"
	"strings"
	"time"
)

func (c *change) rated() error {
	if c.req.Points == 0 {
		return &InvalidError{[]Fault{{"points", "is missing; want 1 to 5"}}}
	}
	return nil
}

// ratable keeps the solver from saying how well it was solved.
func (c *change) ratable() error {
	var f faults
	if c.req.Points < 0 || c.req.Points > 5 {
		f.add("points", "is %d; want 1 to 5", c.req.Points)
	}
	f.text("text", c.req.Text)
	if err := f.err(); err != nil {
		return err
	}
	if (c.req.Points > 0 || c.actor.Source == ByLink) && c.actor.Name == c.inc.Resolution.By {
		return &ForbiddenError{"own-work", fmt.Sprintf("%s resolved it; somebody else says how well", c.actor.Name)}
	}
	return nil
}

func (c *change) rate() {
	if c.req.Points > 0 {
		c.inc.Satisfaction = Score{Points: c.req.Points, Text: c.req.Text, By: c.actor.Name, At: c.at}
	}
}

func (c *change) approve() {
	c.onBehalf("approved")
	c.rate()
	c.close()
}

// onBehalf says on the timeline that the desk did what is for the people concerned.
func (c *change) onBehalf(did string) {
	if c.actor.Role != SiteManager {
		c.req.Text = strings.TrimSpace(fmt.Sprintf("%s on behalf of the people concerned. %s", did, c.req.Text))
	}
}

// reject gives the work back; the clock of the resolution goes on.
func (c *change) reject() {
	c.onBehalf("rejected")
	c.req.Text = strings.TrimSpace(c.req.Text + " " + c.req.Reason)
	c.inc.Reopened++
	c.undo()
	if c.inc.Assignee == "" {
		c.inc.State = New
	}
}

// undo takes the resolution back.
func (c *change) undo() {
	c.inc.Resolution, c.inc.ResolvedAt, c.inc.Chased, c.inc.Muted = Resolution{}, time.Time{}, 0, false
	c.inc.Satisfaction = Score{}
}

// concerns reports whether somebody is asked whether the resolution is good.
func (inc *Incident) concerns() bool { return inc.Touched || inc.Origin == FromPerson }

// unanswered keeps people from closing what those concerned were not asked about
// twice: to close is not to approve.
func (c *change) unanswered() error {
	if c.actor.automatic() || !c.inc.concerns() || c.inc.Chased >= chases {
		return nil
	}
	return c.conflict("approval-open", "%s was asked for approval %d of %d times; wait, or approve it on behalf of the people concerned", c.inc.Ref, c.inc.Chased, chases)
}

func (c *change) chase() { c.inc.Chased++ }
