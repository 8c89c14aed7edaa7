package analyzer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"belfry/telemetry"
)

// A rule with `every` looks at its windows anew at each instant, so that late readings
// are seen in time by what holds now. What it found before and is out still may rest on
// readings that were not there: whether it does is asked at the instant at which it
// fired, as of now.

// reconsiders reports whether late readings can take back what a rule with `every` found.
func (b *bound) reconsiders() bool {
	return b.rule.Schedule.Anchor == "" && !b.absent && (b.rule.Scope == telemetry.LevelDevice || b.rule.Scope == telemetry.LevelSite) &&
		!slices.ContainsFunc(b.read, func(u use) bool { return u.sig.ofArrivals() })
}

// reconsider finds the scopes that fire for what, now that late readings are there, was
// not so. What can't be asked is asked at the rule's next instant.
func (p *pass) reconsider(ctx context.Context, tasks []*task) {
	if p.cfg.Late == nil {
		return
	}
	for _, t := range tasks {
		b := t.bound
		if !b.reconsiders() {
			continue
		}
		untrue, err := p.untrueOf(ctx, b)
		if err != nil {
			p.log.Warn("findings are not held against late readings yet", "rule", b.rule.Name, "at", p.at, "error", err)
			continue
		}
		b.looked, p.untrue[b] = p.at, untrue
	}
}

// untrueOf asks for a rule: for each instant at which one of its findings in the touched
// sites fired, an analyzer of its own judges that instant again.
func (p *pass) untrueOf(ctx context.Context, b *bound) (map[int]bool, error) {
	if len(b.states) == len(b.free) {
		return nil, nil // nothing is out
	}
	fired := map[time.Time][]int{} // rows, by instant
	first := p.at
	for row, slot := range b.slot {
		if slot == 0 || !p.portion.mine(b, row) {
			continue
		}
		if s := &b.states[slot-1]; s.fires() && !s.Fired.IsZero() && p.at.Sub(s.Fired) < lateBack {
			fired[s.Fired] = append(fired[s.Fired], row)
			first = minTime(first, s.Fired)
		}
	}
	if len(fired) == 0 {
		return nil, nil
	}
	// What came before it fired was known then.
	cells, err := p.cfg.Late(ctx, later(first, b.looked), p.at, first.Add(-lateBack))
	if err != nil || len(cells) == 0 {
		return nil, err
	}
	touched, untrue := p.touchedBy(cells), map[int]bool{}
	for at, rows := range fired {
		sites := map[int32]time.Time{}
		rows = slices.DeleteFunc(rows, func(row int) bool {
			site := b.siteOf(p.fleet, row)
			from, ok := touched[site]
			if ok && from.Before(at) {
				sites[site] = from
			}
			return !ok || !from.Before(at)
		})
		if len(rows) == 0 {
			continue
		}
		if err := p.judgeAgain(ctx, b, at, rows, sites, untrue); err != nil {
			return nil, fmt.Errorf("judge %s again: %w", at.Format(time.RFC3339), err)
		}
	}
	return untrue, nil
}

// judgeAgain judges a rule's instant again, and notes the rows for which it does not hold.
func (p *pass) judgeAgain(ctx context.Context, b *bound, at time.Time, rows []int, sites map[int32]time.Time, untrue map[int]bool) error {
	again, err := p.again(ctx, &RuleSet{Rules: []*Rule{b.rule}}, sites, at, p.at)
	if err != nil {
		return err
	}
	again.cfg.Emit = func(context.Context, []telemetry.Finding) error { return nil }
	o := again.bounds[0]
	there := map[int]int{} // rows of o, by those of b
	for _, row := range rows {
		scope, _ := b.scope(p.fleet, row)
		if i, ok := o.row(again.fleet, scope); ok {
			there[row] = i
			s := o.state(i)
			s.Phase, s.Scope, s.Since = Pending, scope, b.states[b.slot[row]-1].Since
		}
	}
	if err := again.Evaluate(ctx, at); err != nil {
		return err
	}
	if !again.progress.Rules[b.rule.Name].Equal(at) {
		return fmt.Errorf("the rule %s was not evaluated", b.rule.Name)
	}
	for row, i := range there {
		if o.slot[i] == 0 {
			untrue[row] = true
		}
	}
	return nil
}

// siteOf returns the row of the site that a device's or a site's scope is at.
func (b *bound) siteOf(f *Fleet, row int) int32 {
	if b.rule.Scope == telemetry.LevelSite {
		return int32(row)
	}
	return f.siteOf[row]
}
