package analyzer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"belfry/telemetry"
)

// Reel holds readings in memory and answers Scans over them, at any instant and
// in any order: what a backtest and a rule test ask instead of a warehouse. It
// is immutable once made and safe for concurrent use.
type Reel struct {
	ids     []telemetry.DeviceID // ascending
	devices []reelDevice
	rows    int
}

// reelDevice is the readings of one device.
type reelDevice struct{ counts, beats series }

// series is the readings of one kind, ascending by (ts, arrival, offset).
type series struct {
	ts, arrival []int64
	// plain: no reading has two versions and arrivals ascend with ts, so that what
	// had arrived by an instant is a prefix, and a sum is a difference.
	plain    bool
	arrivals []int64 // sorted; the same as arrival when plain

	in, out []float64 // when plain, sums of the rows before, one longer than ts; else the rows' own

	measures []map[string]float64 // of heartbeats; nil entries have none
}

// NewReel makes a reel of batches, which it does not keep. Rows that are alike in
// (device, kind, ts, arrival, offset) are one.
func NewReel(batches ...*telemetry.Batch) *Reel {
	byDevice := map[telemetry.DeviceID]*[2][]row{}
	of := func(d telemetry.DeviceID) *[2][]row {
		if byDevice[d] == nil {
			byDevice[d] = &[2][]row{}
		}
		return byDevice[d]
	}
	for _, b := range batches {
		for i, d := range b.Counts.Device {
			rows := of(d)
			rows[0] = append(rows[0], row{b.Counts.TS[i], b.Counts.Arrival[i], b.Counts.Offset[i], b.Counts.In[i], b.Counts.Out[i], nil})
		}
		start := 0
		for i, d := range b.Heartbeats.Device {
			rows, end := of(d), b.Heartbeats.MeasureEnd[i]
			rows[1] = append(rows[1], row{b.Heartbeats.TS[i], b.Heartbeats.Arrival[i], b.Heartbeats.Offset[i], 0, 0,
				measuresOf(b.Heartbeats.Name[start:end], b.Heartbeats.Value[start:end])})
			start = end
		}
	}
	r := &Reel{ids: slices.Sorted(maps.Keys(byDevice))}
	for _, id := range r.ids {
		rows := byDevice[id]
		d := reelDevice{newSeries(rows[0]), newSeries(rows[1])}
		r.devices = append(r.devices, d)
		r.rows += len(d.counts.ts) + len(d.beats.ts)
	}
	return r
}

// Len returns the number of rows.
func (r *Reel) Len() int { return r.rows }

// row is one version of a reading.
type row struct {
	ts, arrival, offset int64
	in, out             uint32
	measures            map[string]float64
}

func measuresOf(names []string, values []float64) map[string]float64 {
	if len(names) == 0 {
		return nil
	}
	m := make(map[string]float64, len(names))
	for i, name := range names {
		m[name] = values[i]
	}
	return m
}

func newSeries(rows []row) series {
	order := func(a, b row) int {
		return cmp.Or(cmp.Compare(a.ts, b.ts), cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.offset, b.offset))
	}
	slices.SortStableFunc(rows, order)
	rows = slices.CompactFunc(rows, func(a, b row) bool { return order(a, b) == 0 })
	s := series{plain: true}
	for i, r := range rows {
		s.ts, s.arrival = append(s.ts, r.ts), append(s.arrival, r.arrival)
		s.in, s.out = append(s.in, float64(r.in)), append(s.out, float64(r.out))
		s.measures = append(s.measures, r.measures)
		s.plain = s.plain && (i == 0 || rows[i-1].ts < r.ts && rows[i-1].arrival <= r.arrival)
	}
	s.arrivals = s.arrival
	if s.plain {
		s.in, s.out = sumsBefore(s.in), sumsBefore(s.out)
	} else {
		s.arrivals = slices.Sorted(slices.Values(s.arrival))
	}
	return s
}

func sumsBefore(v []float64) []float64 {
	sums := make([]float64, len(v)+1)
	for i, x := range v {
		sums[i+1] = sums[i] + x
	}
	return sums
}

