package warehouse

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// daySpan is whole days of hours, as of an instant by which all of them that came in time
// had come: what came later is in raw_late.
type daySpan struct {
	grid       uint8 // quarters of an hour by which days and hours begin after full ones
	first, end int64 // days since 1970, end not included
	asOf       int64 // milliseconds
}

const (
	quarter = 15 * time.Minute
	dayBins = 24
	daySize = 2 * dayBins // bytes of a day's bins, packed

	daysAtOnce  = 7 // that are made in one go
	unknownMost = 3 // days of a series that are read of their readings, beside others that are known
)

// daysWithin returns the whole days of a series that can be kept.
func daysWithin(s analyzer.Series) (d daySpan, any bool) {
	from, to := s.From.UnixMilli(), min(s.To.UnixMilli(), s.AsOf.Add(-late).UnixMilli())
	offset := from % hourMillis
	if s.Step != time.Hour || offset < 0 || offset%quarter.Milliseconds() != 0 {
		return d, false
	}
	d = daySpan{uint8(offset / quarter.Milliseconds()), (from - offset + dayMillis - 1) / dayMillis, (to - offset) / dayMillis, s.AsOf.UnixMilli()}
	return d, from > 0 && d.first < d.end && d.end < math.MaxUint16
}

// begin returns when a day begins.
func (d daySpan) begin(day int64) time.Time {
	return time.UnixMilli(day * dayMillis).Add(time.Duration(d.grid) * quarter)
}

// series asks for the days of every device.
func (d daySpan) series() analyzer.Series {
	return analyzer.Series{AsOf: time.UnixMilli(d.asOf), From: d.begin(d.first), To: d.begin(d.end), Step: time.Hour, Last: math.MaxUint64}
}

// sheetOf reads the bins of a series of weeks: of whole days by what is kept of them, of the
// rest by its readings. What is missing is made piece by piece, one at each question, so
// that none waits long. nil: there is too little of it.
func (w *Warehouse) sheetOf(ctx context.Context, s analyzer.Series) (*sheet, error) {
	d, any := daysWithin(s)
	if !w.alone() || !any || s.Bins() <= keptMost || s.Devices != nil && len(s.Devices) < w.days.listed {
		return nil, nil
	}
	looks, err := w.lookAt(ctx, d)
	if looks == nil || err != nil {
		return nil, err
	}
	sh := newSheet(s.Bins())
	if err := w.readDays(ctx, sh, d, looks, s); err != nil {
		return nil, err
	}
	known, from := looks.known(d), s.From
	for day := d.first; day <= d.end; day++ { // what lies between known days, before and after them
		to, next := s.To, s.To
		if day < d.end {
			to, next = d.begin(day), d.begin(day+1)
			if known[day-d.first] != d.asOf {
				continue
			}
		}
		if to.After(from) {
			part := s
			part.From, part.To = from, to
			if err := w.layBins(ctx, sh, part, int(from.Sub(s.From)/s.Step)); err != nil {
				return nil, err
			}
		}
		from = next
	}
	return sh, nil
}

