package warehouse

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/telemetry"
)

// keptBins answers for the bins of a local day, which an analyzer asks for from the day's
// midnight on, hour after hour: with the engine inside the process they are kept from one
// hour to the next, as last arrivals are (see latest). What comes behind them is read, and
// of devices of which something came late, all of it again. Whatever had arrived by then
// and was inserted since makes everything be asked anew.
type keptBins struct {
	came arrivedSince

	mu    sync.Mutex
	grids map[binGrid]*dayOfBins
}

// binGrid tells bins apart that do not begin together.
type binGrid struct{ step, offset int64 }

const (
	keptMost  = 50 // bins of a series that is kept: the day of all zones of the world
	gridsMost = 4  // zones differ by quarters of an hour
)

// dayOfBins is the bins of a span for every device, some 5 bytes each.
type dayOfBins struct {
	from, to, step, asOf int64    // milliseconds
	device               []uint64 // ascending
	bins                 []binColumn
}

// binColumn is one bin of every device, in the rows of dayOfBins.
type binColumn struct {
	in, out []uint16
	rows    []uint8            // readings; inGreat: the bin is in great
	great   map[uint64]binSums // by device: what does not fit
}

const inGreat = math.MaxUint8

type binSums struct{ in, out, rows float64 }

func (c *binColumn) at(row int, device uint64) binSums {
	if c.rows[row] == inGreat {
		return c.great[device]
	}
	return binSums{float64(c.in[row]), float64(c.out[row]), float64(c.rows[row])}
}

func (c *binColumn) set(row int, device uint64, s binSums) {
	if s.in <= math.MaxUint16 && s.out <= math.MaxUint16 && s.rows < inGreat {
		c.in[row], c.out[row], c.rows[row] = uint16(s.in), uint16(s.out), uint8(s.rows)
		return
	}
	if c.great == nil {
		c.great = map[uint64]binSums{}
	}
	c.rows[row], c.great[device] = inGreat, s
}

// keptSeries answers a series from what is kept; nil when it is none to keep.
func (w *Warehouse) keptSeries(ctx context.Context, s analyzer.Series) (arrow.Record, error) {
	if !w.alone() || s.Devices != nil || s.Bins() > keptMost || s.AsOf.Sub(s.To) < late {
		return nil, nil
	}
	k := &w.bins
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(k.came.least.Swap(0))
	grid := binGrid{step: s.Step.Milliseconds()}
	grid.offset = s.From.UnixMilli() % grid.step
	d, from := k.grids[grid], s.From.UnixMilli()
	if d != nil && (s.AsOf.UnixMilli() < d.asOf || s.To.UnixMilli() < d.to) {
		return nil, nil // of the past
	}
	delete(k.grids, grid) // until all of it is of one instant
	if d == nil || from < d.from || from >= d.to {
		d = &dayOfBins{from: from, to: from, step: grid.step}
	}
	if err := w.carryBins(ctx, d, s); err != nil {
		return nil, err
	}
	if len(k.grids) >= gridsMost || k.grids == nil {
		k.grids = map[binGrid]*dayOfBins{}
	}
	k.grids[grid] = d
	return d.record(s.First, s.Last)
}

// forget drops what is of an instant by which something arrived that was inserted since; 0
// is nothing.
func (k *keptBins) forget(least int64) {
	for grid, d := range k.grids {
		if least != 0 && least <= d.asOf {
			delete(k.grids, grid)
		}
	}
}

// carryBins brings bins to the beginning, the end and the instant of a series.
func (w *Warehouse) carryBins(ctx context.Context, d *dayOfBins, s analyzer.Series) error {
	d.drop(s.From.UnixMilli())
	behind := analyzer.Series{AsOf: s.AsOf, From: time.UnixMilli(d.to), To: s.To, Step: s.Step, Last: math.MaxUint64}
	if d.asOf == 0 {
		if err := w.layStripes(ctx, d, behind); err != nil {
			return err
		}
		d.asOf = s.AsOf.UnixMilli()
		return nil
	}
	if err := w.layLate(ctx, d, s.AsOf); err != nil {
		return err
	}
	if behind.Bins() > 0 {
		d.extend(behind.Bins())
		if err := w.lay(ctx, d, behind); err != nil {
			return err
		}
	}
	d.asOf = s.AsOf.UnixMilli()
	return nil
}

