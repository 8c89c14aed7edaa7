package incidents

import (
	"fmt"
	"time"
)

// timer returns what belfry does about the incident next by itself, and when;
// the zero time for nothing. It is worked out from the incident alone, so there
// is no timer to forget and none that outlives what it was for.
func (inc *Incident) timer(b *Book) (at time.Time, req Request) {
	first := func(t time.Time, r Request) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at, req = t, r
		}
	}
	if inc.Flapping {
		first(inc.Flips[len(inc.Flips)-1].Add(calmAfter), Request{Transition: Calm})
		first(inc.Digest.Due, Request{Transition: Summarise})
	}
	switch {
	case inc.State.Ended():
		if inc.State == Resolved && b != nil {
			first(inc.ending(b))
		}
		return at, req
	case inc.State == Pending:
		first(inc.WakeAt, Request{Transition: Wake, Reason: "it is time"})
	}
	first(inc.Held.Until, Request{Transition: Release})
	first(inc.silentUntil(b), Request{Transition: NoNews})
	for i := range inc.Actions {
		switch a := &inc.Actions[i]; {
		case !a.Ended.IsZero():
		case a.Reminders == 0:
			first(a.half(), Request{Transition: Remind, Action: a.ID})
		case a.Reminders == 1: // at the end of its time once more, and then it is over
			first(a.Due, Request{Transition: Remind, Action: a.ID})
		default:
			first(a.Due, Request{Transition: Expire, Action: a.ID, Reason: fmt.Sprintf("action %d was not done in time", a.ID)})
		}
	}
	for i := range inc.Clocks {
		k := &inc.Clocks[i]
		first(k.Next, Request{Transition: Elapse})
		if b != nil && inc.overdueAt(b, k) {
			first(k.Passed[len(k.Passed)-1].Noted, Request{Transition: Escalate, Reason: "the first line's time is over", Override: "by itself"})
		}
	}
	return at, req
}

// overdueAt reports whether the first line's time is over and nobody has passed
// the incident on.
func (inc *Incident) overdueAt(b *Book, k *Clock) bool {
	return k.Name == levelClock(1) && inc.Level == 1 && k.Breached() && !k.Escalated &&
		inc.State != Pending && b.escalates[k.Agreement]
}

// Days after which a resolution that nobody approves is asked for again, and the
// incident closed.
const (
	chaseEvery = 2
	closeAfter = 5
	chases     = 2
)

// ending asks for approval twice and then closes, each when the office opens: nobody
// is reminded at midnight. What resolved by itself, with nobody concerned, is only
// closed.
func (inc *Incident) ending(b *Book) (time.Time, Request) {
	calendar := b.business()
	if inc.concerns() && inc.Chased < chases {
		return calendar.Opening(calendar.AddDays(inc.ResolvedAt, chaseEvery*(inc.Chased+1))), Request{Transition: Chase}
	}
	return calendar.Opening(calendar.AddDays(inc.ResolvedAt, closeAfter)),
		Request{Transition: Close, Reason: fmt.Sprintf("nobody objected for %d business days", closeAfter)}
}
