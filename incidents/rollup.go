package incidents

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// place is a rule at a site: what rolls up together.
type place struct{ rule, site string }

// placeOf returns the place of a device's finding; the zero place for others.
func placeOf(f *telemetry.Finding) place {
	if f.Scope.Level != telemetry.LevelDevice || f.Site == "" || f.Site == telemetry.Unassigned {
		return place{}
	}
	return place{f.Rule, f.Site}
}

// key is the fingerprint of the site incident of a place.
func (p place) key() string { return "roll-up\x1f" + p.rule + "\x1f" + p.site }

// rollUp finds the places where so many devices fail within the window that one
// incident is to stand for them, and opens it before they are. It adopts those
// that are open already and that nobody has touched.
func (in *intake) rollUp(findings []telemetry.Finding) error {
	fresh := map[place][]*telemetry.Finding{}
	for i := range findings {
		f := &findings[i]
		p := placeOf(f)
		inc := in.latest[KeyOf(f.Rule, f.Scope)]
		opens := inc == nil || inc.State.Ended() && !inc.Muted && !inc.has(f)
		if p.site != "" && f.Condition == telemetry.Firing && opens {
			fresh[p] = append(fresh[p], f)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	places, keys := placesOf(fresh)
	parents, err := in.tx.Latest(keys)
	if err != nil {
		return err
	}
	for _, p := range places {
		devices := in.fleet.Active[p.site]
		if devices == 0 {
			continue // devices that the registry does not know have no half
		}
		if err := in.rollUpAt(p, fresh[p], devices, parents[p.key()]); err != nil {
			return fmt.Errorf("roll up %s at %s: %w", p.rule, p.site, err)
		}
	}
	return nil
}

func placesOf(fresh map[place][]*telemetry.Finding) (places []place, keys []string) {
	for p := range fresh {
		places = append(places, p)
	}
	slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.key(), b.key()) })
	for _, p := range places {
		keys = append(keys, p.key())
	}
	return places, keys
}

func (in *intake) rollUpAt(p place, fresh []*telemetry.Finding, devices int, parent Incident) error {
	newest := fresh[0]
	for _, f := range fresh {
		if f.At.After(newest.At) {
			newest = f
		}
	}
	if slices.Contains(open, parent.State) {
		in.latest[parent.Key] = &parent
		in.parents[p] = parent.Ref
		return nil
	}
	orphans, err := in.orphans(p, newest.At)
	if err != nil {
		return err
	}
	failing := map[string]bool{}
	for _, f := range fresh {
		failing[f.Scope.Name] = failing[f.Scope.Name] || newest.At.Sub(f.At) <= in.desk.config.RollUpWindow
	}
	for _, o := range orphans {
		failing[o.Device] = true
	}
	if !telemetry.RollsUp(len(failing), devices) {
		return nil
	}
	if err := in.openParent(p, newest, len(failing), devices, parent); err != nil {
		return err
	}
	return in.adoptAll(orphans, in.parents[p], newest)
}

// orphans returns what is open at a place, failed within the window, and belongs
// to nobody.
func (in *intake) orphans(p place, at time.Time) (out []Incident, err error) {
	list, err := in.tx.Firing(p.rule, p.site)
	if err != nil {
		return nil, err
	}
	for _, inc := range list {
		recent := at.Sub(inc.LastFiredAt) <= in.desk.config.RollUpWindow
		free := inc.Parent == "" || inc.Held.By == byStorm
		if recent && inc.State == New && !inc.Touched && free && inc.Device != "" && inc.Condition == telemetry.Firing {
			out = append(out, inc)
		}
	}
	return out, nil
}

