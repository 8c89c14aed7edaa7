package warehouse

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

	daysAtOnce = 7 // that are made in one go
	pastMost   = 3 // days that are known as of later instants only, and read of their readings
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

// series asks for whole days of every device.
func (d daySpan) series(first, end int64) analyzer.Series {
	return analyzer.Series{AsOf: time.UnixMilli(d.asOf), From: d.begin(first), To: d.begin(end), Step: time.Hour, Last: math.MaxUint64}
}

// sheetOf reads the bins of a series of weeks: of whole days by what is kept of them, which
// is made when it is missing, of the rest by its readings. nil: it is none to keep.
func (w *Warehouse) sheetOf(ctx context.Context, s analyzer.Series) (*sheet, error) {
	d, any := daysWithin(s)
	if !w.alone() || !any || s.Devices != nil || s.Bins() <= keptMost {
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
			if known[day-d.first] <= 0 {
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
	sql := fmt.Sprintf("SELECT device, toUInt16(day), look, `in`, `out`, readings, great FROM {db}.raw_days WHERE grid = %d AND device BETWEEN %d AND %d"+
		" AND day BETWEEN toDate(%d) AND toDate(%d) SETTINGS output_format_arrow_compression_method = 'none'", d.grid, s.First, s.Last, d.first, d.end-1)
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

// lookAt makes sure that days are known as of the instant, as far as they can be, and
// returns the looks that tell; nil when they are not to be relied upon.
func (w *Warehouse) lookAt(ctx context.Context, d daySpan) (looks, error) {
	k := &w.days
	if have, _ := k.ask(d.asOf); have.complete(d) {
		return have, nil
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	have, torn := k.ask(d.asOf)
	missing, behind, past := have.lacking(d)
	if len(past) > pastMost {
		return nil, nil
	}
	if len(missing)+len(behind) > 0 {
		n, err := w.devicesHeard(ctx)
		if err != nil {
			return nil, err
		}
		for len(missing) > 0 {
			some := 1
			for some < min(len(missing), daysAtOnce) && missing[some] == missing[0]+int64(some) {
				some++
			}
			err := w.newLook(ctx, d, missing[:some], torn, func(look uint64) error {
				return w.packAll(ctx, look, d, d.series(missing[0], missing[0]+int64(some)), n)
			})
			if err != nil {
				return nil, err
			}
			missing = missing[some:]
		}
		if len(behind) > 0 {
			err := w.newLook(ctx, d, behind, torn, func(look uint64) error { return w.packLate(ctx, look, d, behind, have.oldest(d), n) })
			if err != nil {
				return nil, err
			}
		}
	}
	now, still := k.ask(d.asOf)
	if still != torn {
		return nil, nil
	}
	return now, nil
}

// newLook makes the rows of a look and notes it.
func (w *Warehouse) newLook(ctx context.Context, d daySpan, days []int64, torn int, make func(look uint64) error) error {
	l := look{id: rand.Uint64(), asOf: d.asOf, grid: d.grid, days: slices.Clone(days)}
	if err := make(l.id); err != nil {
		return fmt.Errorf("make %d days of all devices as of %s: %w", len(days), time.UnixMilli(d.asOf).UTC().Format(time.RFC3339), err)
	}
	return w.noteLook(ctx, l, torn)
}

// packAll makes rows of whole days of every device, stripe by stripe of the fleet.
func (w *Warehouse) packAll(ctx context.Context, look uint64, d daySpan, s analyzer.Series, devices int) error {
	next := uint64(0)
	for _, last := range stripeEnds(devices) {
		s.First, s.Last = telemetry.DeviceID(next), telemetry.DeviceID(last)
		if err := w.pack(ctx, look, d, s); err != nil {
			return err
		}
		next = last + 1
	}
	return nil
}

// packLate makes those of some days anew of which something came late after an instant.
func (w *Warehouse) packLate(ctx context.Context, look uint64, d daySpan, days []int64, after int64, devices int) error {
	for _, day := range days {
		s := d.series(day, day+1)
		var ids []telemetry.DeviceID
		sql := fmt.Sprintf("SELECT DISTINCT device FROM {db}.raw_late WHERE kind = %d AND arrival > fromUnixTimestamp64Milli(%d, 'UTC') AND arrival <= fromUnixTimestamp64Milli(%d, 'UTC') AND %s"+
			" ORDER BY device SETTINGS output_format_arrow_compression_method = 'none'", counts.kind, after, d.asOf, between(s.From, s.To))
		err := w.stream(ctx, sql, func(r arrow.Record) error {
			for _, id := range r.Column(0).(*array.Uint64).Uint64Values() {
				ids = append(ids, telemetry.DeviceID(id))
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("read which devices were late: %w", err)
		}
		if len(ids) > max(maxListed, devices/10) {
			if err := w.packAll(ctx, look, d, s, devices); err != nil {
				return err
			}
			continue
		}
		for some := range slices.Chunk(ids, listMost) {
			s.First, s.Last, s.Devices = some[0], some[len(some)-1], some
			if err := w.pack(ctx, look, d, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// pack reads whole days of some devices and puts their rows into raw_days.
func (w *Warehouse) pack(ctx context.Context, look uint64, d daySpan, s analyzer.Series) error {
	sh := newSheet(s.Bins())
	if err := w.layBins(ctx, sh, s, 0); err != nil {
		return err
	}
	rows := dayRows{in: proto.ColFixedStr{Size: daySize}, out: proto.ColFixedStr{Size: daySize}, readings: proto.ColFixedStr{Size: daySize}}
	first := s.From.UnixMilli() / dayMillis
	for _, id := range sh.ordered() {
		begin := sh.places[id]
		for day := range s.Bins() / dayBins {
			rows.add(sh, id, uint16(first+int64(day)), begin+day*dayBins)
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
