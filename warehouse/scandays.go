package warehouse

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// isSum reports whether a column sums up counts over a window.
func isSum(c analyzer.Column) bool {
	switch c.Fn {
	case analyzer.SumIn, analyzer.SumOut, analyzer.SumTotal, analyzer.Rows:
		return c.Kind == telemetry.Count && !c.From.IsZero() && !c.To.IsZero()
	}
	return false
}

// longWindow is how long the window of a sum is for which days that are kept are summed up.
const longWindow = 72 * time.Hour

// sums is the part of a scan that sums up counts: over days of the whole fleet by what is
// kept of them (see keptDays), else by their readings.
func (w *Warehouse) sums(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	var answers []answer
	defer func() {
		for _, a := range answers {
			a.record.Release()
		}
	}()
	windowOf := func(c analyzer.Column) (long analyzer.Column) { // one for all that are short
		if s.Devices == nil && c.To.Sub(c.From) >= longWindow {
			long = windowOf(c)
		}
		return long
	}
	for i, c := range s.Columns {
		window := windowOf(c)
		if slices.IndexFunc(s.Columns, func(c analyzer.Column) bool { return windowOf(c) == window }) < i {
			continue // looked at already
		}
		part, places := analyzer.Scan{AsOf: s.AsOf, Devices: s.Devices}, []int(nil)
		for place, c := range s.Columns {
			if windowOf(c) == window {
				part.Columns, places = append(part.Columns, c), append(places, place)
			}
		}
		var r arrow.Record
		var err error
		if !window.To.IsZero() {
			r, err = w.longSum(ctx, part)
		}
		if r == nil && err == nil {
			r, err = w.sumReadings(ctx, part)
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer{places, r})
	}
	return join(answers, len(s.Columns)), nil
}

// longSum sums up over one window; nil when its days are not known.
func (w *Warehouse) longSum(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	from, to := s.Columns[0].From, s.Columns[0].To
	d, any := daysWithin(analyzer.Series{AsOf: s.AsOf, From: from.Add(time.Hour - time.Nanosecond).Truncate(time.Hour), To: to, Step: time.Hour})
	if !any {
		return nil, nil
	}
	looks, err := w.lookAt(ctx, d)
	if looks == nil || err != nil || slices.ContainsFunc(looks.known(d), func(asOf int64) bool { return asOf != d.asOf }) {
		return nil, err
	}
	days, err := w.sumDays(ctx, d, looks, s.Columns)
	if err != nil {
		return nil, err
	}
	parts := []arrow.Record{days}
	defer func() {
		for _, r := range parts {
			r.Release()
		}
	}()
	for _, rest := range []analyzer.Column{{From: from, To: d.begin(d.first)}, {From: d.begin(d.end), To: to}} {
		if !rest.To.After(rest.From) {
			continue
		}
		part := analyzer.Scan{AsOf: s.AsOf}
		for _, c := range s.Columns {
			c.From, c.To = rest.From, rest.To
			part.Columns = append(part.Columns, c)
		}
		r, err := w.sumReadings(ctx, part)
		if err != nil {
			return nil, err
		}
		parts = append(parts, r)
	}
	return addUp(parts), nil
}

// sumDays sums days up, stripe by stripe of the fleet.
func (w *Warehouse) sumDays(ctx context.Context, d daySpan, looks looks, columns []analyzer.Column) (arrow.Record, error) {
	n, err := w.devicesHeard(ctx)
	if err != nil {
		return nil, err
	}
	var device []uint64
	values := make([][]float64, len(columns))
	s, next := d.series(), uint64(0)
	for _, last := range stripeEnds(n) {
		s.First, s.Last = telemetry.DeviceID(next), telemetry.DeviceID(last)
		sh := newSheet(s.Bins())
		if err := w.readDays(ctx, sh, d, looks, s); err != nil {
			return nil, err
		}
		device = append(device, sh.ordered()...)
		for _, id := range sh.device {
			all := sh.sum(sh.places[id])
			for i, c := range columns {
				values[i] = append(values[i], all.of(c.Fn))
			}
		}
		next = last + 1
	}
	return newRecord(device, values), nil
}

