package analyzer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// RuleHealth is the rule under which what is wrong with rules themselves is found
// (RULES, semantics 13), one finding for each rule that ails. It stands in no file, and
// no rule may have its name.
const RuleHealth = "rule-health"

// ailment is what may be wrong with a rule, and after how long it is told of: one failed
// scan, or a fleet that is being set up, is nothing to call people for.
type ailment struct {
	after   time.Duration
	urgency string
	what    func(rule *Rule, detail string) string
}

// The ailments, the worst first.
const (
	failing = iota + 1
	reachesNobody
	blind
	young
	astray
)

var ailments = map[int]ailment{
	failing: {5 * time.Minute, "high", func(r *Rule, detail string) string {
		return fmt.Sprintf("the rule %s fails and finds nothing: %s", r.Name, detail)
	}},
	reachesNobody: {time.Hour, "low", func(r *Rule, _ string) string {
		if r.Scope == telemetry.LevelGroup && len(r.Where) == 0 {
			return fmt.Sprintf("the rule %s matches no group: no device in service has the label %s, and no site of one", r.Name, r.Group)
		}
		return fmt.Sprintf("the rule %s matches no %s: its where names what none of them has", r.Name, r.Scope)
	}},
	blind: {24 * time.Hour, "low", func(r *Rule, _ string) string {
		var signals []string
		for _, u := range r.read() {
			signals = addOnce(signals, u.String())
		}
		why := "for want of history or because none sends them"
		if r.divides() {
			why += ", or it divides by zero"
		}
		return fmt.Sprintf("the rule %s has nothing to judge by, for any %s: no values of %s, %s", r.Name, r.Scope, strings.Join(signals, ", "), why)
	}},
	young: {24 * time.Hour, "low", func(r *Rule, detail string) string {
		return fmt.Sprintf("the rule %s looks back over %s, and by the registry no device has been in service for so long: what it finds until then is of less", r.Name, detail)
	}},
	astray: {time.Hour, "low", func(r *Rule, detail string) string {
		return fmt.Sprintf("the query of the rule %s tells of what the registry does not have: %s", r.Name, detail)
	}},
}

// health is how a rule fares.
type health struct {
	ails   int // 0: nothing
	detail string
	since  time.Time
	told   bool
}

// examine notes how the evaluation of a rule went.
func (a *Analyzer) examine(t *task, j *judgement, err error) {
	if !a.cfg.Health {
		return
	}
	ails, detail := 0, ""
	switch {
	case err != nil:
		ails, detail = failing, err.Error()
	case len(a.fleet.Devices) > 0 && !slices.ContainsFunc(a.present[:t.bound.scopes], func(p presence) bool { return p != absent }):
		ails = reachesNobody
	case j.raw[t] != nil && j.raw[t].strangers > 0:
		ails, detail = astray, fmt.Sprintf("%d rows, such as %s %q", j.raw[t].strangers, t.bound.rule.Scope, j.raw[t].stranger)
	case j.judged > 0 && j.missed == j.judged:
		ails = blind
	case j.judged == 0:
		return // nobody was due
	case a.tooYoung(t.bound.rule, t.at):
		ails, detail = young, formatSeconds(t.bound.rule.looksBack().Seconds())
	}
	h := a.health[t.bound.rule.Name]
	if h.ails != ails && !h.told {
		h.since = later(a.upto, t.at)
	}
	if h.ails, h.detail = ails, detail; ails == 0 && !h.told {
		delete(a.health, t.bound.rule.Name)
		return
	}
	a.health[t.bound.rule.Name] = h
}

// divides reports whether the rule's `when` divides.
func (r *Rule) divides() (is bool) {
	r.when.walk(func(n *node) { is = is || n.kind == nodeArith && n.op == "/" })
	return is
}

// looksBack is the longest window that the rule's `when` sums up.
func (r *Rule) looksBack() (longest time.Duration) {
	for _, u := range usesOf(r.when) {
		longest = max(longest, u.window.length)
	}
	return longest
}

// tooYoung reports whether a rule looks back over more days than any device has been in
// service for. Nothing is said where the registry does not know since when they are.
func (a *Analyzer) tooYoung(r *Rule, at time.Time) bool {
	back := r.looksBack()
	return back > 24*time.Hour && slices.Min(a.fleet.from) > at.Add(-back).UnixMilli()
}

// tellHealth emits what has become of the rules' health by an instant.
func (a *Analyzer) tellHealth(at time.Time) {
	if !a.cfg.Health || a.portion.held != nil && !a.portion.held[0] {
		return
	}
	for _, b := range a.bounds {
		name := b.rule.Name
		h, ok := a.health[name]
		switch {
		case !ok:
		case h.ails == 0:
			delete(a.health, name)
			a.healthFinding(b.rule, h, telemetry.Clear, at)
		case !h.told && at.Sub(h.since) >= ailments[h.ails].after:
			h.told = true
			a.health[name] = h
			a.healthFinding(b.rule, h, telemetry.Firing, at)
		}
	}
}

// healthFinding emits a finding about a rule, and keeps its state.
func (a *Analyzer) healthFinding(r *Rule, h health, c telemetry.Condition, at time.Time) {
	f := telemetry.Finding{Rule: RuleHealth, RuleHash: r.Hash, Scope: healthScope(r.Name), Condition: c, At: at, Since: h.since,
		Category: "rule_health", Impact: "client", Urgency: "low", Summary: fmt.Sprintf("the rule %s works again", r.Name)}
	s := State{Rule: RuleHealth, RuleHash: r.Hash, Scope: f.Scope, Phase: Inactive, Since: h.since, At: at}
	if c == telemetry.Firing {
		ill := ailments[h.ails]
		f.Urgency, f.Summary = ill.urgency, ill.what(r, h.detail)
		f.Evidence = []telemetry.Evidence{{At: at, What: "why", Note: f.Summary + "."}}
		s.Phase = InFire
	} else {
		f.Since = at
	}
	a.outbox, a.dirty = append(a.outbox, f), append(a.dirty, s)
}

func healthScope(rule string) telemetry.Scope {
	return telemetry.Scope{Level: telemetry.LevelTenant, Name: rule}
}

// recallHealth takes a kept state of a rule's health; false when the rule is gone.
func (a *Analyzer) recallHealth(s State) bool {
	if a.cfg.Rules.Rule(s.Scope.Name) == nil {
		return false
	}
	a.health[s.Scope.Name] = health{ails: failing, since: s.Since, told: true}
	return true
}
