package warehouse

import (
	"cmp"
	"math"
	"slices"

	"belfry/telemetry"
)

// shown is what the cumulative counters of a device showed: a row of raw_totals.
type shown struct {
	ts, arrival, offset int64
	in, out, modulus    int64
	batch               bool // it is of the batch at hand; the others are older
}

// counterGap is the longest time between two totals whose difference is a count.
// After a longer one counting begins anew.
const counterGap = 31 * dayMillis

// difference is the count that two totals in a row of a device make, as the
// record that has just been written makes us see it.
type difference struct {
	ts, arrival, offset int64
	in, out, interval   uint32
	again               bool // there may have been one for that time before
}

// differences returns what each record of the batch adds to what is known of its
// device: the count up to its own time, and the one of the time that follows, of
// which it is now the beginning. rows are the batch's and all that was there
// before around them, ordered by time, arrival and offset. What a record adds
// depends on the rows with offsets up to its own, and on nothing else; the
// result is in the order of the log.
func differences(rows []shown) (list []difference) {
	l := newTimeline(rows)
	var batch []int32
	for i := range rows {
		if rows[i].batch {
			batch = append(batch, int32(i))
		}
	}
	slices.SortStableFunc(batch, func(a, b int32) int { return cmp.Compare(rows[b].offset, rows[a].offset) })
	// From the last record to the first, each is taken away once it has been looked
	// at: so its neighbours are at hand, however many rows there are.
	for from := 0; from < len(batch); {
		to := from
		for ; to < len(batch) && rows[batch[to]].offset == rows[batch[from]].offset; to++ {
			list = l.add(list, batch[to])
		}
		for ; from < to; from++ {
			l.remove(batch[from])
		}
	}
	slices.Reverse(list)
	return list
}

// timeline is the rows of a device as they were known at some record: the times
// in order, and of each the versions that arrived up to then.
type timeline struct {
	rows         []shown
	moment       []int32 // by row: which of the times
	newer, older []int32 // by row: the next version of its time and the one before; none: -1
	newest       []int32 // by time: its last version; -1 when it has none any more
	next, before []int32 // by time: its neighbours that have versions; none: -1
}

func newTimeline(rows []shown) *timeline {
	l := &timeline{rows: rows}
	for i := range rows {
		row, older := int32(i), int32(-1)
		if i == 0 || rows[i].ts != rows[i-1].ts {
			l.before, l.next = append(l.before, int32(len(l.newest))-1), append(l.next, int32(len(l.newest))+1)
			l.newest = append(l.newest, row)
		} else {
			older = row - 1
			l.newer[older] = row
			l.newest[len(l.newest)-1] = row
		}
		l.moment = append(l.moment, int32(len(l.newest))-1)
		l.older, l.newer = append(l.older, older), append(l.newer, -1)
	}
	if n := len(l.next); n > 0 {
		l.next[n-1] = -1
	}
	return l
}

// add appends what a row adds to what the timeline has.
func (l *timeline) add(list []difference, row int32) []difference {
	r, at := &l.rows[row], l.moment[row]
	own := &l.rows[l.newest[at]]
	if next := l.next[at]; next >= 0 {
		list = appendDifference(list, r, own, &l.rows[l.newest[next]], true)
	}
	if before := l.before[at]; before >= 0 {
		again := l.older[row] >= 0 || l.newer[row] >= 0
		list = appendDifference(list, r, &l.rows[l.newest[before]], own, again)
	}
	return list
}

func appendDifference(list []difference, r, from, to *shown, again bool) []difference {
	if to.ts-from.ts > counterGap {
		return list
	}
	d := step(from, to)
	d.arrival, d.offset, d.again = max(r.arrival, from.arrival, to.arrival), r.offset, again
	return append(list, d)
}

// remove takes a row away, and its time with its last version.
func (l *timeline) remove(row int32) {
	at, older, newer := l.moment[row], l.older[row], l.newer[row]
	if older >= 0 {
		l.newer[older] = newer
	}
	if newer >= 0 {
		l.older[newer] = older
		return
	}
	if l.newest[at] = older; older >= 0 {
		return
	}
	if l.before[at] >= 0 {
		l.next[l.before[at]] = l.next[at]
	}
	if l.next[at] >= 0 {
		l.before[l.next[at]] = l.before[at]
	}
}

// step returns what was counted between two readings of the counters.
func step(from, to *shown) difference {
	modulus := max(from.modulus, to.modulus)
	return difference{
		ts:       to.ts,
		in:       counted(from.in, to.in, modulus),
		out:      counted(from.out, to.out, modulus),
		interval: uint32(max(1, (to.ts-from.ts+500)/1000)),
	}
}

// Where counters of so many bits end.
const (
	end16 = 1 << 16
	end32 = 1 << 32
)

// counted returns how many people a counter counted from one total to the next.
// A counter that shows less than before has gone over its modulus, or it was
// reset; then what it shows was counted since. It went over when that takes few
// people: less than half the modulus that the device tells, or, when it tells
// none, an eighth of 2^16 for 16 bits and 2^16 for 32 bits.
func counted(from, to, modulus int64) uint32 {
	if from < 0 || to < 0 {
		return 0
	}
	d := to - from
	if d < 0 {
		d = to
		end, few := modulus, modulus/2
		switch {
		case modulus > 0:
		case from < end16:
			end, few = end16, end16/8
		case from < end32:
			end, few = end32, end16
		}
		if over := end - from + to; over > 0 && over < few {
			d = over
		}
	}
	return uint32(min(d, math.MaxUint32))
}

// byTime is the order of the rows of a device.
func byTime(a, b shown) int {
	return cmp.Or(cmp.Compare(a.ts, b.ts), cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.offset, b.offset))
}

// rowOf returns a row of a batch of totals.
func rowOf(t *telemetry.Totals, i int) shown {
	return shown{t.TS[i], t.Arrival[i], t.Offset[i], t.In[i], t.Out[i], t.Modulus[i], true}
}
