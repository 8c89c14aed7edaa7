package incidents

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Conclusion is what the answers of an action add up to.
type Conclusion struct {
	Close    string    `json:"close,omitempty"` // resolution code
	Mute     time.Time `json:"mute,omitzero"`   // until then
	Cause    string    `json:"cause,omitempty"`
	Escalate bool      `json:"escalate,omitempty"`
}

// questioned returns the questionnaire of what is asked for: the one that is
// named, or the category's where neither it nor a text is; "" for none.
func (c *change) questioned(a NewAction) (ref string, known bool) {
	b := c.req.book
	switch {
	case a.Questionnaire != "" && b != nil:
		ref = b.asks[a.Questionnaire]
		return ref, ref != ""
	case a.Questionnaire == "" && strings.TrimSpace(a.Text) == "":
		return b.asksFirst(c.inc.Category), true
	}
	return "", a.Questionnaire == ""
}

// answersFit checks the answers to an action's questions, one after the other.
func (c *change) answersFit(a *Action, f *faults) {
	q := c.req.book.questionnaire(a.Questionnaire)
	if q == nil {
		f.add("answers", "the questionnaire %s is not here", a.Questionnaire)
		return
	}
	given := slices.Clone(a.Given)
	if len(c.req.Answers) == 0 {
		f.add("answers", "are missing; the next question is %s", q.next(given).ID)
	}
	for i, g := range c.req.Answers {
		field, next := fmt.Sprintf("answers[%d]", i), q.next(given)
		if next == nil {
			f.add(field+".question", "there is no question %q any more; the answers before it end here", g.Question)
			return
		}
		if g.Question != next.ID {
			f.add(field+".question", "is %q; the next one is %s", g.Question, next.ID)
			return
		}
		next.check(f, field, g, c.at)
		given = append(given, g)
	}
}

// noPhoto answers for a photo that can't be taken.
const noPhoto = "none"

// photosThere refuses answers that name photos which are not attached to the
// incident. Those for the desk's eyes only are not there for others.
func photosThere(tx Tx, b *Book, inc *Incident, req *Request, actor Actor) error {
	a, f := inc.Action(req.Action), faults{}
	if req.Transition != Reply || a == nil || a.Questionnaire == "" {
		return nil
	}
	q := b.questionnaire(a.Questionnaire)
	for i, g := range req.Answers {
		if q.question(g.Question).Kind != PhotoQuestion || g.Value == noPhoto {
			continue
		}
		there, err := tx.Attached(inc.Ref, FileName(g.Value), actor.Role.OnDesk())
		if err != nil {
			return err
		}
		if !there {
			f.add(fmt.Sprintf("answers[%d].value", i), "no %q is attached to %s; attach it first, or answer %s", g.Value, inc.Ref, noPhoto)
		}
	}
	return f.err()
}

// itemThere keeps an incident from being resolved for something that there is not. What
// it was about may be another device than the one that was reported.
func itemThere(tx Tx, inc *Incident, req *Request) error {
	if req.Transition != Resolve || slices.Contains([]string{"", inc.Device, inc.Site, inc.Scope.Name}, req.Item) {
		return nil
	}
	there, err := tx.Registered(req.Item)
	if err != nil || there {
		return err
	}
	f := faults{}
	f.add("item", "there is no device or site %q; want the one that it was about", req.Item)
	return f.err()
}

// give takes in the answers; at the last one the action ends.
func (c *change) give() {
	c.inc.Actions = slices.Clone(c.inc.Actions)
	a := c.inc.Action(c.req.Action)
	q := c.req.book.questionnaire(a.Questionnaire)
	a.Given = slices.Clone(a.Given)
	for _, g := range c.req.Answers {
		question := q.next(a.Given)
		g.By, g.At, g.Until = c.actor.Name, c.at, millis(g.Until)
		if choice := question.choice(g.Value); choice != nil {
			g.Hint = choice.Hint.In(a.Language)
			a.Conclusion.add(choice.Outcome, g)
		}
		if g.Until.Unix() <= 0 {
			g.Until = time.Time{}
		}
		a.Given = append(a.Given, g)
	}
	set(&c.inc.Cause, a.Conclusion.Cause)
	if c.req.Text == "" {
		c.req.Text = q.retell(a.Given[len(a.Given)-len(c.req.Answers):], a.Language)
	}
	if q.next(a.Given) == nil {
		done := c.endAction("done")
		done.By, done.Answer = c.actor.Name, q.retell(done.Given, done.Language)
	}
}

