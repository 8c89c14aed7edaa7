package incidents

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// AwaitingEndUser is the pending reason of an incident that waits for actions.
const AwaitingEndUser = "awaiting_end_user"

// MaxActions is how many actions can be asked for at once.
const MaxActions = 20

// NewAction is what somebody at the site is asked to do.
type NewAction struct {
	Text     string    `json:"text"`
	Assignee string    `json:"assignee,omitempty"` // "" means whoever looks after the site
	Due      time.Time `json:"due"`

	Questionnaire string `json:"questionnaire,omitempty"` // its id; without it and without a text, the category's
	Language      string `json:"language,omitempty"`      // of the questions; "" means English
}

// Action is something that people at the site were asked to do. While one is
// open the incident waits for it; an action has ended when Ended is set.
type Action struct {
	ID        int       `json:"id"` // within the incident, from 1
	Text      string    `json:"text"`
	Assignee  string    `json:"assignee,omitempty"`
	AskedBy   string    `json:"asked_by"`
	AskedAt   time.Time `json:"asked_at"`
	Due       time.Time `json:"due"`
	Reminded  time.Time `json:"reminded_at,omitzero"` // the last time
	Reminders int       `json:"reminders,omitempty"`
	Ended     time.Time `json:"ended_at,omitzero"`
	How       string    `json:"how,omitempty"` // done, withdrawn or expired
	By        string    `json:"by,omitempty"`  // who did it
	Answer    string    `json:"answer,omitempty"`

	Questionnaire string     `json:"questionnaire,omitempty"` // id@version: it stays what it was when it was asked
	Language      string     `json:"language,omitempty"`
	Given         []Given    `json:"given,omitempty"` // the answers so far
	Conclusion    Conclusion `json:"conclusion,omitzero"`
}

// half is when the assignee is reminded.
func (a *Action) half() time.Time { return a.AskedAt.Add(a.Due.Sub(a.AskedAt) / 2) }

// openActions returns how many actions are still to be done.
func (inc *Incident) openActions() (n int) {
	for i := range inc.Actions {
		if inc.Actions[i].Ended.IsZero() {
			n++
		}
	}
	return n
}

// Action returns an action by its id, or nil.
func (inc *Incident) Action(id int) *Action {
	if id < 1 || id > len(inc.Actions) {
		return nil
	}
	return &inc.Actions[id-1]
}

// askable checks what is asked for. That an assignee belongs to the site is for
// the caller to know.
func (c *change) askable() error {
	var f faults
	if n := len(c.req.Actions); n == 0 || n > MaxActions {
		f.add("actions", "has %d; want 1 to %d", n, MaxActions)
	}
	for i, a := range c.req.Actions {
		field := fmt.Sprintf("actions[%d]", i)
		ref, known := c.questioned(a)
		if !known {
			f.add(field+".questionnaire", "there is no questionnaire %q", a.Questionnaire)
		} else if strings.TrimSpace(a.Text) == "" && ref == "" {
			f.add(field+".text", "is missing, and the category has no questionnaire")
		}
		if len(a.Language) > 8 {
			f.add(field+".language", "no language %q; want a code such as en", a.Language)
		}
		f.text(field+".text", a.Text)
		if len(a.Assignee) > MaxName {
			f.add(field+".assignee", "has %d bytes; at most %d", len(a.Assignee), MaxName)
		}
		f.year(field+".due", a.Due)
		if !a.Due.After(c.at) {
			f.add(field+".due", "is missing or in the past")
		}
	}
	return f.err()
}

func (c *change) ask() {
	c.inc.Actions = slices.Clone(c.inc.Actions)
	for _, a := range c.req.Actions {
		ref, _ := c.questioned(a)
		if a.Text == "" {
			a.Text = c.req.book.questionnaire(ref).Name.In(a.Language)
		}
		c.inc.Actions = append(c.inc.Actions, Action{ID: len(c.inc.Actions) + 1, Text: a.Text, Assignee: a.Assignee,
			AskedBy: c.actor.Name, AskedAt: c.at, Due: millis(a.Due), Questionnaire: ref, Language: a.Language})
	}
	c.inc.PendingReason, c.inc.WakeAt = AwaitingEndUser, time.Time{}
	c.respond()
}

func (c *change) actionOpen() error {
	a := c.inc.Action(c.req.Action)
	if a == nil {
		return &InvalidError{[]Fault{{"action", fmt.Sprintf("%s has no action %d", c.inc.Ref, c.req.Action)}}}
	}
	if !a.Ended.IsZero() {
		return c.conflict("action-ended", "action %d of %s is %s", a.ID, c.inc.Ref, a.How)
	}
	return nil
}

// answerable lets the assignee answer, and the desk on somebody's behalf.
func (c *change) answerable() error {
	a, f := c.inc.Action(c.req.Action), faults{}
	if c.actor.Role == SiteManager && a.Assignee != "" && a.Assignee != c.actor.Name {
		return &ForbiddenError{"action-not-yours", fmt.Sprintf("action %d is for somebody else", a.ID)}
	}
	switch {
	case a.Questionnaire != "":
		c.answersFit(a, &f)
	case len(c.req.Answers) > 0:
		f.add("answers", "are given, and action %d asks no questions; want a text", a.ID)
	case strings.TrimSpace(c.req.Text) == "":
		f.add("text", "is missing; want what was found or done")
	}
	f.text("text", c.req.Text)
	return f.err()
}

// endAction ends an action; the last one wakes what waits for it.
func (c *change) endAction(how string) *Action {
	c.inc.Actions = slices.Clone(c.inc.Actions)
	a := c.inc.Action(c.req.Action)
	a.Ended, a.How = c.at, how
	if c.inc.openActions() == 0 && c.inc.PendingReason == AwaitingEndUser {
		c.inc.State = InProgress
		c.wake()
	}
	return a
}

func (c *change) answer() {
	if c.inc.Action(c.req.Action).Questionnaire != "" {
		c.give()
		return
	}
	a := c.endAction("done")
	a.By, a.Answer = c.actor.Name, c.req.Text
}

func (c *change) withdraw() { c.endAction("withdrawn").By = c.actor.Name }

func (c *change) remind() {
	c.inc.Actions = slices.Clone(c.inc.Actions)
	a := c.inc.Action(c.req.Action)
	a.Reminded = c.at
	a.Reminders++
}

// expire wakes the incident although other actions may still be open: somebody
// has to look why nothing came.
func (c *change) expire() {
	c.endAction("expired")
	if c.inc.State == Pending && c.inc.PendingReason == AwaitingEndUser {
		c.inc.State = InProgress
		c.wake()
	}
}

// nothingAsked keeps an incident from ending while people are at it.
func (c *change) nothingAsked() error {
	if n := c.inc.openActions(); n > 0 {
		return c.conflict("open-actions", "%s has %d open actions; wait for them or withdraw them", c.inc.Ref, n)
	}
	return nil
}
