package bench

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
	"belfry/warehouse"
)

// state measures what the rule for silent devices asks: when each device was last
// heard of, as of now, and as of an instant since when one in twenty was heard of
// again.
func (b *storageBench) state(ctx context.Context) error {
	w, now := b.Second, b.end()
	if err := fillState(ctx, w, b.State, now); err != nil {
		return err
	}
	for _, asked := range []struct {
		name string
		asOf time.Time
		goal float64
	}{
		{fmt.Sprintf("last arrival of %d devices, now", b.State), now.Add(time.Hour), 150},
		{"the same a minute ago, 5 % newer", now.Add(-time.Minute), 150},
	} {
		var paces []Pace
		for range b.Rounds {
			p, err := pace(1, func() error { return lastArrivals(ctx, w, asked.asOf, b.State) })
			if err != nil {
				return err
			}
			paces = append(paces, p)
		}
		m := median(paces)
		b.report.State = append(b.report.State, Question{Name: asked.name, Millis: m.WallMillis, CPUMillis: m.CPUNanos / 1e6, Goal: asked.goal})
	}
	return nil
}

// fillState gives each device a heartbeat of the last quarter of an hour, and one
// in twenty another of the last minute.
func fillState(ctx context.Context, w *warehouse.Warehouse, devices int, now time.Time) error {
	var b telemetry.Batch
	h := &b.Heartbeats
	for i := range devices {
		of := []int64{now.Add(-2*time.Minute).UnixMilli() - int64(i)*7919%780_000}
		if i%20 == 0 {
			of = append(of, now.UnixMilli()-int64(i)*7919%50_000)
		}
		for _, ts := range of {
			h.Device, h.Firmware = append(h.Device, telemetry.IDOf("FC-"+strconv.Itoa(i))), append(h.Firmware, "5.2.1")
			h.TS, h.Arrival, h.Offset = append(h.TS, ts), append(h.Arrival, ts+100), append(h.Offset, int64(i))
			h.MeasureEnd = append(h.MeasureEnd, 0)
		}
	}
	if err := w.Insert(ctx, &b); err != nil {
		return err
	}
	_, err := w.Query(ctx, "fill", "OPTIMIZE TABLE {db}.raw_latest FINAL", "Null", nil)
	return err
}

func lastArrivals(ctx context.Context, w *warehouse.Warehouse, asOf time.Time, devices int) error {
	r, err := w.Scan(ctx, analyzer.Scan{AsOf: asOf, Columns: []analyzer.Column{{Fn: analyzer.LastArrival}}})
	if err != nil {
		return err
	}
	defer r.Release()
	if r.NumRows() != int64(devices) || r.Column(1).NullN() > 0 {
		return fmt.Errorf("got %d devices, %d of them never heard of; want %d", r.NumRows(), r.Column(1).NullN(), devices)
	}
	return nil
}
