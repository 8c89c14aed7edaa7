package analyzer

import (
	"context"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// Explanation says how a set of rules is evaluated: what is asked of the warehouse,
// which rules share it, and what each part takes.
type Explanation struct {
	At      time.Time       `json:"at"`
	Devices int             `json:"devices"`
	Sites   int             `json:"sites"` // that have devices
	Scans   []ExplainedScan `json:"scans"`
	Rules   []ExplainedRule `json:"rules"`

	// What the parts take together, in seconds. Scans is the time of the warehouse,
	// Columns that of laying its answers into the fleet's rows (and of detectors,
	// which are columns made of bins), Programs that of conditions and states.
	ScanSeconds    float64 `json:"scan_seconds"`
	ColumnSeconds  float64 `json:"column_seconds"`
	ProgramSeconds float64 `json:"program_seconds"`
	Findings       int     `json:"findings"`
}

// ExplainedScan is one question to the warehouse.
type ExplainedScan struct {
	At      time.Time `json:"at"`
	What    string    `json:"what"`    // columns, bins, bins to learn from, or query
	Columns []string  `json:"columns"` // of bins: the span; of a query: how it begins
	Rules   []string  `json:"rules"`   // that it answers
	Devices int       `json:"devices"` // asked about; 0: all
	Rows    int       `json:"rows"`    // of the answer
	Bytes   int       `json:"bytes"`
	Seconds float64   `json:"seconds"`
	Error   string    `json:"error,omitempty"`
}

// ExplainedRule is one rule at one instant.
type ExplainedRule struct {
	Rule    string    `json:"rule"`
	At      time.Time `json:"at"`
	Signals []string  `json:"signals"`
	Scopes  int       `json:"scopes"`  // in service and due
	Holding int       `json:"holding"` // for which its condition holds
	Unknown int       `json:"unknown"` // suppressed, excluded or without data
	Seconds float64   `json:"seconds"` // of its conditions and states
	Error   string    `json:"error,omitempty"`
}

// Explain evaluates each rule at its newest instant up to at, as if for the first
// time: nothing is emitted and nothing kept. Of the Config it takes Rules, Fleet,
// Query, Series, Raw and Clock, which measures.
func Explain(ctx context.Context, c Config, at time.Time) (*Explanation, error) {
	p, err := NewProbe(ctx, c)
	if err != nil {
		return nil, err
	}
	return p.Explain(ctx, at)
}

// Probe explains one set of rules again and again. What is learned once a day is
// learned once, so that a second explanation shows what an instant usually takes.
type Probe struct{ a *Analyzer }

// NewProbe makes a probe of a Config, as Explain does.
func NewProbe(ctx context.Context, c Config) (*Probe, error) {
	p := &Probe{}
	c.Emit = func(_ context.Context, f []telemetry.Finding) error { p.a.cfg.explain.Findings += len(f); return nil }
	c.States, c.Registry, c.OnHold = nil, nil, nil
	var err error
	p.a, err = New(ctx, c)
	return p, err
}

// Explain is Explain with what the probe has learned.
func (p *Probe) Explain(ctx context.Context, at time.Time) (*Explanation, error) {
	a := p.a
	x := a.explanation(at)
	a.cfg.explain, a.progress = x, Progress{Rules: map[string]time.Time{}}
	for _, b := range a.bounds {
		b.forgetAll()
	}
	return x, a.Evaluate(ctx, at)
}

// Next explains the instants that have become due since the last explanation, with the
// states that there are: what a live analyzer does.
func (p *Probe) Next(ctx context.Context, at time.Time) (*Explanation, error) {
	p.a.cfg.explain = p.a.explanation(at)
	return p.a.cfg.explain, p.a.Evaluate(ctx, at)
}

// Prepare explains a piece of what is learned ahead, see Analyzer.Prepare; more says that
// there was one.
func (p *Probe) Prepare(ctx context.Context) (x *Explanation, more bool, err error) {
	p.a.cfg.explain = p.a.explanation(p.a.progress.At)
	more, err = p.a.Prepare(ctx)
	return p.a.cfg.explain, more, err
}

func (a *Analyzer) explanation(at time.Time) *Explanation {
	return &Explanation{At: at.UTC(), Devices: len(a.fleet.Devices), Sites: a.fleet.peopled(), Scans: []ExplainedScan{}, Rules: []ExplainedRule{}}
}

// forgetAll makes every scope inactive.
func (b *bound) forgetAll() {
	clear(b.slot)
	clear(b.tells)
	b.states, b.free, b.told = b.states[:0], b.free[:0], [3]int{}
}

// since returns the seconds since an instant of Config.Clock; 0 without a clock.
func (a *Analyzer) since(begin time.Time) float64 {
	if begin.IsZero() {
		return 0
	}
	return a.now().Sub(begin).Seconds()
}

// scanned notes a question to the warehouse.
func (a *Analyzer) scanned(s ExplainedScan, begin time.Time, err error) {
	x := a.cfg.explain
	if x == nil {
		return
	}
	s.Seconds = a.since(begin)
	if err != nil {
		s.Error = err.Error()
	}
	x.Scans = append(x.Scans, s)
	x.ScanSeconds += s.Seconds
}

// scanSeconds is how long the warehouse took so far.
func (a *Analyzer) scanSeconds() float64 {
	if a.cfg.explain == nil {
		return 0
	}
	return a.cfg.explain.ScanSeconds
}

// explained describes a scan of columns.
func (s *scanPlan) explained() ExplainedScan {
	e := ExplainedScan{At: s.AsOf, What: "columns", Rules: s.rules, Devices: len(s.Devices)}
	for _, c := range s.Columns {
		e.Columns = append(e.Columns, c.String())
	}
	if s.table != nil {
		e.Rows = int(s.table.record.NumRows())
		e.Bytes = e.Rows * 8 * (1 + len(s.Columns))
	}
	return e
}

// judged notes a rule that was evaluated.
func (a *Analyzer) judged(t *task, begin time.Time, err error) {
	x := a.cfg.explain
	if x == nil {
		return
	}
	b := t.bound
	e := ExplainedRule{Rule: b.rule.Name, At: t.at, Signals: []string{}, Holding: b.told[1], Unknown: b.told[2], Seconds: a.since(begin)}
	for _, u := range b.read {
		e.Signals = addOnce(e.Signals, u.String())
	}
	for _, p := range a.present[:min(b.scopes, len(a.present))] {
		if p == present {
			e.Scopes++
		}
	}
	for _, s := range b.states {
		if s.Phase == Pending {
			e.Holding++
		}
	}
	if err != nil {
		e.Error = err.Error()
	}
	i := slices.IndexFunc(x.Rules, func(r ExplainedRule) bool { return r.Rule == e.Rule })
	if x.ProgramSeconds += e.Seconds; i < 0 {
		x.Rules = append(x.Rules, e)
		return
	}
	e.Scopes, e.Seconds = e.Scopes+x.Rules[i].Scopes, e.Seconds+x.Rules[i].Seconds
	x.Rules[i] = e
}

// explainedSeries describes a question for bins.
func (p *pass) explainedSeries(s Series, record arrow.Record) ExplainedScan {
	e := ExplainedScan{At: s.AsOf, What: "bins", Rules: p.binRules(), Columns: []string{s.From.Format(time.RFC3339) + " to " + s.To.Format(time.RFC3339)}}
	if s.AsOf.Before(p.at) {
		e.What = "bins to learn from"
	}
	if record != nil {
		e.Rows = int(record.NumRows())
		e.Bytes = e.Rows * 36
	}
	return e
}

// binRules names the rules whose signals are made of bins.
func (p *pass) binRules() []string {
	var names []string
	for _, c := range p.binned {
		names = addOnce(names, c.rules...)
	}
	return names
}

// addOnce adds the names that are not there yet.
func addOnce(to []string, names ...string) []string {
	for _, n := range names {
		if !slices.Contains(to, n) {
			to = append(to, n)
		}
	}
	return to
}
