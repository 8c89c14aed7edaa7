package warehouse

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
	"unsafe"

	"github.com/ClickHouse/ch-go/proto"

	"belfry/telemetry"
)

// encoder turns a batch into ClickHouse's Native format, in memory that it keeps.
type encoder struct {
	order   order
	sorted  telemetry.Batch
	touched touched
	heard   heard

	buf   proto.Buffer
	delay proto.ColInt64
	fw    *proto.ColLowCardinality[string]
	names *proto.ColLowCardinality[string]
	ends  proto.ColUInt64
}

func newEncoder() *encoder {
	return &encoder{fw: new(proto.ColStr).LowCardinality(), names: new(proto.ColStr).LowCardinality()}
}

const timeType = proto.ColumnType("DateTime64(3, 'UTC')")

// Insert puts the batch into the warehouse. When it returns nil all of it is
// there; after an error some of it may be, and inserting it again is harmless.
// What is noted beside readings (when devices were last heard of, and which hours
// are to be made anew) is there when Insert returns nil for a batch without More,
// and then that of all batches before it.
// The batch is the caller's again when it returns.
func (w *Warehouse) Insert(ctx context.Context, b *telemetry.Batch) error {
	defer w.metrics.time("insert", time.Now())
	defer w.noteArrivals(b)
	e := w.insert.Get().(*encoder)
	defer w.insert.Put(e)
	e.heard.reset()
	e.touched.reset()
	if err := w.insertCounts(ctx, e, &b.Counts); err != nil {
		return err
	}
	if b.Totals.Len() > 0 {
		between, err := w.insertTotals(ctx, e, &b.Totals)
		if err == nil {
			err = w.insertCounts(ctx, e, &between)
		}
		if err != nil {
			return err
		}
	}
	if err := w.insertHeartbeats(ctx, e, &b.Heartbeats); err != nil {
		return err
	}
	if err := w.note(ctx, e, b.More); err != nil {
		return err
	}
	return w.forgetBehind(ctx, b)
}

// noteArrivals tells those who keep what they know of arrivals that a batch is there.
func (w *Warehouse) noteArrivals(b *telemetry.Batch) {
	least := int64(math.MaxInt64)
	for _, list := range [][]int64{b.Counts.Arrival, b.Heartbeats.Arrival, b.Totals.Arrival} {
		for _, at := range list {
			least = min(least, at)
		}
	}
	w.latest.came.note(least)
	w.again.came.note(least)
	w.bins.came.note(least)
}

func (w *Warehouse) insertCounts(ctx context.Context, e *encoder, c *telemetry.Counts) error {
	n := c.Len()
	if n == 0 {
		return nil
	}
	c = e.sortCounts(c)
	if err := w.insertBlock(ctx, e, "raw_counts", n, e.counts(c)); err != nil {
		return fmt.Errorf("insert %d counts: %w", n, err)
	}
	e.heard.of(telemetry.Count, c.Device, c.TS, c.Arrival)
	e.touched.of(c, w.retention.horizon(time.Now()))
	return nil
}

func (w *Warehouse) insertHeartbeats(ctx context.Context, e *encoder, h *telemetry.Heartbeats) error {
	n := h.Len()
	if n == 0 {
		return nil
	}
	h = e.sortHeartbeats(h)
	if err := w.insertBlock(ctx, e, "raw_heartbeats", n, e.heartbeats(h)); err != nil {
		return fmt.Errorf("insert %d heartbeats: %w", n, err)
	}
	e.heard.of(telemetry.Heartbeat, h.Device, h.TS, h.Arrival)
	return nil
}

func (w *Warehouse) insertBlock(ctx context.Context, e *encoder, table string, rows int, columns []proto.InputColumn) error {
	e.buf.Reset()
	e.buf.Buf = slices.Grow(e.buf.Buf, rows*rowBytes)
	if err := (proto.Block{Rows: rows, Columns: len(columns)}).EncodeRawBlock(&e.buf, 0, columns); err != nil {
		return err
	}
	return w.insertNative(ctx, table, columns, e.buf.Buf)
}

// rowBytes is what most rows take at most: those of counts take 44.
const rowBytes = 48

// insertNative puts blocks of the columns, if there are any, into a table.
func (w *Warehouse) insertNative(ctx context.Context, table string, columns []proto.InputColumn, blocks ...[]byte) error {
	if len(blocks) == 0 {
		return nil
	}
	names := ""
	for i, c := range columns {
		if i > 0 {
			names += ", "
		}
		names += "`" + c.Name + "`"
	}
	// Versions of a reading that came in one batch need not be looked for here: the
	// next merge does that, and until then argMax. Nor should replicas look whether
	// a block came before: what depends on a table would miss it when it did.
	return w.engine.Insert(ctx, "INSERT INTO "+w.db+"."+table+" ("+names+") SETTINGS optimize_on_insert = 0, insert_deduplicate = 0", "Native", blocks...)
}

func (e *encoder) counts(c *telemetry.Counts) []proto.InputColumn {
	in, out, interval := proto.ColUInt32(c.In), proto.ColUInt32(c.Out), proto.ColUInt32(c.Interval)
	return append(e.key(c.Device, c.TS, c.Arrival, c.Offset),
		proto.InputColumn{Name: "in", Data: &in},
		proto.InputColumn{Name: "out", Data: &out},
		proto.InputColumn{Name: "interval", Data: &interval})
}

func (e *encoder) heartbeats(h *telemetry.Heartbeats) []proto.InputColumn {
	e.fw.Reset()
	e.fw.Values = append(e.fw.Values[:0], h.Firmware...)
	e.names.Reset()
	e.names.Values = append(e.names.Values[:0], h.Name...)
	e.ends = e.ends[:0]
	for _, end := range h.MeasureEnd {
		e.ends = append(e.ends, uint64(end))
	}
	values := proto.ColFloat64(h.Value)
	return append(e.key(h.Device, h.TS, h.Arrival, h.Offset),
		proto.InputColumn{Name: "fw", Data: e.fw},
		proto.InputColumn{Name: "measurements", Data: &proto.ColMap[string, float64]{Offsets: e.ends, Keys: e.names, Values: &values}})
}

// key returns the columns that both kinds of reading begin with. Device IDs go
// to the engine as they lie in memory.
func (e *encoder) key(device []telemetry.DeviceID, ts, arrival, offset []int64) []proto.InputColumn {
	ids := proto.ColUInt64(unsafe.Slice((*uint64)(unsafe.SliceData(device)), len(device)))
	times, offsets := proto.ColInt64(ts), proto.ColInt64(offset)
	e.delay = e.delay[:0]
	for i, a := range arrival {
		e.delay = append(e.delay, a-ts[i])
	}
	return []proto.InputColumn{
		{Name: "device", Data: &ids},
		{Name: "ts", Data: proto.Alias(&times, timeType)},
		{Name: "delay", Data: &e.delay},
		{Name: "offset", Data: &offsets},
	}
}
