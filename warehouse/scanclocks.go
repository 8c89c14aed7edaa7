package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
)

// clocks is the part of a scan that asks how clocks stand. The engine brings the readings
// that came in a window, by device, and analyzer.ClockOf says what they mean: in SQL the
// last ten of each device took eight times as long.
func (w *Warehouse) clocks(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	defer w.metrics.time("clocks", time.Now())
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
		f, err := w.keptClocks(ctx, s, window)
		if f == nil && err == nil {
			f, err = w.clockface(ctx, s, window, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("read what clocks say: %w", err)
		}
		a := answer{}
		var values [][]float64
		for place, c := range s.Columns {
			if windowOf(c) == window {
				a.places = append(a.places, place)
				values = append(values, f.column(c.Fn))
			}
		}
		a.record = newRecord(f.device, values)
		answers = append(answers, a)
	}
	return join(answers, len(s.Columns)), nil
}

// arrivalRow is a version of a reading that came in a window; times in milliseconds.
type arrivalRow struct {
	kind         uint8
	stamp, delay int64
}

func (r arrivalRow) compare(o arrivalRow) int {
	switch {
	case r.kind != o.kind:
		return cmp.Compare(r.kind, o.kind)
	case r.stamp != o.stamp:
		return cmp.Compare(r.stamp, o.stamp)
	}
	return cmp.Compare(r.delay, o.delay)
}

// clockface is what the clocks of devices say, in the order in which they are added.
type clockface struct {
	device       []uint64
	skew, spread []float64

	ticks *ticks // nil: the last readings of the devices are not kept
	rings []ring
	open  []bool // the ring does not say all

	rows  []arrivalRow // of the device at hand
	heard []analyzer.Heard
}

func (f *clockface) column(fn analyzer.Fn) []float64 {
	if fn == analyzer.SkewSpread {
		return f.spread
	}
	return f.skew
}

// add takes a row in; those of a device come together.
func (f *clockface) add(device uint64, r arrivalRow) {
	if n := len(f.device); n == 0 || f.device[n-1] != device {
		f.finish()
		f.device = append(f.device, device)
	}
	f.rows = append(f.rows, r)
}

// finish tells what the rows of the device at hand say: of each reading its first version.
func (f *clockface) finish() {
	if len(f.device) == len(f.skew) {
		return // there is none
	}
	if !slices.IsSortedFunc(f.rows, arrivalRow.compare) {
		slices.SortFunc(f.rows, arrivalRow.compare)
	}
	f.heard = f.heard[:0]
	for i, r := range f.rows {
		if i == 0 || f.rows[i-1].kind != r.kind || f.rows[i-1].stamp != r.stamp {
			f.heard = append(f.heard, analyzer.Heard{Arrival: r.stamp + r.delay, Delay: r.delay})
		}
	}
	skew, spread := analyzer.ClockOf(f.heard)
	f.skew, f.spread = append(f.skew, skew), append(f.spread, spread)
	if f.ticks != nil {
		f.keep()
	}
	f.rows = f.rows[:0]
}

// keep makes the ring of the device at hand.
func (f *clockface) keep() {
	var r ring
	open := false
	for _, x := range f.rows {
		kind := slices.IndexFunc(kinds[:], func(s scanSource) bool { return uint8(s.kind) == x.kind })
		open = !f.ticks.take(&r, kind, x.stamp+x.delay, x.delay) || open
	}
	f.rings, f.open = append(f.rings, r), append(f.open, open)
}

// stripeOf is how many devices are read at a time, so that what the engine sorts is
// bounded, and lies in the processor's cache.
const stripeOf = 50_000

// clockface reads the versions that came in a column's window, stripe by stripe of the
// fleet, and on each processor one. With ticks it makes rings too.
func (w *Warehouse) clockface(ctx context.Context, s analyzer.Scan, window analyzer.Column, t *ticks) (*clockface, error) {
	b, settings := &scanBuilder{scan: s}, ""
	stripes := []string{""}
	if s.Devices != nil && (len(s.Devices) <= maxListed || t != nil) {
		stripes[0] = "AND device IN " + idList(s.Devices)
	} else {
		n, err := w.devicesHeard(ctx)
		if err != nil {
			return nil, err
		}
		if stripes = stripesFor(n); len(stripes) > 1 {
			settings = ", max_threads = 1"
		}
	}
	faces := make([]clockface, len(stripes))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, stripe := range stripes {
		faces[i].ticks = t
		group.Go(func() error { return w.stream(ctx, arrivalsSQL(b, window, stripe)+settings, faces[i].take) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := &clockface{}
	for i := range faces {
		faces[i].finish()
		all.device = append(all.device, faces[i].device...)
		all.skew, all.spread = append(all.skew, faces[i].skew...), append(all.spread, faces[i].spread...)
		all.rings, all.open = append(all.rings, faces[i].rings...), append(all.open, faces[i].open...)
	}
	return all, nil
}

// take takes in a record of arrivalsSQL.
func (f *clockface) take(r arrow.Record) error {
	stamp, delay, kind := r.Column(1).(*array.Int64).Int64Values(), r.Column(2).(*array.Int64).Int64Values(), r.Column(3).(*array.Uint8).Uint8Values()
	for i, d := range r.Column(0).(*array.Uint64).Uint64Values() {
		f.add(d, arrivalRow{kind[i], stamp[i], delay[i]})
	}
	return nil
}

// arrivalsSQL writes a statement for the versions that came in a column's window, of a
// stripe of the devices, these ascending.
func arrivalsSQL(b *scanBuilder, window analyzer.Column, stripe string) string {
	var sources []string
	for _, source := range []scanSource{counts, heartbeats} {
		if source.has(window) {
			sources = append(sources, fmt.Sprintf("SELECT device, toUnixTimestamp64Milli(ts) AS stamp, delay, toUInt8(%d) AS kind FROM {db}.%s WHERE %s %s",
				source.kind, source.table, b.came(window), stripe))
		}
	}
	return "SELECT device, stamp, delay, kind FROM (" + strings.Join(sources, " UNION ALL ") + ") ORDER BY device, kind, stamp SETTINGS output_format_arrow_compression_method = 'none'"
}

// devicesHeard returns about how many devices were ever heard of.
func (w *Warehouse) devicesHeard(ctx context.Context) (int, error) {
	out, err := w.Query(ctx, "devices", "SELECT uniq(device) FROM {db}.raw_latest", "TSV", nil)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, fmt.Errorf("read how many devices were heard of: %w", err)
	}
	return n, nil
}

// stripesFor divides n devices into conditions on their hashes, ascending.
func stripesFor(n int) []string {
	var stripes []string
	from := uint64(0)
	for _, to := range stripeEnds(n) {
		stripes = append(stripes, fmt.Sprintf("AND device BETWEEN %d AND %d", from, to))
		from = to + 1
	}
	return stripes
}

// stripeEnds returns the last hash of each stripe of n devices, ascending.
func stripeEnds(n int) []uint64 {
	k := uint64(n/stripeOf + 1)
	width := math.MaxUint64/k + 1 // 0: all
	var ends []uint64
	for i := range k - 1 {
		ends = append(ends, (i+1)*width-1)
	}
	return append(ends, math.MaxUint64)
}