// openParent opens the site incident. One that was resolved gives its key away.
func (in *intake) openParent(p place, f *telemetry.Finding, failing, devices int, previous Incident) error {
	site := *f
	site.Scope = telemetry.Scope{Level: telemetry.LevelSite, Name: p.site}
	site.Impact, site.Evidence, site.Value, site.Threshold, site.Score = string(ImpactSite), nil, nil, nil, nil
	site.Summary = fmt.Sprintf("%d of %d devices at %s: %s", failing, devices, p.site, strings.ReplaceAll(f.Category, "_", " "))
	if previous.State == Resolved {
		if err := in.apply(&previous, Request{Transition: Supersede}, &site); err != nil {
			return err
		}
	}
	ref := in.next()
	in.parents[p] = ref
	req := Request{Transition: Open, finding: &site, ref: ref, key: p.key(), previous: previous.Ref,
		priority: in.desk.priority(in.book, f.Category, ImpactSite, Urgency(f.Urgency)), held: in.hold(&site)}
	if req.held.By == "" {
		var err error
		if req.parent, req.held, err = in.brake(&site); err != nil {
			return err
		}
	}
	return in.apply(&absent, req, &site)
}

func (in *intake) adoptAll(orphans []Incident, parent string, f *telemetry.Finding) error {
	for _, inc := range orphans {
		in.held[byRollUp]++
		req := Request{Transition: Adopt, parent: parent, held: Held{By: byRollUp, Why: parent + " stands for the devices of the site"}}
		if err := in.apply(&inc, req, f); err != nil {
			return err
		}
	}
	return nil
}

// recoverParents lets the incidents that stand for others know, once none of these
// fires any more: those of sites first, and then the overflow that may hold them.
func (in *intake) recoverParents() error {
	for from := 0; from < in.count(); {
		at := map[string]time.Time{}
		for s := range in.after(from) {
			if s.After.Parent != "" && s.After.Condition != telemetry.Firing && s.After.Held.By != byExplained {
				at[s.After.Parent] = later(at[s.After.Parent], s.Event.At)
			}
		}
		from = in.count()
		for _, ref := range slices.Sorted(maps.Keys(at)) {
			if err := in.recoverParent(ref, at[ref]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (in *intake) recoverParent(ref string, at time.Time) error {
	parent, err := in.tx.Get(ref)
	if err != nil || parent.State.Ended() || parent.Condition == telemetry.Clear {
		return err
	}
	if changed, ok := in.newest(parent.Key); ok {
		parent = *changed
	}
	children, err := in.tx.Children(ref)
	if err != nil {
		return err
	}
	for _, inc := range append(children, in.changed(ref)...) {
		if now, ok := in.newest(inc.Key); ok {
			inc = *now
		}
		if !inc.State.Ended() && inc.Condition != telemetry.Clear && inc.Held.By != byExplained {
			return nil
		}
	}
	f := &telemetry.Finding{Rule: parent.Rule, Scope: parent.Scope, Site: parent.Site, Condition: telemetry.Clear,
		At: later(at, parent.EvaluatedAt), Since: at, Reason: "nothing that it stands for fires any more"}
	return in.quiet(&parent, f)
}

// changed returns the children that this batch has changed.
func (in *intake) changed(parent string) (out []Incident) {
	for s := range in.after(0) {
		if s.After.Parent == parent {
			out = append(out, s.After)
		}
	}
	return out
}

// endChildren ends what a site incident stood for together with it: what is clear
// is resolved, the rest stands for itself again, with clocks of its own.
func (d *Desk) endChildren(tx Tx, b *Book, steps []Step, actor Actor, at time.Time) ([]Step, error) {
	parent := steps[0].After.Ref
	children, err := tx.Children(parent)
	if err != nil {
		return nil, err
	}
	by := belfry
	by.Request = actor.Request
	for _, inc := range children {
		req := Request{Transition: Detach, Reason: parent + " has ended"}
		if inc.Condition == telemetry.Clear && inc.State == New && !inc.Touched {
			req.Transition = AutoResolve
		}
		s, err := d.step(b, inc, req, by, at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	return steps, nil
}

func (c *change) adopt() { c.inc.Parent, c.inc.Held = c.req.parent, c.req.held }

func (c *change) detach() { c.inc.Parent, c.inc.Held = "", Held{} }
