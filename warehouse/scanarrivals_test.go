package warehouse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// valuesOf reads a scan's record: by device its columns, NaN for null.
func valuesOf(t *testing.T, r arrow.Record) map[uint64][]float64 {
	t.Helper()
	defer r.Release()
	all := map[uint64][]float64{}
	for i := range int(r.NumRows()) {
		row := []float64{}
		for c := 1; c < int(r.NumCols()); c++ {
			v := math.NaN()
			if column := r.Column(c).(*array.Float64); column.IsValid(i) {
				v = column.Value(i)
			}
			row = append(row, v)
		}
		all[r.Column(0).(*array.Uint64).Value(i)] = row
	}
	return all
}

// drawArrivals makes devices of every sort: punctual, late, with a clock that is off,
// flapping, sending again, with a battery that fades and an uptime that falls.
func drawArrivals(random *rand.Rand) *telemetry.Batch {
	b := &telemetry.Batch{}
	for d := range 12 {
		name := fmt.Sprint("d", d)
		off := []time.Duration{0, -time.Hour, 3 * time.Minute, -1024 * 7 * 24 * time.Hour}[d%4]
		for i := range 500 {
			if d%3 == 0 && i/40%2 == 1 {
				continue
			}
			came := noon.Add(time.Duration(i) * 20 * time.Minute).Add(time.Duration(random.IntN(20)) * time.Second)
			ts := came.Add(off).Add(-time.Duration(random.IntN(3)*random.IntN(100)) * time.Minute)
			n := random.Uint32N(9)
			count(b, name, ts, came, int64(10*i), n, 1)
			if d%2 == 0 && random.IntN(5) == 0 {
				count(b, name, ts, came.Add(time.Duration(random.IntN(300))*time.Minute), int64(10*i+1), n+uint32(random.IntN(2)), 1)
			}
			if random.IntN(2) == 0 {
				heartbeat(b, name, ts, came, int64(10*i), "battery", 90-float64(i)/20+random.Float64(), "uptime", float64(i%(7+d)))
			}
		}
	}
	return b
}

