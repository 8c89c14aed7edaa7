package warehouse

import (
	"github.com/ClickHouse/ch-go/proto"

	"belfry/telemetry"
)

// heard is what readings say of arrivals: when each device was last heard of, for
// raw_latest, and which of them came late, for raw_late. Both may be noted twice.
type heard struct {
	device proto.ColUInt64 // one row for each kind, day and device
	last   [len(kinds)]struct {
		ts, arrival proto.ColInt64 // the greatest of them, in milliseconds; 0 in rows of the other kind
	}

	lateKind    proto.ColUInt8
	lateDevice  proto.ColUInt64
	lateTS      proto.ColInt64
	lateArrival proto.ColInt64
}

func (h *heard) reset() {
	h.device = h.device[:0]
	for k := range h.last {
		h.last[k].ts, h.last[k].arrival = h.last[k].ts[:0], h.last[k].arrival[:0]
	}
	h.lateKind, h.lateDevice, h.lateTS, h.lateArrival = h.lateKind[:0], h.lateDevice[:0], h.lateTS[:0], h.lateArrival[:0]
}

// of notes the readings, which are in the order of the table: those of a device and
// a day follow each other.
func (h *heard) of(kind telemetry.Kind, device []telemetry.DeviceID, ts, arrival []int64) {
	from := len(h.device)
	for i, at := range arrival {
		id := uint64(device[i])
		if last := len(h.device) - 1; last < from || h.device[last] != id {
			h.device = append(h.device, id)
			for k := range h.last {
				h.last[k].ts, h.last[k].arrival = append(h.last[k].ts, 0), append(h.last[k].arrival, 0)
			}
		}
		row, of := len(h.device)-1, &h.last[kind-telemetry.Count]
		of.ts[row], of.arrival[row] = max(of.ts[row], ts[i]), max(of.arrival[row], at)
		if at-ts[i] >= late.Milliseconds() {
			h.lateKind, h.lateDevice = append(h.lateKind, uint8(kind)), append(h.lateDevice, id)
			h.lateTS, h.lateArrival = append(h.lateTS, ts[i]), append(h.lateArrival, at)
		}
	}
}

// latest are the columns of raw_latest.
func (h *heard) latest() []proto.InputColumn {
	columns := []proto.InputColumn{{Name: "device", Data: &h.device}}
	for k, of := range kinds {
		columns = append(columns,
			proto.InputColumn{Name: of.ts, Data: proto.Alias(&h.last[k].ts, timeType)},
			proto.InputColumn{Name: of.arrival, Data: proto.Alias(&h.last[k].arrival, timeType)})
	}
	return columns
}

// late are the columns of raw_late.
func (h *heard) late() []proto.InputColumn {
	return []proto.InputColumn{
		{Name: "arrival", Data: proto.Alias(&h.lateArrival, timeType)},
		{Name: "kind", Data: &h.lateKind},
		{Name: "device", Data: &h.lateDevice},
		{Name: "ts", Data: proto.Alias(&h.lateTS, timeType)},
	}
}
