package bench

import (
	"context"
	"fmt"
	"time"

	"belfry/analyzer"
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
	const heartbeats = `INSERT INTO {db}.raw_heartbeats (device, ts, delay, offset, fw) SELECT xxHash64('FC-' || toString(number)),
		fromUnixTimestamp64Milli(toInt64(%d - number * 7919 %% %d), 'UTC'), 100, number, '5.2.1' FROM numbers(%d) %s SETTINGS max_insert_block_size = 1000000`
	for _, sql := range []string{
		fmt.Sprintf(heartbeats, now.Add(-2*time.Minute).UnixMilli(), 780_000, devices, ""),
		fmt.Sprintf(heartbeats, now.UnixMilli(), 50_000, devices, "WHERE number % 20 = 0"),
		"OPTIMIZE TABLE {db}.raw_latest FINAL",
	} {
		if _, err := w.Query(ctx, "fill", sql, "Null", nil); err != nil {
			return err
		}
	}
	return nil
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
