package analyzer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// Caps (RULES, semantics 11): when more scopes of a rule fire than its cap allows, one
// finding stands for those that come after, with their exact number and their list. It
// is about the tenant, and changes as they come and go. Once the rule is back under its
// cap each that still fires is told of by itself.
//
// The rule is told of by one analyzer alone, so that it counts the whole fleet.

// namesInOne is how many names stand in one line of the list.
const namesInOne = 200

// capped counts the scopes that the rule's finding for many stands for.
func (b *bound) countCapped() (fires, capped int) {
	for _, slot := range b.slot {
		if slot == 0 {
			continue
		}
		s := &b.states[slot-1]
		if s.fires() {
			fires++
		}
		if s.Capped {
			capped++
		}
	}
	return fires, capped
}

// holdBack takes the findings of this instant, those of the outbox from a place on, back
// when they are above the cap, and tells of all of them together.
func (j *judgement) holdBack(from int) {
	b := j.bound
	limit := b.rule.Cap
	if limit == 0 && b.capped == 0 || !j.portion.mine(b, 0) {
		return
	}
	fires, capped := b.countCapped()
	begun := 0
	for _, f := range j.outbox[from:] {
		if f.Condition == telemetry.Firing && f.Reason == "" {
			begun++
		}
	}
	if limit > 0 && (capped > 0 || fires > limit) && begun > 0 {
		j.takeBack(from)
		capped += begun
	}
	if capped > 0 && (limit == 0 || fires <= limit) {
		j.release()
		capped = 0
	}
	if capped != b.capped {
		b.capped = capped
		j.outbox = append(j.outbox, j.manyFinding())
	}
}

// takeBack marks the scopes of new findings and drops these.
func (j *judgement) takeBack(from int) {
	kept := j.outbox[:from:from]
	for _, f := range j.outbox[from:] {
		row, ok := j.bound.row(j.fleet, f.Scope)
		if f.Condition != telemetry.Firing || f.Reason != "" || !ok {
			kept = append(kept, f)
			continue
		}
		s := j.bound.state(row)
		s.Capped = true
		j.dirty = append(j.dirty, *s)
	}
	j.Analyzer.outbox = kept
}

// release tells of each scope by itself.
func (j *judgement) release() {
	for row, slot := range j.bound.slot {
		if slot == 0 || !j.bound.states[slot-1].Capped {
			continue
		}
		s := &j.bound.states[slot-1]
		s.Capped = false
		j.outbox = append(j.outbox, j.finding(row, s, moveFire, verdictHolds, shown{value: s.Value}))
		j.dirty = append(j.dirty, *s)
	}
}

// manyFinding is the finding for all that are capped at present.
func (j *judgement) manyFinding() telemetry.Finding {
	r, n, limit := j.bound.rule, float64(j.bound.capped), float64(j.bound.rule.Cap)
	f := telemetry.Finding{Rule: r.Name, RuleHash: r.Hash, Scope: manyScope, Condition: telemetry.Clear, At: j.at, Since: j.at,
		Category: r.Category, Impact: "client", Urgency: r.Urgency, Renotify: r.Renotify, Value: &n,
		Summary: fmt.Sprintf("%s is back under its cap of %d", r.Name, r.Cap)}
	if n == 0 {
		return f
	}
	f.Condition, f.Threshold, f.Score = telemetry.Firing, &limit, number(n/limit)
	f.Expected = fmt.Sprintf("at most %d at once", r.Cap)
	f.Summary = fmt.Sprintf("%d %ss more than the cap of %d: %s", j.bound.capped, r.Scope, r.Cap, r.Name)
	var names []string
	for row, slot := range j.bound.slot {
		if slot == 0 || !j.bound.states[slot-1].Capped {
			continue
		}
		scope, _ := j.bound.scope(j.fleet, row)
		names = append(names, scope.Name)
		if s := j.bound.states[slot-1].Since; s.Before(f.Since) {
			f.Since = s
		}
	}
	slices.Sort(names)
	for chunk := range slices.Chunk(names, namesInOne) {
		f.Evidence = append(f.Evidence, telemetry.Evidence{At: j.at, What: fmt.Sprintf("%d %ss", len(chunk), r.Scope), Note: strings.Join(chunk, ", ")})
	}
	return f
}

// manyScope is what a finding for many is about.
var manyScope = telemetry.Scope{Level: telemetry.LevelTenant}

// manyGone clears the finding for many of a rule that is no more.
func manyGone(s State, at time.Time, reason string) telemetry.Finding {
	return telemetry.Finding{Rule: s.Rule, RuleHash: s.RuleHash, Scope: manyScope, Condition: telemetry.Clear, At: at, Since: at, Reason: reason}
}
