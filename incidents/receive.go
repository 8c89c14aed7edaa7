package incidents

import (
	"context"
	"fmt"
	"slices"
	"time"

	"belfry/telemetry"
)

// findingsAtOnce is how many findings share a transaction: enough that the
// commit costs little for each, few enough that people don't wait behind them.
const findingsAtOnce = 1500

// Receive takes in findings, in order. It may be given the same findings again,
// in the same order, after a crash or an error: those that were taken in do
// nothing. It is the analyzer's Emit.
func (d *Desk) Receive(ctx context.Context, findings []telemetry.Finding) error {
	var room []Step
	for len(findings) > 0 {
		n := min(len(findings), findingsAtOnce)
		room = slices.Grow(room[:0], n+n/8)
		if err := d.receive(ctx, findings[:n], room); err != nil {
			return fmt.Errorf("receive %d findings: %w", n, err)
		}
		findings = findings[n:]
	}
	return nil
}

// receive takes in findings in one transaction. Steps are long, so those of one batch
// lie in the room of those before it.
func (d *Desk) receive(ctx context.Context, findings []telemetry.Finding, room []Step) error {
	var in *intake
	err := d.store.Update(ctx, func(tx Tx) error {
		latest, err := tx.Latest(keysOf(findings))
		if err != nil {
			return err
		}
		book, err := d.bookOf(tx)
		if err != nil {
			return err
		}
		closed, err := tx.ClosedSites()
		if err != nil {
			return err
		}
		makes, err := tx.Makes(mayOpen(findings, latest))
		if err != nil {
			return err
		}
		in = &intake{desk: d, tx: tx, makes: makes, noise: noise{book, closed}, latest: pointers(latest), steps: room, held: map[string]int{}, parents: map[place]string{}, opened: map[time.Time]int{}}
		if err := in.rollUp(findings); err != nil {
			return err
		}
		for i := range findings {
			if err := in.take(&findings[i]); err != nil {
				return fmt.Errorf("rule %s, %s: %w", findings[i].Rule, findings[i].Scope, err)
			}
		}
		if err := in.recoverParents(); err != nil {
			return err
		}
		return in.save()
	})
	if err == nil {
		d.metrics.count(in.steps)
		for by, n := range in.held {
			d.metrics.suppressed.WithLabelValues(by).Add(float64(n))
		}
	}
	return err
}

