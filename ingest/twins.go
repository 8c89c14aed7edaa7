package ingest

import (
	"math/bits"
	"math/rand/v2"

	"belfry/telemetry"
)

// twins drops all but the last of readings of one record with equal device and
// time. They share their arrival and offset too, so the warehouse could not
// tell which of them is the correction.
type twins struct {
	slots []int32 // open addressing: row+1, 0 for empty
	dead  []bool  // by row
	seed  uint64  // so that nobody can send readings that all fall into one slot
}

// mark finds the rows that have a later twin. It works from the back, so that
// the last one is the one that stays.
func (t *twins) mark(device []telemetry.DeviceID, ts []int64) (dead []bool, found bool) {
	t.size(len(device))
	mask := uint64(len(t.slots) - 1)
	for row := len(device) - 1; row >= 0; row-- {
		high, low := bits.Mul64(uint64(device[row])^t.seed, uint64(ts[row])^0x9E3779B97F4A7C15)
		at := (high ^ low) & mask
		for t.slots[at] != 0 {
			if other := t.slots[at] - 1; device[other] == device[row] && ts[other] == ts[row] {
				t.dead[row], found = true, true
				break
			}
			at = (at + 1) & mask
		}
		if !t.dead[row] {
			t.slots[at] = int32(row + 1)
		}
	}
	return t.dead, found
}

// rowCounts say how many rows of each kind a batch has.
type rowCounts struct{ counts, heartbeats, totals int }

func (n rowCounts) all() int { return n.counts + n.heartbeats + n.totals }

// before notes how many rows the batch has before a record is decoded into it.
func (t *twins) before(b *telemetry.Batch) rowCounts {
	return rowCounts{b.Counts.Len(), b.Heartbeats.Len(), b.Totals.Len()}
}

// drop removes the earlier twins among the rows that a record added.
func (t *twins) drop(b *telemetry.Batch, from rowCounts) {
	t.dropCounts(&b.Counts, from.counts)
	t.dropHeartbeats(&b.Heartbeats, from.heartbeats)
	t.dropTotals(&b.Totals, from.totals)
}

// size prepares an empty table for that many rows.
func (t *twins) size(rows int) {
	if t.seed == 0 {
		t.seed = rand.Uint64() | 1
	}
	want := 8
	for want < 2*rows {
		want *= 2
	}
	if cap(t.slots) < want {
		t.slots, t.dead = make([]int32, want), make([]bool, want)
	}
	t.slots, t.dead = t.slots[:want], t.dead[:rows]
	clear(t.slots)
	clear(t.dead)
}

// dropCounts removes the earlier twins among the rows from the given one on.
func (t *twins) dropCounts(c *telemetry.Counts, from int) {
	if c.Len()-from < 2 {
		return
	}
	dead, found := t.mark(c.Device[from:], c.TS[from:])
	if !found {
		return
	}
	n := from
	for row, gone := range dead {
		if gone {
			continue
		}
		i := from + row
		c.Device[n], c.TS[n], c.Arrival[n], c.Offset[n] = c.Device[i], c.TS[i], c.Arrival[i], c.Offset[i]
		c.In[n], c.Out[n], c.Interval[n] = c.In[i], c.Out[i], c.Interval[i]
		n++
	}
	c.Device, c.TS, c.Arrival, c.Offset = c.Device[:n], c.TS[:n], c.Arrival[:n], c.Offset[:n]
	c.In, c.Out, c.Interval = c.In[:n], c.Out[:n], c.Interval[:n]
}

// dropHeartbeats does the same for heartbeats and their measurements.
func (t *twins) dropHeartbeats(h *telemetry.Heartbeats, from int) {
	if h.Len()-from < 2 {
		return
	}
	dead, found := t.mark(h.Device[from:], h.TS[from:])
	if !found {
		return
	}
	n, m, begin := from, 0, 0
	if from > 0 {
		m = h.MeasureEnd[from-1]
		begin = m
	}
	for row, gone := range dead {
		i := from + row
		end := h.MeasureEnd[i]
		if !gone {
			h.Device[n], h.TS[n], h.Arrival[n], h.Offset[n] = h.Device[i], h.TS[i], h.Arrival[i], h.Offset[i]
			h.Firmware[n] = h.Firmware[i]
			copy(h.Name[m:], h.Name[begin:end])
			copy(h.Value[m:], h.Value[begin:end])
			m += end - begin
			h.MeasureEnd[n] = m
			n++
		}
		begin = end
	}
	h.Device, h.TS, h.Arrival, h.Offset = h.Device[:n], h.TS[:n], h.Arrival[:n], h.Offset[:n]
	h.Firmware, h.MeasureEnd, h.Name, h.Value = h.Firmware[:n], h.MeasureEnd[:n], h.Name[:m], h.Value[:m]
}

// dropTotals does the same for totals.
func (t *twins) dropTotals(c *telemetry.Totals, from int) {
	if c.Len()-from < 2 {
		return
	}
	dead, found := t.mark(c.Device[from:], c.TS[from:])
	if !found {
		return
	}
	n := from
	for row, gone := range dead {
		if gone {
			continue
		}
		i := from + row
		c.Device[n], c.TS[n], c.Arrival[n], c.Offset[n] = c.Device[i], c.TS[i], c.Arrival[i], c.Offset[i]
		c.In[n], c.Out[n], c.Modulus[n] = c.In[i], c.Out[i], c.Modulus[i]
		n++
	}
	c.Device, c.TS, c.Arrival, c.Offset = c.Device[:n], c.TS[:n], c.Arrival[:n], c.Offset[:n]
	c.In, c.Out, c.Modulus = c.In[:n], c.Out[:n], c.Modulus[:n]
}
