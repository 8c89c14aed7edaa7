package analyzer

import (
	"context"
	"slices"

	"belfry/telemetry"
)

// divisors lists the signals that a rule about devices only divides by, and only what is
// rare: resent(same, 24h) / count(count, 24h). They say nothing of a calm device: of zero
// any part is zero. So they are asked of the devices where there is something to divide,
// and of those that have a state; elsewhere they are taken to be 1.
//
// That changes no verdict if the rule is then false whatever is divided by, and if a
// missing quotient, of a device without counts, does not count as one.
func (b *bound) divisors() []use {
	r := b.rule
	if r.Scope != telemetry.LevelDevice || r.OnMissing != MissingKeep || r.unless != nil ||
		slices.ContainsFunc(b.varying, func(column []float64) bool { return column != nil }) {
		return nil
	}
	all, divides := map[use]int{}, map[use]int{}
	r.when.walkOutside(func(n *node) {
		if n.signal != nil {
			all[n.use]++
		}
		if n.kind == nodeArith && n.op == "/" && n.args[1].signal != nil && n.args[0].signal != nil && n.args[0].signal.rare {
			divides[n.args[1].use]++
		}
	})
	var found []use
	columns := make([][]float64, 0, len(b.program.uses)+len(b.varying))
	for _, u := range b.program.uses {
		switch {
		case u.sig.rare:
			columns = append(columns, []float64{0})
		case all[u] == 0: // of recover alone
			columns = append(columns, []float64{missing})
		case all[u] != divides[u] || u.sig.column == nil || u.sig.daily:
			return nil
		default:
			found, columns = append(found, u), append(columns, []float64{1})
		}
	}
	var calm registers
	calm.prepare(b.program, 1)
	calm.run(b.program, append(columns, b.varying...), 0, 1)
	if calm.view[b.program.when][0] != 0 {
		return nil
	}
	return found
}

// planDivisor plans a signal that matters where others are not zero; see divisors.
func (p *pass) planDivisor(t *task, u use) {
	if c := p.columns[p.key(t, u)]; c != nil {
		c.reads(t.bound.rule.Name) // another rule asks it of everyone
		return
	}
	p.columns[p.closingKey(t, u)] = &deviceColumn{use: u, rules: []string{t.bound.rule.Name}, divides: t}
}

// readDivisors asks for what was planned so, now that the other columns are there.
func (p *pass) readDivisors(ctx context.Context) {
	var some []*deviceColumn
	asked := len(p.scans)
	for _, c := range p.columns {
		if c.divides == nil {
			continue
		}
		some = append(some, c)
		if c.only, c.err = p.divided(c.divides); len(c.only) > 0 {
			for _, g := range p.audiences(c.divides, c.use) {
				c.parts = append(c.parts, p.partOf(c.use, g, c.only))
			}
			c.reads(c.divides.bound.rule.Name)
		}
	}
	p.scan(ctx, p.scans[asked:])
	for _, c := range some {
		if c.err != nil {
			continue
		}
		p.fillColumn(c)
		at := 0
		for row, id := range p.fleet.ids {
			if at < len(c.only) && c.only[at] == id {
				at++
				continue
			}
			c.value[row] = 1
		}
	}
}

// divided lists the devices for which a rule's divisors matter, ascending.
func (p *pass) divided(t *task) (only []telemetry.DeviceID, err error) {
	var rare [][]float64
	for _, u := range t.bound.read {
		if u.sig.rare {
			c := p.column(t, u)
			if c.err != nil {
				return nil, c.err
			}
			rare = append(rare, c.value)
		}
	}
	for row, id := range p.fleet.ids {
		if t.bound.slot[row] > 0 || slices.ContainsFunc(rare, func(column []float64) bool { return column[row] != 0 }) {
			only = append(only, id)
		}
	}
	return only, nil
}
