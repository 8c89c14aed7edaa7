package bench

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"belfry/analyzer"
	"belfry/warehouse"
)

// AnalyzerOptions say how the evaluation of rules is measured. Zero values mean the
// default given.
type AnalyzerOptions struct {
	Devices []int             // sizes of the fleet: 10,000, 100,000 and 1,000,000
	Hours   int               // of history before the instant: 6
	Rounds  int               // each evaluates one instant after the other: 3
	Rules   *analyzer.RuleSet // that are evaluated together
	Dir     string            // for Prometheus; "": a temporary folder
	Peer    int               // devices that Prometheus is given: 10,000; -1: it is left out
	// Midnight is how many devices a midnight is measured with; 0: it is not.
	Midnight int

	// Warehouse makes an empty warehouse for a fleet. Each call of open gives another
	// way to it, with nothing remembered from the others.
	Warehouse func(ctx context.Context) (open func() (*warehouse.Warehouse, error), done func(), err error)
	Progress  func(what string, done, total int) // told of long work; nil: nobody is
}

// AnalyzerReport is what was measured.
type AnalyzerReport struct {
	Hours    int           `json:"hours"`
	Rules    []string      `json:"rules"`
	Fleets   []FleetPace   `json:"fleets"`
	Midnight *MidnightPace `json:"midnight,omitempty"`
	Peer     *PeerCompare  `json:"prometheus,omitempty"`
}

// FleetPace is how long one instant takes for a fleet: medians over the rounds.
type FleetPace struct {
	Devices  int `json:"devices"`
	Readings int `json:"readings"`
	Later    int `json:"newer_than_the_instant"` // devices that were heard of after it

	All     InstantPace `json:"default_rules"` // all of them at once, with what they find, as if for the first time
	Hour    InstantPace `json:"hour"`          // those that are due on an hour, and before that on the hour before
	Usual   InstantPace `json:"usual_rules"`   // those that are due every five minutes
	Offline InstantPace `json:"offline_alone"`
	Anew    InstantPace `json:"offline_anew"`    // the same after a restart, when all of its findings begin
	Further float64     `json:"further_rule_ms"` // one more rule on columns already fetched
	Memory  int64       `json:"analyzer_bytes"`  // heap that an analyzer of the default rules, the fleet and the way to the warehouse hold
}

// InstantPace is the time of one instant by its parts, in milliseconds.
type InstantPace struct {
	Millis     float64 `json:"ms"`
	Scans      float64 `json:"scans_ms"`
	Columns    float64 `json:"columns_ms"`
	Programs   float64 `json:"programs_ms"`
	Rows       int     `json:"rows"`              // that the warehouse answered with
	Findings   int     `json:"findings"`          // that began or ended
	Holding    int     `json:"holding"`           // scopes of all rules for which they hold
	CPUPerUnit float64 `json:"cpu_us_per_device"` // of the whole process, the engine included

	Dearest []ScanPace `json:"dearest_scans"` // the questions to the warehouse that took longest
}

// ScanPace is one question to the warehouse.
type ScanPace struct {
	What    string   `json:"what"`
	Columns []string `json:"columns"`
	Rows    int      `json:"rows"`
	Millis  float64  `json:"ms"`
}

// dearest is how many scans are listed.
const dearest = 6

// Analyzer fills a warehouse for each size of the fleet, always the same way, and
// measures an instant from the warehouse to the findings. Devices send a heartbeat
// every 15 minutes and a count every hour, each at its own minute; one in 500 stopped
// two hours before the instant, and of one site in 100 IN and OUT differ. It checks
// that the rules find exactly those.
func Analyzer(ctx context.Context, o AnalyzerOptions) (*AnalyzerReport, error) {
	o.fill()
	r := &AnalyzerReport{Hours: o.Hours}
	for _, rule := range o.Rules.Rules {
		r.Rules = append(r.Rules, rule.Name)
	}
	for _, n := range o.Devices {
		pace, err := o.fleet(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d devices: %w", n, err)
		}
		r.Fleets = append(r.Fleets, *pace)
	}
	if o.Midnight > 0 {
		var err error
		if r.Midnight, err = o.midnight(ctx); err != nil {
			return nil, fmt.Errorf("midnight of %d devices: %w", o.Midnight, err)
		}
	}
	if o.Peer > 0 {
		var err error
		if r.Peer, err = o.compare(ctx); err != nil {
			return nil, fmt.Errorf("compare with Prometheus: %w", err)
		}
	}
	return r, nil
}

