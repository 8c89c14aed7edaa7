package warehouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/ch-go/proto"

	"belfry/telemetry"
)

// heard is what readings say of arrivals: when each device was last heard of, for
// raw_latest, and which of them came late, for raw_late. Both may be noted twice.
type heard struct {
	device      proto.ColUInt64 // one row for each device of a day
	ts, arrival proto.ColInt64  // the greatest of them, in milliseconds

	lateKind    proto.ColUInt8
	lateDevice  proto.ColUInt64
	lateTS      proto.ColInt64
	lateArrival proto.ColInt64
}

// of notes the readings, which are in the order of the table: those of a device and
// a day follow each other.
func (h *heard) of(kind telemetry.Kind, device []telemetry.DeviceID, ts, arrival []int64) {
	h.device, h.ts, h.arrival = h.device[:0], h.ts[:0], h.arrival[:0]
	h.lateKind, h.lateDevice, h.lateTS, h.lateArrival = h.lateKind[:0], h.lateDevice[:0], h.lateTS[:0], h.lateArrival[:0]
	for i, at := range arrival {
		id := uint64(device[i])
		if last := len(h.device) - 1; last >= 0 && h.device[last] == id {
			h.ts[last], h.arrival[last] = max(h.ts[last], ts[i]), max(h.arrival[last], at)
		} else {
			h.device, h.ts, h.arrival = append(h.device, id), append(h.ts, ts[i]), append(h.arrival, at)
		}
		if at-ts[i] >= late.Milliseconds() {
			h.lateKind, h.lateDevice = append(h.lateKind, uint8(kind)), append(h.lateDevice, id)
			h.lateTS, h.lateArrival = append(h.lateTS, ts[i]), append(h.lateArrival, at)
		}
	}
}

// hear notes what readings, which are in the table by now, say of arrivals.
func (w *Warehouse) hear(ctx context.Context, e *encoder, s scanSource, device []telemetry.DeviceID, ts, arrival []int64) error {
	h := &e.heard
	h.of(s.kind, device, ts, arrival)
	err := w.insertBlock(ctx, e, "raw_latest", len(h.device), []proto.InputColumn{
		{Name: "device", Data: &h.device},
		{Name: s.ts, Data: proto.Alias(&h.ts, timeType)},
		{Name: s.arrival, Data: proto.Alias(&h.arrival, timeType)},
	})
	if err == nil && len(h.lateDevice) > 0 {
		err = w.insertBlock(ctx, e, "raw_late", len(h.lateDevice), []proto.InputColumn{
			{Name: "arrival", Data: proto.Alias(&h.lateArrival, timeType)},
			{Name: "kind", Data: &h.lateKind},
			{Name: "device", Data: &h.lateDevice},
			{Name: "ts", Data: proto.Alias(&h.lateTS, timeType)},
		})
	}
	if err != nil {
		return fmt.Errorf("note when %d devices were last heard of: %w", len(h.device), err)
	}
	return nil
}
