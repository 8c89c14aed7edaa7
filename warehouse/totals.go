package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/telemetry"
)

// insertTotals puts the totals of a batch into the warehouse and returns the
// counts that they make with those before and after them. Inserting a batch
// again gives the same counts (see DESIGN.md).
func (w *Warehouse) insertTotals(ctx context.Context, e *encoder, t *telemetry.Totals) (c telemetry.Counts, err error) {
	counters := countersOf(t)
	for _, batch := range slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(counters)), maxCounters)) {
		if err := w.addNeighbours(ctx, counters, batch); err != nil {
			return c, fmt.Errorf("look for the totals around %d: %w", t.Len(), err)
		}
	}
	if err := w.insertBlock(ctx, e, "raw_totals", t.Len(), e.totals(t)); err != nil {
		return c, fmt.Errorf("insert %d totals: %w", t.Len(), err)
	}
	var list []found
	for id, k := range counters {
		slices.SortFunc(k.rows, byTime)
		for _, d := range differences(k.rows) {
			list = append(list, found{id, d})
		}
	}
	if err := w.putBehind(ctx, list); err != nil {
		return c, fmt.Errorf("look for the counts between %d totals: %w", t.Len(), err)
	}
	for _, f := range list {
		c.Device, c.TS, c.Arrival, c.Offset = append(c.Device, f.device), append(c.TS, f.ts), append(c.Arrival, f.arrival), append(c.Offset, f.offset)
		c.In, c.Out, c.Interval = append(c.In, f.in), append(c.Out, f.out), append(c.Interval, f.interval)
	}
	return c, nil
}

func (e *encoder) totals(t *telemetry.Totals) []proto.InputColumn {
	in, out, modulus := proto.ColInt64(t.In), proto.ColInt64(t.Out), proto.ColInt64(t.Modulus)
	return append(e.key(t.Device, t.TS, t.Arrival, t.Offset),
		proto.InputColumn{Name: "in_total", Data: &in},
		proto.InputColumn{Name: "out_total", Data: &out},
		proto.InputColumn{Name: "modulus", Data: &modulus})
}

// counter is what a batch says of a device with cumulative counters.
type counter struct {
	first        shown   // of the batch, in the order of the log
	rows         []shown // the batch's and their neighbours
	least, most  int64   // times in the batch
	before, next bool    // whether there are rows before and after these times
}

// found is a count that is to be inserted.
type found struct {
	device telemetry.DeviceID
	difference
}

// maxCounters is how many devices one statement names.
const maxCounters = 20_000

func countersOf(t *telemetry.Totals) map[telemetry.DeviceID]*counter {
	counters := map[telemetry.DeviceID]*counter{}
	for i, id := range t.Device {
		k, r := counters[id], rowOf(t, i)
		if k == nil {
			k = &counter{first: r, least: r.ts, most: r.ts}
			counters[id] = k
		}
		k.rows = append(k.rows, r)
		k.least, k.most = min(k.least, r.ts), max(k.most, r.ts)
	}
	return counters
}

// counterNear is how far the neighbours of a total are looked for first.
const counterNear = 3 * time.Hour

// addNeighbours adds the rows that were there before the batch: those within the
// times of each device, and the nearest before and after them.
func (w *Warehouse) addNeighbours(ctx context.Context, counters map[telemetry.DeviceID]*counter, ids []telemetry.DeviceID) error {
	const far = counterGap * time.Millisecond
	within := "SELECT " + neighbour + " WHERE at BETWEEN s.least AND s.most"
	if err := w.addRows(ctx, counters, ids, counterNear, counterNear, within, nearestBefore, nearestAfter); err != nil {
		return err
	}
	lack := func(has func(*counter) bool) []telemetry.DeviceID {
		return slices.DeleteFunc(slices.Clone(ids), func(id telemetry.DeviceID) bool { return has(counters[id]) })
	}
	if list := lack(func(k *counter) bool { return k.before }); len(list) > 0 {
		if err := w.addRows(ctx, counters, list, far, 0, nearestBefore); err != nil {
			return err
		}
	}
	if list := lack(func(k *counter) bool { return k.next }); len(list) > 0 {
		return w.addRows(ctx, counters, list, 0, far, nearestAfter)
	}
	return nil
}

// A row of the table beside the device's span s. What has a later offset and no
// earlier arrival than the device's first record of the batch was read together
// with it once before; what has an earlier arrival is of a log that has been made
// anew since.
const (
	neighbour = `t.device AS device, toUnixTimestamp64Milli(t.ts) AS at, toUnixTimestamp64Milli(t.ts) + t.delay AS arrival, t.offset AS offset,
	t.in_total AS i, t.out_total AS o, t.modulus AS m
FROM {db}.raw_totals AS t INNER JOIN spans AS s ON t.device = s.device
	AND t.device IN {devices:Array(UInt64)} AND t.ts BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')
	AND (t.offset < s.offset OR toUnixTimestamp64Milli(t.ts) + t.delay < s.arrival)`
	nearestBefore = "SELECT " + neighbour + " WHERE at < s.least ORDER BY at DESC, arrival DESC, offset DESC LIMIT 1 BY device"
	nearestAfter  = "SELECT " + neighbour + " WHERE at > s.most ORDER BY at, arrival DESC, offset DESC LIMIT 1 BY device"
)

