package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"belfry/telemetry"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// arrowStream is the content type of records in Arrow IPC streaming format.
const arrowStream = "application/vnd.apache.arrow.stream"

// Limits of an Arrow record. They bound what one bad sender can cost.
const (
	MaxArrowRows  = 1 << 20
	maxArrowBytes = 128 << 20 // inflated
)

// DecodeArrow is Decode for a record that is an Arrow IPC stream, a row for
// each reading, judged by the same rules. The columns are known by name: device
// (text), ts (a timestamp, or epoch milliseconds), kind and fw (text), in, out
// and interval (any number type); other numbers are measurements, the rest is
// ignored. Text may be in a dictionary. A null is as if the member were not
// there, as is a measurement that is NaN. A refused row is a Reject whose Raw
// is the row as a JSON object; a stream that breaks off is one more, as a
// whole, with the reason bad_arrow.
func (d *Decoder) DecodeArrow(record []byte, arrivalMillis, offset int64, into *telemetry.Batch, rejects *[]Reject) {
	rows := d.twins.before(into)
	w := walk{d: d, b: record, arrival: arrivalMillis, offset: offset, into: into, rejects: rejects}
	if err := w.arrow(); err != nil {
		w.row = nil
		w.refuse(BadArrow, err.Error(), 0, 0)
		last := &(*rejects)[len(*rejects)-1]
		last.Raw, last.Type = record, arrowStream
	}
	d.twins.drop(into, rows)
}

// arrow reads the batches of the stream. The library panics on some streams
// that are none; that is their fault, not ours.
func (w *walk) arrow() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no Arrow IPC stream: %v", r)
		}
	}()
	if bytes.HasPrefix(w.b, ipc.Magic) {
		return errors.New("no Arrow IPC stream but an Arrow file; write it with a stream writer (in Python pyarrow.ipc.new_stream)")
	}
	in, err := ipc.NewReaderFromMessageReader(&frames{w.b}, ipc.WithAllocator(&bounded{memory.NewGoAllocator(), maxArrowBytes}))
	if err != nil {
		return fmt.Errorf("no Arrow IPC stream: %w", err)
	}
	defer in.Release()
	left := int64(MaxArrowRows)
	for in.Next() {
		batch := in.Record()
		if left -= batch.NumRows(); left < 0 || batch.NumRows() < 0 {
			return fmt.Errorf("more than %d rows; send them in several records", MaxArrowRows)
		}
		if p, ok := plainCountsOf(batch); ok && w.plain(&p, int(batch.NumRows())) {
			continue
		}
		columns, err := arrowColumnsOf(batch)
		if err != nil {
			return err
		}
		w.rows(columns, int(batch.NumRows()))
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("the stream breaks off: %w", err)
	}
	return nil
}

func (w *walk) rows(c *arrowColumns, n int) {
	row := 0
	w.row = func() []byte { return c.json(row) }
	for ; row < n; row++ {
		f := &w.d.fields
		f.reset()
		c.read(row, f)
		w.take(f, 0, 0)
	}
	w.row = nil
}

// bounded is an allocator that gives out only so much, since a few bytes can
// claim that they inflate to gigabytes.
type bounded struct {
	memory.Allocator
	left int
}

func (b *bounded) Allocate(size int) []byte {
	b.charge(size)
	return b.Allocator.Allocate(size)
}

func (b *bounded) Reallocate(size int, old []byte) []byte {
	b.charge(size - len(old))
	return b.Allocator.Reallocate(size, old)
}

// Free gives nothing back to the bound: it is for the record as a whole.
func (b *bounded) Free(old []byte) { b.Allocator.Free(old) }

func (b *bounded) charge(size int) {
	if b.left -= max(size, 0); b.left < 0 {
		panic(fmt.Sprintf("it needs more than %d bytes of memory", maxArrowBytes))
	}
}

// arrowColumns are the columns of one batch that mean something to us. Those
// that are not there are nil.
type arrowColumns struct {
	batch            arrow.Record
	device, kind, fw textColumn
	ts               timeColumn
	in, out, every   numberColumn
	measures         []numberColumn
	names            [][]byte // of the measures
}

func arrowColumnsOf(batch arrow.Record) (*arrowColumns, error) {
	c := &arrowColumns{batch: batch}
	for i, field := range batch.Schema().Fields() {
		if !c.use(field.Name, batch.Column(i)) {
			return nil, fmt.Errorf("the column %s is of type %s; want text for device, kind and fw, a timestamp or number for ts, numbers for in, out, interval and totals", field.Name, field.Type)
		}
	}
	if c.device == nil || c.ts == nil {
		return nil, errors.New("the stream needs a column device and a column ts")
	}
	return c, nil
}

// use takes in a column; false when it has no type that we read.
func (c *arrowColumns) use(name string, a arrow.Array) (ok bool) {
	switch name {
	case "device":
		c.device, ok = textsOf(a)
	case "kind":
		c.kind, ok = textsOf(a)
	case "fw":
		c.fw, ok = textsOf(a)
	case "ts":
		c.ts, ok = timesOf(a)
	case "in":
		c.in, ok = numbersOf(a)
	case "out":
		c.out, ok = numbersOf(a)
	case "interval":
		c.every, ok = numbersOf(a)
	default:
		x, isNumber := numbersOf(a)
		if isNumber {
			c.measures, c.names = append(c.measures, x), append(c.names, []byte(name))
		}
		return isNumber || totalNamed([]byte(name)) == 0
	}
	return ok
}

// read puts a row into fields, as the scanners do with an object.
func (c *arrowColumns) read(row int, f *fields) {
	f.device, f.deviceState = c.device.at(row)
	f.ts, f.tsState = c.ts(row)
	f.kind, f.kindState = c.kind.at(row)
	f.in, f.inState = c.in.uint32(row)
	f.out, f.outState = c.out.uint32(row)
	f.interval, f.intervalState = c.every.uint32(row)
	f.fw, f.fwState = c.fw.at(row)
	for i, m := range c.measures {
		switch x, ok := m(row); {
		case ok && math.IsNaN(x):
			f.spoil(c.names[i], true)
		case ok:
			f.setMeasure(c.names[i], x)
		}
	}
}

// json writes a row as an object, for people and for another attempt. What JSON
// can't say stands in quotes.
func (c *arrowColumns) json(row int) []byte {
	object := map[string]any{}
	for i, field := range c.batch.Schema().Fields() {
		if a := c.batch.Column(i); !a.IsNull(row) {
			object[field.Name] = a.ValueStr(row)
			if x, ok := numbersOf(a); ok {
				if v, _ := x(row); !math.IsNaN(v) && !math.IsInf(v, 0) {
					object[field.Name] = json.RawMessage(a.ValueStr(row))
				}
			}
		}
	}
	if at, state := c.ts(row); state == good {
		object["ts"] = at
	}
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Appendf(nil, "%q", fmt.Sprint(object))
	}
	return text
}
