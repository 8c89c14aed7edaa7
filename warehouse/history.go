package warehouse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// FirstCount returns the midnight (UTC) of the first day since a midnight that has
// counts; the zero time when there is none. The table is read in its own order, so that
// it costs little however many counts there are.
func (w *Warehouse) FirstCount(ctx context.Context, since time.Time) (time.Time, error) {
	out, err := w.Query(ctx, "first_count",
		"SELECT toUnixTimestamp(toDateTime(toDate(ts), 'UTC')) FROM {db}.raw_counts WHERE toDate(ts) >= toDate(fromUnixTimestamp64Milli({since:Int64}, 'UTC')) ORDER BY toDate(ts) LIMIT 1",
		"TSV", map[string]string{"since": strconv.FormatInt(since.UnixMilli(), 10)})
	if err != nil {
		return time.Time{}, err
	}
	text := strings.TrimSpace(string(out))
	if text == "" {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the day of the first count: %w", err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
