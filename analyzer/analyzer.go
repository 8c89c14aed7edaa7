package analyzer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/telemetry"
)

// Config is what an Analyzer works with.
type Config struct {
	Rules *RuleSet
	Fleet *Fleet
	Query Query
	// Series answers for bins; nil: rules with signals that are made of bins fail.
	Series SeriesQuery
	// Raw answers the queries of rules in SQL; nil: rules that have one fail.
	Raw RawQuery
	// Late tells of readings that came late; nil: days are judged once, with what was
	// there then.
	Late LateQuery
	Emit Emit
	// States keeps states over restarts; nil keeps none.
	States States

	// MaxLag is how far the watermark may stay behind before firing conditions
	// become unknown; 2 minutes when zero.
	MaxLag time.Duration
	// Start is where rules begin that have no progress. When zero, an `every` rule
	// begins at its newest instant and a daily rule with each site's last day.
	Start time.Time
	// EachInstant visits every instant of the grid, as a backtest does; without it
	// a rule that fell behind goes on with its newest instant. Daily rules always
	// visit each day, for at most two weeks back.
	EachInstant bool
	// OnHold is told of each scope whose condition holds at an instant, pending
	// ones included; nil asks for nothing.
	OnHold func(Held)
	// Health makes rules that fail, reach nobody or have nothing to judge by findings
	// themselves.
	Health bool

	Log      *slog.Logger          // nil: discard
	Registry prometheus.Registerer // nil: no metrics
	Clock    func() time.Time      // to measure how long evaluations take, and nothing else; nil: not measured

	explain *Explanation // filled by Explain
	piece   int          // of learning; pieceOfLearning when zero
}

// Held says that a rule's condition held for a scope at an instant.
type Held struct {
	Rule  *Rule
	Scope telemetry.Scope
	At    time.Time
	Day   string   // local date that the evaluation was about
	Value *float64 // as in a finding
}

// Analyzer evaluates rules over a fleet. Its methods may be called from several
// goroutines; one works at a time.
type Analyzer struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	fleet    *Fleet
	bounds   []*bound
	orphans  []orphan // states whose rule or scope is gone
	portion  portion
	progress Progress
	saved    time.Time // progress.At when last saved
	lagging  bool
	started  bool

	outbox []telemetry.Finding // to be emitted
	dirty  []State             // to be saved, after that

	lessons lessons           // what any rule looks at of what is learned
	known   *knowledge        // what is learned; nil: nothing yet
	learnt  map[int32]*learnt // by calendar: as of when, until its next midnight, and how much of it
	theirs  []bool            // by site: other analyzers evaluate whatever looks at what is learned there; nil: none
	workers []*worker

	evaluated  bool      // everything up to progress.At was, but for what is left
	patient    bool      // of the evaluation under way: what needs much learned is left
	left       []*task   // tasks that look at what is learned, and were left or failed
	waiting    time.Time // since when some are left; zero: none are
	ahead      time.Time // up to here nothing can be learned ahead
	unprepared bool      // the last time that it was tried it failed

	usuals map[columnKey]usual
	health map[string]health // by rule: what ails it
	upto   time.Time         // of the evaluation under way
	ledger ledger            // what fired for devices, and no longer does

	buffers
	registers
	alive   []bool     // by device, of the instant at hand
	present []presence // by scope, of the rule at hand
}

// orphan is a state that no longer belongs to anything, and why.
type orphan struct {
	state  State
	reason string
}

