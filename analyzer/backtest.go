package analyzer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"belfry/telemetry"
)

// BacktestConfig says what to run over the past.
type BacktestConfig struct {
	Rules *RuleSet
	Fleet *Fleet
	// Load brings the readings with from < ts <= to, of all versions; it is asked
	// once. The batch is the backtest's from then on.
	Load func(ctx context.Context, from, to time.Time) (*telemetry.Batch, error)
	// Raw answers the queries of rules in SQL, from the readings as they were at each
	// instant; nil: rules that have one fail.
	Raw RawQuery
	// From and To bound the instants: (From, To].
	From, To time.Time
	// Lookback is how far before From readings are loaded: 35 days when zero, and
	// never less than the longest window. A device that was last heard of before
	// counts as never heard of.
	Lookback time.Duration
	// Progress is told, now and then, how much is done; nil: nobody is.
	Progress func(done, total time.Duration)
}

// Report is what a backtest found. Its JSON is the same, byte for byte, for the
// same rules, fleet and readings.
type Report struct {
	From     time.Time           `json:"from"`
	To       time.Time           `json:"to"`
	Sites    int                 `json:"sites"` // that have devices
	Devices  int                 `json:"devices"`
	Rows     int                 `json:"rows"` // versions of readings looked at
	Rules    []RuleReport        `json:"rules"`
	Findings []telemetry.Finding `json:"findings"` // by instant, rule and scope
	Hits     []Hit               `json:"hits"`     // by rule, scope and day
	// Ailments say which rules could find nothing, or less than they seem to, and why.
	Ailments []Ailment `json:"rule_health,omitempty"`

	// Incidents is the findings rolled up, and how many there are for each 1,000
	// devices and week. Unlabelled is those that no label explains; see Score.
	Incidents       []RolledUp `json:"incidents"`
	PerThousandWeek float64    `json:"incidents_per_1000_devices_and_week"`
	Unlabelled      []RolledUp `json:"unlabelled,omitempty"`

	Kinds     []KindScore `json:"kinds,omitempty"`     // how labels were found; see Score
	Precision []RuleScore `json:"precision,omitempty"` // by rule
}

// RuleReport sums up one rule.
type RuleReport struct {
	Rule string `json:"rule"`
	Hash string `json:"rule_hash"`
	// Opened counts findings that began to fire, Cleared those that resolved, and
	// Open the scopes that still fire at the end.
	Opened  int `json:"opened"`
	Cleared int `json:"cleared"`
	Open    int `json:"open"`
	// HitDays counts days on which the condition held, over all scopes: a rule that
	// holds on ten days in a row opens one incident and has ten.
	HitDays int `json:"hit_days"`
	Scopes  int `json:"scopes"` // that were hit at least once
	// PerThousandWeek is Opened for each 1,000 devices and week.
	PerThousandWeek float64 `json:"opened_per_1000_devices_and_week"`
}

// Ailment is what was wrong with a rule in a part of a backtest.
type Ailment struct {
	Rule  string    `json:"rule"`
	What  string    `json:"what"`
	Until time.Time `json:"until,omitzero"` // zero: to the end
}

// ails takes a finding about a rule. What comes back is listed once.
func (r *Report) ails(f telemetry.Finding) {
	if f.Condition != telemetry.Firing {
		for i := range r.Ailments {
			if a := &r.Ailments[i]; a.Rule == f.Scope.Name && a.Until.IsZero() {
				a.Until = f.At
			}
		}
		return
	}
	i := slices.IndexFunc(r.Ailments, func(a Ailment) bool { return a.What == f.Summary })
	if i < 0 {
		r.Ailments = append(r.Ailments, Ailment{Rule: f.Scope.Name, What: f.Summary})
		return
	}
	r.Ailments[i].Until = time.Time{}
}

// Hit says that a rule's condition held for a scope on a local day.
type Hit struct {
	Rule  string          `json:"rule"`
	Scope telemetry.Scope `json:"scope"`
	Day   string          `json:"day"` // local date judged; with `every`, the date of the instant
	// First and Last are the first and last instants of the day at which it held,
	// and Instants how many there were.
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Instants int       `json:"instants"`
	Value    *float64  `json:"value"` // at Last
}

