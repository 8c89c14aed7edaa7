package analyzer

import (
	"slices"
	"time"

	"belfry/telemetry"
)

// bound is a rule laid over a fleet: its program, its scopes in their order, and
// the states that are not inactive.
type bound struct {
	rule     *Rule
	program  *program
	read     []use              // signals to be read
	closing  []use              // those of them that only `recover` of a device looks at
	dividing []use              // those of them that are only divided by; see divisors
	conds    map[*node]*program // of share
	lessons  lessons            // that any of them looks at
	timing   timing
	absent   bool // a rule of absence
	anyone   bool // judges devices out of service too
	yields   []*bound
	rank     int // after the rules that it yields to

	peers   grouping // whom its devices are held against, where that is not their site
	scopes  int
	scopeOf []int32     // by device: its scope; nil when scopes are devices
	names   []string    // of groups; nil for other levels
	covered []bool      // by scope (devices, sites): the filter lets it pass; nil: all
	members []bool      // by device (groups, tenant): it takes part; nil: all
	varying [][]float64 // by parameter: its value for each scope; nil when fixed

	shard  []uint8 // by scope, of devices and sites; nil when there are no shards
	slot   []int32 // by scope: place in states plus one; 0 is inactive
	states []State
	free   []int32
	capped int       // scopes that the finding for many was last said to stand for
	looked time.Time // late readings that came by then were held against its findings
	told   [3]int    // scopes by condition: clear, firing, unknown
	tells  []uint8   // by scope: its condition plus one; 0: not in service
}

// bind lays a rule over a fleet.
func bind(r *Rule, f *Fleet) *bound {
	b := &bound{rule: r, timing: timing{r.For, r.KeepFiringFor}, absent: r.absence(), anyone: r.anyone(), lessons: r.lessons()}
	switch r.Scope {
	case telemetry.LevelDevice:
		b.scopes = len(f.Devices)
	case telemetry.LevelSite:
		b.scopes, b.scopeOf = len(f.Sites), f.siteOf
	case telemetry.LevelGroup:
		b.bindGroups(f)
	case telemetry.LevelTenant:
		b.scopes, b.scopeOf = 1, make([]int32, len(f.Devices))
	}
	if r.Peers != "" {
		b.peers = f.grouped(r.Peers)
	}
	b.bindFilter(f)
	b.bindParams(f)
	b.slot, b.tells = make([]int32, b.scopes), make([]uint8, b.scopes)
	return b
}

// bindGroups makes one scope of each value of the label, in their order.
func (b *bound) bindGroups(f *Fleet) {
	g := f.grouped(b.rule.Group)
	b.names, b.scopes, b.scopeOf = g.names, len(g.names), g.of
}

func (b *bound) bindFilter(f *Fleet) {
	if len(b.rule.Where) == 0 {
		return
	}
	if b.rule.Scope == telemetry.LevelSite {
		b.covered = siteMask(b.rule.Where, f)
		return
	}
	mask := make([]bool, len(f.Devices))
	for i := range f.Devices {
		mask[i] = b.rule.Where.matches(&f.Sites[f.siteOf[i]], &f.Devices[i])
	}
	if b.rule.Scope == telemetry.LevelDevice {
		b.covered = mask
	} else {
		b.members = mask
	}
}

func siteMask(where Filter, f *Fleet) []bool {
	mask := make([]bool, len(f.Sites))
	for i := range f.Sites {
		mask[i] = where.matches(&f.Sites[i], nil)
	}
	return mask
}

// bindParams makes columns of the parameters that overrides change.
func (b *bound) bindParams(f *Fleet) {
	r := b.rule
	varies := make([]bool, len(r.Params))
	b.varying = make([][]float64, len(r.Params))
	for _, o := range r.Overrides {
		for _, q := range o.Params {
			i := slices.IndexFunc(r.Params, func(p Param) bool { return p.Name == q.Name })
			if !varies[i] {
				varies[i], b.varying[i] = true, slices.Repeat([]float64{r.Params[i].Value}, b.scopes)
			}
			b.override(b.varying[i], o.Where, q.Value, f)
		}
	}
	b.program = compile(r, varies)
	b.read, b.closing, b.conds = r.read(), r.closing(), map[*node]*program{}
	for _, u := range b.program.uses {
		if u.cond != nil {
			b.conds[u.cond] = compileCondition(r, u.cond)
		}
	}
	b.dividing = b.divisors()
}

func (b *bound) override(column []float64, where Filter, value float64, f *Fleet) {
	for i := range column {
		matches := false
		if b.rule.Scope == telemetry.LevelSite {
			matches = where.matches(&f.Sites[i], nil)
		} else {
			matches = where.matches(&f.Sites[f.siteOf[i]], &f.Devices[i])
		}
		if matches {
			column[i] = value
		}
	}
}

// scope returns the scope of a row, and the site where it is ("" for several).
func (b *bound) scope(f *Fleet, row int) (s telemetry.Scope, site string) {
	s.Level = b.rule.Scope
	switch s.Level {
	case telemetry.LevelDevice:
		s.Name, site = f.Devices[row].Name, f.Devices[row].Site
	case telemetry.LevelSite:
		s.Name, site = f.Sites[row].ID, f.Sites[row].ID
	case telemetry.LevelGroup:
		s.Name = b.names[row]
	}
	return s, site
}

// row returns the row of a scope, if the fleet has it.
func (b *bound) row(f *Fleet, s telemetry.Scope) (int, bool) {
	if s.Level != b.rule.Scope {
		return 0, false
	}
	switch s.Level {
	case telemetry.LevelDevice:
		return f.deviceRow(s.Name)
	case telemetry.LevelSite:
		row := f.siteRow(s.Name)
		return row, row < len(f.Sites) && f.Sites[row].ID == s.Name
	case telemetry.LevelGroup:
		return slices.BinarySearch(b.names, s.Name)
	}
	return 0, true
}

// calendarOf returns the calendar of a scope's local days, or -1 where it has none.
func (b *bound) calendarOf(f *Fleet, row int) int32 {
	switch b.rule.Scope {
	case telemetry.LevelDevice:
		return f.calendarOfDevice(row)
	case telemetry.LevelSite:
		return f.calendarOf[row]
	}
	return -1
}

// state returns the row's state; an inactive one is made when asked for.
func (b *bound) state(row int) *State {
	if b.slot[row] == 0 {
		if n := len(b.free); n > 0 {
			b.slot[row], b.free = b.free[n-1], b.free[:n-1]
		} else {
			b.states = append(b.states, State{})
			b.slot[row] = int32(len(b.states))
		}
		b.states[b.slot[row]-1] = State{Rule: b.rule.Name, Phase: Inactive}
	}
	return &b.states[b.slot[row]-1]
}

// unsettled lists the devices that have a state, ascending.
func (b *bound) unsettled(f *Fleet) []telemetry.DeviceID {
	if len(b.states) == len(b.free) {
		return nil
	}
	var only []telemetry.DeviceID
	for row, slot := range b.slot {
		if slot > 0 {
			only = append(only, f.ids[row])
		}
	}
	return only
}

// forget drops the row's state.
func (b *bound) forget(row int) {
	b.free = append(b.free, b.slot[row])
	b.slot[row] = 0
}

// tell counts the row under its condition: 0 none, 1 clear, 2 firing, 3 unknown.
func (b *bound) tell(row int, as uint8) {
	if was := b.tells[row]; was != as {
		if was > 0 {
			b.told[was-1]--
		}
		if as > 0 {
			b.told[as-1]++
		}
		b.tells[row] = as
	}
}
