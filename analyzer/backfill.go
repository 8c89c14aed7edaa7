package analyzer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// LateCell is what arrived late of one device and UTC day: readings whose time lies at
// least LateAfter before their arrival.
type LateCell struct {
	Device telemetry.DeviceID
	First  time.Time // the earliest time of such a reading
	Last   time.Time
}

// LateQuery returns the cells of readings that arrived in (from, to] and whose time is
// after since, by device and time.
type LateQuery func(ctx context.Context, from, to, since time.Time) ([]LateCell, error)

const (
	// LateAfter is from what delay on a reading counts as late.
	LateAfter = 5 * time.Minute
	// lateBack is how far back a late reading is taken into account.
	lateBack = 14 * 24 * time.Hour
	// lateEvery is the grid on which late readings are looked for. They are looked for
	// on a grid so that a backtest finds at the same instants what was found live.
	lateEvery = 15 * time.Minute
)

// lateGrid lists the instants up to at at which late readings are looked for.
func (a *Analyzer) lateGrid(at time.Time) []time.Time {
	if a.cfg.Late == nil || !slices.ContainsFunc(a.bounds, (*bound).rejudges) {
		return nil
	}
	if a.progress.Late.IsZero() {
		a.progress.Late = alignDown(at, lateEvery)
		if !a.cfg.Start.IsZero() {
			a.progress.Late = alignDown(a.cfg.Start, lateEvery)
		}
	}
	return Schedule{Every: lateEvery}.grid(a.progress.Late, at, a.cfg.EachInstant)
}

// backfill takes the late readings into account that had arrived by an instant of the
// grid. What fails is tried again at the next evaluation.
func (a *Analyzer) backfill(ctx context.Context, at time.Time) {
	cells, err := a.cfg.Late(ctx, a.progress.Late, at, at.Add(-lateBack))
	if err == nil {
		err = a.rejudge(ctx, cells, at)
	}
	if err != nil {
		a.log.Warn("late readings are not taken into account yet", "at", at, "error", err)
		return
	}
	a.progress.Late = at
}

// rejudges reports whether late readings can change what a rule said of a past day: it
// judges days, by the times of readings and not by their arrivals.
func (b *bound) rejudges() bool {
	return b.rule.Schedule.Anchor != "" && !b.absent && !slices.ContainsFunc(b.read, func(u use) bool { return u.sig.ofArrivals() })
}

// ofArrivals reports whether a signal looks at when readings came.
func (s *signal) ofArrivals() bool {
	if s.column == nil {
		return s.fill != nil // by the registry, or by earlier incidents
	}
	fn := s.column("").Fn
	return fn == LastArrival || fn == FirstArrival || fn.OnArrivals()
}

// rejudge judges the days that late readings touch once more, by the code that judged
// them: an analyzer of its own goes over the days of the touched sites as of now, and
// where it comes to another end than this one had, that is found late, or withdrawn.
func (a *Analyzer) rejudge(ctx context.Context, cells []LateCell, at time.Time) error {
	touched := a.touchedBy(cells)
	if len(touched) == 0 {
		return nil
	}
	first := at
	for _, from := range touched {
		first = minTime(first, from)
	}
	rules := &RuleSet{}
	for _, b := range a.bounds {
		if b.rejudges() {
			rules.Rules = append(rules.Rules, b.rule)
		}
	}
	again, err := a.again(ctx, rules, touched, first, at)
	if err != nil {
		return err
	}
	for _, b := range a.bounds {
		if !b.rejudges() {
			continue
		}
		i := slices.IndexFunc(again.bounds, func(o *bound) bool { return o.rule == b.rule })
		again.seed(a, b, again.bounds[i], first)
	}
	said := map[stateKey]telemetry.Finding{}
	again.cfg.Emit = func(_ context.Context, all []telemetry.Finding) error {
		for _, f := range all {
			said[stateKey{f.Rule, f.Scope}] = f
		}
		return nil
	}
	if err := again.upTo(ctx, a.progress.Rules); err != nil {
		return fmt.Errorf("judge days again as of %s: %w", at.Format(time.RFC3339), err)
	}
	for _, b := range a.bounds {
		if b.rejudges() {
			i := slices.IndexFunc(again.bounds, func(o *bound) bool { return o.rule == b.rule })
			a.settleLate(b, again, again.bounds[i], said, at)
		}
	}
	return nil
}