// Backtest evaluates rules at each of their instants in (From, To], by the code
// that runs live, over readings in memory.
func Backtest(ctx context.Context, c BacktestConfig) (*Report, error) {
	if !c.From.Before(c.To) {
		return nil, fmt.Errorf("backtest from %s to %s: want from before to", c.From.Format(time.RFC3339), c.To.Format(time.RFC3339))
	}
	if err := c.tooMany(); err != nil {
		return nil, err
	}
	batch, err := c.Load(ctx, c.From.Add(-c.lookback()), c.To)
	if err != nil {
		return nil, fmt.Errorf("load readings for the backtest: %w", err)
	}
	reel := NewReel(batch)
	h := &hits{byKey: map[hitKey]int{}}
	r := &Report{From: c.From.UTC(), To: c.To.UTC(), Sites: c.Fleet.peopled(), Devices: len(c.Fleet.Devices), Rows: reel.Len(),
		Findings: []telemetry.Finding{}}
	a, err := New(ctx, Config{
		Rules: c.Rules, Fleet: c.Fleet, Start: c.From, EachInstant: true, OnHold: h.add, Health: true,
		Query: reel.Query, Series: reel.Series, Late: reel.Late, Raw: c.Raw,
		Emit: func(_ context.Context, f []telemetry.Finding) error {
			for _, f := range f {
				if f.Rule == RuleHealth {
					r.ails(f)
				} else {
					r.Findings = append(r.Findings, f)
				}
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	if err := c.drive(ctx, a); err != nil {
		return nil, fmt.Errorf("backtest: %w", err)
	}
	r.Hits = h.sorted()
	r.sumUp(c.Rules)
	r.Incidents = r.RollUp(c.Fleet.devicesAt())
	if weeks := r.thousandWeeks(); weeks > 0 {
		r.PerThousandWeek = float64(len(r.Incidents)) / weeks
	}
	return r, nil
}

// instantsMost is how many instants of a rule a backtest goes through: a year of every
// minute, a week of every second. Nobody waits for more.
const instantsMost = 1_000_000

// tooMany returns the rules that a backtest would evaluate too often, as Faults.
func (c BacktestConfig) tooMany() error {
	var faults Faults
	for _, r := range c.Rules.Rules {
		if every := r.Schedule.Every; every > 0 && c.To.Sub(c.From)/every > instantsMost {
			faults = append(faults, Fault{File: r.File, Line: r.Line, Col: 1,
				What: fmt.Sprintf("the rule %s is evaluated every %s, %d times in this span", r.Name, formatSeconds(every.Seconds()), c.To.Sub(c.From)/every),
				Want: fmt.Sprintf("want at most %d: a later from, or a greater every", instantsMost)})
		}
	}
	if faults != nil {
		return faults
	}
	return nil
}

// lookback is how far before From readings matter.
func (c BacktestConfig) lookback() time.Duration {
	longest := cmp.Or(c.Lookback, 35*24*time.Hour)
	for _, r := range c.Rules.Rules {
		for _, u := range r.read() {
			longest = max(longest, u.window.length+72*time.Hour, u.sig.reach+72*time.Hour, time.Duration(u.sig.days+1)*25*time.Hour+72*time.Hour)
			if len(u.sig.learns) > 0 {
				longest = max(longest, learnBack+72*time.Hour)
			}
		}
	}
	return longest
}

// drive evaluates day by day.
func (c BacktestConfig) drive(ctx context.Context, a *Analyzer) error {
	const day = 24 * time.Hour
	for at := c.From; at.Before(c.To); {
		at = at.Add(day)
		if at.After(c.To) {
			at = c.To
		}
		if err := a.Evaluate(ctx, at.UTC()); err != nil {
			return err
		}
		if c.Progress != nil {
			c.Progress(at.Sub(c.From), c.To.Sub(c.From))
		}
	}
	return nil
}

// hits gathers Held by rule, scope and day.
type hits struct {
	all   []Hit
	byKey map[hitKey]int
}

type hitKey struct {
	rule  string
	scope telemetry.Scope
	day   string
}

func (h *hits) add(held Held) {
	key := hitKey{held.Rule.Name, held.Scope, held.Day}
	i, ok := h.byKey[key]
	if !ok {
		i = len(h.all)
		h.byKey[key] = i
		h.all = append(h.all, Hit{Rule: key.rule, Scope: key.scope, Day: key.day, First: held.At})
	}
	h.all[i].Last, h.all[i].Value = held.At, held.Value
	h.all[i].Instants++
}

func (h *hits) sorted() []Hit {
	slices.SortFunc(h.all, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Scope.Name, b.Scope.Name), cmp.Compare(a.Day, b.Day))
	})
	return append([]Hit{}, h.all...)
}

// thousandWeeks is the weeks of a thousand devices that the report is about.
func (r *Report) thousandWeeks() float64 {
	return float64(r.Devices) / 1000 * r.To.Sub(r.From).Hours() / (7 * 24)
}

// sumUp fills the report's rules from its findings and hits.
func (r *Report) sumUp(rules *RuleSet) {
	thousandWeeks := r.thousandWeeks()
	r.Rules = []RuleReport{}
	for _, rule := range rules.Rules {
		s := RuleReport{Rule: rule.Name, Hash: rule.Hash}
		open := map[telemetry.Scope]bool{}
		for _, f := range r.Findings {
			switch {
			case f.Rule != rule.Name:
			case f.Condition == telemetry.Firing && !open[f.Scope]:
				s.Opened++
				open[f.Scope] = true
			case f.Condition == telemetry.Clear:
				s.Cleared++
				delete(open, f.Scope)
			}
		}
		s.Open = len(open)
		scopes := map[telemetry.Scope]bool{}
		for _, h := range r.Hits {
			if h.Rule == rule.Name {
				s.HitDays++
				scopes[h.Scope] = true
			}
		}
		s.Scopes = len(scopes)
		if thousandWeeks > 0 {
			s.PerThousandWeek = float64(s.Opened) / thousandWeeks
		}
		r.Rules = append(r.Rules, s)
	}
}