func (o *AnalyzerOptions) fill() {
	if len(o.Devices) == 0 {
		o.Devices = []int{10_000, 100_000, 1_000_000}
	}
	for _, d := range []struct {
		v         *int
		otherwise int
	}{{&o.Hours, 6}, {&o.Rounds, 3}, {&o.Peer, 10_000}} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
}

// benchAt is the last instant that is measured: an hour. It lies beside the devices'
// minutes.
var benchAt = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// offlineRules are the rule that is measured alone, and one more on its columns.
const offlineRules = `
rules:
  - { name: offline, scope: device, when: silence() > 90m, every: 5m, category: suspected_offline }
`

const furtherRules = offlineRules + `
  - { name: quieter, scope: device, when: silence() > 80m and silence() < 4h, every: 5m, category: suspected_offline }
`

// step is how far the instants that are measured lie apart.
const step = 5 * time.Minute

// fleet measures one size: readings arrive up to shortly after an instant, as they do
// live, and then it is evaluated. A round is an hour and the five minutes before it, which
// make the hour the next instant of all rules.
func (o *AnalyzerOptions) fleet(ctx context.Context, n int) (*FleetPace, error) {
	open, done, err := o.Warehouse(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before := heap()
	b := newBenchFleet(n, o.Hours)
	fleet, err := analyzer.NewFleet(slices.Clone(b.sites), slices.Clone(b.devices))
	if err != nil {
		return nil, err
	}
	pace, hourly, err := o.rounds(ctx, b, fleet, open)
	if err != nil {
		return nil, err
	}
	b.sites, b.devices, b.ids = nil, nil, nil
	pace.Memory = max(0, heap()-before)
	runtime.KeepAlive(fleet)
	runtime.KeepAlive(hourly)
	return pace, nil
}

// rounds fills and evaluates, and returns the live analyzer of all rules too.
func (o *AnalyzerOptions) rounds(ctx context.Context, b *benchFleet, fleet *analyzer.Fleet, open func() (*warehouse.Warehouse, error)) (*FleetPace, *measured, error) {
	offline, further, hourly := &measured{rules: mustRules(offlineRules)}, &measured{rules: mustRules(furtherRules)}, &measured{rules: o.Rules}
	five, all, anew := &measured{rules: usual(o.Rules)}, &measured{rules: o.Rules}, &measured{rules: offline.rules}
	live := []*measured{offline, further, five, hourly}
	for _, m := range append([]*measured{all, anew}, live...) {
		if err := m.open(ctx, open, fleet); err != nil {
			return nil, nil, err
		}
	}
	for i := o.Rounds; i >= 0; i-- {
		hour := benchAt.Add(-time.Duration(i) * time.Hour)
		for _, at := range []time.Time{hour.Add(-step), hour} {
			if err := b.fillTo(ctx, all.warehouse.Insert, at.Add(time.Minute), o.Progress); err != nil {
				return nil, nil, err
			}
			o.Progress("evaluate", o.Rounds-i, o.Rounds+1)
			for _, m := range live {
				if err := m.next(ctx, at, i < o.Rounds && at.Equal(hour)); err != nil {
					return nil, nil, err
				}
			}
		}
		if err := all.first(ctx, hour, i < o.Rounds); err != nil {
			return nil, nil, err
		}
	}
	if err := anew.first(ctx, benchAt, true); err != nil {
		return nil, nil, err
	}
	pace := &FleetPace{Devices: len(fleet.Devices), Readings: b.readings, Later: b.later, All: all.median(), Hour: hourly.median(),
		Usual: five.median(), Offline: offline.median(), Anew: anew.median()}
	if want := len(b.stopped); pace.Anew.Findings != want || offline.rounds[o.Rounds-1].Holding != want {
		return nil, nil, fmt.Errorf("the offline rule finds %d devices and holds for %d; %d were made to stop", pace.Anew.Findings, offline.rounds[o.Rounds-1].Holding, want)
	}
	pace.Further = max(0, further.median().Programs-pace.Offline.Programs)
	return pace, hourly, nil
}

// usual picks the rules that are due at nearly every instant.
func usual(rules *analyzer.RuleSet) *analyzer.RuleSet {
	some := &analyzer.RuleSet{}
	for _, r := range rules.Rules {
		if r.Schedule.Every > 0 && r.Schedule.Every <= step {
			some.Rules = append(some.Rules, r)
		}
	}
	return some
}

func mustRules(text string) *analyzer.RuleSet {
	rules, err := analyzer.Load(analyzer.File{Name: "bench.yaml", Data: []byte(text)})
	if err != nil {
		panic(err) // it is ours
	}
	return rules
}

// measured is a set of rules and what its instants took.
type measured struct {
	rules     *analyzer.RuleSet
	warehouse *warehouse.Warehouse
	probe     *analyzer.Probe
	devices   int
	rounds    []InstantPace
}

func (m *measured) open(ctx context.Context, open func() (*warehouse.Warehouse, error), fleet *analyzer.Fleet) (err error) {
	if m.warehouse, err = open(); err != nil {
		return err
	}
	m.devices = len(fleet.Devices)
	m.probe, err = analyzer.NewProbe(ctx, analyzer.Config{Rules: m.rules, Fleet: fleet, Query: m.warehouse.Scan, Series: m.warehouse.Series, Clock: time.Now})
	return err
}

// next evaluates what has become due, with the states that there are, and keeps what it
// took when it counts: the first one also learns what is learned once a day.
func (m *measured) next(ctx context.Context, at time.Time, counts bool) error {
	return m.measure(ctx, m.probe.Next, at, counts)
}

// first evaluates every rule as if for the first time.
func (m *measured) first(ctx context.Context, at time.Time, counts bool) error {
	return m.measure(ctx, m.probe.Explain, at, counts)
}

func (m *measured) measure(ctx context.Context, evaluate func(context.Context, time.Time) (*analyzer.Explanation, error), at time.Time, counts bool) error {
	began, cpu := time.Now(), cpuTime()
	x, err := evaluate(ctx, at)
	if err != nil {
		return err
	}
	p := InstantPace{Millis: ms(time.Since(began)), Scans: x.ScanSeconds * 1e3, Columns: x.ColumnSeconds * 1e3,
		Programs: x.ProgramSeconds * 1e3, Findings: x.Findings, CPUPerUnit: float64((cpuTime() - cpu).Microseconds()) / float64(m.devices)}
	for _, r := range x.Rules {
		p.Holding += r.Holding
	}
	for _, s := range x.Scans {
		if s.Error != "" {
			return fmt.Errorf("scan: %s", s.Error)
		}
		p.Rows += s.Rows
		p.Dearest = append(p.Dearest, ScanPace{s.What, s.Columns, s.Rows, s.Seconds * 1e3})
	}
	slices.SortStableFunc(p.Dearest, func(a, b ScanPace) int { return cmp.Compare(b.Millis, a.Millis) })
	p.Dearest = p.Dearest[:min(dearest, len(p.Dearest))]
	if counts {
		m.rounds = append(m.rounds, p)
	}
	return nil
}

func (m *measured) median() InstantPace {
	sorted := slices.Clone(m.rounds)
	slices.SortFunc(sorted, func(a, b InstantPace) int { return cmp.Compare(a.Millis, b.Millis) })
	return sorted[len(sorted)/2]
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// Print implements Report.
func (r *AnalyzerReport) Print(out io.Writer) {
	fmt.Fprintf(out, "analyzer: one instant, from the warehouse to findings, over %d hours of readings; milliseconds\n", r.Hours)
	fmt.Fprintf(out, "%-16s %10s %10s %9s %9s %9s %9s %10s %10s %9s %12s\n", "", "devices", "newer", "all", "scans", "columns", "programs", "rows", "findings", "CPU us", "heap MB")
	for _, f := range r.Fleets {
		for _, line := range []struct {
			name string
			p    InstantPace
		}{{"default rules", f.All}, {"on an hour", f.Hour}, {"every 5m", f.Usual}, {"offline alone", f.Offline}, {"offline, anew", f.Anew}} {
			fmt.Fprintf(out, "%-16s %10d %10d %9.0f %9.0f %9.0f %9.0f %10d %10d %9.2f %12d\n", line.name, f.Devices, f.Later, line.p.Millis, line.p.Scans,
				line.p.Columns, line.p.Programs, line.p.Rows, line.p.Findings, line.p.CPUPerUnit, f.Memory>>20)
		}
		fmt.Fprintf(out, "%-16s %10d %10s %9.1f\n", "one rule more", f.Devices, "", f.Further)
	}
	if n := len(r.Fleets); n > 0 {
		for _, line := range []struct {
			name string
			p    InstantPace
		}{{"default rules", r.Fleets[n-1].All}, {"rules on an hour", r.Fleets[n-1].Hour}} {
			fmt.Fprintf(out, "\nthe dearest questions of the %s at %d devices\n", line.name, r.Fleets[n-1].Devices)
			for _, s := range line.p.Dearest {
				fmt.Fprintf(out, "%9.0f ms %10d rows  %s: %s\n", s.Millis, s.Rows, s.What, strings.Join(s.Columns, ", "))
			}
		}
	}
	if r.Midnight != nil {
		r.Midnight.print(out)
	}
	if r.Peer != nil {
		r.Peer.print(out)
	}
}
