package warehouse

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"belfry/telemetry"
)

const (
	hourMillis = 3600 * 1000
	stripeBits = 6 // a stripe is the devices whose IDs begin with the same bits
)

// touched notes which hours of which stripes a batch has readings of.
type touched struct {
	first   int64    // hour, since 1970
	stripes []uint64 // of each hour from the first on, as bits

	hour   proto.ColUInt32
	stripe proto.ColUInt8
	weight proto.ColUInt64
}

// hourOf returns the hour that a reading's interval, which ends at ts, is of.
func hourOf(ts int64) int64 { return (ts - 1) / hourMillis }

func (t *touched) reset() { t.hour, t.stripe, t.weight = t.hour[:0], t.stripe[:0], t.weight[:0] }

// of notes the readings, which are in the order of the table, of hours from the
// horizon on.
func (t *touched) of(c *telemetry.Counts, horizon time.Time) {
	last := c.Len() - 1
	t.first = c.TS[0]/dayMillis*24 - 1
	hours := int(c.TS[last]/dayMillis*24+24-t.first) + 1
	if cap(t.stripes) < hours {
		t.stripes = make([]uint64, hours)
	}
	t.stripes = t.stripes[:hours]
	clear(t.stripes)
	for i, ts := range c.TS {
		t.stripes[hourOf(ts)-t.first] |= 1 << (c.Device[i] >> (64 - stripeBits))
	}
	for i, bits := range t.stripes {
		if (t.first+int64(i))*3600 < horizon.Unix() {
			continue
		}
		for s := range uint8(1 << stripeBits) {
			if bits>>s&1 == 1 {
				t.hour = append(t.hour, uint32(t.first+int64(i))*3600)
				t.stripe = append(t.stripe, s)
				t.weight = append(t.weight, rand.Uint64()|1)
			}
		}
	}
}

// columns are those of raw_dirty.
func (t *touched) columns() []proto.InputColumn {
	return []proto.InputColumn{
		{Name: "hour", Data: proto.Alias(&t.hour, "DateTime('UTC')")},
		{Name: "stripe", Data: &t.stripe},
		{Name: "weight", Data: &t.weight},
	}
}

// TouchAll notes that all hours are to be made anew. It is for readings that did
// not come by Insert.
func (w *Warehouse) TouchAll(ctx context.Context) error {
	w.latest.came.note(1) // whenever they arrived
	w.again.came.note(1)
	w.bins.came.note(1)
	if err := w.forgetLooks(ctx, 0); err != nil {
		return err
	}
	_, err := w.Query(ctx, "touch_all", "INSERT INTO {db}.raw_dirty (hour, stripe, weight)"+
		" SELECT toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, bitShiftRight(device, "+strconv.Itoa(64-stripeBits)+") AS stripe, bitOr(rand64(), 1)"+
		" FROM {db}.raw_counts GROUP BY hour, stripe", "Null", nil)
	return err
}