func (o *Conclusion) add(from Consequence, g Given) {
	set(&o.Close, from.Close)
	set(&o.Cause, from.Cause)
	o.Escalate = o.Escalate || from.Escalate
	if from.Mute {
		o.Mute = g.Until
	}
}

// retell puts answers into words for the timeline.
func (q *Questionnaire) retell(given []Given, language string) string {
	var lines []string
	for _, g := range given {
		x, value := q.question(g.Question), g.Value
		if a := x.choice(g.Value); a != nil && x.Kind == ChoiceQuestion {
			value = a.Text.In(language)
		}
		if !g.Until.IsZero() {
			value += " (" + g.Until.Format("2006-01-02 15:04") + ")"
		}
		lines = append(lines, x.Text.In(language)+" "+value)
	}
	return strings.Join(lines, "\n")
}

// questionsAsked keeps an incident at its level until the category's questions
// were answered, or somebody says why not.
func (c *change) questionsAsked() error {
	ref := c.req.book.asksFirst(c.inc.Category)
	if ref == "" || c.inc.Level > 1 || c.actor.automatic() || strings.TrimSpace(c.req.Override) != "" || c.inc.answered(ref) {
		return nil
	}
	id, _, _ := strings.Cut(ref, "@")
	return c.conflict("questionnaire-open", "the questionnaire %s of the category %s is not done; ask it, or say in override why not", id, c.inc.Category)
}

// answered reports whether some version of a questionnaire was answered to its end.
func (inc *Incident) answered(ref string) bool {
	id, _, _ := strings.Cut(ref, "@")
	return slices.ContainsFunc(inc.Actions, func(a Action) bool {
		return a.How == "done" && strings.HasPrefix(a.Questionnaire, id+"@")
	})
}

// conclude does what the answers of an action that has just ended ask for.
func (d *Desk) conclude(tx Tx, b *Book, s Step, req Request, actor Actor, at time.Time) (steps []Step, err error) {
	a := s.After.Action(req.Action)
	if req.Transition != Reply || a == nil || a.How != "done" || a.Conclusion == (Conclusion{}) {
		return nil, nil
	}
	inc := s.After
	for _, next := range inc.consequences(a, actor) {
		if next.Transition == HoldBack {
			if err := mute(tx, &inc, a, actor, at); err != nil {
				return nil, err
			}
		}
		by := belfry
		by.Request = actor.Request
		step, err := d.step(b, inc, next, by, at)
		if err != nil {
			return nil, fmt.Errorf("do what the answers to action %d of %s ask for: %w", a.ID, inc.Ref, err)
		}
		steps, inc = append(steps, step), step.After
	}
	return steps, nil
}

// consequences are the transitions that a conclusion asks for, in order.
func (inc *Incident) consequences(a *Action, actor Actor) (out []Request) {
	o, said := a.Conclusion, fmt.Sprintf("%s answered action %d", actor.Name, a.ID)
	if !o.Mute.IsZero() {
		out = append(out, Request{Transition: HoldBack, Reason: said,
			held: Held{By: bySilence, Why: said + ": silent until " + o.Mute.Format(time.RFC3339), Until: o.Mute}})
	}
	switch {
	case o.Close != "":
		for i := range inc.Actions {
			if other := &inc.Actions[i]; other.Ended.IsZero() {
				out = append(out, Request{Transition: Withdraw, Action: other.ID, Reason: said})
			}
		}
		cause := o.Cause
		if orParent(&cause, "unknown"); o.Close == "site_closed" {
			cause = "site_closed"
		}
		item := inc.Device
		orParent(&item, inc.Site)
		out = append(out, Request{Transition: Resolve, Code: o.Close, Cause: cause, Summary: a.Answer, Workaround: a.Answer,
			Item: item, Force: true, Reason: said})
	case o.Escalate && inc.Level < 2:
		out = append(out, Request{Transition: Escalate, Reason: said, Override: said})
	}
	return out
}

// mute writes the silence that an answer asks for. It hangs on what the incident
// is about, so that it outlives the incident.
func mute(tx Tx, inc *Incident, a *Action, actor Actor, at time.Time) error {
	s := Silence{ID: fmt.Sprintf("%s-%d", inc.Ref, a.ID), Rule: inc.Rule, Device: inc.Device, From: at, To: a.Conclusion.Mute,
		Reason: "the answers to " + inc.Ref, Author: actor.Name}
	if s.Device == "" {
		s.Site = inc.Site
	}
	if s.Check() != nil {
		return nil // about nothing that could fire again
	}
	d := document(SilenceDocument, s.ID, s)
	d.Version, d.At, d.Actor = 1, millis(at), actor.Name
	return tx.PutDocument(d)
}
