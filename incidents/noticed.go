package incidents

import (
	"errors"

	"belfry/telemetry"
)

func isMissing(err error) bool { return errors.Is(err, ErrNotFound) }

// quiet reports whether nobody is told: what is held back is recorded and troubles
// nobody until somebody takes it up, and of what flaps there is one notice when it
// begins to and one when it is calm again.
func (s *Step) quiet() bool {
	if s.After.Held.By != "" && !s.After.Touched {
		return true
	}
	flaps := s.Event.Kind == Repeat || s.Event.Kind == Observe || s.Event.Kind == Reopen || s.Event.Kind == AutoResolve
	return flaps && s.Before.Flapping && s.After.Flapping
}

// public reports whether the event changed what a requester sees: the state, or
// a word to them.
func (s *Step) public() bool {
	return s.Event.Kind == Comment || s.Event.Kind == Chase || s.Before.State != s.After.State
}

// concernsAssignee reports whether whoever works on it has something new to do.
func (s *Step) concernsAssignee() bool {
	switch {
	case s.Before.Assignee != s.After.Assignee, s.Event.Kind == Comment, s.Event.Kind == Reject, s.Event.Kind == Reopen:
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

// EventKinds returns every kind of event, in table order.
func EventKinds() []Transition {
	out := make([]Transition, len(moves))
	for i := range moves {
		out[i] = moves[i].name
	}
	return out
}