// addRows adds what the statements find up to so far before and after the times
// of the devices.
func (w *Warehouse) addRows(ctx context.Context, counters map[telemetry.DeviceID]*counter, ids []telemetry.DeviceID, back, ahead time.Duration, statements ...string) error {
	from, to := counters[ids[0]].least, counters[ids[0]].most
	params := map[string]string{"devices": idList(ids)}
	lists := map[string][]byte{"least": nil, "most": nil, "arrivals": nil, "offsets": nil}
	for _, id := range ids {
		k := counters[id]
		from, to = min(from, k.least), max(to, k.most)
		for name, v := range map[string]int64{"least": k.least, "most": k.most, "arrivals": k.first.arrival, "offsets": k.first.offset} {
			lists[name] = strconv.AppendInt(append(lists[name], ','), v, 10)
		}
	}
	for name, list := range lists {
		params[name] = "[" + string(list[1:]) + "]"
	}
	params["from"] = strconv.FormatInt(from-back.Milliseconds(), 10)
	params["to"] = strconv.FormatInt(to+ahead.Milliseconds(), 10)
	const spans = `WITH spans AS (SELECT tupleElement(x, 1) AS device, tupleElement(x, 2) AS least, tupleElement(x, 3) AS most, tupleElement(x, 4) AS arrival, tupleElement(x, 5) AS offset
	FROM (SELECT arrayJoin(arrayZip({devices:Array(UInt64)}, {least:Array(Int64)}, {most:Array(Int64)}, {arrivals:Array(Int64)}, {offsets:Array(Int64)})) AS x))
SELECT * FROM (`
	return w.eachRow(ctx, spans+strings.Join(statements, ") UNION ALL SELECT * FROM (")+")", params, func(device telemetry.DeviceID, v []int64) {
		k := counters[device]
		k.rows = append(k.rows, shown{ts: v[0], arrival: v[1], offset: v[2], in: v[3], out: v[4], modulus: v[5]})
		k.before, k.next = k.before || v[0] < k.least, k.next || v[0] > k.most
	})
}

// eachRow reads rows of a device and whole numbers.
func (w *Warehouse) eachRow(ctx context.Context, sql string, params map[string]string, row func(telemetry.DeviceID, []int64)) error {
	out, err := w.Query(ctx, "totals", sql+" SETTINGS output_format_arrow_compression_method = 'none'", "ArrowStream", params)
	if err != nil {
		return err
	}
	r, err := readArrow(out)
	if err != nil {
		return err
	}
	defer r.Release()
	ids, ok := r.Column(0).(*array.Uint64)
	columns := make([]*array.Int64, r.NumCols()-1)
	for i := range columns {
		var is bool
		columns[i], is = r.Column(i + 1).(*array.Int64)
		ok = ok && is
	}
	if !ok {
		return fmt.Errorf("columns of types other than asked for: %s", r.Schema())
	}
	values := make([]int64, len(columns))
	for i := range ids.Len() {
		for j, c := range columns {
			values[j] = c.Value(i)
		}
		row(telemetry.DeviceID(ids.Value(i)), values)
	}
	return nil
}

// putBehind gives counts that replace earlier ones an arrival that is not before
// theirs, as records may come with arrivals that go backwards, and the count
// that was found last must be the one that counts.
func (w *Warehouse) putBehind(ctx context.Context, list []found) error {
	type place struct {
		device telemetry.DeviceID
		ts     int64
	}
	last, ids := map[place]int64{}, map[telemetry.DeviceID]bool{}
	var from, to int64
	for _, f := range list {
		if f.again {
			if len(ids) == 0 {
				from, to = f.ts, f.ts
			}
			ids[f.device], from, to = true, min(from, f.ts), max(to, f.ts)
			last[place{f.device, f.ts}] = 0
		}
	}
	for _, chunk := range slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(ids)), maxCounters)) {
		err := w.eachRow(ctx, `SELECT device, toUnixTimestamp64Milli(ts) AS at, max(toUnixTimestamp64Milli(ts) + delay) AS arrival FROM {db}.raw_counts
WHERE device IN {devices:Array(UInt64)} AND ts BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')
GROUP BY device, ts`, map[string]string{"devices": idList(chunk), "from": strconv.FormatInt(from, 10), "to": strconv.FormatInt(to, 10)},
			func(device telemetry.DeviceID, v []int64) {
				if at := (place{device, v[0]}); last[at] < v[1] {
					if _, asked := last[at]; asked {
						last[at] = v[1]
					}
				}
			})
		if err != nil {
			return err
		}
	}
	for i := range list {
		at := place{list[i].device, list[i].ts}
		list[i].arrival = max(list[i].arrival, last[at])
		last[at] = list[i].arrival
	}
	return nil
}
