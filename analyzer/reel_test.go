package analyzer

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"
	"pgregory.net/rapid"

	"belfry/telemetry"
)

// version is one version of a reading, for the plain reading of the rules.
type version struct {
	kind                telemetry.Kind
	ts, arrival, offset int64
	in, out             uint32
	temp                float64 // of heartbeats; NaN: not measured
}

// slowly computes a column by the words of Scan's comment.
func slowly(all []version, c Column, asOf int64) float64 {
	first, last := math.NaN(), math.NaN()
	type key struct {
		kind telemetry.Kind
		ts   int64
	}
	counts := map[key]version{}
	for _, v := range all {
		if v.arrival > asOf || c.Kind != 0 && v.kind != c.Kind {
			continue
		}
		at := float64(v.arrival) / 1e3
		if !(first <= at) {
			first = at
		}
		if !(last >= at) {
			last = at
		}
		if !c.From.IsZero() && v.ts <= c.From.UnixMilli() || !c.To.IsZero() && v.ts > c.To.UnixMilli() {
			continue
		}
		k := key{v.kind, v.ts}
		if old, ok := counts[k]; !ok || v.arrival > old.arrival || v.arrival == old.arrival && v.offset > old.offset {
			counts[k] = v
		}
	}
	var readings []version
	for _, v := range counts {
		readings = append(readings, v)
	}
	slices.SortFunc(readings, func(a, b version) int { return int(a.ts - b.ts) })
	switch c.Fn {
	case LastArrival:
		return last
	case FirstArrival:
		return first
	case Rows:
		return float64(len(readings))
	}
	result, n := math.NaN(), 0.0
	for _, v := range readings {
		x := map[Fn]float64{SumIn: float64(v.in), SumOut: float64(v.out), SumTotal: float64(v.in) + float64(v.out)}[c.Fn]
		if c.Measure != "" {
			x = v.temp
		}
		if math.IsNaN(x) {
			continue
		}
		n++
		switch {
		case n == 1 || c.Fn == Last:
			result = x
		case c.Fn == Min:
			result = min(result, x)
		case c.Fn == Max:
			result = max(result, x)
		default:
			result += x
		}
	}
	if c.Fn == Avg && n > 0 {
		result /= n
	}
	return result
}

func drawVersions(t *rapid.T, tidy bool) (*telemetry.Batch, []version) {
	b, all := &telemetry.Batch{}, []version(nil)
	for i := range rapid.IntRange(0, 30).Draw(t, "rows") {
		v := version{kind: telemetry.Kind(rapid.IntRange(1, 2).Draw(t, "kind")), ts: int64(1000 * (i + 1)), offset: int64(i), temp: math.NaN()}
		v.arrival = v.ts
		if !tidy {
			v.ts = rapid.Int64Range(1, 12).Draw(t, "ts") * 1000
			v.arrival = rapid.Int64Range(1, 12).Draw(t, "arrival") * 1000
		}
		if v.kind == telemetry.Count {
			v.in, v.out = rapid.Uint32Range(0, 9).Draw(t, "in"), rapid.Uint32Range(0, 9).Draw(t, "out")
			addCount(b, "d", time.UnixMilli(v.ts), time.UnixMilli(v.arrival), v.in, v.out)
			b.Counts.Offset[b.Counts.Len()-1] = v.offset
		} else {
			var measures []any
			if rapid.Bool().Draw(t, "measured") {
				v.temp = float64(rapid.IntRange(-5, 5).Draw(t, "temp"))
				measures = []any{"temp", v.temp}
			}
			addHeartbeat(b, "d", time.UnixMilli(v.ts), time.UnixMilli(v.arrival), measures...)
			b.Heartbeats.Offset[b.Heartbeats.Len()-1] = v.offset
		}
		all = append(all, v)
	}
	return b, all
}

// TestTheReelAnswersLikeItsDefinition holds fast and slow paths against a plain
// reading of what a Scan means.
func TestTheReelAnswersLikeItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batch, all := drawVersions(t, rapid.Bool().Draw(t, "tidy"))
		asOf := rapid.Int64Range(0, 32).Draw(t, "as of") * 1000
		from := rapid.Int64Range(0, 12).Draw(t, "from") * 1000
		to := from + rapid.Int64Range(0, 12).Draw(t, "length")*1000
		s := Scan{AsOf: time.UnixMilli(asOf)}
		window := Column{From: time.UnixMilli(from), To: time.UnixMilli(to)}
		for _, c := range []Column{{Fn: SumIn, Kind: 1}, {Fn: SumOut, Kind: 1}, {Fn: SumTotal, Kind: 1}, {Fn: Rows, Kind: 1}, {Fn: Rows, Kind: 2}, {Fn: Rows},
			{Fn: Last, Kind: 2, Measure: "temp"}, {Fn: Avg, Kind: 2, Measure: "temp"}, {Fn: Min, Kind: 2, Measure: "temp"}, {Fn: Max, Kind: 2, Measure: "temp"}} {
			c.From, c.To = window.From, window.To
			s.Columns = append(s.Columns, c)
		}
		s.Columns = append(s.Columns, Column{Fn: LastArrival}, Column{Fn: LastArrival, Kind: 1}, Column{Fn: FirstArrival, Kind: 2}, Column{Fn: Rows, Kind: 2})
		record, err := NewReel(batch).Query(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer record.Release()
		for i, c := range s.Columns {
			got := math.NaN()
			if c.Fn == Rows {
				got = 0
			}
			if column := record.Column(i + 1).(*array.Float64); column.Len() == 1 && column.IsValid(0) {
				got = column.Value(0)
			}
			if want := slowly(all, c, asOf); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
				t.Fatalf("%s as of %d over %v: got %v; want %v", c, asOf, all, got, want)
			}
		}
	})
}

func TestTheReelLeavesOtherDevicesOut(t *testing.T) {
	b := &telemetry.Batch{}
	now := time.UnixMilli(5000)
	for _, name := range []string{"a", "b", "c"} {
		addCount(b, name, now, now, 1, 2)
	}
	record, err := NewReel(b).Query(t.Context(), Scan{AsOf: now, Devices: []telemetry.DeviceID{telemetry.IDOf("b")}, Columns: []Column{{Fn: SumIn, Kind: telemetry.Count}}})
	if err != nil {
		t.Fatal(err)
	}
	defer record.Release()
	if record.NumRows() != 1 || record.Column(0).(*array.Uint64).Value(0) != uint64(telemetry.IDOf("b")) {
		t.Errorf("got %v; want the row of b", record)
	}
}

func TestPlacesAreFoundWhereverTheyAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-50, 1000), 0, 40).Draw(t, "values")
		slices.Sort(values)
		limit := rapid.Int64Range(-60, 1010).Draw(t, "limit")
		want := 0
		for _, v := range values {
			if v <= limit {
				want++
			}
		}
		near := rapid.Int32Range(0, 41).Draw(t, "near")
		if got := after(values, limit, &near); got != want {
			t.Fatalf("%d of %v are at most %d; want %d", got, values, limit, want)
		}
	})
}
