package warehouse

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/telemetry"
	"belfry/warehouse/chdb"
)

// latest answers for the last arrival of every device as of an instant, the column
// that nearly every rule of absence looks at.
//
// With the engine inside the process it is kept from one instant to the next, with what
// arrived in between: those few rows are read, of what came in time by its time, of what
// came late from raw_late, which is ordered by arrival. What arrived before and was
// inserted since, as when somebody replays last week or asked ahead of the log, Insert
// tells of (came), and then everything is asked anew. Into servers other processes insert
// too, and it is always asked anew.
//
// Anew means: what was last heard of each device is kept by the engine (raw_latest). For
// a device that was not heard of after the instant that is the answer, whatever else
// arrived late or was replayed. One that was heard of later needs the last arrival up to
// the instant, and is looked up among its readings: those since the instant before when
// that is near, else all.
type latest struct {
	came arrivedSince

	mu     sync.Mutex
	asOf   int64 // of what is kept, milliseconds; 0: nothing
	device []uint64
	last   [2][]int64 // by kind (count, heartbeat): milliseconds; 0: never heard of
	ticks  *ticks     // nil until somebody asks how clocks stand
}

// arrivedSince is the least arrival of what was inserted, in milliseconds; 0 is nothing.
type arrivedSince struct{ least atomic.Int64 }

// note notes the least arrival of rows that are in the warehouse now.
func (a *arrivedSince) note(arrival int64) {
	arrival = max(arrival, 1)
	for {
		was := a.least.Load()
		if was != 0 && was <= arrival || a.least.CompareAndSwap(was, arrival) {
			return
		}
	}
}

// by reports whether something that arrived by an instant was inserted since the last call.
func (a *arrivedSince) by(at int64) bool {
	least := a.least.Swap(0)
	return least != 0 && least <= at
}

// maxStep is how far the instants may lie apart for the rows between them to be read.
const maxStep = time.Hour

// recent is the span of arrival in which a device is looked for first.
const recent = 26 * time.Hour

// late is the least delay of what is in raw_late, see its migration.
const late = analyzer.LateAfter

// kinds are the tables of readings, in the order of latest.last.
var kinds = [2]scanSource{counts, heartbeats}

// arrivals returns, for the devices in ascending order, the last arrival by kind as
// of an instant. The caller holds the mutex for as long as it reads the slices.
func (w *Warehouse) arrivals(ctx context.Context, asOf time.Time) (device []uint64, last [2][]int64, err error) {
	l, at := &w.latest, asOf.UnixMilli()
	if l.came.by(l.asOf) {
		l.asOf = 0
	}
	if w.alone() && l.near(at) {
		if err := w.carry(ctx, l, at); err != nil {
			l.asOf = 0 // some of it is of the one instant, some of the other
			return nil, last, err
		}
		return l.device, l.last, nil
	}
	device, last, err = w.heardOf(ctx)
	if err != nil {
		return nil, last, err
	}
	for k := range kinds {
		if err := w.putBack(ctx, l, k, device, last[k], asOf); err != nil {
			return nil, last, err
		}
	}
	if at >= l.asOf {
		l.asOf, l.device, l.last, l.ticks = at, device, last, nil
	}
	return device, last, nil
}

// alone reports whether nobody inserts but through Insert here: the engine is in the
// process, which holds its folder.
func (w *Warehouse) alone() bool {
	_, within := w.engine.(*chdb.Engine)
	return within
}

// near reports whether what is kept is of an instant shortly before.
func (l *latest) near(at int64) bool {
	return l.asOf != 0 && l.asOf <= at && at-l.asOf <= maxStep.Milliseconds()
}

// cameRow is a row that arrived: the kind by its place in kinds, times in milliseconds.
type cameRow struct {
	device      uint64
	row         int // of latest
	kind        int
	came, delay int64
}