// layStripes lays all bins, stripe by stripe of the fleet, which bounds what is at hand
// beside them.
func (w *Warehouse) layStripes(ctx context.Context, d *dayOfBins, s analyzer.Series) error {
	n, err := w.devicesHeard(ctx)
	if err != nil {
		return err
	}
	d.extend(s.Bins())
	next := uint64(0)
	for _, last := range stripeEnds(n) {
		s.First, s.Last = telemetry.DeviceID(next), telemetry.DeviceID(last)
		if err := w.lay(ctx, d, s); err != nil {
			return err
		}
		next = last + 1
	}
	return nil
}

// layLate reads the bins of those devices again of which a reading of these bins came
// since. It arrived late: in time it would have come by the instant that is kept, which
// lies as far behind the last bin.
func (w *Warehouse) layLate(ctx context.Context, d *dayOfBins, asOf time.Time) error {
	if asOf.UnixMilli() == d.asOf {
		return nil
	}
	var ids []telemetry.DeviceID
	sql := fmt.Sprintf("SELECT DISTINCT device FROM {db}.raw_late WHERE kind = %d AND arrival > fromUnixTimestamp64Milli(%d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%d, 'UTC') AND %s"+
		" ORDER BY device SETTINGS output_format_arrow_compression_method = 'none'", counts.kind, d.asOf, asOf.UnixMilli(), between(time.UnixMilli(d.from), time.UnixMilli(d.to)))
	err := w.stream(ctx, sql, func(r arrow.Record) error {
		for _, id := range r.Column(0).(*array.Uint64).Uint64Values() {
			ids = append(ids, telemetry.DeviceID(id))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read which devices were late: %w", err)
	}
	s := analyzer.Series{AsOf: asOf, From: time.UnixMilli(d.from), To: time.UnixMilli(d.to), Step: time.Duration(d.step) * time.Millisecond, Last: math.MaxUint64}
	if len(ids) > max(maxListed, len(d.device)/10) {
		d.device, d.bins, d.to = nil, nil, d.from
		return w.layStripes(ctx, d, s)
	}
	for some := range slices.Chunk(ids, listMost) {
		d.clear(some)
		s.Devices = some
		if err := w.lay(ctx, d, s); err != nil {
			return err
		}
	}
	return nil
}

// listMost is how many devices a statement names, twice perhaps: its text is read up to
// 256 KiB.
const listMost = 5_000

// lay adds what a series counts to bins that there are.
func (w *Warehouse) lay(ctx context.Context, d *dayOfBins, s analyzer.Series) error {
	b, err := w.binsOf(ctx, s)
	if err != nil {
		return err
	}
	d.add(b)
	return nil
}

// drop gives the bins before an instant up.
func (d *dayOfBins) drop(from int64) {
	n := int((from - d.from) / d.step)
	d.bins, d.from = slices.Delete(d.bins, 0, n), from
}

// extend adds empty bins behind.
func (d *dayOfBins) extend(n int) {
	for range n {
		d.bins = append(d.bins, newBinColumn(len(d.device)))
		d.to += d.step
	}
}

func newBinColumn(devices int) binColumn {
	return binColumn{in: make([]uint16, devices), out: make([]uint16, devices), rows: make([]uint8, devices)}
}

// clear empties the bins of some devices.
func (d *dayOfBins) clear(ids []telemetry.DeviceID) {
	for _, id := range ids {
		if row, found := slices.BinarySearch(d.device, uint64(id)); found {
			for i := range d.bins {
				d.bins[i].set(row, uint64(id), binSums{})
			}
		}
	}
}

// add adds the bins of a reading of the engine, which begin with any of these.
func (d *dayOfBins) add(b *binning) {
	var fresh []uint64
	row, found := 0, false
	for _, run := range b.runs {
		if row, found = placeOf(d.device, run.device, row); !found {
			fresh = append(fresh, run.device)
		}
	}
	d.admit(fresh)
	first, at := int((b.from-d.from)/d.step), 0
	row = 0
	for _, run := range b.runs {
		row, _ = placeOf(d.device, run.device, row)
		for ; at < run.end; at++ {
			s := b.bins[at]
			c := &d.bins[first+int(s.bin)]
			sum := c.at(row, run.device)
			c.set(row, run.device, binSums{sum.in + s.in, sum.out + s.out, sum.rows + s.rows})
		}
	}
}

// admit takes in devices that had no reading before.
func (d *dayOfBins) admit(fresh []uint64) {
	slices.Sort(fresh)
	if fresh = slices.Compact(fresh); len(fresh) == 0 {
		return
	}
	old := d.device
	d.device = union(old, fresh)
	rows := placesOf(d.device, old)
	for i := range d.bins {
		was := d.bins[i]
		c := newBinColumn(len(d.device))
		c.great = was.great
		for j, row := range rows {
			c.in[row], c.out[row], c.rows[row] = was.in[j], was.out[j], was.rows[j]
		}
		d.bins[i] = c
	}
}

// record makes the answer to a series of the devices from first to last.
func (d *dayOfBins) record(first, last telemetry.DeviceID) (arrow.Record, error) {
	lo, _ := slices.BinarySearch(d.device, uint64(first))
	hi, found := slices.BinarySearch(d.device, uint64(last))
	if found {
		hi++
	}
	parts := runtime.GOMAXPROCS(0)
	begins := make([]int, parts+1) // of their rows in the record
	bound := func(part int) int { return lo + (hi-lo)*part/parts }
	for part := range parts {
		begins[part+1] = begins[part] + d.filled(bound(part), bound(part+1))
	}
	n := begins[parts]
	r := seriesColumns{make([]uint64, n), make([]uint32, n), make([]float64, n), make([]float64, n), make([]float64, n)}
	var group errgroup.Group
	for part := range parts {
		group.Go(func() error { d.fill(r, begins[part], bound(part), bound(part+1)); return nil })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return r.record(), nil
}

// filled counts the bins with readings of some rows.
func (d *dayOfBins) filled(lo, hi int) (n int) {
	for i := range d.bins {
		for _, rows := range d.bins[i].rows[lo:hi] {
			if rows > 0 {
				n++
			}
		}
	}
	return n
}

// fill writes the bins of some rows into columns, from a place on.
func (d *dayOfBins) fill(r seriesColumns, at, lo, hi int) {
	for row := lo; row < hi; row++ {
		for i := range d.bins {
			if c := &d.bins[i]; c.rows[row] > 0 {
				s := c.at(row, d.device[row])
				r.device[at], r.bin[at], r.in[at], r.out[at], r.rows[at] = d.device[row], uint32(i), s.in, s.out, s.rows
				at++
			}
		}
	}
}

// seriesColumns is the columns of a series' record.
type seriesColumns struct {
	device        []uint64
	bin           []uint32
	in, out, rows []float64
}

// record makes a record of the columns, which it owns from then on.
func (c seriesColumns) record() arrow.Record {
	n := len(c.device)
	var columns []arrow.Array
	for i, b := range [][]byte{arrow.Uint64Traits.CastToBytes(c.device), arrow.Uint32Traits.CastToBytes(c.bin), arrow.Float64Traits.CastToBytes(c.in),
		arrow.Float64Traits.CastToBytes(c.out), arrow.Float64Traits.CastToBytes(c.rows)} {
		data := array.NewData(seriesSchema.Field(i).Type, n, []*memory.Buffer{nil, memory.NewBufferBytes(b)}, nil, 0, 0)
		columns = append(columns, array.MakeFromData(data))
		data.Release()
	}
	defer func() {
		for _, c := range columns {
			c.Release()
		}
	}()
	return array.NewRecord(seriesSchema, columns, int64(n))
}

var seriesSchema = arrow.NewSchema([]arrow.Field{
	{Name: "device", Type: arrow.PrimitiveTypes.Uint64}, {Name: "bin", Type: arrow.PrimitiveTypes.Uint32},
	{Name: "in", Type: arrow.PrimitiveTypes.Float64}, {Name: "out", Type: arrow.PrimitiveTypes.Float64}, {Name: "rows", Type: arrow.PrimitiveTypes.Float64},
}, nil)
