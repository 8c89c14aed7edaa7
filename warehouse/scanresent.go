package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// again is what came again, kept from one instant to the next as last arrivals are, see
// latest: that a version came after another one of its reading stays true, so only what
// arrived since is looked at.
type again struct {
	came arrivedSince

	mu         sync.Mutex
	from, asOf int64 // the arrivals that are covered, (from, asOf], milliseconds; asOf 0: nothing
	events     []event
}

// event is a version that came after another one of the same reading; milliseconds.
type event struct {
	device      uint64
	stamp, came int64
	same, total bool
}

// resent is the part of a scan that asks for readings that came again.
func (w *Warehouse) resent(ctx context.Context, s analyzer.Scan) (arrow.Record, error) {
	defer w.metrics.time("resent", time.Now())
	from := s.AsOf
	for _, c := range s.Columns {
		if c.From.Before(from) {
			from = c.From
		}
	}
	events, err := w.cameAgain(ctx, s, from.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read what came again: %w", err)
	}
	shown, err := w.showTotals(ctx, events, from, s.AsOf)
	if err != nil {
		return nil, fmt.Errorf("read who shows totals: %w", err)
	}
	var device []uint64
	values := make([][]float64, len(s.Columns))
	for _, e := range events { // by device
		if !e.total && shown[e.device] {
			continue // its counts are differences, and made anew
		}
		n := len(device)
		if n == 0 || device[n-1] != e.device {
			device = append(device, e.device)
			for i := range values {
				values[i] = append(values[i], 0)
			}
			n++
		}
		for i, c := range s.Columns {
			if e.same == (c.Fn == analyzer.ResentSame) && e.came > c.From.UnixMilli() && e.came <= c.To.UnixMilli() &&
				e.stamp > c.From.Add(-analyzer.ResentBack).UnixMilli() {
				values[i][n-1]++
			}
		}
	}
	return newRecord(device, values), nil
}

// cameAgain returns what came again in (from, s.AsOf], by device; more may be among it.
func (w *Warehouse) cameAgain(ctx context.Context, s analyzer.Scan, from int64) ([]event, error) {
	a, asOf, back := &w.again, s.AsOf.UnixMilli(), from-analyzer.ResentBack.Milliseconds()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.came.by(a.asOf) || !w.alone() {
		a.asOf = 0
	}
	if a.asOf == 0 || a.from > from || a.asOf > asOf {
		events, err := w.findAgain(ctx, s.Devices, from, asOf, back)
		if err == nil && s.Devices == nil && asOf >= a.asOf {
			a.from, a.asOf, a.events = from, asOf, events
		}
		return events, err
	}
	if a.asOf < asOf {
		events, err := w.findAgain(ctx, nil, a.asOf, asOf, back)
		if err != nil {
			return nil, err
		}
		reach := a.asOf - a.from
		a.events = slices.DeleteFunc(append(slices.Clone(a.events), events...), func(e event) bool { return e.came <= asOf-reach })
		slices.SortFunc(a.events, event.compare)
		a.from, a.asOf = asOf-reach, asOf
	}
	return a.events, nil
}

func (e event) compare(o event) int {
	return cmp.Or(cmp.Compare(e.device, o.device), cmp.Compare(e.stamp, o.stamp), cmp.Compare(e.came, o.came))
}

// showTotals tells which devices of some events have totals about a window.
func (w *Warehouse) showTotals(ctx context.Context, events []event, from, asOf time.Time) (map[uint64]bool, error) {
	shown := map[uint64]bool{}
	if len(events) == 0 {
		return shown, nil
	}
	err := w.stream(ctx, "SELECT DISTINCT device FROM {db}.raw_totals WHERE "+between(from.Add(-analyzer.ResentBack), asOf.Add(ahead))+
		" SETTINGS output_format_arrow_compression_method = 'none'", func(r arrow.Record) error {
		for _, d := range r.Column(0).(*array.Uint64).Uint64Values() {
			shown[d] = true
		}
		return nil
	})
	return shown, err
}

// resentSource is where readings are looked for that may have come again.
type resentSource struct {
	table, in, out string
	total          bool
	span           string // the condition on their times
	may            string // selects device and ts of those that may have
}

