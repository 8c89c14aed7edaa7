package ingest

import (
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/telemetry"
)

// plainCounts are the columns of a batch of nothing but counts, each of the type
// that it has in the end and without nulls: what a gateway sends that has its
// readings as columns. They are copied whole, and only devices and times are
// looked at row by row.
type plainCounts struct {
	device            textColumn
	ts                []int64
	in, out, interval []uint32 // nil where there is no such column
}

// plainCountsOf returns the columns; false when the batch has anything else.
func plainCountsOf(batch arrow.Record) (p plainCounts, ok bool) {
	for i, field := range batch.Schema().Fields() {
		a := batch.Column(i)
		if a.NullN() > 0 {
			return p, false
		}
		switch field.Name {
		case "device":
			p.device, ok = textsOf(a)
		case "ts":
			p.ts, ok = millisOf(a)
		case "in":
			p.in, ok = uint32sOf(a)
		case "out":
			p.out, ok = uint32sOf(a)
		case "interval":
			p.interval, ok = uint32sOf(a)
		default:
			return p, false
		}
		if !ok {
			return p, false
		}
	}
	return p, p.device != nil && p.ts != nil && (p.in != nil || p.out != nil)
}

func uint32sOf(a arrow.Array) ([]uint32, bool) {
	if n, ok := a.(*array.Uint32); ok {
		return n.Uint32Values(), true
	}
	return nil, false
}

func millisOf(a arrow.Array) (list []int64, ok bool) {
	switch a := a.(type) {
	case *array.Int64:
		return a.Int64Values(), true
	case *array.Timestamp:
		if a.DataType().(*arrow.TimestampType).Unit == arrow.Millisecond {
			return arrow.Int64Traits.CastFromBytes(arrow.TimestampTraits.CastToBytes(a.TimestampValues())), true
		}
	}
	return nil, false
}

// plain takes the whole batch when no row of it is refused; false when it took
// nothing, and the rows must be judged one by one.
func (w *walk) plain(p *plainCounts, rows int) bool {
	if w.arrival < 0 {
		return false
	}
	for _, ts := range p.ts {
		if ts < oldest || ts >= beyond || ts > w.arrival+aheadLimit {
			return false
		}
	}
	for _, seconds := range p.interval {
		if seconds == 0 {
			return false
		}
	}
	c := &w.into.Counts
	before := len(c.Device)
	for row := range rows {
		name, ok := p.device(row)
		if !ok {
			c.Device = c.Device[:before]
			return false
		}
		id, known := w.d.names.id(name)
		if !known {
			if telemetry.CheckDeviceName(string(name)) != nil {
				c.Device = c.Device[:before]
				return false
			}
			var every uint32
			if p.interval != nil {
				every = p.interval[row]
			}
			w.d.names.add(name, id, w.arrival, every)
		}
		c.Device = append(c.Device, id)
	}
	c.TS = append(c.TS, p.ts...)
	c.Arrival, c.Offset = fill(c.Arrival, w.arrival, rows), fill(c.Offset, w.offset, rows)
	c.In, c.Out = copied(c.In, p.in, 0, rows), copied(c.Out, p.out, 0, rows)
	c.Interval = copied(c.Interval, p.interval, telemetry.DefaultInterval, rows)
	w.index += rows
	return true
}

// copied appends the column, or so many times the default where there is none.
func copied(to, column []uint32, otherwise uint32, rows int) []uint32 {
	if column != nil || rows == 0 {
		return append(to, column...)
	}
	return fill(to, otherwise, rows)
}

func fill[T any](to []T, v T, n int) []T {
	for range n {
		to = append(to, v)
	}
	return to
}
