package warehouse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"belfry/telemetry"
)

// Reading is what a device counted in a step of time that ended at TS.
type Reading struct {
	TS       time.Time `json:"ts"`
	In       uint64    `json:"in"`
	Out      uint64    `json:"out"`
	Readings uint64    `json:"readings"` // how many readings the numbers are the sum of
}

// Readings returns what the device counted in (from, to], at most limit steps,
// oldest first. A step of zero gives each reading by itself; otherwise steps
// end at whole multiples of it since 1970 UTC.
func (w *Warehouse) Readings(ctx context.Context, device string, from, to time.Time, step time.Duration, limit int) ([]Reading, error) {
	end := "ts"
	if step > 0 {
		end = "fromUnixTimestamp64Milli(toInt64(ceil(toUnixTimestamp64Milli(ts) / {step:Int64})) * {step:Int64}, 'UTC')"
	}
	out, err := w.Query(ctx, "readings", `
SELECT toUnixTimestamp64Milli(`+end+`) AS at, sum(tupleElement(last, 1)) AS i, sum(tupleElement(last, 2)) AS o, count() AS n
FROM (SELECT ts, argMax((`+"`in`, `out`"+`), (delay, offset)) AS last FROM {db}.raw_counts
      WHERE device = {id:UInt64} AND `+between(from, to)+` GROUP BY ts)
GROUP BY at ORDER BY at LIMIT {limit:UInt32}
SETTINGS output_format_json_quote_64bit_integers = 0`, "JSONEachRow", map[string]string{
		"id":    strconv.FormatUint(uint64(telemetry.IDOf(device)), 10),
		"step":  strconv.FormatInt(step.Milliseconds(), 10),
		"limit": strconv.Itoa(limit),
	})
	if err != nil {
		return nil, err
	}
	readings := []Reading{}
	rows := json.NewDecoder(bytes.NewReader(out))
	for {
		var r struct {
			At      int64
			I, O, N uint64
		}
		if err := rows.Decode(&r); errors.Is(err, io.EOF) {
			return readings, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the readings of %s: %w", device, err)
		}
		readings = append(readings, Reading{time.UnixMilli(r.At).UTC(), r.I, r.O, r.N})
	}
}
