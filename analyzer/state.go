package analyzer

import (
	"context"
	"time"

	"belfry/telemetry"
)

// Phase is where a rule stands with a scope. A scope without a State is inactive.
type Phase string

// The phases: inactive → pending → firing → recovering → inactive (resolved).
const (
	Inactive   Phase = "inactive"
	Pending    Phase = "pending"    // `when` holds, and not yet for as long as `for`
	InFire     Phase = "firing"     // a finding is out
	Recovering Phase = "recovering" // recovered, and not yet for as long as `keep_firing_for`
)

// State is what the analyzer remembers of one rule and scope. All times are
// event time: the nominal instants of evaluations.
type State struct {
	Rule     string          `json:"rule"`
	RuleHash string          `json:"rule_hash"` // of the rule that last changed the state
	Scope    telemetry.Scope `json:"scope"`
	Phase    Phase           `json:"phase"`             // Inactive in Save means: forget it
	Unknown  bool            `json:"unknown,omitempty"` // the condition can't be told at present
	Since    time.Time       `json:"since"`             // when `when` began to hold
	Began    time.Time       `json:"began,omitzero"`    // when what it is about began, if that is before Since
	Fired    time.Time       `json:"fired,omitzero"`    // when it began to fire; zero: not yet
	Calm     time.Time       `json:"calm,omitzero"`     // when recovery began; zero unless recovering
	At       time.Time       `json:"at"`                // when the state last changed
	Value    *float64        `json:"value,omitempty"`   // observed then
	Capped   bool            `json:"capped,omitempty"`  // the rule's finding for many stands for it
}

// Progress is how far evaluation has come.
type Progress struct {
	At    time.Time            `json:"at"`              // the newest watermark that was evaluated
	Late  time.Time            `json:"late,omitzero"`   // late readings that arrived by then are taken into account
	Hold  time.Time            `json:"hold,omitzero"`   // rules of absence wait until then, after an outage of our own
	Rules map[string]time.Time `json:"rules,omitempty"` // by rule: every instant up to this one is done
	// Shards is the progress of the shards that an analyzer holds, when several divide
	// the scopes among them; the other fields are then not used. See Restart.
	Shards map[int]Progress `json:"shards,omitempty"`
}

// States keeps states and progress over restarts.
type States interface {
	// Load returns every state kept, and the progress; both empty at first.
	Load(ctx context.Context) ([]State, Progress, error)
	// Save keeps the changed states, in their order, and the progress, together or
	// not at all; of a state that is inactive and had fired it keeps the Spell, which
	// ended at its At. It must not hold on to the slice or to the map in Progress.
	Save(ctx context.Context, changed []State, p Progress) error
	// Spells returns the spells that ended at or after an instant, by their ends.
	Spells(ctx context.Context, since time.Time) ([]Spell, error)
}

// Emit hands findings on, in order. After a crash or an error it is given the same
// findings again, and must not count them twice: rule, scope, condition and At
// tell a finding. It owns the slice from then on.
type Emit func(ctx context.Context, findings []telemetry.Finding) error

// verdict is what an evaluation says of a scope.
type verdict uint8

const (
	verdictKeep      verdict = iota // no data, and the rule keeps what it had
	verdictHolds                    // `when` holds
	verdictBand                     // neither: `when` is false and `recover` not true
	verdictRecovered                // `when` is false and `recover`, if any, is true
	verdictUnknown                  // `unless` holds, or no data and the rule says so
	verdictGone                     // no longer evaluated: out of service, or out of the rule's reach
)

// move is what a verdict did to a state.
type move uint8

const (
	moveNone    move = iota
	moveSilent       // changed, and nobody is told
	moveFire         // began to fire
	moveAgain        // known again, and still firing
	moveClear        // resolved
	moveUnknown      // became unknown
)

// timing is what of a rule the states depend on.
type timing struct{ hold, keep time.Duration }

// step moves a state by the verdict of the instant. The clocks of `for` and
// `keep_firing_for` count event time from the instant at which they began, so a
// skipped or doubled evaluation changes nothing; while nothing is known they
// run on and decide nothing.
func (s *State) step(v verdict, at time.Time, t timing) move {
	before := *s
	m := s.stepPhase(v, at, t)
	if m == moveNone && *s != before {
		m = moveSilent
	}
	if m != moveNone {
		s.At = at
	}
	return m
}

func (s *State) stepPhase(v verdict, at time.Time, t timing) move {
	switch s.Phase {
	case Inactive:
		if v == verdictHolds {
			s.Phase, s.Since = Pending, at
			return s.ripen(at, t)
		}
		return moveNone
	case Pending:
		switch v {
		case verdictHolds:
			return s.ripen(at, t)
		case verdictBand, verdictRecovered, verdictGone:
			s.Phase = Inactive
		}
		return moveNone
	}
	return s.stepFiring(v, at, t)
}

// ripen turns a pending state into a firing one when `for` has passed.
func (s *State) ripen(at time.Time, t timing) move {
	if at.Sub(s.Since) < t.hold {
		return moveNone
	}
	s.Phase = InFire
	return moveFire
}

// stepFiring moves a state that is firing or recovering.
func (s *State) stepFiring(v verdict, at time.Time, t timing) move {
	known := moveNone
	if s.Unknown {
		known = moveAgain
	}
	switch v {
	case verdictKeep:
		return moveNone
	case verdictUnknown:
		if s.Unknown {
			return moveNone
		}
		s.Unknown = true
		return moveUnknown
	case verdictGone:
		s.Phase, s.Unknown = Inactive, false
		return moveClear
	case verdictRecovered:
		s.Unknown = false
		if s.Phase != Recovering {
			s.Phase, s.Calm = Recovering, at
		}
		if at.Sub(s.Calm) >= t.keep {
			s.Phase = Inactive
			return moveClear
		}
		return known
	}
	s.Phase, s.Calm, s.Unknown = InFire, time.Time{}, false
	return known
}

// condition is the state in the words of a finding.
func (s *State) condition() telemetry.Condition {
	switch {
	case s.Unknown:
		return telemetry.Unknown
	case s.Phase == InFire || s.Phase == Recovering:
		return telemetry.Firing
	}
	return telemetry.Clear
}