// findAgain finds what came again in (from, asOf] of readings after back: of some devices,
// or of all when the list is nil or long. Few have more than one row. The engine tells which devices have
// such readings, and then brings what there is of them.
func (w *Warehouse) findAgain(ctx context.Context, devices []telemetry.DeviceID, from, asOf, back int64) ([]event, error) {
	listed := ""
	if devices != nil && len(devices) <= maxListed {
		listed = " AND device IN " + idList(devices)
	}
	var events []event
	for _, source := range resentSources(from, asOf, back, listed) {
		which, err := w.mayHave(ctx, source)
		if err != nil {
			return nil, err
		}
		if which == "" {
			continue
		}
		var all []version
		sql := fmt.Sprintf("SELECT device, toUnixTimestamp64Milli(ts), delay, offset, toInt64(%s), toInt64(%s) FROM {db}.%s WHERE %s <= %d AND %s AND %s"+
			" SETTINGS output_format_arrow_compression_method = 'none'", source.in, source.out, source.table, arrived, asOf, source.span, which)
		err = w.stream(ctx, sql, func(r arrow.Record) error {
			column := func(i int) []int64 { return r.Column(i).(*array.Int64).Int64Values() }
			stamp, delay, offset, in, out := column(1), column(2), column(3), column(4), column(5)
			for i, d := range r.Column(0).(*array.Uint64).Uint64Values() {
				all = append(all, version{d, stamp[i], delay[i], offset[i], in[i], out[i]})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		events = append(events, eventsOf(all, from, source.total)...)
	}
	slices.SortFunc(events, event.compare)
	return events, nil
}

// mayHave returns the condition on the devices, or on the readings where they are many,
// that may have come again; "" when there are none.
func (w *Warehouse) mayHave(ctx context.Context, source resentSource) (string, error) {
	var ids []telemetry.DeviceID
	sql := fmt.Sprintf("SELECT DISTINCT device FROM (%s) LIMIT %d SETTINGS output_format_arrow_compression_method = 'none', optimize_aggregation_in_order = 1", source.may, maxListed+1)
	err := w.stream(ctx, sql, func(r arrow.Record) error {
		for _, d := range r.Column(0).(*array.Uint64).Uint64Values() {
			ids = append(ids, telemetry.DeviceID(d))
		}
		return nil
	})
	switch {
	case err != nil || len(ids) == 0:
		return "", err
	case len(ids) > maxListed:
		return "(device, ts) IN (" + source.may + ")", nil
	}
	return "device IN " + idList(ids), nil
}

// resentSources returns where to look for what arrived in (from, asOf], of readings after
// back: readings of that time, earlier ones that came late, and totals. Of the fleet's days before
// nothing else is read.
func resentSources(from, asOf, back int64, listed string) []resentSource {
	begin, old, last := time.UnixMilli(from).Add(-late), time.UnixMilli(back), time.UnixMilli(asOf)
	near := between(begin, last.Add(ahead)) + listed
	twice := func(table, span string) string {
		return "SELECT device, ts FROM {db}." + table + " WHERE " + span + " GROUP BY toDate(ts), device, ts HAVING count() > 1"
	}
	cameLate := func(kind telemetry.Kind) string {
		return fmt.Sprintf("SELECT device, ts FROM {db}.raw_late WHERE kind = %d AND arrival > fromUnixTimestamp64Milli(%d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%d, 'UTC') AND %s%s",
			kind, from, asOf, between(old, begin), listed)
	}
	all := between(old, last.Add(ahead)) + listed
	return []resentSource{
		{counts.table, "`in`", "`out`", false, near, twice(counts.table, near)},
		{counts.table, "`in`", "`out`", false, between(old, begin), cameLate(counts.kind)},
		{"raw_totals", "in_total", "out_total", true, all, twice("raw_totals", all)},
	}
}

// version is a row of a reading, or of a total.
type version struct {
	device               uint64
	stamp, delay, offset int64
	in, out              int64
}

// eventsOf tells which versions came after an instant and after another one of the same
// reading. It reorders all.
func eventsOf(all []version, from int64, total bool) []event {
	slices.SortFunc(all, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.stamp, b.stamp), cmp.Compare(a.delay, b.delay),
			cmp.Compare(a.offset, b.offset), cmp.Compare(a.in, b.in), cmp.Compare(a.out, b.out))
	})
	all = slices.Compact(all) // a record that was read twice is one
	var events []event
	for i := 1; i < len(all); i++ {
		v, before := all[i], all[i-1]
		if v.device == before.device && v.stamp == before.stamp && v.stamp+v.delay > from {
			events = append(events, event{v.device, v.stamp, v.stamp + v.delay, v.in == before.in && v.out == before.out, total})
		}
	}
	return events
}
