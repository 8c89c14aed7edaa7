package analyzer

import (
	"cmp"
	"slices"
	"time"

	"belfry/telemetry"
)

// RolledUp is findings that are one piece of work: an incident that stands for itself,
// with those that it stands for.
type RolledUp struct {
	Rule   string            `json:"rule"`
	Scopes []telemetry.Scope `json:"scopes"` // of a site's incident, its devices that failed
	From   time.Time         `json:"from"`   // when the first of them began to fire
	Fired  int               `json:"fired"`  // how often one of them began to
}

// RollUp folds the report's findings into incidents (RULES, semantics 11) as the desk
// does with its defaults while nobody works there: an incident ends when its condition
// is clear, and takes up again what fires within telemetry.ReopenWindow; one stands for
// the devices of a site that fail together; and what a later finding explains goes with
// that one's until it fires by itself again. What people, silences, maintenance and the
// storm brake make of incidents is not in the readings. devices says how many a site has.
func (r *Report) RollUp(devices func(site string) int) []RolledUp {
	return r.rollUp(devices, telemetry.ReopenWindow)
}

func (r *Report) rollUp(devices func(site string) int, reopen time.Duration) []RolledUp {
	u := rollUp{devices: devices, reopen: reopen, newest: map[telemetry.Cause]*ticket{}, sites: map[ruleAt]*ticket{}, members: map[ruleAt][]*ticket{}}
	for all := r.Findings; len(all) > 0; {
		n := 1
		for n < len(all) && all[n].At.Equal(all[0].At) {
			n++
		}
		u.take(all[:n])
		all = all[n:]
	}
	return u.incidents()
}

// ticket is an incident as the desk would have it.
type ticket struct {
	RolledUp
	under     *ticket // what stands for it; nil: itself
	explained bool    // by under, until it fires by itself
	condition telemetry.Condition
	at        time.Time // when it last began to fire or, once clear, when it ended
}

func (t *ticket) ended() bool { return t.condition == telemetry.Clear }

// ruleAt is a rule at a site: what rolls up together.
type ruleAt struct{ rule, site string }

func placeOf(f *telemetry.Finding) ruleAt {
	if f.Scope.Level != telemetry.LevelDevice || f.Site == "" || f.Site == telemetry.Unassigned {
		return ruleAt{}
	}
	return ruleAt{f.Rule, f.Site}
}

// rollUp is a desk that nobody works at, as far as counting goes.
type rollUp struct {
	devices func(site string) int
	reopen  time.Duration
	all     []*ticket
	newest  map[telemetry.Cause]*ticket // of a rule and scope
	sites   map[ruleAt]*ticket          // newest incident that stands for a site's devices
	members map[ruleAt][]*ticket        // of devices, each once
}

// take takes in what was found at one instant.
func (u *rollUp) take(found []telemetry.Finding) {
	u.together(found)
	for i := range found {
		f := &found[i]
		t := u.newest[telemetry.Cause{Rule: f.Rule, Scope: f.Scope}]
		switch {
		case f.Condition == telemetry.Firing:
			u.firing(t, f)
		case t == nil || t.ended() || t.condition == f.Condition:
		case f.Condition == telemetry.Clear:
			t.condition, t.at = telemetry.Clear, f.At
			u.recover(placeOf(f), f.At)
		default:
			t.condition = f.Condition
			if f.Explained != nil && t.under == nil {
				u.explain(t, u.newest[*f.Explained])
			}
		}
	}
}

// firing opens, reopens or goes on.
func (u *rollUp) firing(t *ticket, f *telemetry.Finding) {
	p := placeOf(f)
	again := t != nil && t.ended()
	switch {
	case t == nil || again && f.At.Sub(t.at) > u.reopen:
		t = &ticket{RolledUp: RolledUp{Rule: f.Rule, Scopes: []telemetry.Scope{f.Scope}, From: f.At}}
		u.all, u.newest[telemetry.Cause{Rule: f.Rule, Scope: f.Scope}] = append(u.all, t), t
		again = true
		if p.site != "" {
			u.members[p] = append(u.members[p], t)
		}
	case t.explained:
		t.under, t.explained = nil, false
	}
	if again {
		t.under, t.explained = u.standing(p), false
	}
	if again || f.Since.After(t.at) { // what was lost sight of and still holds does not begin
		t.Fired++
		t.at = f.At
	}
	t.condition = telemetry.Firing
}

// standing is the open incident that stands for the devices of a site.
func (u *rollUp) standing(p ruleAt) *ticket {
	if t := u.sites[p]; t != nil && !t.ended() {
		return t
	}
	return nil
}

// together opens an incident for each site so many devices of which fail within the
// window that it is to stand for them, and puts them under it.
func (u *rollUp) together(found []telemetry.Finding) {
	fresh := map[ruleAt]int{}
	for i := range found {
		t := u.newest[telemetry.Cause{Rule: found[i].Rule, Scope: found[i].Scope}]
		if found[i].Condition == telemetry.Firing && (t == nil || t.ended()) {
			fresh[placeOf(&found[i])]++
		}
	}
	for p, failing := range fresh {
		if p.site == "" || u.standing(p) != nil {
			continue
		}
		var alone []*ticket
		for _, t := range u.members[p] {
			if t.under == nil && t.condition == telemetry.Firing && found[0].At.Sub(t.at) <= telemetry.RollUpWindow {
				alone = append(alone, t)
			}
		}
		if !telemetry.RollsUp(failing+len(alone), u.devices(p.site)) {
			continue
		}
		u.sites[p] = &ticket{RolledUp: RolledUp{Rule: p.rule, From: found[0].At}, condition: telemetry.Firing}
		for _, t := range alone {
			t.under = u.sites[p]
		}
	}
}

// recover ends the incident that stands for a site's devices with the last of them.
func (u *rollUp) recover(p ruleAt, at time.Time) {
	site := u.standing(p)
	if site != nil && !slices.ContainsFunc(u.members[p], func(t *ticket) bool { return t.under == site && !t.ended() }) {
		site.condition, site.at = telemetry.Clear, at
	}
}

// explain puts an incident under that of what explains it.
func (u *rollUp) explain(t, cause *ticket) {
	if cause == nil || cause.ended() {
		return
	}
	if t.under, t.explained = cause, true; cause.under != nil {
		t.under = cause.under
	}
}

// incidents are those that stand for themselves, with those that they stand for.
func (u *rollUp) incidents() []RolledUp {
	heads, seen := []*ticket{}, map[*ticket]bool{}
	for _, t := range u.all {
		head := t
		for head.under != nil {
			head = head.under
		}
		if !seen[head] {
			heads, seen[head] = append(heads, head), true
		}
		if head == t {
			continue
		}
		for _, s := range t.Scopes {
			if !slices.Contains(head.Scopes, s) {
				head.Scopes = append(head.Scopes, s)
			}
		}
		head.Fired += t.Fired
		if t.From.Before(head.From) {
			head.From = t.From
		}
	}
	out := []RolledUp{}
	for _, h := range heads {
		out = append(out, h.RolledUp)
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
