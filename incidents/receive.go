package incidents

import (
	"cmp"
	"context"
	"fmt"
	"iter"
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
	var room []part
	batches := slices.Collect(slices.Chunk(findings, findingsAtOnce))
	for i, ahead := 0, d.ahead(ctx, batches, 0); i < len(batches); i++ {
		fleet := <-ahead
		ahead = d.ahead(ctx, batches, i+1)
		var err error
		if room, err = d.receive(ctx, batches[i], fleet, room); err != nil {
			<-ahead
			return fmt.Errorf("receive %d findings: %w", len(batches[i]), err)
		}
	}
	return nil
}

// Fleet is what the registry says of devices and sites.
type Fleet struct {
	Makes  map[string]Make // of devices, where something is known
	Active map[string]int  // how many active devices a site has
}

// ahead looks up the fleet of the i-th batch, while the one before is taken in; nil when
// that fails: the batch's own transaction then asks, and says what is wrong.
func (d *Desk) ahead(ctx context.Context, batches [][]telemetry.Finding, i int) <-chan *Fleet {
	known := make(chan *Fleet, 1)
	if i >= len(batches) {
		close(known)
		return known
	}
	go func() {
		devices, sites := namesIn(batches[i])
		fleet, err := d.store.Fleet(ctx, devices, sites)
		if err != nil {
			known <- nil
			return
		}
		known <- &fleet
	}()
	return known
}

// namesIn returns the devices that fire, and their sites.
func namesIn(findings []telemetry.Finding) (devices, sites []string) {
	seen := map[string]bool{}
	for i := range findings {
		f := &findings[i]
		if f.Condition != telemetry.Firing || f.Scope.Level != telemetry.LevelDevice {
			continue
		}
		devices = append(devices, f.Scope.Name)
		if site := placeOf(f).site; site != "" && !seen[site] {
			seen[site] = true
			sites = append(sites, site)
		}
	}
	return devices, sites
}

// receive takes in findings in one transaction. Steps are long, so those of one batch
// lie in the room of those before it.
func (d *Desk) receive(ctx context.Context, findings []telemetry.Finding, fleet *Fleet, room []part) ([]part, error) {
	var in *intake
	err := d.store.Update(ctx, func(tx Tx) (err error) {
		if in, err = d.intake(tx, findings, fleet); err != nil {
			return err
		}
		in.room = room
		if err := in.rollUp(findings); err != nil {
			return err
		}
		saved, err := in.takeAll(findings)
		if err != nil {
			return err
		}
		if err := in.recoverParents(); err != nil {
			return err
		}
		return in.saveFrom(saved)
	})
	if err != nil {
		return nil, err
	}
	for _, part := range in.parts {
		d.metrics.count(part)
	}
	for by, n := range in.held {
		d.metrics.suppressed.WithLabelValues(by).Add(float64(n))
	}
	return in.parts, nil
}

