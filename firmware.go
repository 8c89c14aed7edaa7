package main

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/warehouse"
)

// firmware takes over into the registry what devices say of their software in their
// heartbeats, so that incidents and problems know it.
type firmware struct {
	tickets   *store.Tickets
	warehouse *warehouse.Warehouse
	log       *slog.Logger

	arrived int64 // of the newest heartbeat looked at, milliseconds since 1970; 0 before the first look
}

const (
	firmwareEvery  = 15 * time.Minute
	firmwareFirst  = time.Minute        // as long as nothing has been heard
	firmwareAgain  = 10 * time.Minute   // arrivals looked at once more: partitions are not in step
	firmwareBefore = 7 * 24 * time.Hour // looked at when belfry begins
)

// run looks now and then until the context ends.
func (f *firmware) run(ctx context.Context) error {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		if changed, err := f.take(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("what devices say of their firmware was not taken over", "error", err)
		} else if changed > 0 {
			f.log.Info("firmware taken over from heartbeats", "devices", changed)
		}
		if next.Reset(firmwareEvery); f.arrived == 0 {
			next.Reset(firmwareFirst)
		}
	}
}

// take looks at what has arrived since the last time, and returns how many devices
// have another firmware than was known. What arrives late says nothing about now: the
// newest heartbeat of a device counts.
func (f *firmware) take(ctx context.Context) (changed int, err error) {
	newest, err := asked[struct{ Arrived int64 }](f.warehouse.Query(ctx, "firmware_arrived",
		"SELECT toUnixTimestamp64Milli(max(heartbeat_arrival)) AS Arrived FROM {db}.raw_latest SETTINGS output_format_json_quote_64bit_integers = 0", "JSONEachRow", nil))
	if err != nil || len(newest) == 0 || newest[0].Arrived == f.arrived {
		return 0, err
	}
	after := f.arrived - firmwareAgain.Milliseconds()
	if f.arrived == 0 {
		after = newest[0].Arrived - firmwareBefore.Milliseconds()
	}
	rows, err := asked[struct {
		Device, Firmware string
		At               int64
	}](f.warehouse.Query(ctx, "firmware", `
SELECT d.device AS Device, argMax(h.fw, tuple(h.delay, h.offset)) AS Firmware, toUnixTimestamp64Milli(max(h.ts)) AS At
FROM {db}.raw_heartbeats AS h INNER JOIN (SELECT id, device FROM {db}.raw_devices FINAL) AS d ON d.id = h.device
WHERE toUnixTimestamp64Milli(h.ts) + h.delay > {after:Int64} AND h.fw != ''
  AND (h.device, h.ts) IN (SELECT device, max(heartbeat_ts) FROM {db}.raw_latest GROUP BY device)
GROUP BY Device SETTINGS output_format_json_quote_64bit_integers = 0`, "JSONEachRow", map[string]string{"after": strconv.FormatInt(after, 10)}))
	if err != nil {
		return 0, err
	}
	said := make(map[string]incidents.Firmware, len(rows))
	for _, r := range rows {
		said[r.Device] = incidents.Firmware{Version: r.Firmware, Since: time.UnixMilli(r.At).UTC()}
	}
	if changed, err = f.tickets.NoteFirmware(ctx, said); err == nil {
		f.arrived = newest[0].Arrived
	}
	return changed, err
}