// New makes an analyzer that goes on from the states that are kept.
func New(ctx context.Context, cfg Config) (*Analyzer, error) {
	cfg.MaxLag, cfg.piece = cmp.Or(cfg.MaxLag, 2*time.Minute), cmp.Or(cfg.piece, pieceOfLearning)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	a := &Analyzer{cfg: cfg, log: cfg.Log, metrics: m, fleet: cfg.Fleet, ledger: ledger{}, health: map[string]health{}}
	var states []State
	if cfg.States != nil {
		var kept Progress
		if states, kept, err = cfg.States.Load(ctx); err != nil {
			return nil, fmt.Errorf("load analyzer states: %w", err)
		}
		a.hold(nil, kept)
		if err := a.recall(ctx); err != nil {
			return nil, err
		}
	}
	if a.progress.Rules == nil {
		a.progress.Rules = map[string]time.Time{}
	}
	a.saved = a.progress.At
	a.rebind(cfg.Rules, cfg.Fleet, states)
	a.report() // also while nothing is evaluated yet, for whoever waits for it
	return a, nil
}

// SetFleet goes on with another snapshot of the registry. States of scopes that
// are no longer in it are resolved at the next evaluation.
func (a *Analyzer) SetFleet(f *Fleet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rebind(a.cfg.Rules, f, a.states())
}

// SetRules goes on with another set of rules. A rule that changed and kept its
// name keeps its states; those of a rule that is gone are resolved.
func (a *Analyzer) SetRules(s *RuleSet) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.rebind(s, a.fleet, a.states())
}

func (a *Analyzer) states() []State {
	var all []State
	for _, b := range a.bounds {
		for _, slot := range b.slot {
			if slot > 0 {
				all = append(all, b.states[slot-1])
			}
		}
	}
	for name, h := range a.health {
		if h.told {
			all = append(all, State{Rule: RuleHealth, Scope: healthScope(name), Phase: InFire, Since: h.since})
		}
	}
	a.health = map[string]health{}
	return all
}

// rebind lays rules over a fleet and puts the states back in their places.
func (a *Analyzer) rebind(rules *RuleSet, f *Fleet, states []State) {
	a.cfg.Rules, a.fleet = rules, f
	a.bounds = a.bounds[:0:0]
	a.buffers, a.known, a.learnt, a.usuals = buffers{}, nil, nil, nil
	a.evaluated, a.left, a.ahead, a.lessons = false, nil, time.Time{}, lessons{}
	a.metrics.scopes.Reset()
	byName := map[string]*bound{}
	for _, r := range rules.Rules {
		b := bind(r, f)
		a.lessons = a.lessons.and(b.lessons)
		b.shard = a.portion.shards(b, f)
		if i := slices.IndexFunc(a.bounds, func(o *bound) bool { return slices.Equal(o.covered, b.covered) }); i >= 0 {
			b.covered = a.bounds[i].covered // most rules have the same filter
		}
		a.bounds = append(a.bounds, b)
		byName[r.Name] = b
	}
	a.rank(byName)
	a.theirs = a.portion.theirs(a.bounds, f)
	changed := map[string]bool{}
	for _, s := range states {
		if s.Rule == RuleHealth && a.recallHealth(s) {
			continue
		}
		b := byName[s.Rule]
		if b == nil {
			a.orphan(s, "rule removed")
			continue
		}
		changed[s.Rule] = changed[s.Rule] || s.RuleHash != b.rule.Hash
		row, ok := b.row(f, s.Scope)
		if !ok {
			a.orphan(s, "no longer in the registry")
			continue
		}
		if b.shard != nil && !a.portion.mine(b, row) {
			continue // it is another analyzer's
		}
		*b.state(row) = s
		if s.Capped {
			b.capped++
		}
		b.tell(row, tellOf(&s))
	}
	for name, is := range changed {
		if is {
			a.log.Info("rule changed, its states are kept", "rule", name)
		}
	}
}

// orphan keeps a state that nothing stands for any more, to be resolved by whoever holds
// the first shard.
func (a *Analyzer) orphan(s State, reason string) {
	if a.portion.held == nil || a.portion.held[0] {
		a.orphans = append(a.orphans, orphan{s, reason})
	}
}