// intake begins a batch: it reads all that deciding on the findings asks of the
// transaction.
func (d *Desk) intake(tx Tx, findings []telemetry.Finding, fleet *Fleet) (*intake, error) {
	latest, err := tx.Latest(append(keysOf(findings), stormKey))
	if err != nil {
		return nil, err
	}
	book, err := d.bookOf(tx)
	if err != nil {
		return nil, err
	}
	closed, err := tx.ClosedSites()
	if err != nil {
		return nil, err
	}
	if fleet == nil {
		devices, sites := namesIn(findings)
		asked, err := tx.Fleet(devices, sites)
		if err != nil {
			return nil, err
		}
		fleet = &asked
	}
	next, err := tx.Refs()
	if err != nil {
		return nil, err
	}
	in := &intake{desk: d, tx: tx, next: next, fleet: fleet, noise: noise{book, closed}, latest: pointers(latest), held: map[string]int{}, parents: map[place]string{}}
	return in, in.countOpened(findings)
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

// intake is a batch of findings under way in one transaction.
type intake struct {
	desk *Desk
	tx   Tx
	noise
	steps
	next    func() string // draws a reference
	req     Request       // the one under way
	fleet   *Fleet
	latest  map[string]*Incident // newest incident of each key, as changed so far; what is pointed at never changes
	parents map[place]string     // open site incidents
	held    map[string]int       // findings held back, by what held them

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
// there is none. It is not to be changed.
func (in *intake) newest(key string) (inc *Incident, known bool) {
	if p := in.latest[key]; p != nil {
		return p, true
	}
	return &absent, false
}

var absent Incident // as it is before its first event; nothing is written to it

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
func (in *intake) firing(inc *Incident, f *telemetry.Finding) error {
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
		return in.apply(inc, Request{Transition: Reopen, finding: f, held: in.holds(inc, f), parent: in.parents[placeOf(f)]}, f)
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
	return in.apply(inc, Request{Transition: Repeat, finding: f, held: in.holds(inc, f)}, f)
}

// quiet takes in that a condition is clear or unknown. What nobody opened has
// nothing to clear, and what has ended listens no longer.
func (in *intake) quiet(inc *Incident, f *telemetry.Finding) error {
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

func (in *intake) open(previous *Incident, f *telemetry.Finding) error {
	priority := in.desk.priority(in.book, f.Category, Impact(f.Impact), Urgency(f.Urgency))
	req := Request{Transition: Open, finding: f, ref: in.next(), make: in.fleet.Makes[f.Scope.Name], priority: priority, previous: previous.Ref,
		held: in.holds(&absent, f), parent: in.parents[placeOf(f)], unrecorded: true}
	if req.held.By == "" {
		var err error
		if req.parent, req.held, err = in.brake(f); err != nil {
			return err
		}
	}
	if req.held.By == "" {
		req.held = in.await(f)
	}
	return in.apply(&absent, req, f)
}

func (in *intake) apply(inc *Incident, req Request, f *telemetry.Finding) error {
	s := in.blank()
	s.Before = *inc
	in.req = req
	in.req.book, in.req.matrix = in.book, in.desk.matrix(in.book)
	if err := s.apply(&in.req, Actor{Name: "analyzer", Source: ByAnalyzer}, f.At); err != nil || s.Event.Seq == 0 {
		return err
	}
	in.keep()
	in.latest[s.After.Key] = &s.After
	return nil
}

// takeAll decides on the findings, in order, while the steps that were decided before
// are saved: of a storm both are as much work, on two cores. Deciding asks the
// transaction nothing, which saving has for itself. It returns how many parts are saved;
// the last one is left for what is still to come.
func (in *intake) takeAll(findings []telemetry.Finding) (saved int, err error) {
	full := make(chan part, 1)
	var decided error
	var panicked any
	go func() {
		defer close(full)
		defer func() { panicked = recover() }()
		decided = in.decide(findings, full)
	}()
	for p := range full {
		if err == nil {
			err = in.tx.Save(p)
		}
		saved++
	}
	if panicked != nil {
		panic(panicked)
	}
	return saved, cmp.Or(decided, err)
}

// decide takes the findings and hands over each part of the steps once it is full.
func (in *intake) decide(findings []telemetry.Finding, full chan<- part) error {
	sent := 0
	for i := range findings {
		if err := in.take(&findings[i]); err != nil {
			return fmt.Errorf("rule %s, %s: %w", findings[i].Rule, findings[i].Scope, err)
		}
		for ; sent < len(in.parts)-1; sent++ {
			if err := record(in.parts[sent]); err != nil {
				return err
			}
			full <- in.parts[sent]
		}
	}
	if sent < len(in.parts) {
		return record(in.parts[sent])
	}
	return nil
}

// saveFrom saves the parts from the n-th on.
func (in *intake) saveFrom(n int) error {
	for _, p := range in.parts[min(n, len(in.parts)):] {
		if err := record(p); err != nil {
			return err
		}
		if err := in.tx.Save(p); err != nil {
			return err
		}
	}
	return nil
}

// steps are those of a batch, in order. Each stays where it is.
type steps struct {
	parts []part
	room  []part // of a batch before
}

// part are steps that are saved together: savedAtOnce, but for the last one.
type part = []Step

// savedAtOnce is how many steps are handed to the store together.
const savedAtOnce = 128

// blank returns where the next step lies. It counts once it is kept.
func (s *steps) blank() *Step {
	n := len(s.parts)
	if n == 0 || len(s.parts[n-1]) == savedAtOnce {
		var p part
		if n < len(s.room) {
			p = s.room[n][:0]
		} else {
			p = make(part, 0, savedAtOnce)
		}
		s.parts = append(s.parts, p)
		n++
	}
	last := s.parts[n-1]
	return &last[:len(last)+1][len(last)]
}

func (s *steps) keep() {
	last := &s.parts[len(s.parts)-1]
	*last = (*last)[:len(*last)+1]
}

// after returns the steps from the n-th on.
func (s *steps) after(n int) iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		for ; n < s.count(); n++ {
			if !yield(&s.parts[n/savedAtOnce][n%savedAtOnce]) {
				return
			}
		}
	}
}

func (s *steps) count() int {
	if len(s.parts) == 0 {
		return 0
	}
	return (len(s.parts)-1)*savedAtOnce + len(s.parts[len(s.parts)-1])
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
