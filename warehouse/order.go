package warehouse

import (
	"cmp"
	"math/bits"
	"slices"

	"belfry/telemetry"
)

// order finds the order of a batch's rows in which the tables keep them: by day,
// device, time, arrival and offset. The engine would sort them too, row against
// row with all columns of the key; a radix sort of the days and hashes costs a
// tenth of that, and what comes sorted the engine only checks. It keeps its memory.
type order struct {
	rows, spare []keyed
	starts      [3][digits]int32 // of each digit of the key, least first
}

// keyed is a row and the part of its key that is sorted first: its day, counted
// from the batch's first, and as many leading bits of the device as there is room
// for; they are those of a hash.
type keyed struct {
	key uint32
	row int32
}

const (
	digitBits  = 11
	digits     = 1 << digitBits
	deviceBits = 2 * digitBits // of the device in the key, where there is room
	dayMillis  = 24 * 3600 * 1000
)

// of returns the rows in order, or nil when they are in order as they stand.
// The result is valid until the next call. All times are within 2^31 days.
func (o *order) of(device []telemetry.DeviceID, ts, arrival, offset []int64) []keyed {
	before := func(a, b int32) int {
		return cmp.Or(cmp.Compare(device[a], device[b]), cmp.Compare(ts[a], ts[b]),
			cmp.Compare(arrival[a], arrival[b]), cmp.Compare(offset[a], offset[b]))
	}
	if inOrder(len(device), func(a, b int32) int { return cmp.Or(cmp.Compare(ts[a]/dayMillis, ts[b]/dayMillis), before(a, b)) }) {
		return nil
	}
	o.byKey(device, ts)
	for from := 0; from < len(o.rows); {
		to := from + 1
		sorted := true
		for ; to < len(o.rows) && o.rows[to].key == o.rows[from].key; to++ {
			a, b := o.rows[to-1].row, o.rows[to].row
			sorted = sorted && (device[a] == device[b] && ts[a] < ts[b] || before(a, b) <= 0)
		}
		if !sorted {
			slices.SortFunc(o.rows[from:to], func(a, b keyed) int { return before(a.row, b.row) })
		}
		from = to
	}
	return o.rows
}

func inOrder(n int, compare func(a, b int32) int) bool {
	for i := 1; i < n; i++ {
		if compare(int32(i-1), int32(i)) > 0 {
			return false
		}
	}
	return true
}

// byKey sorts by day and the leading bits of the device, least digit first. Rows
// of equal keys stay in the order they came in.
func (o *order) byKey(device []telemetry.DeviceID, ts []int64) {
	n := len(device)
	o.rows, o.spare = slices.Grow(o.rows[:0], n)[:n], slices.Grow(o.spare[:0], n)[:n]
	first := slices.Min(ts) / dayMillis
	dayBits := bits.Len64(uint64(slices.Max(ts)/dayMillis - first))
	room := min(deviceBits, 32-dayBits)
	if dayBits <= 2 {
		room -= dayBits // two digits do
	}
	o.starts = [3][digits]int32{}
	for i, d := range device {
		key := uint32(ts[i]/dayMillis-first)<<room | uint32(d>>(64-room))
		o.rows[i] = keyed{key, int32(i)}
		o.starts[0][key%digits]++
		o.starts[1][key>>digitBits%digits]++
		o.starts[2][key>>(2*digitBits)]++
	}
	for digit := range (dayBits + room + digitBits - 1) / digitBits {
		starts, shift := &o.starts[digit], digit*digitBits
		runningTotal(starts)
		for _, r := range o.rows {
			at := &starts[r.key>>shift%digits]
			o.spare[*at] = r
			*at++
		}
		o.rows, o.spare = o.spare, o.rows
	}
}

// runningTotal turns how many there are of each into where each begins.
func runningTotal(counts *[digits]int32) {
	sum := int32(0)
	for i, n := range counts {
		counts[i] = sum
		sum += n
	}
}

// gather puts the values of the rows into a slice that it may reuse.
func gather[T any](into, from []T, rows []keyed) []T {
	into = slices.Grow(into[:0], len(rows))[:len(rows)]
	for i, r := range rows {
		into[i] = from[r.row]
	}
	return into
}

// sortCounts returns the readings in the order of the table: themselves, or a
// copy in memory that is kept.
func (e *encoder) sortCounts(c *telemetry.Counts) *telemetry.Counts {
	rows := e.order.of(c.Device, c.TS, c.Arrival, c.Offset)
	if rows == nil {
		return c
	}
	s := &e.sorted.Counts
	s.Device, s.TS, s.Arrival, s.Offset = gather(s.Device, c.Device, rows), gather(s.TS, c.TS, rows), gather(s.Arrival, c.Arrival, rows), gather(s.Offset, c.Offset, rows)
	s.In, s.Out, s.Interval = gather(s.In, c.In, rows), gather(s.Out, c.Out, rows), gather(s.Interval, c.Interval, rows)
	return s
}

// sortHeartbeats does the same for heartbeats and their measurements.
func (e *encoder) sortHeartbeats(h *telemetry.Heartbeats) *telemetry.Heartbeats {
	rows := e.order.of(h.Device, h.TS, h.Arrival, h.Offset)
	if rows == nil {
		return h
	}
	s := &e.sorted.Heartbeats
	s.Device, s.TS, s.Arrival, s.Offset = gather(s.Device, h.Device, rows), gather(s.TS, h.TS, rows), gather(s.Arrival, h.Arrival, rows), gather(s.Offset, h.Offset, rows)
	s.Firmware = gather(s.Firmware, h.Firmware, rows)
	s.MeasureEnd, s.Name, s.Value = s.MeasureEnd[:0], s.Name[:0], s.Value[:0]
	for _, r := range rows {
		from := 0
		if r.row > 0 {
			from = h.MeasureEnd[r.row-1]
		}
		s.Name, s.Value = append(s.Name, h.Name[from:h.MeasureEnd[r.row]]...), append(s.Value, h.Value[from:h.MeasureEnd[r.row]]...)
		s.MeasureEnd = append(s.MeasureEnd, len(s.Name))
	}
	return s
}