// TestTheEngineReadsArrivalsLikeTheReel holds every function on arrivals, and those of
// measurements over time, against the readings in memory.
func TestTheEngineReadsArrivalsLikeTheReel(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(7, 11))
	batch := drawArrivals(random)
	if err := w.Insert(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	reel := analyzer.NewReel(batch)
	known := map[analyzer.Fn]int{}
	for range 5 {
		at := noon.Add(time.Duration(random.IntN(200)) * time.Hour)
		s := analyzer.Scan{AsOf: at, Columns: []analyzer.Column{{Fn: analyzer.LastArrival}, {Fn: analyzer.SumIn, Kind: telemetry.Count, From: at.Add(-time.Hour), To: at}}}
		span := func(d time.Duration) analyzer.Column { return analyzer.Column{From: at.Add(-d), To: at} }
		for _, c := range []analyzer.Column{span(5 * time.Hour), span(100 * time.Hour)} {
			for _, fn := range []analyzer.Fn{analyzer.Skew, analyzer.SkewSpread, analyzer.Transitions, analyzer.UsualTransitions} {
				c.Fn, c.Kind = fn, []telemetry.Kind{0, telemetry.Count, telemetry.Heartbeat}[random.IntN(3)]
				s.Columns = append(s.Columns, c)
			}
			for _, share := range []float64{0.5, 0.999} {
				c.Share, c.Fn = share, analyzer.Lag
				s.Columns = append(s.Columns, c)
				c.Fn = analyzer.Gap
				s.Columns = append(s.Columns, c)
			}
			c.Kind, c.Share = telemetry.Count, 0
			for _, fn := range []analyzer.Fn{analyzer.ResentSame, analyzer.ResentChanged} {
				c.Fn = fn
				s.Columns = append(s.Columns, c)
			}
		}
		for _, c := range []analyzer.Column{{Fn: analyzer.Resets, Measure: "uptime"}, {Fn: analyzer.Slope, Measure: "battery"}, {Fn: analyzer.Slope, Measure: "nothing"}} {
			c.Kind, c.From, c.To = telemetry.Heartbeat, at.Add(-240*time.Hour), at
			s.Columns = append(s.Columns, c)
		}
		clock := span(5 * time.Hour)
		clocks := analyzer.Scan{AsOf: at, Columns: []analyzer.Column{clock, clock}}
		clocks.Columns[0].Fn, clocks.Columns[1].Fn = analyzer.Skew, analyzer.SkewSpread
		for _, s := range []analyzer.Scan{s, clocks} { // clocks alone are asked another way
			got, err := w.Scan(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			want, err := reel.Query(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			sameValues(t, s, valuesOf(t, got), valuesOf(t, want), known)
		}
	}
	for fn := analyzer.Resets; fn <= analyzer.ResentChanged; fn++ {
		if known[fn] < 12 {
			t.Errorf("%s was compared where it is known and not zero %d times only", fn, known[fn])
		}
	}
}

// sameValues compares the columns of every device; one that a side leaves out has none.
func sameValues(t *testing.T, s analyzer.Scan, got, want map[uint64][]float64, known map[analyzer.Fn]int) {
	t.Helper()
	for id, row := range want {
		for i, c := range s.Columns {
			a, b := math.NaN(), row[i]
			if has := got[id]; has != nil {
				a = has[i]
			}
			if zero := c.Fn == analyzer.Transitions || c.Fn == analyzer.UsualTransitions || c.Fn == analyzer.ResentSame || c.Fn == analyzer.ResentChanged; zero && a != a {
				a = 0
			}
			if math.IsNaN(a) != math.IsNaN(b) || math.Abs(a-b) > 1e-6*max(1, math.Abs(b)) {
				t.Fatalf("%s as of %s, device %d: the engine says %v and the reel %v", c, s.AsOf, id, a, b)
			}
			if b == b && b != 0 {
				known[c.Fn]++
			}
		}
	}
}

// TestArrivalsAreFoundByTheirIndex asks the engine how it reads: what came last hour is
// few granules, whatever time it tells of.
func TestArrivalsAreFoundByTheirIndex(t *testing.T) {
	w := open(t)
	b := &telemetry.Batch{}
	for i := range 200_000 {
		ts := noon.Add(time.Duration(i) * time.Second)
		came := ts
		if i%50_000 == 0 {
			came = noon.Add(200_000 * time.Second) // of days ago, and it came just now
		}
		count(b, "d", ts, came, int64(i), 1, 1)
	}
	if err := w.Insert(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	at := noon.Add(200_000 * time.Second)
	s := &scanBuilder{scan: analyzer.Scan{AsOf: at}}
	plan := tsv(t, w, "EXPLAIN ESTIMATE SELECT device, delay FROM {db}.raw_counts WHERE "+s.came(analyzer.Column{From: at.Add(-time.Hour), To: at}))
	rows := 0
	for i, f := range strings.Split(plan, "\t") {
		if i == 3 {
			fmt.Sscan(f, &rows)
		}
	}
	if rows == 0 || rows > 100_000 {
		t.Errorf("the engine would read %d of 200,000 rows: %s", rows, plan)
	}
}

// TestStripesAreTheWholeFleetOnce holds the conditions on devices against each other.
func TestStripesAreTheWholeFleetOnce(t *testing.T) {
	for n, want := range map[int]int{0: 1, stripeOf - 1: 1, stripeOf: 2, 20*stripeOf + 7: 21} {
		stripes := stripesFor(n)
		if len(stripes) != want {
			t.Errorf("%d devices are read in %d stripes; want %d", n, len(stripes), want)
		}
		next := uint64(0)
		for _, s := range stripes {
			var from, to uint64
			if _, err := fmt.Sscanf(s, "AND device BETWEEN %d AND %d", &from, &to); err != nil || from != next || to < from {
				t.Fatalf("%d devices: %q follows what ended before %d: %v", n, s, next, err)
			}
			next = to + 1
		}
		if next != 0 {
			t.Errorf("%d devices: the last stripe ends at %d", n, next-1)
		}
	}
}
