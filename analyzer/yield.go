package analyzer

import "belfry/telemetry"

// Suppression in order (RULES, semantics 6, 10 and 11): a rule that yields to others
// is judged after them, and where one of them holds its own condition is unknown,
// with the reason. So one finding stands for many: a feed outage for the devices of
// its site, a runaway door for the site's difference of IN and OUT.

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
func (p *pass) masks(b *bound) []uint8 {
	var masks []uint8
	for i, y := range b.yields {
		if masks == nil && y.holding() {
			masks = make([]uint8, b.scopes)
		}
		if masks != nil {
			p.mask(masks, b, y, uint8(min(i+1, 255)))
		}
	}
	return masks
}

// holding reports whether a rule has any state that is not calm.
func (b *bound) holding() bool { return len(b.states) > len(b.free) }

// holds reports whether the rule's condition holds for a row, be it not yet for as
// long as `for`.
func (b *bound) holds(row int) bool {
	return b.slot[row] > 0 && b.states[b.slot[row]-1].Phase != Inactive && !b.states[b.slot[row]-1].Unknown
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