// Evaluate evaluates every rule at each of its instants that is due: later than
// what is done and not after at. Each is asked as of its own nominal instant, so
// it does not matter when Evaluate is called.
//
// A rule whose scan fails keeps its states and is tried again at the next call;
// the others go on. The error says why findings or states could not be handed
// on; they are kept and go first at the next call.
func (a *Analyzer) Evaluate(ctx context.Context, at time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.evaluate(ctx, at, false)
}

func (a *Analyzer) evaluate(ctx context.Context, at time.Time, patient bool) error {
	a.evaluated, a.patient, a.left = false, patient, nil
	if err := a.deliver(ctx); err != nil {
		return err
	}
	a.resolveOrphans(at)
	a.upto = at
	tasks, grid := a.due(at), a.lateGrid(at)
	failed := map[int]bool{}
	for len(tasks) > 0 || len(grid) > 0 {
		if len(grid) > 0 && (len(tasks) == 0 || !grid[0].After(tasks[0].at)) {
			a.backfill(ctx, grid[0])
			grid = grid[1:]
			continue
		}
		n := 1
		for n < len(tasks) && tasks[n].at.Equal(tasks[0].at) {
			n++
		}
		if err := a.instant(ctx, tasks[:n], failed); err != nil {
			return err
		}
		tasks = tasks[n:]
	}
	for i, b := range a.bounds {
		if name := b.rule.Name; !failed[i] && at.After(a.progress.Rules[name]) {
			a.progress.Rules[name] = at
		}
	}
	if at.After(a.progress.At) {
		a.progress.At = at
	}
	switch a.evaluated = true; {
	case !slices.ContainsFunc(a.left, func(t *task) bool { return t.left }):
		a.waiting = time.Time{}
	case a.waiting.IsZero():
		a.waiting = at
	}
	a.tellHealth(at)
	a.report()
	return a.finish(ctx)
}

// saveEvery bounds how stale the saved progress may be while nothing happens.
const saveEvery = 30 * time.Second

// finish hands on what is left, and saves the progress now and then.
func (a *Analyzer) finish(ctx context.Context) error {
	if len(a.outbox)+len(a.dirty) == 0 && a.progress.At.Sub(a.saved) < saveEvery {
		return nil
	}
	return a.hand(ctx)
}

// deliver hands on findings and states that are waiting.
func (a *Analyzer) deliver(ctx context.Context) error {
	if len(a.outbox)+len(a.dirty) == 0 {
		return nil
	}
	return a.hand(ctx)
}

// hand emits the findings and then saves the states that they come from: a
// crash between the two repeats findings and loses none.
func (a *Analyzer) hand(ctx context.Context) error {
	if len(a.outbox) > 0 {
		if err := a.cfg.Emit(ctx, slices.Clone(a.outbox)); err != nil {
			return fmt.Errorf("emit %d findings: %w", len(a.outbox), err)
		}
		a.outbox = a.outbox[:0:0]
	}
	if a.cfg.States != nil {
		if err := a.cfg.States.Save(ctx, a.dirty, a.kept()); err != nil {
			return fmt.Errorf("save %d analyzer states: %w", len(a.dirty), err)
		}
	}
	a.dirty, a.saved = a.dirty[:0], a.progress.At
	return nil
}

// due lists the tasks up to an instant, by instant and rule.
func (a *Analyzer) due(at time.Time) []*task {
	var tasks []*task
	for i, b := range a.bounds {
		from := a.from(b.rule, at)
		if b.absent && from.Before(a.progress.Hold) {
			from = a.progress.Hold
		}
		if b.rule.Schedule.Anchor != "" {
			tasks = append(tasks, a.dailyTasks(i, b, from, at)...)
			continue
		}
		for _, t := range b.rule.Schedule.grid(from, at, a.cfg.EachInstant) {
			tasks = append(tasks, &task{at: t, index: i, bound: b})
		}
	}
	slices.SortStableFunc(tasks, func(x, y *task) int { return cmp.Or(x.at.Compare(y.at), cmp.Compare(x.bound.rank, y.bound.rank)) })
	return tasks
}

