package analyzer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"belfry/telemetry"
)

// prepared answers any scan from one Arrow record that is made beforehand: what
// is measured is the analyzer alone.
func prepared(b *testing.B, fleet *Fleet, now time.Time) Query {
	n := len(fleet.ids)
	ids := array.NewUint64Builder(memory.DefaultAllocator)
	columns := map[Fn]arrow.Array{}
	for _, id := range fleet.ids {
		ids.Append(uint64(id))
	}
	for fn, value := range map[Fn]float64{SumIn: 500, SumOut: 495, SumTotal: 995, Rows: 1440, LastArrival: float64(now.Unix() - 60)} {
		f := array.NewFloat64Builder(memory.DefaultAllocator)
		f.Reserve(n)
		for range n {
			f.UnsafeAppend(value)
		}
		columns[fn] = f.NewArray()
	}
	device := ids.NewArray()
	return func(_ context.Context, s Scan) (arrow.Record, error) {
		fields := []arrow.Field{{Name: "device", Type: arrow.PrimitiveTypes.Uint64}}
		all := []arrow.Array{device}
		for _, c := range s.Columns {
			fields = append(fields, arrow.Field{Name: c.Fn.String(), Type: arrow.PrimitiveTypes.Float64, Nullable: true})
			all = append(all, columns[c.Fn])
		}
		return array.NewRecord(arrow.NewSchema(fields, nil), all, int64(n)), nil
	}
}

const benchRules = `
rules:
  - name: suspected-offline
    scope: device
    where: { site.status: open }
    when: silence() > 400d
    recover: count(heartbeat, 1h) >= 2
    on_missing: fire
    every: 5m
    category: suspected_offline
  - name: in-out-discrepancy
    scope: site
    every: 5m
    when: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) > 10%
    unless: sum(total, day) < 200 or completeness(day) < 95%
    recover: abs(sum(in, day) - sum(out, day)) / max(sum(in, day), sum(out, day)) <= 8%
    category: in_out_discrepancy
`

func benchFleet(b *testing.B, n int) *Fleet {
	sites, devices := make([]telemetry.Site, n/20), make([]telemetry.Device, n)
	for i := range sites {
		sites[i] = telemetry.Site{ID: fmt.Sprintf("site-%06d", i), Zone: "Europe/Paris", Status: telemetry.SiteOpen}
	}
	for i := range devices {
		devices[i] = telemetry.Device{Name: fmt.Sprintf("device-%07d", i), Site: sites[i%len(sites)].ID, ReadingEvery: 60}
	}
	fleet, err := NewFleet(sites, devices)
	if err != nil {
		b.Fatal(err)
	}
	return fleet
}

// BenchmarkEvaluate evaluates the two first rules over a calm fleet: time and
// allocations for each device and instant, without the scan.
func BenchmarkEvaluate(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("devices=%d", n), func(b *testing.B) {
			now := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
			fleet := benchFleet(b, n)
			rules, err := Load(File{"bench.yaml", []byte(benchRules)})
			if err != nil {
				b.Fatal(err)
			}
			a, err := New(b.Context(), Config{Rules: rules, Fleet: fleet, Query: prepared(b, fleet, now),
				Emit: func(context.Context, []telemetry.Finding) error { return nil }})
			if err != nil {
				b.Fatal(err)
			}
			if err := a.Evaluate(b.Context(), now); err != nil {
				b.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			at := now
			b.ResetTimer()
			for b.Loop() {
				at = at.Add(5 * time.Minute)
				if err := a.Evaluate(b.Context(), at); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/device")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N*n), "allocs/device")
		})
	}
}

// BenchmarkReel asks for the silence of 1,000 devices with a year of hourly
// readings each, every five minutes, as a backtest does.
func BenchmarkReel(b *testing.B) {
	batch, start := &telemetry.Batch{}, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := range 1000 {
		name := fmt.Sprint("device-", d)
		for h := range 8760 {
			at := start.Add(time.Duration(h) * time.Hour)
			addCount(batch, name, at, at, 1, 1)
		}
	}
	reel := NewReel(batch)
	s := Scan{Columns: []Column{{Fn: LastArrival}}}
	i := 0
	for b.Loop() {
		i++
		s.AsOf = start.Add(time.Duration(i) * 5 * time.Minute)
		record, err := reel.Query(b.Context(), s)
		if err != nil {
			b.Fatal(err)
		}
		record.Release()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/device")
}

// BenchmarkBacktestYear runs the default rules over a year of hourly data of 1,000
// devices with opening hours; PERFORMANCE asks for 60 seconds.
func BenchmarkBacktestYear(b *testing.B) {
	const n = 1000
	start := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	batch, sites, devices := &telemetry.Batch{}, make([]telemetry.Site, n/20), make([]telemetry.Device, n)
	for i := range sites {
		sites[i] = telemetry.Site{ID: fmt.Sprintf("site-%06d", i), Zone: "Europe/Paris"}
		if err := sites[i].Hours.Add("mon-sat", "08:00-20:00"); err != nil {
			b.Fatal(err)
		}
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for d := range devices {
		name := fmt.Sprintf("device-%04d", d)
		devices[d] = telemetry.Device{Name: name, Site: sites[d%len(sites)].ID, ReadingEvery: 3600, InServiceSince: start}
		for h := range 8760 {
			at := start.Add(time.Duration(h+1) * time.Hour)
			busy := uint32(0)
			if h%24 >= 7 && h%24 < 19 {
				busy = 60
			}
			addCount(batch, name, at, at, busy/2+noise.Uint32N(busy+1), busy/2+noise.Uint32N(busy+1))
		}
	}
	fleet := mustFleet(b, sites, devices)
	for b.Loop() {
		report, err := Backtest(b.Context(), BacktestConfig{Rules: shipped(b, defaultRules...), Fleet: fleet, Load: loadBatch(batch), From: start, To: start.AddDate(1, 0, 0)})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(len(report.Findings)), "findings")
	}
}

// BenchmarkLearn learns of one device after the other: twelve weeks of a shop's hours, and
// the baselines of one flow (as the default rules ask for) or of all.
func BenchmarkLearn(b *testing.B) {
	for name, asked := range map[string]lessons{"total": {flowTotal: true, copies: true}, "all": {true, true, true, true}} {
		b.Run(name, func(b *testing.B) {
			site, noise := telemetry.Site{ID: "s", Zone: "Europe/Paris"}, rand.New(rand.NewPCG(1, 2))
			if err := site.Hours.Add("mon-sat", "08:00-20:00"); err != nil {
				b.Fatal(err)
			}
			n := int(learnBack / binStep)
			face := newClockface(&calendar{site: site}, time.Date(2026, 1, 4, 23, 0, 0, 0, time.UTC), n)
			devices := make([]history, 16)
			for d := range devices {
				h := &devices[d]
				*h = history{clockface: face, row: d, need: 1, in: make([]float64, n), out: make([]float64, n), rows: make([]float64, n)}
				for i := range n {
					if h.rows[i] = 1; !face.shut[i] {
						h.in[i], h.out[i] = float64(20+noise.IntN(40)), float64(20+noise.IntN(40))
					}
				}
			}
			k, l := newKnowledge(len(devices), asked), &learner{}
			i := 0
			for b.Loop() {
				h := &devices[i%len(devices)]
				h.known = k
				l.learn(h, k)
				i++
			}
		})
	}
}
