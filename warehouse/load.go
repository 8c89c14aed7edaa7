package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"belfry/telemetry"
)

// Load hands over every version of every reading, and of every total, with a ts in
// (from, to], in batches ordered by kind, day, device and ts. A batch is the warehouse's again
// when the callback returns. Nothing is held in memory beyond a batch.
func (w *Warehouse) Load(ctx context.Context, from, to time.Time, batch func(*telemetry.Batch) error) error {
	defer w.metrics.time("load", time.Now())
	var b telemetry.Batch
	for _, kind := range []struct {
		table, columns string
		fill           func(*telemetry.Batch, arrow.Record)
	}{
		{"raw_counts", "`in`, `out`, interval", fillCounts},
		{"raw_heartbeats", "toString(fw), CAST(mapKeys(measurements) AS Array(String)), mapValues(measurements)", fillHeartbeats},
		{"raw_totals", "in_total, out_total, modulus", fillTotals},
	} {
		sql := "SELECT device, toUnixTimestamp64Milli(ts), toUnixTimestamp64Milli(ts) + delay, offset, " + kind.columns +
			" FROM {db}." + kind.table + " FINAL WHERE " + between(from, to) +
			" ORDER BY toDate(ts), device, ts, delay, offset SETTINGS output_format_arrow_compression_method = 'none'"
		err := w.stream(ctx, sql, func(r arrow.Record) error {
			b.Reset()
			kind.fill(&b, r)
			return batch(&b)
		})
		if err != nil {
			return fmt.Errorf("load %s: %w", kind.table, err)
		}
	}
	return nil
}

func fillCounts(b *telemetry.Batch, r arrow.Record) {
	c := &b.Counts
	c.Device, c.TS, c.Arrival, c.Offset = key(r, c.Device, c.TS, c.Arrival, c.Offset)
	c.In = append(c.In, r.Column(4).(*array.Uint32).Uint32Values()...)
	c.Out = append(c.Out, r.Column(5).(*array.Uint32).Uint32Values()...)
	c.Interval = append(c.Interval, r.Column(6).(*array.Uint32).Uint32Values()...)
}

func fillHeartbeats(b *telemetry.Batch, r arrow.Record) {
	h := &b.Heartbeats
	h.Device, h.TS, h.Arrival, h.Offset = key(r, h.Device, h.TS, h.Arrival, h.Offset)
	fw, names, values := r.Column(4).(*array.String), r.Column(5).(*array.List), r.Column(6).(*array.List)
	name, value := names.ListValues().(*array.String), values.ListValues().(*array.Float64)
	for i := range int(r.NumRows()) {
		h.Firmware = append(h.Firmware, fw.Value(i))
		from, to := names.ValueOffsets(i)
		for j := from; j < to; j++ {
			h.Name = append(h.Name, name.Value(int(j)))
			h.Value = append(h.Value, value.Value(int(j)))
		}
		h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
	}
}

func fillTotals(b *telemetry.Batch, r arrow.Record) {
	t := &b.Totals
	t.Device, t.TS, t.Arrival, t.Offset = key(r, t.Device, t.TS, t.Arrival, t.Offset)
	t.In = append(t.In, r.Column(4).(*array.Int64).Int64Values()...)
	t.Out = append(t.Out, r.Column(5).(*array.Int64).Int64Values()...)
	t.Modulus = append(t.Modulus, r.Column(6).(*array.Int64).Int64Values()...)
}

// key appends the four columns that both kinds of reading begin with.
func key(r arrow.Record, device []telemetry.DeviceID, ts, arrival, offset []int64) ([]telemetry.DeviceID, []int64, []int64, []int64) {
	for _, id := range r.Column(0).(*array.Uint64).Uint64Values() {
		device = append(device, telemetry.DeviceID(id))
	}
	return device, append(ts, r.Column(1).(*array.Int64).Int64Values()...),
		append(arrival, r.Column(2).(*array.Int64).Int64Values()...),
		append(offset, r.Column(3).(*array.Int64).Int64Values()...)
}

// stream runs a statement and hands its result over record by record; a record
// is released when the callback returns.
func (w *Warehouse) stream(ctx context.Context, statement string, record func(arrow.Record) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		out.CloseWithError(w.engine.Stream(ctx, w.sql(statement), "ArrowStream", nil, func(chunk []byte) error {
			_, err := out.Write(chunk)
			return err
		}))
	}()
	err := readRecords(in, record)
	in.CloseWithError(err)
	cancel()
	<-done
	return err
}

// readRecords reads Arrow streams that follow one another: the engine inside the
// process makes one of each chunk, a server one of the whole result.
func readRecords(in io.Reader, record func(arrow.Record) error) error {
	for {
		r, err := ipc.NewReader(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for r.Next() {
			if err := record(r.Record()); err != nil {
				r.Release()
				return err
			}
		}
		err = r.Err()
		r.Release()
		if err != nil {
			return err
		}
	}
}
