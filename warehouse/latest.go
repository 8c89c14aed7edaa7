package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"belfry/analyzer"
	"belfry/telemetry"
)

// latest answers for the last arrival of every device as of an instant, the column
// that nearly every rule of absence looks at.
//
// What was last heard of each device is kept by the engine (raw_latest). For a device
// that was not heard of after the instant that is the answer, whatever else arrived
// late or was replayed. One that was heard of later needs the last arrival up to the
// instant: it is the one that was known as of the instant before, or one that arrived
// in between, and those few rows are read: of what came in time by its time, of what
// came late from raw_late, which is ordered by arrival. So nothing of what is kept
// here decides alone, and without it, or when the instant before lies too far back, the
// devices in question are looked up among all their readings.
type latest struct {
	mu     sync.Mutex
	asOf   int64 // of what is kept, milliseconds; 0: nothing
	device []uint64
	last   [2][]int64 // by kind (count, heartbeat): milliseconds; 0: never heard of
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
// of an instant. The slices are the callee's and not changed later.
func (w *Warehouse) arrivals(ctx context.Context, asOf time.Time) (device []uint64, last [2][]int64, err error) {
	l := &w.latest
	l.mu.Lock()
	defer l.mu.Unlock()
	at := asOf.UnixMilli()
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
		l.asOf, l.device, l.last = at, device, last
	}
	return device, last, nil
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
	known, from := l.before(k, at)
	if known == nil {
		if err := w.lookUp(ctx, kinds[k], at, found); err != nil {
			return err
		}
	} else if err := w.between(ctx, kinds[k], from, at, "", found); err != nil {
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

// before returns what is kept of a kind, when it is of an instant shortly before.
func (l *latest) before(k int, at int64) (known []int64, asOf int64) {
	if l.asOf == 0 || l.asOf > at || at-l.asOf > maxStep.Milliseconds() {
		return nil, 0
	}
	return l.last[k], l.asOf
}

// between brings found, which has the devices in question, up to their last arrival in
// (from, to].
func (w *Warehouse) between(ctx context.Context, s scanSource, from, to int64, which string, found map[uint64]int64) error {
	if from == to {
		return nil
	}
	begin, end := time.UnixMilli(from).Add(-late), time.UnixMilli(to).Add(ahead)
	return w.arrivalsOf(ctx, found, fmt.Sprintf("SELECT device, %[1]s AS arrived FROM {db}.%[2]s WHERE %[3]s AND %[1]s > %[4]d AND %[1]s <= %[5]d %[7]s UNION ALL "+
		"SELECT device, toUnixTimestamp64Milli(arrival) AS arrived FROM {db}.raw_late WHERE kind = %[6]d AND arrival > fromUnixTimestamp64Milli(%[4]d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%[5]d, 'UTC') %[7]s",
		arrived, s.table, between(begin, end), from, to, s.kind, which))
}

// lookUp finds the last arrival up to an instant of the devices in found: of most among
// what arrived on the last day, of the others among all that there is.
func (w *Warehouse) lookUp(ctx context.Context, s scanSource, at int64, found map[uint64]int64) error {
	from := at - recent.Milliseconds()
	newer := fmt.Sprintf("AND device IN (SELECT device FROM {db}.raw_latest GROUP BY device HAVING toUnixTimestamp64Milli(max(%s)) > %d)", s.arrival, at)
	if err := w.between(ctx, s, from, at, newer, found); err != nil {
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
	err := w.arrivalsOf(ctx, missed, fmt.Sprintf("SELECT device, max(%s) FROM {db}.%s WHERE %s <= %d AND ts <= fromUnixTimestamp64Milli(%d, 'UTC') %s GROUP BY device",
		arrived, s.table, arrived, at, at+ahead.Milliseconds(), newer))
	maps.Copy(found, missed)
	return err
}

// arrivalsOf runs a statement of devices and arrivals, and brings those in found up to
// the greatest of each.
func (w *Warehouse) arrivalsOf(ctx context.Context, found map[uint64]int64, sql string) error {
	err := w.stream(ctx, sql+" SETTINGS output_format_arrow_compression_method = 'none'", func(r arrow.Record) error {
		device, at := r.Column(0).(*array.Uint64).Uint64Values(), r.Column(1).(*array.Int64).Int64Values()
		for i, d := range device {
			if v, asked := found[d]; asked && at[i] > v {
				found[d] = at[i]
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read arrivals: %w", err)
	}
	return nil
}

// lastArrivals is the part of a scan that asks for last arrivals: a record of them.
func (w *Warehouse) lastArrivals(ctx context.Context, s analyzer.Scan, columns []analyzer.Column) (arrow.Record, error) {
	device, last, err := w.arrivals(ctx, s.AsOf)
	if err != nil {
		return nil, err
	}
	if s.Devices != nil {
		device, last = only(device, last, s.Devices)
	}
	fields := []arrow.Field{{Name: "device", Type: arrow.PrimitiveTypes.Uint64}}
	for i := range columns {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer b.Release()
	b.Field(0).(*array.Uint64Builder).AppendValues(device, nil)
	for i, c := range columns {
		values, valid := lastColumn(last, c.Kind)
		b.Field(1+i).(*array.Float64Builder).AppendValues(values, valid)
	}
	return b.NewRecord(), nil
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

// lastColumn returns the last arrivals of a kind, 0 for both, in seconds, and where
// there is one.
func lastColumn(last [2][]int64, kind telemetry.Kind) (values []float64, valid []bool) {
	values, valid = make([]float64, len(last[0])), make([]bool, len(last[0]))
	for i := range values {
		v := int64(0)
		for k, s := range kinds {
			if kind == 0 || kind == s.kind {
				v = max(v, last[k][i])
			}
		}
		values[i], valid[i] = float64(v)/1e3, v > 0
	}
	return values, valid
}

// join brings two records of columns by device together: those devices that either
// has, and the columns in the order that from says (place among a's columns, or
// behind them among b's).
func join(a, b arrow.Record, from []int) arrow.Record {
	left, right := a.Column(0).(*array.Uint64).Uint64Values(), b.Column(0).(*array.Uint64).Uint64Values()
	var device []uint64
	var rows [2][]int
	for i, j := 0, 0; i < len(left) || j < len(right); {
		x, y := i, j
		switch {
		case j == len(right) || i < len(left) && left[i] < right[j]:
			y, i = -1, i+1
		case i == len(left) || right[j] < left[i]:
			x, j = -1, j+1
		default:
			i, j = i+1, j+1
		}
		rows[0], rows[1] = append(rows[0], x), append(rows[1], y)
		if x >= 0 {
			device = append(device, left[x])
		} else {
			device = append(device, right[y])
		}
	}
	fields := []arrow.Field{{Name: "device", Type: arrow.PrimitiveTypes.Uint64}}
	for i := range from {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	out := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema(fields, nil))
	defer out.Release()
	out.Field(0).(*array.Uint64Builder).AppendValues(device, nil)
	for i, place := range from {
		side, source := 0, a
		if n := int(a.NumCols()) - 1; place >= n {
			side, source, place = 1, b, place-n
		}
		column := source.Column(1 + place).(*array.Float64)
		values, valid := make([]float64, len(device)), make([]bool, len(device))
		for r, row := range rows[side] {
			if row >= 0 && column.IsValid(row) {
				values[r], valid[r] = column.Value(row), true
			}
		}
		out.Field(1+i).(*array.Float64Builder).AppendValues(values, valid)
	}
	return out.NewRecord()
}