func keysOf(findings []telemetry.Finding) []string {
	keys := make([]string, 0, len(findings))
	seen := make(map[string]bool, len(findings))
	add := func(rule string, scope telemetry.Scope) {
		if k := KeyOf(rule, scope); !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	for i := range findings {
		add(findings[i].Rule, findings[i].Scope)
		if by := findings[i].Explained; by != nil {
			add(by.Rule, by.Scope)
		}
	}
	return keys
}

// mayOpen returns the devices for which there may be an incident to open.
func mayOpen(findings []telemetry.Finding, latest map[string]Incident) (names []string) {
	for i := range findings {
		f := &findings[i]
		if f.Condition != telemetry.Firing || f.Scope.Level != telemetry.LevelDevice {
			continue
		}
		if inc := latest[KeyOf(f.Rule, f.Scope)]; inc.State == Absent || inc.State.Ended() {
			names = append(names, f.Scope.Name)
		}
	}
	return names
}

// intake is a batch of findings under way in one transaction.
type intake struct {
	desk *Desk
	tx   Tx
	noise
	makes   map[string]Make      // of the devices for which an incident may be opened
	latest  map[string]*Incident // newest incident of each key, as changed so far; what is pointed at never changes
	steps   []Step
	parents map[place]string // open site incidents
	held    map[string]int   // findings held back, by what held them

	devices  map[string]int    // of the sites that may roll up
	opened   map[time.Time]int // incidents opened within a minute that stand for themselves
	overflow string            // the incident that holds what a storm brings; "" as long as it is not asked for
}

func pointers(list map[string]Incident) map[string]*Incident {
	out := make(map[string]*Incident, len(list)+findingsAtOnce)
	for key, inc := range list {
		out[key] = &inc
	}
	return out
}

// newest returns the newest incident of a key, as changed so far; an absent one when
// there is none.
func (in *intake) newest(key string) (inc Incident, known bool) {
	if p := in.latest[key]; p != nil {
		return *p, true
	}
	return inc, false
}

func (in *intake) take(f *telemetry.Finding) error {
	inc, known := in.newest(KeyOf(f.Rule, f.Scope))
	if known && inc.has(f) {
		return nil
	}
	switch f.Condition {
	case telemetry.Firing:
		return in.firing(inc, f)
	case telemetry.Clear, telemetry.Unknown:
		return in.quiet(inc, f)
	}
	return fmt.Errorf("a finding can't have the condition %q", f.Condition)
}

// firing opens, repeats or reopens.
func (in *intake) firing(inc Incident, f *telemetry.Finding) error {
	switch {
	case inc.State == Absent:
		return in.open(inc, f)
	case inc.Muted:
		in.held[bySilence]++
		return nil
	case inc.State == Closed || inc.State == Cancelled:
		return in.open(inc, f)
	case inc.State == Resolved && f.At.Sub(inc.ResolvedAt) > in.desk.config.ReopenWindow:
		if err := in.apply(inc, Request{Transition: Supersede}, f); err != nil {
			return err
		}
		return in.open(inc, f)
	case inc.State == Resolved:
		return in.apply(inc, Request{Transition: Reopen, finding: f, held: in.holds(&inc, f), parent: in.parents[placeOf(f)]}, f)
	case inc.Condition == telemetry.Unknown && !f.Since.After(inc.LastFiredAt):
		// It was known to fire before we lost sight of it: no new occurrence.
		if err := in.apply(inc, Request{Transition: Observe, finding: f}, f); err != nil {
			return err
		}
		return in.standAlone(f)
	}
	if inc.Held.By == byExplained {
		if err := in.standAlone(f); err != nil {
			return err
		}
		inc, _ = in.newest(inc.Key)
	}
	return in.apply(inc, Request{Transition: Repeat, finding: f, held: in.holds(&inc, f)}, f)
}

// quiet takes in that a condition is clear or unknown. What nobody opened has
// nothing to clear, and what has ended listens no longer.
func (in *intake) quiet(inc Incident, f *telemetry.Finding) error {
	switch {
	case inc.State == Absent, inc.Condition == f.Condition:
		return nil
	case inc.State.Ended() && !(inc.Muted && f.Condition == telemetry.Clear):
		return nil
	}
	if err := in.apply(inc, Request{Transition: Observe, finding: f}, f); err != nil {
		return err
	}
	inc, _ = in.newest(inc.Key)
	if f.Explained != nil {
		return in.explain(inc, f)
	}
	if inc.State == New && !inc.Touched && inc.Condition == telemetry.Clear && in.desk.config.StableFor == 0 {
		return in.apply(inc, Request{Transition: AutoResolve}, f)
	}
	return nil
}

func (in *intake) open(previous Incident, f *telemetry.Finding) error {
	ref, err := in.tx.NextRef()
	if err != nil {
		return err
	}
	priority := in.desk.priority(in.book, f.Category, Impact(f.Impact), Urgency(f.Urgency))
	req := Request{Transition: Open, finding: f, ref: ref, make: in.makes[f.Scope.Name], priority: priority, previous: previous.Ref,
		held: in.holds(&Incident{}, f), parent: in.parents[placeOf(f)], unrecorded: true}
	if req.held.By == "" {
		if req.parent, req.held, err = in.brake(f); err != nil {
			return err
		}
	}
	if req.held.By == "" {
		req.held = in.await(f)
	}
	return in.apply(Incident{}, req, f)
}

func (in *intake) apply(inc Incident, req Request, f *telemetry.Finding) error {
	s, err := in.desk.step(in.book, inc, req, Actor{Name: "analyzer", Source: ByAnalyzer}, f.At)
	if err != nil || s.Event.Seq == 0 {
		return err
	}
	in.steps = append(in.steps, s)
	in.latest[s.After.Key] = &in.steps[len(in.steps)-1].After
	return nil
}

// savedAtOnce is how many steps are handed to the store together.
const savedAtOnce = 256

// save records what the openings changed, and saves all steps. While some are saved the
// next ones are recorded: in a storm that is as much work.
func (in *intake) save() error {
	parts := slices.Collect(slices.Chunk(in.steps, savedAtOnce))
	recorded := make(chan error, len(parts)) // never full
	go func() {
		for _, part := range parts {
			recorded <- record(part)
		}
	}()
	var first error
	for _, part := range parts {
		if err := <-recorded; first == nil && err != nil {
			first = err
		}
		if first == nil {
			first = in.tx.Save(part)
		}
	}
	return first
}

// record writes into the events what they changed, where that has not been done.
func record(steps []Step) (err error) {
	for i := range steps {
		s := &steps[i]
		if s.Event.After != nil {
			continue
		}
		if s.Event.Before, s.Event.After, err = diff(&s.Before, &s.After); err != nil {
			return fmt.Errorf("record %s of %s: %w", s.Event.Kind, s.After.Ref, err)
		}
	}
	return nil
}
