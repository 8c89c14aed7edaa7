package analyzer

import (
	"cmp"
	"slices"
	"time"

	"belfry/telemetry"
)

// rollUpWindow is within how long devices of a site must fail for one thing to stand
// for all of them: at least three of them, and half.
const rollUpWindow = 30 * time.Minute

// RolledUp is findings that are one piece of work: what the helpdesk would have seen.
type RolledUp struct {
	Rule   string            `json:"rule"` // what stands for all
	Scopes []telemetry.Scope `json:"scopes"`
	From   time.Time         `json:"from"` // when the first of them began to fire
}

// RollUp folds the report's findings into incidents (RULES, semantics 11): what a later
// finding explains, so that it became unknown under it, goes with that one; and devices
// of a site for which one rule fires at the same time are one. siteOf names the site of
// a device, and devices how many a site has.
func (r *Report) RollUp(siteOf func(device string) string, devices func(site string) int) []RolledUp {
	all := spells(r.Findings, r.To)
	into := make([]int, len(all)) // by spell: the one that stands for it, or itself
	for i := range into {
		into[i] = i
	}
	r.explained(all, into)
	together(all, into, siteOf, devices)
	byHead := map[int]*RolledUp{}
	var heads []int
	for i, s := range all {
		head := i
		for into[head] != head {
			head = into[head]
		}
		if byHead[head] == nil {
			byHead[head] = &RolledUp{Rule: all[head].rule, From: all[head].from}
			heads = append(heads, head)
		}
		one := byHead[head]
		if !slices.Contains(one.Scopes, s.scope) {
			one.Scopes = append(one.Scopes, s.scope)
		}
		if s.from.Before(one.From) {
			one.From = s.from
		}
	}
	out := []RolledUp{}
	for _, h := range heads {
		out = append(out, *byHead[h])
	}
	slices.SortStableFunc(out, func(a, b RolledUp) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Rule, b.Rule)) })
	return out
}

// labelled reports whether a label is about one of the scopes, and the incident began
// in its span or soon after.
func (i RolledUp) labelled(labels []Label, siteOf func(string) string) bool {
	return slices.ContainsFunc(labels, func(l Label) bool {
		return i.From.After(l.Start) && i.From.Before(l.End.Add(labelGrace)) &&
			slices.ContainsFunc(i.Scopes, func(s telemetry.Scope) bool { return l.about(s, siteOf) })
	})
}

// explained puts each spell that a later finding suppressed under that finding's.
func (r *Report) explained(all []spell, into []int) {
	for _, f := range r.Findings {
		if f.Explained == nil {
			continue
		}
		mine := slices.IndexFunc(all, func(s spell) bool {
			return s.rule == f.Rule && s.scope == f.Scope && !f.At.Before(s.from) && f.At.Before(s.to)
		})
		its := slices.IndexFunc(all, func(s spell) bool {
			return s.rule == f.Explained.Rule && s.scope == f.Explained.Scope && !f.At.Before(s.from) && !f.At.After(s.to)
		})
		if mine >= 0 && its >= 0 && all[its].from.After(all[mine].from) && into[mine] == mine {
			into[mine] = its
		}
	}
}

// together puts the spells of one rule that began on a site's devices within the window
// under the first of them.
func together(all []spell, into []int, siteOf func(string) string, devices func(string) int) {
	type place struct{ rule, site string }
	byPlace := map[place][]int{}
	for i, s := range all {
		if s.scope.Level == telemetry.LevelDevice && into[i] == i {
			p := place{s.rule, siteOf(s.scope.Name)}
			byPlace[p] = append(byPlace[p], i)
		}
	}
	for p, its := range byPlace {
		for len(its) > 0 {
			n := 1
			for n < len(its) && all[its[n]].from.Sub(all[its[0]].from) <= rollUpWindow {
				n++
			}
			if n >= max(3, (devices(p.site)+1)/2) {
				for _, i := range its[1:n] {
					into[i] = its[0]
				}
			} else {
				n = 1
			}
			its = its[n:]
		}
	}
}