type stateKey struct {
	rule  string
	scope telemetry.Scope
}

// touchedBy returns the sites whose readings came late, each with the instant of its
// first such reading.
func (a *Analyzer) touchedBy(cells []LateCell) map[int32]time.Time {
	touched := map[int32]time.Time{}
	for _, c := range cells {
		row, ok := slices.BinarySearch(a.fleet.ids, c.Device)
		if !ok {
			continue
		}
		site := a.fleet.siteOf[row]
		if from, ok := touched[site]; !ok || c.First.Before(from) {
			touched[site] = c.First
		}
	}
	return touched
}

// again makes an analyzer of some rules over the touched sites, that begins with the
// instant first and asks everything as of at.
func (a *Analyzer) again(ctx context.Context, rules *RuleSet, touched map[int32]time.Time, first, at time.Time) (*Analyzer, error) {
	var sites []telemetry.Site
	var devices []telemetry.Device
	for row := range a.fleet.Sites {
		if _, ok := touched[int32(row)]; ok {
			sites = append(sites, a.fleet.Sites[row])
		}
	}
	for row := range a.fleet.Devices {
		if _, ok := touched[a.fleet.siteOf[row]]; ok {
			devices = append(devices, a.fleet.Devices[row])
		}
	}
	fleet, err := NewFleet(sites, devices)
	if err != nil {
		return nil, err
	}
	c := Config{Rules: rules, Fleet: fleet, Start: first.Add(-time.Millisecond), EachInstant: true, Log: a.log,
		Query: func(ctx context.Context, s Scan) (arrow.Record, error) {
			s.AsOf = at
			if s.Devices == nil {
				s.Devices = fleet.ids
			}
			return a.cfg.Query(ctx, s)
		}}
	if a.cfg.Series != nil {
		c.Series = func(ctx context.Context, s Series) (arrow.Record, error) {
			s.AsOf = at
			return a.cfg.Series(ctx, s)
		}
	}
	if a.cfg.Raw != nil {
		c.Raw = func(ctx context.Context, q Raw) ([]RawRow, error) {
			q.Params["as_of"] = rawTime(at)
			return a.cfg.Raw(ctx, q)
		}
	}
	return New(ctx, c)
}

// seed gives the states of a rule that were there before the first touched day to the
// analyzer that judges again.
func (again *Analyzer) seed(a *Analyzer, b, o *bound, first time.Time) {
	for row := range o.slot {
		scope, _ := o.scope(again.fleet, row)
		if i, ok := b.row(a.fleet, scope); ok && b.slot[i] > 0 {
			if s := b.states[b.slot[i]-1]; s.Since.Before(first) {
				*o.state(row) = s
				o.tell(row, tellOf(&s))
			}
		}
	}
}

// upTo evaluates each rule at its instants up to that at which it was last evaluated.
func (a *Analyzer) upTo(ctx context.Context, done map[string]time.Time) error {
	latest := time.Time{}
	for _, b := range a.bounds {
		latest = later(latest, done[b.rule.Name])
	}
	if latest.IsZero() {
		return nil
	}
	return a.Evaluate(ctx, latest)
}

