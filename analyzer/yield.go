package analyzer

import (
	"time"

	"belfry/telemetry"
)

// Suppression in order (RULES, semantics 6, 10 and 11): a rule that yields to others
// is judged after them, and where one of them holds its own condition is unknown,
// with the reason and what explains it. So one finding stands for many: a feed outage
// for the devices of its site, a runaway door for the site's difference of IN and OUT.

// circle returns a rule that yields to itself through others, or nil.
func (s *RuleSet) circle() *Rule {
	for _, r := range s.Rules {
		seen := map[string]bool{}
		var reaches func(*Rule) bool
		reaches = func(from *Rule) bool {
			for _, name := range from.YieldsTo {
				if name == r.Name {
					return true
				}
				if next := s.Rule(name); next != nil && !seen[name] {
					seen[name] = true
					if reaches(next) {
						return true
					}
				}
			}
			return false
		}
		if reaches(r) {
			return r
		}
	}
	return nil
}

// rank tells each rule what it yields to, and its place behind them.
func (a *Analyzer) rank(byName map[string]*bound) {
	for _, b := range a.bounds {
		for _, name := range b.rule.YieldsTo {
			if y := byName[name]; y != nil {
				b.yields = append(b.yields, y)
			}
		}
	}
	for range a.bounds { // there are no circles, so this many rounds settle it
		settled := true
		for _, b := range a.bounds {
			for _, y := range b.yields {
				if b.rank <= y.rank {
					b.rank, settled = y.rank+1, false
				}
			}
		}
		if settled {
			return
		}
	}
}

// masks tells by which rule each scope of a rule is explained at present.
func (p *pass) masks(t *task, b *bound) []uint8 {
	masks := p.restDays(t, b)
	for i, y := range b.yields {
		if masks == nil && y.holding() {
			masks = make([]uint8, b.scopes)
		}
		if masks != nil {
			p.mask(masks, b, y, uint8(min(i+1, restDay-1)))
		}
	}
	return masks
}

// restDay is the mask of scopes for which their calendar wants no alarms.
const restDay = 255

// restDays marks the devices and sites whose local day, the one that is judged, is one
// without alarms; nil when there is none.
func (p *pass) restDays(t *task, b *bound) []uint8 {
	if b.rule.Scope != telemetry.LevelDevice && b.rule.Scope != telemetry.LevelSite {
		return nil
	}
	quiet := make([]bool, len(p.fleet.calendars))
	any := false
	for c := range p.fleet.calendars {
		e := p.fleet.calendars[c].site.ExceptionOn(p.dateOf(t, int32(c)))
		quiet[c] = e != nil && e.NoAlarms
		any = any || quiet[c]
	}
	if !any {
		return nil
	}
	masks := make([]uint8, b.scopes)
	for row := range masks {
		if quiet[b.calendarOf(p.fleet, row)] {
			masks[row] = restDay
		}
	}
	return masks
}

// dateOf returns the local date that an evaluation is about.
func (p *pass) dateOf(t *task, calendar int32) string {
	if t != nil && t.days != nil {
		if day, due := t.days[calendar]; due {
			return day.Date
		}
	}
	return p.fleet.calendars[calendar].day(p.at.Add(-time.Nanosecond)).Date
}

// holding reports whether a rule has any state that is not calm.
func (b *bound) holding() bool { return len(b.states) > len(b.free) }

// holds reports whether the rule's condition holds for a row, be it not yet for as
// long as `for`.
func (b *bound) holds(row int) bool {
	return b.slot[row] > 0 && b.states[b.slot[row]-1].Phase != Inactive && !b.states[b.slot[row]-1].Unknown
}

// fires reports whether a finding of the rule is out for a row, and its condition is known.
func (b *bound) fires(row int) bool {
	return b.holds(row) && b.states[b.slot[row]-1].Phase != Pending
}

// explainedBy returns the rule that explains a row at present; nil: none does.
func (j *judgement) explainedBy(row int) *bound {
	if j.masks == nil || j.masks[row] == 0 || j.masks[row] == restDay {
		return nil
	}
	return j.bound.yields[j.masks[row]-1]
}

// masked reports whether a row's condition is unknown, because its calendar or another
// rule says so. What fires waits until the other fires too: then it goes with that one.
func (j *judgement) masked(row int) bool {
	if j.masks == nil || j.masks[row] == 0 {
		return false
	}
	if j.masks[row] == restDay || !j.bound.fires(row) {
		return true
	}
	for i, y := range j.bound.yields {
		if _, fires := j.explaining(j.bound, y, row); fires {
			j.masks[row] = uint8(min(i+1, restDay-1))
			return true
		}
	}
	return false
}

// explaining returns the row of y that explains a row of b, one that fires before one
// that does not yet, and whether it fires; -1 when none holds.
func (p *pass) explaining(b, y *bound, row int) (its int, fires bool) {
	its = -1
	switch {
	case b.rule.Scope == y.rule.Scope && b.rule.Group == y.rule.Group:
		its = row
	case b.rule.Scope == telemetry.LevelDevice:
		its = int(y.scopeOf[row])
	case y.rule.Scope == telemetry.LevelDevice:
		for device, scope := range b.scopeOf {
			if int(scope) == row && y.holds(device) && (its < 0 || y.fires(device)) {
				if its = device; y.fires(device) {
					break
				}
			}
		}
	case y.rule.Scope == telemetry.LevelTenant:
		its = 0
	}
	if its < 0 || !y.holds(its) {
		return -1, false
	}
	return its, y.fires(its)
}

// cause names what explains a row; nil when it does not fire itself yet.
func (p *pass) cause(b, y *bound, row int) *telemetry.Cause {
	its, fires := p.explaining(b, y, row)
	if !fires {
		return nil
	}
	scope, _ := y.scope(p.fleet, its)
	return &telemetry.Cause{Rule: y.rule.Name, Scope: scope}
}

// mask marks the scopes of b that are explained by y: the same ones, those inside
// its scopes, and those that hold one of its devices.
func (p *pass) mask(masks []uint8, b, y *bound, as uint8) {
	set := func(row int) {
		if masks[row] == 0 {
			masks[row] = as
		}
	}
	level := telemetry.LevelDevice
	switch {
	case b.rule.Scope == y.rule.Scope && b.rule.Group == y.rule.Group:
		for row := range masks {
			if y.holds(row) {
				set(row)
			}
		}
	case b.rule.Scope == level:
		for row, scope := range y.scopeOf {
			if scope >= 0 && y.holds(int(scope)) {
				set(row)
			}
		}
	case y.rule.Scope == level:
		for row, scope := range b.scopeOf {
			if scope >= 0 && y.holds(row) {
				set(int(scope))
			}
		}
	case y.rule.Scope == telemetry.LevelTenant && y.holds(0):
		for row := range masks {
			set(row)
		}
	}
}
