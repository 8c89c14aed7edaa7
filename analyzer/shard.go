package analyzer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"belfry/telemetry"
)

// Shards is into how many parts the scopes are divided when several analyzers work on
// one fleet: each evaluates those that it holds. A site and its devices are in one
// shard, so that what one rule says of a site is known to those about its devices.
// Groups and the tenant are in the first shard. Their rules are evaluated by all, since
// others yield to them, and told of by the one that holds that shard.
const Shards = 16

// shardOf returns the shard of a site.
func shardOf(site string) int { return int(uint64(telemetry.IDOf(site)) % Shards) }

// portion is the part of the scopes that an analyzer evaluates.
type portion struct {
	held     []bool     // by shard; nil: everything, and no shards
	progress []Progress // by shard, of those held
}

// Restart goes on as after a start, with what is kept in the store by now: with these
// rules and this fleet, and the scopes of these shards alone (nil: all scopes). What was
// found and not yet handed on is left, as by a crash, for whoever holds the scope.
func (a *Analyzer) Restart(ctx context.Context, rules *RuleSet, f *Fleet, shards []int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var states []State
	progress := Progress{}
	if a.cfg.States != nil {
		var err error
		if states, progress, err = a.cfg.States.Load(ctx); err != nil {
			return fmt.Errorf("load analyzer states: %w", err)
		}
	}
	a.outbox, a.dirty, a.orphans, a.health = nil, nil, nil, map[string]health{}
	a.hold(shards, progress)
	if a.cfg.States != nil {
		a.ledger = ledger{}
		if err := a.recall(ctx); err != nil {
			return err
		}
	}
	a.rebind(rules, f, states)
	return nil
}

// hold takes shards and their progress. A shard that nobody held before goes on from
// where the fleet as a whole was.
func (a *Analyzer) hold(shards []int, p Progress) {
	a.portion = portion{}
	if a.progress = p; shards != nil {
		a.portion = portion{make([]bool, Shards), make([]Progress, Shards)}
		whole := p
		whole.Shards = nil
		for _, s := range shards {
			a.portion.held[s], a.portion.progress[s] = true, whole
			if own, ok := p.Shards[s]; ok {
				a.portion.progress[s] = own
			}
			a.portion.progress[s].Rules = maps.Clone(a.portion.progress[s].Rules)
		}
		a.progress = a.portion.least()
	}
	if a.progress.Rules == nil {
		a.progress.Rules = map[string]time.Time{}
	}
	a.progress.Shards = nil
	a.saved = a.progress.At
}

// least is how far all the shards that are held have come.
func (p portion) least() Progress {
	out := Progress{Rules: map[string]time.Time{}}
	for s, held := range p.held {
		if !held {
			continue
		}
		own := p.progress[s]
		if out.At.IsZero() || own.At.Before(out.At) {
			out.At = own.At
		}
		if own.Hold.After(out.Hold) {
			out.Hold = own.Hold
		}
		if out.Late.IsZero() || own.Late.Before(out.Late) {
			out.Late = own.Late
		}
		for rule, at := range own.Rules {
			if known, ok := out.Rules[rule]; !ok || at.Before(known) {
				out.Rules[rule] = at
			}
		}
	}
	return out
}

// kept is the progress as it is saved.
func (a *Analyzer) kept() Progress {
	if a.portion.held == nil {
		return a.progress
	}
	out := Progress{Shards: map[int]Progress{}}
	for s, held := range a.portion.held {
		if held {
			own := &a.portion.progress[s]
			own.At, own.Hold, own.Late = later(own.At, a.progress.At), later(own.Hold, a.progress.Hold), later(own.Late, a.progress.Late)
			if own.Rules == nil {
				own.Rules = map[string]time.Time{}
			}
			for rule, at := range a.progress.Rules {
				own.Rules[rule] = later(own.Rules[rule], at)
			}
			out.Shards[s] = *own
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// shards returns the shard of each of a rule's scopes; nil when there are none.
func (p portion) shards(b *bound, f *Fleet) []uint8 {
	if p.held == nil || b.rule.Cap > 0 || b.rule.Scope != telemetry.LevelDevice && b.rule.Scope != telemetry.LevelSite {
		return nil
	}
	site := make([]uint8, len(f.Sites))
	for i := range f.Sites {
		site[i] = uint8(shardOf(f.Sites[i].ID))
	}
	if b.rule.Scope == telemetry.LevelSite {
		return site
	}
	all := make([]uint8, b.scopes)
	for row := range all {
		all[row] = site[f.siteOf[row]]
	}
	return all
}

// theirs returns by site whether none of its devices matter here to rules that look at what
// is learned; nil where all may.
func (p portion) theirs(bounds []*bound, f *Fleet) []bool {
	if p.held == nil || slices.ContainsFunc(bounds, func(b *bound) bool { return b.lessons.any() && b.shard == nil }) {
		return nil
	}
	all := make([]bool, len(f.Sites))
	for i := range f.Sites {
		all[i] = !p.held[shardOf(f.Sites[i].ID)]
	}
	return all
}

// mine reports whether a rule's scope is told of by this analyzer.
func (p portion) mine(b *bound, row int) bool {
	switch {
	case p.held == nil:
		return true
	case b.shard == nil: // a group, the tenant, or a rule that counts over the fleet
		return p.held[0]
	}
	return p.held[b.shard[row]]
}

// rest leaves out the scopes that are others', and those that were evaluated at the
// instant before their shard was taken over.
func (p portion) rest(t *task, out []presence) {
	if p.held == nil || t.bound.shard == nil {
		return
	}
	others := make([]bool, Shards)
	for s, held := range p.held {
		others[s] = !held || !t.at.After(p.progress[s].Rules[t.bound.rule.Name])
	}
	if !slices.Contains(others, true) {
		return
	}
	for row, s := range t.bound.shard {
		if others[s] {
			out[row] = resting
		}
	}
}
