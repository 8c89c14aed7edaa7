package warehouse

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// longWindow is how long the window of a sum is for which days that are kept are summed up.
const longWindow = 72 * time.Hour

// isLong reports whether a column sums counts over days.
func isLong(c analyzer.Column) bool {
	switch c.Fn {
	case analyzer.SumIn, analyzer.SumOut, analyzer.SumTotal, analyzer.Rows:
		return c.Kind == telemetry.Count && !c.From.IsZero() && !c.To.IsZero() && c.To.Sub(c.From) >= longWindow
	}
	return false
}

// longSums is the part of a scan that sums counts over days: of whole days by what is kept
// of them (see keptDays), of what lies before and after them by their readings.
func (w *Warehouse) longSums(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	var answers []answer
	defer func() {
		for _, a := range answers {
			a.record.Release()
		}
	}()
	for i, c := range s.Columns {
		window := windowOf(c)
		if slices.IndexFunc(s.Columns, func(c analyzer.Column) bool { return windowOf(c) == window }) < i {
			continue // looked at already
		}
		part, places := analyzer.Scan{AsOf: s.AsOf}, []int(nil)
		for place, c := range s.Columns {
			if windowOf(c) == window {
				part.Columns, places = append(part.Columns, c), append(places, place)
			}
		}
		r, err := w.longSum(ctx, part)
		if r == nil && err == nil {
			r, err = w.scan(ctx, part)
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
		r, err := w.scan(ctx, part)
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
