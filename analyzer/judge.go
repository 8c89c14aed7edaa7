package analyzer

import (
	"math"
	"time"

	"belfry/telemetry"
)

// judge runs a rule's program over its scopes and moves their states.
func (p *pass) judge(t *task) (*judgement, error) {
	b := t.bound
	columns := make([][]float64, 0, len(b.program.uses)+len(b.varying))
	var begins [][]float64
	for _, u := range b.program.uses {
		if u.cond != nil {
			column, err := p.shareColumn(t, u)
			if err != nil {
				return nil, err
			}
			columns, begins = append(columns, column), append(begins, nil)
			continue
		}
		if u.sig.raw {
			if p.raw[t].err != nil {
				return nil, p.raw[t].err
			}
			columns, begins = append(columns, p.raw[t].value), append(begins, nil)
			continue
		}
		c := p.column(t, u)
		if c.err != nil {
			return nil, c.err
		}
		columns = append(columns, p.scopeColumn(b, c))
		begins = append(begins, c.begins)
	}
	columns = append(columns, b.varying...)
	j := &judgement{pass: p, task: t, bound: b, columns: columns, begins: begins, presence: p.presence(t), masks: p.masks(t, b)}
	from := len(p.outbox)
	p.prepare(b.program, b.scopes)
	for lo := 0; lo < b.scopes; lo += blockRows {
		hi := min(lo+blockRows, b.scopes)
		p.run(b.program, columns, lo, hi)
		j.block(lo, hi)
	}
	j.holdBack(from)
	return j, nil
}

// presence says whether a scope is evaluated.
type presence uint8

const (
	absent  presence = iota // out of service, or out of the rule's reach
	present                 // evaluated
	resting                 // not due at this instant
)

// presence tells for each scope whether the task evaluates it.
func (p *pass) presence(t *task) []presence {
	b := t.bound
	if cap(p.present) < b.scopes {
		p.present = make([]presence, b.scopes)
	}
	out := p.present[:b.scopes]
	clear(out)
	if b.scopeOf == nil {
		for row, alive := range p.alive {
			if alive || b.anyone {
				out[row] = present
			}
		}
	} else {
		for row, scope := range b.scopeOf {
			if p.takesPart(b, row) {
				out[scope] = present
			}
		}
	}
	for row, covered := range b.covered {
		if !covered {
			out[row] = absent
		}
	}
	if due := p.due(t); due != nil {
		for row := range out {
			if !due[b.calendarOf(p.fleet, row)] {
				out[row] = resting
			}
		}
	}
	p.portion.rest(t, out)
	return out
}

// judgement is a rule's evaluation at one instant.
type judgement struct {
	*pass
	task     *task
	bound    *bound
	columns  [][]float64
	begins   [][]float64 // by signal: when what it tells began, by device; nil where it does not say
	presence []presence
	judged   int // scopes that were, and those of them for which `when` was missing
	missed   int
	masks    []uint8 // by scope: place in bound.yields plus one of the rule that explains it; 0: none. nil: nowhere
}

// block judges rows lo up to hi, whose program has just run.
func (j *judgement) block(lo, hi int) {
	if j.masks != nil || len(j.untrue[j.bound]) > 0 || j.bound.program.unless >= 0 {
		for row := lo; row < hi; row++ {
			j.row(row, row-lo)
		}
		return
	}
	b, when := j.bound, j.view[j.bound.program.when][:hi-lo]
	presence, slot, tells := j.presence[lo:hi], b.slot[lo:hi], b.tells[lo:hi]
	for i, w := range when {
		if w == 0 && slot[i] == 0 && tells[i] == 1 && presence[i] == present {
			j.judged++ // nearly all: clear, and it stays so
			continue
		}
		j.row(lo+i, i)
	}
}

