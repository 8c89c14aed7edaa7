package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// Late answers for counts that came late; it is an analyzer.LateQuery. They are in
// raw_late, in the order of arrival.
func (w *Warehouse) Late(ctx context.Context, from, to, since time.Time) ([]analyzer.LateCell, error) {
	var all []analyzer.LateCell
	sql := fmt.Sprintf("SELECT device, toUnixTimestamp64Milli(min(ts)) AS first, toUnixTimestamp64Milli(max(ts)) AS last FROM {db}.raw_late"+
		" WHERE kind = %d AND arrival > fromUnixTimestamp64Milli(%s, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%s, 'UTC') AND ts > fromUnixTimestamp64Milli(%s, 'UTC')"+
		" GROUP BY device, toDate(ts) ORDER BY device, first SETTINGS output_format_arrow_compression_method = 'none'",
		telemetry.Count, millis(from), millis(to), millis(since))
	err := w.stream(ctx, sql, func(r arrow.Record) error {
		device, first, last := r.Column(0).(*array.Uint64), r.Column(1).(*array.Int64), r.Column(2).(*array.Int64)
		for i := range int(r.NumRows()) {
			all = append(all, analyzer.LateCell{Device: telemetry.DeviceID(device.Value(i)), First: time.UnixMilli(first.Value(i)).UTC(), Last: time.UnixMilli(last.Value(i)).UTC()})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for late readings: %w", err)
	}
	return all, nil
}