// layBins reads the bins of a series into a sheet, from one of its bins on.
func (w *Warehouse) layBins(ctx context.Context, sh *sheet, s analyzer.Series, first int) error {
	b := &binning{from: s.From.UnixMilli(), step: s.Step.Milliseconds()}
	err := w.stream(ctx, seriesSQL(s), func(r arrow.Record) error {
		err := b.take(r)
		sh.lay(b, first)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the bins of a series: %w", err)
	}
	b.end()
	sh.lay(b, first)
	return nil
}

// readDays reads what is kept of days.
func (w *Warehouse) readDays(ctx context.Context, sh *sheet, d daySpan, looks looks, s analyzer.Series) error {
	r := dayReader{sheet: sh, d: d, first: int(d.begin(d.first).Sub(s.From) / s.Step), looks: looks.byID(d)}
	listed := ""
	if s.Devices != nil {
		listed = " AND device IN " + idList(s.Devices)
	}
	sql := fmt.Sprintf("SELECT device, toUInt16(day), look, `in`, `out`, readings, great FROM {db}.raw_days WHERE grid = %d AND device BETWEEN %d AND %d%s"+
		" AND day BETWEEN toDate(%d) AND toDate(%d) SETTINGS output_format_arrow_compression_method = 'none'", d.grid, s.First, s.Last, listed, d.first, d.end-1)
	if err := w.stream(ctx, sql, r.take); err != nil {
		return fmt.Errorf("read the days that are kept: %w", err)
	}
	return nil
}

// dayReader lays rows of raw_days into a sheet: of a device's day the one of the last look.
type dayReader struct {
	*sheet
	d     daySpan
	first int // bin of the first day
	looks map[uint64]lookOfDays
	taken []int64 // of each day of the devices in the order of the sheet: as of when it is
}

// lookOfDays is as of when a look was, and which days of a span it knows.
type lookOfDays struct {
	asOf int64
	days []bool
}

func (r *dayReader) take(rec arrow.Record) error {
	device, day, look := rec.Column(0).(*array.Uint64).Uint64Values(), rec.Column(1).(*array.Uint16).Uint16Values(), rec.Column(2).(*array.Uint64).Uint64Values()
	in, out, rows := rec.Column(3).(*array.FixedSizeBinary), rec.Column(4).(*array.FixedSizeBinary), rec.Column(5).(*array.FixedSizeBinary)
	great := rec.Column(6).(*array.List)
	numbers := great.ListValues().(*array.Uint64).Uint64Values()
	days := int(r.d.end - r.d.first)
	var of lookOfDays
	for i, id := range device {
		if i == 0 || look[i] != look[i-1] {
			of = r.looks[look[i]]
		}
		at := int(int64(day[i]) - r.d.first)
		if of.asOf == 0 || !of.days[at] {
			continue
		}
		begin := r.place(id)
		slot := begin/r.bins*days + at
		for len(r.taken) < len(r.device)*days {
			r.taken = append(r.taken, 0)
		}
		if of.asOf < r.taken[slot] {
			continue
		}
		r.taken[slot] = of.asOf
		begin += r.first + at*dayBins
		copy(packed(r.in[begin:begin+dayBins]), in.Value(i))
		copy(packed(r.out[begin:begin+dayBins]), out.Value(i))
		copy(packed(r.rows[begin:begin+dayBins]), rows.Value(i))
		from, to := great.ValueOffsets(i)
		for g := numbers[from:to]; len(g) > 0; g = g[greatSize:] {
			r.great[begin+int(g[0])] = binSums{float64(g[1]), float64(g[2]), float64(g[3])}
		}
	}
	return nil
}

// greatSize is how many numbers a bin takes in raw_days.great.
const greatSize = 4

// lookAt makes sure that days are known as of the instant, as far as that goes with a
// piece of work, and returns the looks that tell; nil when they tell of too few of them.
func (w *Warehouse) lookAt(ctx context.Context, d daySpan) (looks, error) {
	k := &w.days
	have, torn := k.ask(d.asOf)
	if missing, behind, past := have.lacking(d); len(missing)+len(behind) > 0 {
		select {
		case k.turn <- struct{}{}:
			defer func() { <-k.turn }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := w.workOff(ctx, d, torn, len(past)); err != nil {
			return nil, err
		}
		have, _ = k.ask(d.asOf)
	}
	missing, behind, past := have.lacking(d)
	if k.tornSince(torn) || len(missing)+len(behind)+len(past) > unknownMost {
		return nil, nil
	}
	return have, nil
}

// workOff makes a piece of the days that are missing, and notes what came late for the
// others. The turn is its caller's.
func (w *Warehouse) workOff(ctx context.Context, d daySpan, torn, past int) error {
	if past > unknownMost {
		return nil
	}
	k := &w.days
	devices, err := w.devicesHeard(ctx)
	if err != nil {
		return err
	}
	have, _ := k.ask(d.asOf)
	missing, behind, _ := have.lacking(d)
	for _, day := range behind {
		if k.many[dayOfGrid{d.grid, day}] {
			missing = append(missing, day)
		}
	}
	if err := w.makeSome(ctx, d, missing, torn, devices); err != nil {
		return fmt.Errorf("make days of all devices as of %s: %w", time.UnixMilli(d.asOf).UTC().Format(time.RFC3339), err)
	}
	have, _ = k.ask(d.asOf)
	missing, behind, _ = have.lacking(d)
	if len(behind) == 0 || len(missing)+past > unknownMost {
		return nil
	}
	after := have.oldest(d)
	late, err := w.lateDays(ctx, d, after)
	if err != nil {
		return err
	}
	l := look{id: rand.Uint64(), asOf: d.asOf, grid: d.grid}
	for _, day := range behind {
		if !late[day] {
			l.days = append(l.days, day)
			continue
		}
		all, err := w.packLate(ctx, l.id, d, day, after, devices)
		if err != nil {
			return fmt.Errorf("make what was late by %s: %w", time.UnixMilli(d.asOf).UTC().Format(time.RFC3339), err)
		}
		if all {
			l.days = append(l.days, day)
		}
	}
	if len(l.days) == 0 {
		return nil
	}
	return w.noteLook(ctx, l, torn)
}

// makeSome goes on with the days that are being made, and then with missing ones.
func (w *Warehouse) makeSome(ctx context.Context, d daySpan, missing []int64, torn, devices int) error {
	k := &w.days
	for left := k.atOnce; left > 0; {
		if k.making == nil || k.making.torn != torn {
			some := nextDays(missing)
			if len(some) == 0 {
				return nil
			}
			missing = missing[len(some):]
			k.making = &making{look: look{id: rand.Uint64(), asOf: d.asOf, grid: d.grid, days: slices.Clone(some)}, torn: torn}
		}
		m := k.making
		missing = slices.DeleteFunc(missing, func(day int64) bool { return m.grid == d.grid && slices.Contains(m.days, day) })
		stripes := uint64(devices*daysAtOnce/k.atOnce + 1)
		last := m.next + math.MaxUint64/stripes
		if last < m.next || stripes == 1 {
			last = math.MaxUint64
		}
		span := daySpan{grid: m.grid, first: m.days[0], end: m.days[len(m.days)-1] + 1, asOf: m.asOf}
		s := span.series()
		s.First, s.Last = telemetry.DeviceID(m.next), telemetry.DeviceID(last)
		if err := w.pack(ctx, m.id, span, s); err != nil {
			return err
		}
		left -= max(1, devices/int(stripes)) * len(m.days)
		if m.next = last + 1; last < math.MaxUint64 {
			continue
		}
		k.making = nil
		if err := w.noteLook(ctx, m.look, m.torn); err != nil {
			return err
		}
		for _, day := range m.days {
			delete(k.many, dayOfGrid{m.grid, day})
		}
	}
	return nil
}

// nextDays returns the first of some days that follow each other.
func nextDays(days []int64) []int64 {
	n := min(1, len(days))
	for n > 0 && n < min(len(days), daysAtOnce) && days[n] == days[0]+int64(n) {
		n++
	}
	return days[:n]
}

// lateWithin is the rows of raw_late about days of a span that arrived since an instant.
func lateWithin(d daySpan, after int64) string {
	return fmt.Sprintf("{db}.raw_late WHERE kind = %d AND arrival > fromUnixTimestamp64Milli(%d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%d, 'UTC') AND %s",
		counts.kind, after, d.asOf, between(d.begin(d.first), d.begin(d.end)))
}

// lateDays returns the days of a span of which something came late after an instant.
func (w *Warehouse) lateDays(ctx context.Context, d daySpan, after int64) (map[int64]bool, error) {
	out, err := w.Query(ctx, "late_days", fmt.Sprintf("SELECT DISTINCT intDiv(toUnixTimestamp64Milli(ts) - %d, %d) FROM ", time.Duration(d.grid)*quarter/time.Millisecond+1, dayMillis)+lateWithin(d, after), "TSV", nil)
	if err != nil {
		return nil, err
	}
	days := map[int64]bool{}
	for text := range strings.FieldsSeq(string(out)) {
		day, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("read which days were late: %w", err)
		}
		days[day] = true
	}
	return days, nil
}

// packLate makes the cells of a day anew of which something came late after an instant.
// When these are very many it makes none of them, and the day is to be made as a whole.
func (w *Warehouse) packLate(ctx context.Context, look uint64, d daySpan, day, after int64, devices int) (all bool, err error) {
	d.first, d.end = day, day+1
	s := d.series()
	var ids []telemetry.DeviceID
	sql := "SELECT DISTINCT device FROM " + lateWithin(d, after) + " ORDER BY device SETTINGS output_format_arrow_compression_method = 'none'"
	err = w.stream(ctx, sql, func(r arrow.Record) error {
		for _, id := range r.Column(0).(*array.Uint64).Uint64Values() {
			ids = append(ids, telemetry.DeviceID(id))
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("read which devices were late: %w", err)
	}
	if len(ids) > max(w.days.atOnce/80, devices/10) {
		w.days.many[dayOfGrid{d.grid, day}] = true
		return false, nil
	}
	for some := range slices.Chunk(ids, listMost) {
		s.First, s.Last, s.Devices = some[0], some[len(some)-1], some
		if err := w.pack(ctx, look, d, s); err != nil {
			return false, err
		}
	}
	return true, nil
}

// pack reads whole days of some devices and puts their rows into raw_days.
func (w *Warehouse) pack(ctx context.Context, look uint64, d daySpan, s analyzer.Series) error {
	sh := newSheet(s.Bins())
	if err := w.layBins(ctx, sh, s, 0); err != nil {
		return err
	}
	rows := dayRows{in: proto.ColFixedStr{Size: daySize}, out: proto.ColFixedStr{Size: daySize}, readings: proto.ColFixedStr{Size: daySize}}
	for _, id := range sh.ordered() {
		begin := sh.places[id]
		for day := range s.Bins() / dayBins {
			rows.add(sh, id, uint16(d.first+int64(day)), begin+day*dayBins)
		}
	}
	n := len(rows.device)
	if n == 0 {
		return nil
	}
	columns := rows.columns(d.grid, look)
	var buf proto.Buffer
	buf.Buf = make([]byte, 0, n*(3*daySize+40))
	if err := (proto.Block{Rows: n, Columns: len(columns)}).EncodeRawBlock(&buf, 0, columns); err != nil {
		return err
	}
	return w.insertNative(ctx, "raw_days", columns, buf.Buf)
}

// dayRows are rows of raw_days.
type dayRows struct {
	device            proto.ColUInt64
	day               proto.ColUInt16
	in, out, readings proto.ColFixedStr
	great             proto.ColUInt64
	greatEnds         proto.ColUInt64
}

// add adds the row of a device's day, unless it has no reading.
func (r *dayRows) add(sh *sheet, device uint64, day uint16, begin int) {
	readings := sh.rows[begin : begin+dayBins]
	if !slices.ContainsFunc(readings, func(n uint16) bool { return n > 0 }) {
		return
	}
	r.device, r.day = append(r.device, device), append(r.day, day)
	r.in.Append(packed(sh.in[begin : begin+dayBins]))
	r.out.Append(packed(sh.out[begin : begin+dayBins]))
	r.readings.Append(packed(readings))
	for hour, n := range readings {
		if n == inSheetsGreat {
			g := sh.great[begin+hour]
			r.great = append(r.great, uint64(hour), uint64(g.in), uint64(g.out), uint64(g.rows))
		}
	}
	r.greatEnds = append(r.greatEnds, uint64(len(r.great)))
}

func (r *dayRows) columns(grid uint8, look uint64) []proto.InputColumn {
	grids, ids := proto.ColUInt8(slices.Repeat([]uint8{grid}, len(r.device))), proto.ColUInt64(slices.Repeat([]uint64{look}, len(r.device)))
	return []proto.InputColumn{
		{Name: "grid", Data: &grids},
		{Name: "device", Data: &r.device},
		{Name: "day", Data: proto.Alias(&r.day, "Date")},
		{Name: "look", Data: &ids},
		{Name: "in", Data: &r.in},
		{Name: "out", Data: &r.out},
		{Name: "readings", Data: &r.readings},
		{Name: "great", Data: &proto.ColArr[uint64]{Offsets: r.greatEnds, Data: &r.great}},
	}
}
