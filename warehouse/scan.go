package warehouse

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"belfry/analyzer"
	"belfry/telemetry"
)

// maxListed is how many devices a scan names one by one; a longer list reads
// every device, which is cheaper than looking each row up in it.
const maxListed = 2000

// ahead is how far a reading's time may be ahead of its arrival (see ingest).
const ahead = 24 * time.Hour

// Scan answers an analyzer's scan; it is an analyzer.Query. Last arrivals, clocks, readings
// that came again and sums of counts have ways of their own; for the rest one statement reads each
// kind of reading at most once, whatever the number of columns.
func (w *Warehouse) Scan(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	var answers []answer
	defer func() {
		for _, a := range answers {
			a.record.Release()
		}
	}()
	sum := func(c analyzer.Column) bool { return w.alone() && isSum(c) }
	plain := func(c analyzer.Column) bool { return !isLast(c) && !isClock(c) && !isResent(c) && !sum(c) }
	for _, way := range []struct {
		takes func(analyzer.Column) bool
		ask   func(context.Context, analyzer.Scan) (arrow.Record, error)
	}{{isLast, w.lastArrivals}, {isClock, w.clocks}, {isResent, w.resent}, {sum, w.sums}, {plain, w.scan}} {
		part, places := analyzer.Scan{AsOf: s.AsOf, Devices: s.Devices}, []int(nil)
		for i, c := range s.Columns {
			if way.takes(c) {
				part.Columns, places = append(part.Columns, c), append(places, i)
			}
		}
		if len(places) == 0 {
			continue
		}
		r, err := way.ask(ctx, part)
		if err != nil {
			return nil, err
		}
		answers = append(answers, answer{places, r})
	}
	if len(answers) == 1 {
		answers[0].record.Retain()
		return answers[0].record, nil
	}
	return join(answers, len(s.Columns)), nil
}

func isLast(c analyzer.Column) bool  { return c.Fn == analyzer.LastArrival }
func isClock(c analyzer.Column) bool { return c.Fn == analyzer.Skew || c.Fn == analyzer.SkewSpread }
func isResent(c analyzer.Column) bool {
	return c.Fn == analyzer.ResentSame || c.Fn == analyzer.ResentChanged
}

// scan answers a scan by one statement.
func (w *Warehouse) scan(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	sql, params := scanSQL(s)
	out, err := w.Query(ctx, "scan", sql, "ArrowStream", params)
	if err != nil {
		return nil, err
	}
	r, err := readArrow(out)
	if err != nil {
		return nil, fmt.Errorf("read the columns of a scan: %w", err)
	}
	return r, nil
}

// scanSQL writes a scan as one SELECT: a part for each source that the columns
// need, each with its own columns filled and the others null, and over them a
// grouping by device.
func scanSQL(s analyzer.Scan) (sql string, params map[string]string) {
	b := &scanBuilder{scan: s, params: map[string]string{"asof": millis(s.AsOf), "top": millis(s.AsOf.Add(ahead))}}
	if n := len(s.Devices); s.Devices != nil && n <= maxListed {
		b.params["devices"] = idList(s.Devices)
		b.listed = "AND device IN {devices:Array(UInt64)}"
	}
	var parts []string
	for _, source := range []scanSource{counts, heartbeats} {
		parts = append(parts, b.windows(source), b.firstArrivals(source))
	}
	parts = append(append(append(parts, b.onArrivals()...), b.slopes()...), b.totals()...)
	outer := []string{"device"}
	for i, c := range s.Columns {
		outer = append(outer, fmt.Sprintf("%s(c%d) AS c%d", combine(c.Fn), i, i))
	}
	return "SELECT " + strings.Join(outer, ", ") +
		" FROM (" + strings.Join(nonEmpty(parts), " UNION ALL ") + ") GROUP BY device ORDER BY device" +
		" SETTINGS output_format_arrow_compression_method = 'none', optimize_aggregation_in_order = 1", b.params
}

