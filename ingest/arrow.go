package ingest

import (
	"bytes"
	"fmt"

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
	maxArrowBytes = 256 << 20 // inflated
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
	counts, heartbeats := into.Counts.Len(), into.Heartbeats.Len()
	w := walk{d: d, b: record, arrival: arrivalMillis, offset: offset, into: into, rejects: rejects}
	if err := w.arrow(); err != nil {
		w.row = nil
		w.refuse(BadArrow, err.Error(), 0, len(record))
	}
	d.twins.dropCounts(&into.Counts, counts)
	d.twins.dropHeartbeats(&into.Heartbeats, heartbeats)
}

// arrow reads the batches of the stream. The library panics on some streams
// that are none; that is their fault, not ours.
func (w *walk) arrow() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no Arrow IPC stream: %v", r)
		}
	}()
	in, err := ipc.NewReader(bytes.NewReader(w.b), ipc.WithAllocator(&bounded{memory.NewGoAllocator(), maxArrowBytes}))
	if err != nil {
		return fmt.Errorf("no Arrow IPC stream: %w", err)
	}
	defer in.Release()
	left := int64(MaxArrowRows)
	for in.Next() {
		batch := in.Record()
		if left -= batch.NumRows(); left < 0 {
			return fmt.Errorf("more than %d rows; send them in several records", MaxArrowRows)
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
	batch                    arrow.Record
	device, kind, fw         textColumn
	ts                       timeColumn
	in, out, interval        numberColumn
	measures                 []numberColumn
	measureNames             [][]byte
	inAt, outAt, intervalAt  arrow.Array
	deviceAt, kindAt, fwAt   arrow.Array
	tsAt                     arrow.Array
	measuresAt               []arrow.Array
}

func arrowColumnsOf(batch arrow.Record) (c *arrowColumns, err error) {
	c = &arrowColumns{batch: batch}
	for i, field := range batch.Schema().Fields() {
		a, ok := batch.Column(i), true
		switch field.Name {
		case "device":
			c.device, ok = textsOf(a)
			c.deviceAt = a
		case "kind":
			c.kind, ok = textsOf(a)
			c.kindAt = a
		case "fw":
			c.fw, ok = textsOf(a)
			c.fwAt = a
		case "ts":
			c.ts, ok = timesOf(a)
			c.tsAt = a
		case "in":
			c.in, ok = numbersOf(a)
			c.inAt = a
		case "out":
			c.out, ok = numbersOf(a)
			c.outAt = a
		case "interval":
			c.interval, ok = numbersOf(a)
			c.intervalAt = a
		default:
			if x, isNumber := numbersOf(a); isNumber {
				c.measures, c.measureNames, c.measuresAt = append(c.measures, x), append(c.measureNames, []byte(field.Name)), append(c.measuresAt, a)
			}
		}
		if !ok {
			return nil, fmt.Errorf("the column %s is of type %s; want text for device, kind and fw, a timestamp or number for ts, numbers for in, out and interval", field.Name, field.Type)
		}
	}
	if c.device == nil || c.ts == nil {
		return nil, fmt.Errorf("the stream has the columns %s; device and ts are needed", columnNames(batch.Schema()))
	}
	return c, nil
}