// maxCatchUp is how far back a daily rule visits days that it missed.
const maxCatchUp = 14 * 24 * time.Hour

// from returns the instant up to which a rule is done.
func (a *Analyzer) from(r *Rule, at time.Time) time.Time {
	from, ok := a.progress.Rules[r.Name]
	daily := r.Schedule.Anchor != ""
	switch {
	case !ok && !a.cfg.Start.IsZero():
		return a.cfg.Start
	case !ok && daily:
		return at.Add(-24 * time.Hour)
	case !ok:
		return at.Add(-r.Schedule.Every)
	case daily && !a.cfg.EachInstant && from.Before(at.Add(-maxCatchUp)):
		return at.Add(-maxCatchUp)
	}
	return from
}

// dailyTasks makes one task for each instant at which some site's day is due.
func (a *Analyzer) dailyTasks(index int, b *bound, from, to time.Time) []*task {
	var tasks []*task
	byInstant := map[int64]*task{}
	for c, calendar := range a.fleet.calendars {
		for _, d := range b.rule.Schedule.daily(calendar, from, to) {
			t := byInstant[d.at.UnixMilli()]
			if t == nil {
				t = &task{at: d.at, index: index, bound: b, days: map[int32]telemetry.Day{}}
				byInstant[d.at.UnixMilli()] = t
				tasks = append(tasks, t)
			}
			t.days[int32(c)] = d.day
		}
	}
	return tasks
}

// instant evaluates the tasks of one instant.
func (a *Analyzer) instant(ctx context.Context, tasks []*task, failed map[int]bool) error {
	tasks = slices.DeleteFunc(tasks, func(t *task) bool { return failed[t.index] })
	if len(tasks) == 0 {
		return nil
	}
	p := &pass{Analyzer: a, at: tasks[0].at, columns: map[columnKey]*deviceColumn{}, raw: map[*task]*rawAnswer{}, untrue: map[*bound]map[int]bool{}, counts: map[*task]map[string]counted{}}
	defer a.giveBack()
	if tasks = p.leave(tasks, failed); len(tasks) == 0 {
		return nil
	}
	a.setAlive(p.at)
	p.plan(tasks)
	p.reconsider(ctx, tasks)
	p.read(ctx)
	before := len(a.outbox)
	for _, t := range tasks {
		started := a.now()
		j, err := p.judge(t)
		a.judged(t, started, err)
		a.examine(t, j, err)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed[t.index] = true
			if t.bound.lessons.any() {
				a.left = append(a.left, t)
			}
			a.metrics.errors.WithLabelValues(t.bound.rule.Name).Inc()
			a.log.Warn("rule not evaluated", "rule", t.bound.rule.Name, "at", t.at, "error", err)
			continue
		}
		if !started.IsZero() {
			a.metrics.seconds.WithLabelValues(t.bound.rule.Name).Observe(a.now().Sub(started).Seconds())
		}
		a.progress.Rules[t.bound.rule.Name] = t.at
	}
	p.witness(ctx, a.outbox[before:])
	return a.deliver(ctx)
}

func (a *Analyzer) now() time.Time {
	if a.cfg.Clock == nil {
		return time.Time{}
	}
	return a.cfg.Clock()
}

// resolveOrphans clears what no rule or scope stands for any more.
func (a *Analyzer) resolveOrphans(at time.Time) {
	for _, o := range a.orphans {
		s := o.state
		if s.Capped {
			a.outbox = append(a.outbox, manyGone(s, at, o.reason))
		} else if s.Phase != Pending {
			a.outbox = append(a.outbox, telemetry.Finding{Rule: s.Rule, RuleHash: s.RuleHash, Scope: s.Scope,
				Condition: telemetry.Clear, At: at, Since: at, Reason: o.reason, Value: s.Value})
		}
		s.Phase, s.Unknown, s.At = Inactive, false, at
		a.dirty = append(a.dirty, s)
	}
	a.orphans = nil
}