// Query answers a Scan; it is a Query.
func (r *Reel) Query(ctx context.Context, s Scan) (arrow.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("scan the reel: %w", err)
	}
	ids := array.NewUint64Builder(memory.DefaultAllocator)
	defer ids.Release()
	fields := []arrow.Field{{Name: "device", Type: arrow.PrimitiveTypes.Uint64}}
	builders := make([]*array.Float64Builder, len(s.Columns))
	for i, c := range s.Columns {
		builders[i] = array.NewFloat64Builder(memory.DefaultAllocator)
		defer builders[i].Release()
		builders[i].Reserve(len(r.ids))
		fields = append(fields, arrow.Field{Name: c.Fn.String(), Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	windows := make([]aggregate, len(s.Columns))
	for i, c := range s.Columns {
		windows[i] = newAggregate(c, s.AsOf)
	}
	for i, id := range r.ids {
		if _, wanted := slices.BinarySearch(s.Devices, id); s.Devices != nil && !wanted {
			continue
		}
		ids.Append(uint64(id))
		for j, w := range windows {
			if v := w.of(&r.devices[i]); v == v {
				builders[j].Append(v)
			} else {
				builders[j].AppendNull()
			}
		}
	}
	columns := []arrow.Array{ids.NewArray()}
	for _, b := range builders {
		columns = append(columns, b.NewArray())
	}
	n := columns[0].Len()
	record := array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(n))
	for _, c := range columns {
		c.Release()
	}
	return record, nil
}

// aggregate is a Column with its bounds as numbers.
type aggregate struct {
	Column
	from, to, asOf int64 // milliseconds; from < ts <= to, arrival <= asOf
}

func newAggregate(c Column, asOf time.Time) aggregate {
	a := aggregate{Column: c, from: minMillis, to: maxMillis, asOf: asOf.UnixMilli()}
	if !c.From.IsZero() {
		a.from = c.From.UnixMilli()
	}
	if !c.To.IsZero() {
		a.to = c.To.UnixMilli()
	}
	return a
}

const minMillis, maxMillis = -1 << 62, 1 << 62

// of computes the column for a device; NaN when there is nothing.
func (a aggregate) of(d *reelDevice) float64 {
	switch a.Fn {
	case SumIn, SumOut, SumTotal:
		return a.sum(&d.counts)
	case Rows:
		n := 0
		for _, s := range a.series(d) {
			n += a.rows(s)
		}
		return float64(n)
	case LastArrival, FirstArrival:
		return a.arrivalOf(d)
	}
	return a.measure(&d.beats)
}

// series returns the readings of the column's kind.
func (a aggregate) series(d *reelDevice) []*series {
	switch a.Kind {
	case telemetry.Count:
		return []*series{&d.counts}
	case telemetry.Heartbeat:
		return []*series{&d.beats}
	}
	return []*series{&d.counts, &d.beats}
}

func (a aggregate) arrivalOf(d *reelDevice) float64 {
	best, found := int64(0), false
	for _, s := range a.series(d) {
		n := after(s.arrivals, a.asOf)
		if n == 0 {
			continue
		}
		v := s.arrivals[n-1]
		if a.Fn == FirstArrival {
			v = s.arrivals[0]
		}
		if !found || (a.Fn == LastArrival) == (v > best) {
			best, found = v, true
		}
	}
	if !found {
		return missing
	}
	return float64(best) / 1e3
}

// after returns how many of the ascending values are at most limit.
func after(values []int64, limit int64) int {
	return sort.Search(len(values), func(i int) bool { return values[i] > limit })
}

// window returns the rows whose ts is in the window; when plain, only those
// that had arrived.
func (a aggregate) window(s *series) (lo, hi int) {
	lo, hi = after(s.ts, a.from), after(s.ts, a.to)
	if s.plain {
		hi = min(hi, after(s.arrival, a.asOf))
	}
	return lo, max(lo, hi)
}

func (a aggregate) rows(s *series) int {
	lo, hi := a.window(s)
	if s.plain {
		return hi - lo
	}
	n := 0
	a.each(s, lo, hi, func(int) { n++ })
	return n
}

// each visits, in a series that is not plain, the version that counts of each
// reading: among those that had arrived, the last.
func (a aggregate) each(s *series, lo, hi int, visit func(i int)) {
	for i := lo; i < hi; {
		best, ts := -1, s.ts[i]
		for ; i < hi && s.ts[i] == ts; i++ {
			if s.arrival[i] <= a.asOf {
				best = i
			}
		}
		if best >= 0 {
			visit(best)
		}
	}
}

func (a aggregate) sum(s *series) float64 {
	lo, hi := a.window(s)
	in, out, n := 0.0, 0.0, hi-lo
	if s.plain {
		in, out = s.in[hi]-s.in[lo], s.out[hi]-s.out[lo]
	} else {
		n = 0
		a.each(s, lo, hi, func(i int) { in, out, n = in+s.in[i], out+s.out[i], n+1 })
	}
	switch {
	case n == 0:
		return missing
	case a.Fn == SumIn:
		return in
	case a.Fn == SumOut:
		return out
	}
	return in + out
}

func (a aggregate) measure(s *series) float64 {
	value, sum, n := missing, 0.0, 0
	visit := func(i int) {
		v, ok := s.measures[i][a.Measure]
		switch {
		case !ok:
			return
		case n == 0 || a.Fn == Last, a.Fn == Min && v < value, a.Fn == Max && v > value:
			value = v
		}
		sum, n = sum+v, n+1
	}
	switch lo, hi := a.window(s); {
	case !s.plain:
		a.each(s, lo, hi, visit)
	case a.Fn == Last:
		for i := hi - 1; i >= lo && n == 0; i-- {
			visit(i)
		}
	default:
		for i := lo; i < hi; i++ {
			visit(i)
		}
	}
	if a.Fn == Avg && n > 0 {
		return sum / float64(n)
	}
	return value
}