// row judges a row, the i-th of its block.
func (j *judgement) row(row, i int) {
	b := j.bound
	switch j.presence[row] {
	case resting:
		return
	case absent:
		if b.slot[row] != 0 {
			j.move(row, i, verdictGone)
		}
		b.tell(row, 0)
		return
	}
	v := j.verdict(i)
	if j.masked(row) {
		v = verdictUnknown
	}
	if v == verdictHolds && j.cfg.OnHold != nil {
		j.cfg.OnHold(j.held(row, i))
	}
	if v != verdictHolds && j.untrue[b][row] {
		j.withdraw(b, row, j.at)
		return
	}
	if b.slot[row] != 0 || v == verdictHolds {
		j.move(row, i, v)
		return
	}
	switch {
	case v == verdictUnknown:
		b.tell(row, 3)
	case v != verdictKeep || b.tells[row] == 0:
		b.tell(row, 1)
	}
}

// verdict reads the program's registers for a row of the block.
func (j *judgement) verdict(i int) verdict {
	program := j.bound.program
	when := j.view[program.when][i]
	if program.unless >= 0 {
		switch u := j.view[program.unless][i]; {
		case u == 1:
			return verdictUnknown
		case u != u:
			when = missing
		}
	}
	if j.judged++; when != when {
		j.missed++
	}
	switch {
	case when == 1:
		return verdictHolds
	case when == 0:
		if program.recover < 0 || j.view[program.recover][i] == 1 {
			return verdictRecovered
		}
		return verdictBand
	}
	switch j.bound.rule.OnMissing {
	case MissingFire:
		return verdictHolds
	case MissingResolve:
		return verdictRecovered
	case MissingUnknown:
		return verdictUnknown
	}
	return verdictKeep
}

// move moves a row's state and notes what came of it.
func (j *judgement) move(row, i int, v verdict) {
	b := j.bound
	s := b.state(row)
	m := s.step(v, j.at, b.timing)
	if m != moveNone {
		j.note(row, i, s, m, v)
	}
	b.tell(row, tellOf(s))
	if s.Phase == Inactive {
		b.forget(row)
	}
}

// note enters a changed state, and the finding if there is one.
func (j *judgement) note(row, i int, s *State, m move, v verdict) {
	shown := j.shown(row, i)
	s.RuleHash, s.Value = j.bound.rule.Hash, shown.value
	s.Scope, _ = j.bound.scope(j.fleet, row)
	switch spell, fired := s.Spell(); {
	case m == moveFire:
		j.fired(s, row)
	case m == moveClear && fired && s.Scope.Level == telemetry.LevelDevice:
		j.ledger.add(spell)
	}
	if !j.portion.mine(j.bound, row) {
		return
	}
	if m != moveSilent && !s.Capped {
		j.outbox = append(j.outbox, j.finding(row, s, m, v, shown))
	}
	if s.Phase == Inactive {
		s.Capped = false
	}
	j.dirty = append(j.dirty, *s)
}

// tellOf is the condition of a state as bound.tell counts it.
func tellOf(s *State) uint8 {
	switch s.condition() {
	case telemetry.Firing:
		return 2
	case telemetry.Unknown:
		return 3
	}
	return 1
}

// shown is what a finding shows of a row: the comparison that tells most.
type shown struct {
	value, threshold *float64
	leaf             leaf
}

// shown takes the first comparison of `when`, in reading order, that is true for
// the row, and the first of all when none is.
func (j *judgement) shown(row, i int) shown {
	leaves := j.bound.program.leaves
	if len(leaves) == 0 || row < 0 {
		return shown{}
	}
	chosen := leaves[0]
	for _, l := range leaves {
		if j.view[l.holds][i] == 1 {
			chosen = l
			break
		}
	}
	return shown{number(j.view[chosen.lhs][i]), number(j.view[chosen.rhs][i]), chosen}
}

// number returns a pointer to a value, nil when it is missing.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func (j *judgement) held(row, i int) Held {
	scope, _ := j.bound.scope(j.fleet, row)
	return Held{Rule: j.bound.rule, Scope: scope, At: j.at, Day: j.dayOf(row), Value: j.shown(row, i).value}
}

// dayOf returns the local date that the evaluation is about: the day judged, or
// the one that holds the instant.
func (j *judgement) dayOf(row int) string {
	c := j.bound.calendarOf(j.fleet, row)
	switch {
	case c < 0:
		return j.at.UTC().Format(time.DateOnly)
	case j.task.days != nil:
		return j.task.days[c].Date
	}
	return j.fleet.calendars[c].day(j.at.Add(-time.Nanosecond)).Date
}