// sumReadings sums up over windows by the readings in their span, which come in the order
// in which they lie: the engine's grouping by reading takes several times the CPU.
func (w *Warehouse) sumReadings(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	span := analyzer.Series{AsOf: s.AsOf, From: s.Columns[0].From, To: s.Columns[0].To, Last: math.MaxUint64}
	if len(s.Devices) <= maxListed {
		span.Devices = s.Devices
	}
	a := adder{rows: map[uint64]int{}}
	place := make([]int, len(s.Columns)) // of a column's window
	for i, c := range s.Columns {
		span.From, span.To = earlier(span.From, c.From), later(span.To, c.To)
		window := [2]int64{c.From.UnixMilli(), c.To.UnixMilli()}
		if place[i] = slices.Index(a.windows, window); place[i] < 0 {
			place[i], a.windows = len(a.windows), append(a.windows, window)
		}
	}
	if err := w.stream(ctx, seriesSQL(span), a.take); err != nil {
		return nil, fmt.Errorf("read the counts of a scan: %w", err)
	}
	a.end()
	device := slices.Sorted(maps.Keys(a.rows))
	values := make([][]float64, len(s.Columns))
	for i, c := range s.Columns {
		values[i] = make([]float64, len(device))
		for j, id := range device {
			if sum := a.sums[a.rows[id]*len(a.windows)+place[i]]; sum.rows > 0 || c.Fn == analyzer.Rows {
				values[i][j] = sum.of(c.Fn)
			} else {
				values[i][j] = math.NaN()
			}
		}
	}
	return newRecord(device, values), nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// adder adds up readings, which come by day, device and time, over windows of (from, to],
// milliseconds.
type adder struct {
	windows [][2]int64
	rows    map[uint64]int
	sums    []binSums // of each row, by window

	last   lastVersion
	device uint64
	row    int // of the device; of none when there are no rows
}

func (a *adder) take(r arrow.Record) error { return a.last.take(r, a.add) }

func (a *adder) end() { a.last.end(a.add) }

func (a *adder) add(v reading) {
	if v.device != a.device || len(a.rows) == 0 {
		var found bool
		if a.row, found = a.rows[v.device]; !found {
			a.row = len(a.rows)
			a.rows[v.device], a.sums = a.row, append(a.sums, make([]binSums, len(a.windows))...)
		}
		a.device = v.device
	}
	for i, w := range a.windows {
		if v.ts > w[0] && v.ts <= w[1] {
			sum := &a.sums[a.row*len(a.windows)+i]
			*sum = binSums{sum.in + float64(v.in), sum.out + float64(v.out), sum.rows + 1}
		}
	}
}

// sum adds up the bins of a device.
func (s *sheet) sum(begin int) (all binSums) {
	for place := begin; place < begin+s.bins; place++ {
		if s.rows[place] > 0 {
			b := s.at(place)
			all = binSums{all.in + b.in, all.out + b.out, all.rows + b.rows}
		}
	}
	return all
}

// of is the value of a column of sums.
func (b binSums) of(fn analyzer.Fn) float64 {
	switch fn {
	case analyzer.SumIn:
		return b.in
	case analyzer.SumOut:
		return b.out
	case analyzer.SumTotal:
		return b.in + b.out
	case analyzer.Rows:
		return b.rows
	}
	panic(fmt.Sprint("no sum: ", fn))
}

// addUp adds records of the same columns up, by device; what is null in all stays null.
func addUp(parts []arrow.Record) arrow.Record {
	var device []uint64
	for _, r := range parts {
		device = union(device, r.Column(0).(*array.Uint64).Uint64Values())
	}
	values := make([][]float64, parts[0].NumCols()-1)
	for i := range values {
		values[i] = slices.Repeat([]float64{math.NaN()}, len(device))
	}
	for _, r := range parts {
		rows := placesOf(device, r.Column(0).(*array.Uint64).Uint64Values())
		for i, sum := range values {
			for row, v := range laid(r.Column(1+i).(*array.Float64), rows, len(device)) {
				switch {
				case v != v:
				case sum[row] != sum[row]:
					sum[row] = v
				default:
					sum[row] += v
				}
			}
		}
	}
	return newRecord(device, values)
}