// carry takes in what arrived since the instant of what is kept, of both kinds at a time.
func (w *Warehouse) carry(ctx context.Context, l *latest, at int64) error {
	if l.asOf == at {
		return nil
	}
	if l.ticks != nil && at-l.ticks.asked > unasked.Milliseconds() {
		l.ticks = nil
	}
	var fresh, known [len(kinds)][]cameRow // of devices that were not heard of before; of the others for their ticks
	group, ctx := errgroup.WithContext(ctx)
	for k, s := range kinds {
		group.Go(func() error {
			a := cameRow{kind: k}
			return w.arrivalsOf(ctx, sinceSQL(s, l.asOf, at, "", l.ticks != nil), func(d uint64, came, delay int64) {
				var found bool
				a.device, a.came, a.delay = d, came, delay
				if a.row, found = l.place(d, a.row); !found {
					fresh[k] = append(fresh[k], a)
					return
				}
				l.last[k][a.row] = max(l.last[k][a.row], came)
				if l.ticks != nil {
					known[k] = append(known[k], a)
				}
			})
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for k := range kinds {
		l.tick(known[k])
	}
	l.admit(slices.Concat(fresh[:]...))
	l.asOf = at
	return nil
}

// tick takes rows in where the last readings are kept.
func (l *latest) tick(rows []cameRow) {
	for _, a := range rows {
		if l.ticks != nil && !l.ticks.take(&l.ticks.rings[a.row], a.kind, a.came, a.delay) {
			l.ticks.stale[a.device] = true
		}
	}
}

// place returns the row of a device, or the one behind which it belongs, see placeOf.
func (l *latest) place(d uint64, near int) (row int, found bool) { return placeOf(l.device, d, near) }

// placeOf returns where a device is among ascending ones, or the place behind which it
// belongs. Rows come nearly in the order of devices: it is looked for on from a place near it.
func placeOf(device []uint64, d uint64, near int) (row int, found bool) {
	if near >= len(device) || device[near] > d {
		near = 0
	}
	step := 1
	for near+step < len(device) && device[near+step] < d {
		near, step = near+step, 2*step
	}
	row, found = slices.BinarySearch(device[near:min(near+step+1, len(device))], d)
	return near + row, found
}

// admit takes in rows of devices that were not heard of before.
func (l *latest) admit(fresh []cameRow) {
	if len(fresh) == 0 {
		return
	}
	var theirs []uint64
	for _, a := range fresh {
		theirs = append(theirs, a.device)
	}
	slices.Sort(theirs)
	device := union(l.device, slices.Compact(theirs))
	rows := placesOf(device, l.device)
	for k, last := range l.last {
		l.last[k] = make([]int64, len(device))
		for i, row := range rows {
			l.last[k][row] = last[i]
		}
	}
	if l.ticks != nil {
		rings := make([]ring, len(device))
		for i, row := range rows {
			rings[row] = l.ticks.rings[i]
		}
		l.ticks.rings = rings
	}
	l.device = device
	for i := range fresh {
		a := &fresh[i]
		a.row, _ = l.place(a.device, 0)
		l.last[a.kind][a.row] = max(l.last[a.kind][a.row], a.came)
	}
	l.tick(fresh)
}

// heardOf reads what was last heard of each device.
func (w *Warehouse) heardOf(ctx context.Context) (device []uint64, last [2][]int64, err error) {
	out, err := w.Query(ctx, "latest", "SELECT device, toUnixTimestamp64Milli(count_arrival), toUnixTimestamp64Milli(heartbeat_arrival)"+
		" FROM {db}.raw_latest FINAL ORDER BY device SETTINGS output_format_arrow_compression_method = 'none'", "ArrowStream", nil)
	if err != nil {
		return nil, last, err
	}
	r, err := readArrow(out)
	if err != nil {
		return nil, last, fmt.Errorf("read what was last heard of the devices: %w", err)
	}
	defer r.Release()
	device = slices.Clone(r.Column(0).(*array.Uint64).Uint64Values())
	for k := range last {
		last[k] = slices.Clone(r.Column(1 + k).(*array.Int64).Int64Values())
	}
	return device, last, nil
}

// putBack replaces arrivals after an instant by the last ones before.
func (w *Warehouse) putBack(ctx context.Context, l *latest, k int, device []uint64, last []int64, asOf time.Time) error {
	at := asOf.UnixMilli()
	var newer []int // rows
	for i, v := range last {
		if v > at {
			newer = append(newer, i)
		}
	}
	if len(newer) == 0 {
		return nil
	}
	found := make(map[uint64]int64, len(newer))
	for _, i := range newer {
		found[device[i]] = 0
	}
	var known []int64
	if l.near(at) {
		known = l.last[k]
		if err := w.arrivalsOf(ctx, sinceSQL(kinds[k], l.asOf, at, "", false), bringUp(found)); err != nil {
			return err
		}
	} else if err := w.lookUp(ctx, kinds[k], at, found); err != nil {
		return err
	}
	j := 0
	for _, i := range newer {
		last[i] = found[device[i]]
		for known != nil && j < len(l.device) && l.device[j] < device[i] {
			j++
		}
		if known != nil && j < len(l.device) && l.device[j] == device[i] {
			last[i] = max(last[i], known[j])
		}
	}
	return nil
}

// sinceSQL writes a statement for the devices and arrivals, and the delays when they are
// wanted, of what arrived in (from, to]: of what came in time by its time, of the rest from
// raw_late.
func sinceSQL(s scanSource, from, to int64, which string, delays bool) string {
	begin, end, delay, its := time.UnixMilli(from).Add(-late), time.UnixMilli(to).Add(ahead), "", ""
	if delays {
		delay, its = ", delay", ", came - toUnixTimestamp64Milli(ts) AS delay"
	}
	return fmt.Sprintf("SELECT device, %[1]s AS came%[8]s FROM {db}.%[2]s WHERE %[3]s AND delay < %[10]d AND came > %[4]d AND came <= %[5]d %[7]s UNION ALL "+
		"SELECT device, toUnixTimestamp64Milli(arrival) AS came%[9]s FROM {db}.raw_late WHERE kind = %[6]d AND arrival > fromUnixTimestamp64Milli(%[4]d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%[5]d, 'UTC') %[7]s",
		arrived, s.table, between(begin, end), from, to, s.kind, which, delay, its, late.Milliseconds())
}

// bringUp brings those devices that are in found up to the greatest arrival of each.
func bringUp(found map[uint64]int64) func(device uint64, came, delay int64) {
	return func(d uint64, came, _ int64) {
		if v, asked := found[d]; asked && came > v {
			found[d] = came
		}
	}
}

// lookUp finds the last arrival up to an instant of the devices in found: of most among
// what arrived on the last day, of the others among all that there is.
func (w *Warehouse) lookUp(ctx context.Context, s scanSource, at int64, found map[uint64]int64) error {
	from := at - recent.Milliseconds()
	newer := fmt.Sprintf("AND device IN (SELECT device FROM {db}.raw_latest GROUP BY device HAVING toUnixTimestamp64Milli(max(%s)) > %d)", s.arrival, at)
	if err := w.arrivalsOf(ctx, sinceSQL(s, from, at, newer, false), bringUp(found)); err != nil {
		return err
	}
	missed := map[uint64]int64{}
	var ids []telemetry.DeviceID
	for d, v := range found {
		if v <= at-(recent-time.Hour).Milliseconds() { // what came before might be later than what was found
			missed[d] = 0
			ids = append(ids, telemetry.DeviceID(d))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if len(ids) <= maxListed {
		newer = "AND device IN " + idList(ids)
	}
	err := w.arrivalsOf(ctx, fmt.Sprintf("SELECT device, max(%s) FROM {db}.%s WHERE %s <= %d AND ts <= fromUnixTimestamp64Milli(%d, 'UTC') %s GROUP BY device",
		arrived, s.table, arrived, at, at+ahead.Milliseconds(), newer), bringUp(missed))
	maps.Copy(found, missed)
	return err
}

// arrivalsOf runs a statement of devices, arrivals and perhaps delays, and visits its rows.
func (w *Warehouse) arrivalsOf(ctx context.Context, sql string, visit func(device uint64, came, delay int64)) error {
	defer w.metrics.time("arrivals", time.Now())
	err := w.stream(ctx, sql+" SETTINGS output_format_arrow_compression_method = 'none'", func(r arrow.Record) error {
		came := r.Column(1).(*array.Int64).Int64Values()
		delay := came // of no matter
		if r.NumCols() > 2 {
			delay = r.Column(2).(*array.Int64).Int64Values()
		}
		for i, d := range r.Column(0).(*array.Uint64).Uint64Values() {
			visit(d, came[i], delay[i])
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read arrivals: %w", err)
	}
	return nil
}

// lastArrivals is the part of a scan that asks for last arrivals: a record of them.
func (w *Warehouse) lastArrivals(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	w.latest.mu.Lock()
	defer w.latest.mu.Unlock()
	device, last, err := w.arrivals(ctx, s.AsOf)
	if err != nil {
		return nil, err
	}
	if s.Devices != nil {
		device, last = only(device, last, s.Devices)
	}
	values := make([][]float64, len(s.Columns))
	for i, c := range s.Columns {
		values[i] = lastColumn(last, c.Kind)
	}
	return newRecord(device, values), nil
}

// only keeps the devices that are wanted; both lists ascend.
func only(device []uint64, last [2][]int64, wanted []telemetry.DeviceID) (some []uint64, theirs [2][]int64) {
	for _, id := range wanted {
		if i, ok := slices.BinarySearch(device, uint64(id)); ok {
			some = append(some, device[i])
			for k := range theirs {
				theirs[k] = append(theirs[k], last[k][i])
			}
		}
	}
	return some, theirs
}

// lastColumn returns the last arrivals of a kind, 0 for both, in seconds; NaN where there
// is none.
func lastColumn(last [2][]int64, kind telemetry.Kind) []float64 {
	values := make([]float64, len(last[0]))
	for i := range values {
		v := int64(0)
		for k, s := range kinds {
			if kind == 0 || kind == s.kind {
				v = max(v, last[k][i])
			}
		}
		values[i] = float64(v) / 1e3
		if v == 0 {
			values[i] = math.NaN()
		}
	}
	return values
}