// scanSource is a table of readings of one kind.
type scanSource struct {
	kind    telemetry.Kind
	table   string
	last    string // the columns of the version that counts, as a tuple
	ts      string // the column of raw_latest
	arrival string // the same
}

var (
	counts     = scanSource{telemetry.Count, "raw_counts", "(`in`, `out`)", "count_ts", "count_arrival"}
	heartbeats = scanSource{telemetry.Heartbeat, "raw_heartbeats", "measurements", "heartbeat_ts", "heartbeat_arrival"}
)

func (s scanSource) has(c analyzer.Column) bool { return c.Kind == 0 || c.Kind == s.kind }

type scanBuilder struct {
	scan   analyzer.Scan
	params map[string]string
	listed string // the condition on the devices, or ""
}

const arrived = "toUnixTimestamp64Milli(ts) + delay"

// windows returns the part for the columns that look at a window of ts; "" when
// the source has none. Of a reading's versions the last to have arrived counts.
func (b *scanBuilder) windows(s scanSource) string {
	columns, any := b.columns(func(i int, c analyzer.Column) string {
		if !s.has(c) || !onTime(c) {
			return ""
		}
		return b.aggregate(i, c)
	})
	if !any {
		return ""
	}
	return fmt.Sprintf("SELECT device, %s FROM (SELECT device, ts, argMax(%s, (delay, offset)) AS last FROM {db}.%s"+
		" WHERE %s <= {asof:Int64} %s %s GROUP BY toDate(ts), device, ts) GROUP BY device",
		columns, s.last, s.table, arrived, b.span(s), b.listed)
}

// firstArrivals returns the part for the columns that ask when a device was first
// heard of; "" when there is none.
func (b *scanBuilder) firstArrivals(s scanSource) string {
	columns, any := b.columns(func(_ int, c analyzer.Column) string {
		if s.has(c) && c.Fn == analyzer.FirstArrival {
			return "min(" + arrived + ") / 1000"
		}
		return ""
	})
	if !any {
		return ""
	}
	return fmt.Sprintf("SELECT device, %s FROM {db}.%s WHERE %s %s GROUP BY device", columns, s.table, b.arrived(), b.listed)
}

// arrived returns the condition that a reading had arrived by AsOf. The bound on
// ts follows from it, and lets the engine leave later parts alone.
func (b *scanBuilder) arrived() string {
	return arrived + " <= {asof:Int64} AND ts <= fromUnixTimestamp64Milli({top:Int64}, 'UTC')"
}

// columns writes every column of the scan: what of returns, or null.
func (b *scanBuilder) columns(of func(int, analyzer.Column) string) (list string, any bool) {
	var out []string
	for i, c := range b.scan.Columns {
		expr := of(i, c)
		any = any || expr != ""
		if expr == "" {
			expr = "NULL"
		}
		out = append(out, fmt.Sprintf("CAST(%s AS Nullable(Float64)) AS c%d", expr, i))
	}
	return strings.Join(out, ", "), any
}

func (b *scanBuilder) aggregate(i int, c analyzer.Column) string {
	within := window(c)
	switch c.Fn {
	case analyzer.SumIn:
		return "sumOrNullIf(tupleElement(last, 1), " + within + ")"
	case analyzer.SumOut:
		return "sumOrNullIf(tupleElement(last, 2), " + within + ")"
	case analyzer.SumTotal:
		return "sumOrNullIf(toUInt64(tupleElement(last, 1)) + tupleElement(last, 2), " + within + ")"
	case analyzer.Rows:
		return "countIf(" + within + ")"
	}
	name := fmt.Sprintf("m%d", i)
	b.params[name] = c.Measure
	value := "last[{" + name + ":String}]"
	within += " AND mapContains(last, {" + name + ":String})"
	switch c.Fn {
	case analyzer.Last:
		return "argMaxOrNullIf(" + value + ", ts, " + within + ")"
	case analyzer.Avg:
		return "avgOrNullIf(" + value + ", " + within + ")"
	case analyzer.Resets:
		return falls(value, within)
	case analyzer.Min:
		return "minOrNullIf(" + value + ", " + within + ")"
	default:
		return "maxOrNullIf(" + value + ", " + within + ")"
	}
}

