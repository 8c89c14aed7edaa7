package incidents

import (
	"errors"
	"fmt"
	"slices"

	"belfry/telemetry"
)

func isMissing(err error) bool { return errors.Is(err, ErrNotFound) }

// quiet reports whether nobody is told: what is held back is recorded and troubles
// nobody until somebody takes it up, and of what flaps there is one notice when it
// begins to, one each day, and one when it is calm again.
func (s *Step) quiet() bool {
	if s.After.Held.By != "" && !s.After.Touched {
		return true
	}
	if s.Event.Kind == Repeat && s.After.Renotify > 0 && s.After.ToldAt.Equal(s.Before.ToldAt) {
		return true // the rule has it told less often
	}
	flaps := s.Event.Kind == Repeat || s.Event.Kind == Observe || s.Event.Kind == Reopen || s.Event.Kind == AutoResolve
	return flaps && s.Before.Flapping && s.After.Flapping
}

// public reports whether the event changed what a requester sees: the state, or
// a word to them.
func (s *Step) public() bool {
	return s.Event.Kind == Comment || s.Event.Kind == Chase || s.Event.Kind == NoNews || s.Before.State != s.After.State
}

// concernsAssignee reports whether whoever works on it has something new to do.
func (s *Step) concernsAssignee() bool {
	switch {
	case s.Before.Assignee != s.After.Assignee, s.Event.Kind == Comment, s.Event.Kind == Reject, s.Event.Kind == Reopen,
		s.Event.Kind == NoNews, s.Event.Kind == Summarise, s.Event.Kind == Calm:
		return true
	case s.Before.State == Pending && s.After.State == InProgress:
		return true
	}
	recovered := s.Before.Condition != telemetry.Clear && s.After.Condition == telemetry.Clear
	return recovered && !s.After.State.Ended()
}

// concernsSite reports whether the site's contact is asked for something: to look
// at the device, or to approve what people have done.
func (s *Step) concernsSite() bool {
	if s.Event.Kind == Ask || s.Event.Kind == Remind || s.Event.Kind == Expire || s.After.PendingReason == AwaitingEndUser && s.Before.PendingReason != AwaitingEndUser {
		return true
	}
	return s.Event.Kind == Chase || s.Before.State != Resolved && s.After.State == Resolved && s.Event.Kind == Resolve
}

// Pressing reports whether somebody has to look at it now: then it is also told to
// those of whom only the office's hours are known.
func (inc *Incident) Pressing() bool {
	return inc.Major && slices.Contains(open, inc.State) || inc.urgent()
}

// urgent reports whether the incident is at work with the highest priority.
func (inc *Incident) urgent() bool {
	return inc.Priority == 1 && slices.Contains(open, inc.State) && (inc.Held.By == "" || inc.Touched)
}

// alarms returns what managers are told of, as the templates of their notices: that
// an incident of priority 1 is there, that one was declared major, and that a promise
// to the client is at risk or broken.
func (s *Step) alarms() (out []string) {
	switch {
	case !s.Before.Major && s.After.Major:
		out = append(out, string(Major))
	case s.After.urgent() && !s.Before.urgent() && !s.Before.State.Ended():
		out = append(out, "priority_1")
	}
	for i := range s.After.Clocks {
		k := &s.After.Clocks[i]
		if k.Kind != SLA {
			continue
		}
		for _, percent := range slices.Backward(thresholds[:]) {
			if k.passed(percent) {
				if !s.Before.passed(k.Name, percent) {
					out = append(out, fmt.Sprintf("%s_%d", k.Name, percent))
				}
				break // who hears of the breach need not hear that it was near
			}
		}
	}
	return out
}

// passed reports whether a clock has passed a threshold.
func (inc *Incident) passed(clock string, percent int) bool {
	return slices.ContainsFunc(inc.Clocks, func(k Clock) bool { return k.Name == clock && k.passed(percent) })
}

// Stale reports whether what a notice asks for is no longer wanted, so that nobody
// is reminded of what was done in the meantime.
func (n *Notice) Stale(inc *Incident) bool {
	switch n.Template {
	case string(Remind):
		wanting := func(a Action) bool { return a.Ended.IsZero() || a.How == "expired" }
		return inc.State.Ended() || !slices.ContainsFunc(inc.Actions, wanting)
	case string(Chase):
		return inc.State != Resolved
	}
	return false
}

// EventKinds returns every kind of event, in table order.
func EventKinds() []Transition {
	out := make([]Transition, len(moves))
	for i := range moves {
		out[i] = moves[i].name
	}
	return out
}
