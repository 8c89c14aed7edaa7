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

// known reports whether the row was there when a record of the log was written.
func (s *shown) known(r *shown) bool { return !s.batch || s.offset <= r.offset }

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

// differences returns what a record adds to what is known of its device: the
// count up to its own time, and the one of the time that follows, of which it
// is now the beginning. rows are all of the device's around it, the record
// included, ordered by time, arrival and offset. The result depends on the rows
// that were there when the record was written, and on nothing else.
func differences(rows []shown, r *shown) (list []difference) {
	at, _ := slices.BinarySearchFunc(rows, r.ts, func(s shown, ts int64) int { return cmp.Compare(s.ts, ts) })
	var before, own, after *shown
	for i := at - 1; i >= 0 && before == nil; i-- {
		if rows[i].known(r) {
			before = &rows[i] // the last version of its time
		}
	}
	versions := 0 // of the record's own time
	for i := at; i < len(rows) && (after == nil || rows[i].ts == after.ts); i++ {
		switch s := &rows[i]; {
		case !s.known(r):
		case s.ts == r.ts:
			own = s
			versions++
		default:
			after = s
		}
	}
	for _, pair := range [...]struct {
		from, to *shown
		again    bool
	}{{before, own, versions > 1}, {own, after, true}} {
		if pair.from == nil || pair.to == nil || pair.to.ts-pair.from.ts > counterGap {
			continue
		}
		d := step(pair.from, pair.to)
		d.arrival, d.offset, d.again = max(r.arrival, pair.from.arrival, pair.to.arrival), r.offset, pair.again
		list = append(list, d)
	}
	return list
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