// span returns the condition on ts that holds all windows of the source.
func (b *scanBuilder) span(s scanSource) string {
	var from, to time.Time
	openFrom, openTo := false, false
	for _, c := range b.scan.Columns {
		if !s.has(c) || !onTime(c) {
			continue
		}
		openFrom, openTo = openFrom || c.From.IsZero(), openTo || c.To.IsZero()
		if from.IsZero() || c.From.Before(from) {
			from = c.From
		}
		if c.To.After(to) {
			to = c.To
		}
	}
	if top := b.scan.AsOf.Add(ahead); openTo || to.After(top) {
		to = top
	}
	if openFrom {
		from = time.Time{}
	}
	return "AND " + between(from, to)
}

func window(c analyzer.Column) string { return between(c.From, c.To) }

// between writes the condition that ts is in (from, to]; zero is no bound.
func between(from, to time.Time) string {
	var bounds []string
	if !from.IsZero() {
		bounds = append(bounds, "ts > fromUnixTimestamp64Milli("+millis(from)+", 'UTC')")
	}
	if !to.IsZero() {
		bounds = append(bounds, "ts <= fromUnixTimestamp64Milli("+millis(to)+", 'UTC')")
	}
	if bounds == nil {
		return "1"
	}
	return strings.Join(bounds, " AND ")
}

// onTime reports whether the column is an aggregate of readings over a window of ts.
func onTime(c analyzer.Column) bool {
	return c.Fn != analyzer.LastArrival && c.Fn != analyzer.FirstArrival && c.Fn != analyzer.Slope && !c.Fn.OnArrivals() && !c.OfTotals()
}

// combine returns the aggregate that joins a column's values of both kinds.
func combine(fn analyzer.Fn) string {
	switch fn {
	case analyzer.Rows:
		return "sum"
	case analyzer.FirstArrival:
		return "min"
	}
	return "max"
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func idList(ids []telemetry.DeviceID) string {
	b := []byte{'['}
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	return string(append(b, ']'))
}

func nonEmpty(list []string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

// readArrow reads an Arrow stream into one record, which the caller releases.
func readArrow(stream []byte) (arrow.Record, error) {
	r, err := ipc.NewReader(bytes.NewReader(stream))
	if err != nil {
		return nil, err
	}
	defer r.Release()
	var batches []arrow.Record
	defer func() {
		for _, b := range batches {
			b.Release()
		}
	}()
	for r.Next() {
		b := r.Record()
		b.Retain()
		batches = append(batches, b)
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(batches) == 1 {
		batches[0].Retain()
		return batches[0], nil
	}
	return concatenate(r.Schema(), batches)
}

func concatenate(schema *arrow.Schema, batches []arrow.Record) (arrow.Record, error) {
	columns := make([]arrow.Array, schema.NumFields())
	defer func() {
		for _, c := range columns {
			if c != nil {
				c.Release()
			}
		}
	}()
	var rows int64
	for _, b := range batches {
		rows += b.NumRows()
	}
	for i := range columns {
		parts := make([]arrow.Array, len(batches))
		for j, b := range batches {
			parts[j] = b.Column(i)
		}
		if len(parts) == 0 {
			columns[i] = array.MakeArrayOfNull(memory.DefaultAllocator, schema.Field(i).Type, 0)
			continue
		}
		var err error
		if columns[i], err = array.Concatenate(parts, memory.DefaultAllocator); err != nil {
			return nil, err
		}
	}
	return array.NewRecord(schema, columns, rows), nil
}