// settleLate compares what the two analyzers hold of a rule's scopes in the touched
// sites. What began and ended in the past is not told of any more.
func (a *Analyzer) settleLate(b *bound, again *Analyzer, o *bound, said map[stateKey]telemetry.Finding, at time.Time) {
	masks := (&pass{Analyzer: a, at: at}).masks(nil, b)
	for row := range o.slot {
		scope, _ := o.scope(again.fleet, row)
		i, ok := b.row(a.fleet, scope)
		if !ok || !a.portion.mine(b, i) {
			continue
		}
		var was, is State
		if b.slot[i] > 0 {
			was = b.states[b.slot[i]-1]
		}
		if o.slot[row] > 0 {
			is = o.states[o.slot[row]-1]
		}
		switch {
		case was.fires() && !is.fires():
			a.withdraw(b, i, at)
		case !was.fires() && is.fires() && (masks == nil || masks[i] == 0):
			a.findLate(b, i, is, said[stateKey{b.rule.Name, scope}], at)
		}
	}
}

// fires reports whether a finding is out.
func (s *State) fires() bool { return s.Phase == InFire || s.Phase == Recovering }

// withdraw clears what no longer holds, now that all the readings are there.
func (a *Analyzer) withdraw(b *bound, row int, at time.Time) {
	s := b.state(row)
	j := judgement{pass: &pass{Analyzer: a, at: at}, bound: b}
	s.Phase, s.Unknown, s.Calm, s.At = Inactive, false, time.Time{}, at
	s.Scope, _ = b.scope(a.fleet, row)
	f := j.finding(row, s, moveClear, verdictRecovered, shown{value: s.Value})
	f.Reason = "backfilled"
	a.outbox, a.dirty = append(a.outbox, f), append(a.dirty, *s)
	b.tell(row, tellOf(s))
	b.forget(row)
}

// findLate takes over what was found with the late readings.
func (a *Analyzer) findLate(b *bound, row int, is State, f telemetry.Finding, at time.Time) {
	if f.Condition != telemetry.Firing {
		return
	}
	s := b.state(row)
	*s = is
	s.At, s.Fired = at, at
	f.At, f.Late = at, true
	a.outbox, a.dirty = append(a.outbox, f), append(a.dirty, *s)
	b.tell(row, tellOf(s))
}

// Late answers for late readings; it is a LateQuery.
func (r *Reel) Late(ctx context.Context, from, to, since time.Time) ([]LateCell, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("look for late readings in the reel: %w", err)
	}
	r.lateOnce.Do(r.sortLate)
	lo := sort.Search(len(r.late), func(i int) bool { return r.late[i].arrival > from.UnixMilli() })
	hi := sort.Search(len(r.late), func(i int) bool { return r.late[i].arrival > to.UnixMilli() })
	type key struct {
		device int32
		day    int64
	}
	cells := map[key]*LateCell{}
	for _, v := range r.late[lo:hi] {
		if v.ts <= since.UnixMilli() {
			continue
		}
		k, ts := key{v.device, v.ts / dayMillis}, time.UnixMilli(v.ts).UTC()
		c := cells[k]
		if c == nil {
			c = &LateCell{r.ids[v.device], ts, ts}
			cells[k] = c
		}
		c.First, c.Last = minTime(c.First, ts), later(c.Last, ts)
	}
	all := make([]LateCell, 0, len(cells))
	for _, c := range cells {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b LateCell) int { return cmp.Or(cmp.Compare(a.Device, b.Device), a.First.Compare(b.First)) })
	return all, nil
}

// lateRow is a count that came late, by the place of its device.
type lateRow struct {
	arrival, ts int64
	device      int32
}

// sortLate lists the counts that came late, by arrival.
func (r *Reel) sortLate() {
	for d := range r.devices {
		s := &r.devices[d].counts
		for i, arrival := range s.arrival {
			if arrival-s.ts[i] >= LateAfter.Milliseconds() && s.ts[i] > math.MinInt64/2 {
				r.late = append(r.late, lateRow{arrival, s.ts[i], int32(d)})
			}
		}
	}
	slices.SortFunc(r.late, func(a, b lateRow) int {
		return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.device, b.device), cmp.Compare(a.ts, b.ts))
	})
}
