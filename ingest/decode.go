package ingest

import (
	"bytes"
	"fmt"

	"belfry/telemetry"
)

// Decoder turns records into the columns of a batch. It is pure: what it makes
// depends on its arguments alone, but for the memory of names that saves it
// from hashing and checking the same device again. It is not safe for use by
// several goroutines.
type Decoder struct {
	// Partition is put into every Reject.
	Partition int

	names   names
	fields  fields
	shapes  shapes
	general general
	twins   twins

	accepted *[]span // where the accepted objects are, for Split; nil: nobody asks
}

// span is an accepted object of a record.
type span struct {
	from, to int
	device   []byte // it aliases the record, or memory of its own
}

// NewDecoder returns a Decoder for records of one partition.
func NewDecoder(partition int) *Decoder {
	return &Decoder{Partition: partition, names: makeNames()}
}

// NewDevices returns the devices that the decoder met since it was made, or
// since the last Registered. The slice is the decoder's.
func (d *Decoder) NewDevices() []NewDevice { return d.names.fresh }

// Registered says that the NewDevices are known from now on.
func (d *Decoder) Registered() { d.names.fresh = d.names.fresh[:0] }

// Decode appends the readings of one record to the batch, in the record's
// order, and what it refuses to rejects. The record is one JSON object, an
// array of them, or several one after another (newline-delimited). Of readings
// of one record with the same device, kind and time only the last is kept.
//
// arrivalMillis is the record's timestamp in the log, milliseconds since 1970,
// and offset its place in the partition. Nothing in the batch aliases the
// record; Reject.Raw does.
func (d *Decoder) Decode(record []byte, arrivalMillis, offset int64, into *telemetry.Batch, rejects *[]Reject) {
	rows := d.twins.before(into)
	// Member by member: a literal would be put together aside and copied in wider
	// pieces than it was written in, for which the processor waits 25 ns.
	var w walk
	w.d, w.b, w.arrival, w.offset, w.into, w.rejects = d, record, arrivalMillis, offset, into, rejects
	w.stream()
	if into.Len()-rows.all() > 1 {
		d.twins.drop(into, rows)
	}
}

// walk goes through one record.
type walk struct {
	d               *Decoder
	b               []byte
	arrival, offset int64
	into            *telemetry.Batch
	rejects         *[]Reject
	index           int           // of the object
	row             func() []byte // the object as text, where it is a row; else nil
}

// stream reads values until the record ends.
func (w *walk) stream() {
	i := skipSpace(w.b, 0)
	if bytes.HasPrefix(w.b, []byte("\uFEFF")) {
		i = skipSpace(w.b, 3) // a byte order mark, which some senders can't help
	}
	if i == len(w.b) {
		w.refuse(BadJSON, "the record is empty", 0, 0)
		return
	}
	for i < len(w.b) {
		switch w.b[i] {
		case '{':
			i = w.object(i, false)
		case '[':
			i = w.array(i)
		default:
			end := w.resync(i, i, false)
			w.refuse(BadJSON, "want an object", i, end)
			i = end
		}
		i = skipSpace(w.b, i)
	}
}

// array reads the objects of an array and returns where it ends.
func (w *walk) array(i int) int {
	if i = skipSpace(w.b, i+1); i < len(w.b) && w.b[i] == ']' {
		return i + 1
	}
	for i < len(w.b) {
		i = skipSpace(w.b, w.element(i))
		if i < len(w.b) && w.b[i] != ',' && w.b[i] != ']' {
			end := w.resync(i, i, true)
			w.refuse(BadJSON, "want a comma or the array's end", i, end)
			i = skipSpace(w.b, end)
		}
		if i < len(w.b) && w.b[i] == ']' {
			return i + 1
		}
		if i < len(w.b) && w.b[i] == ',' {
			i = skipSpace(w.b, i+1)
		}
	}
	w.refuse(BadJSON, "the array has no end", i, i)
	return i
}

// element reads what should be an object of an array and returns where it ends.
func (w *walk) element(i int) int {
	if w.b[i] == '{' {
		return w.object(i, true)
	}
	end := i
	if w.b[i] != ']' { // that is a comma too many, and the array ends here
		end = w.resync(i, i, true)
	}
	w.refuse(BadJSON, "want an object", i, end)
	return end
}

// object reads the object at i and returns where it ends, or, when it is no
// JSON, where its neighbour may begin.
func (w *walk) object(i int, inArray bool) int {
	end, ok := w.usual(i)
	if ok {
		return end
	}
	f := &w.d.fields
	f.reset()
	if end, ok = w.d.shapes.match(w.b, i, f); ok {
		w.take(f, i, end)
		return end
	}
	f.reset()
	if end, ok = scan(w.b, i, f); ok {
		w.d.shapes.missed(w.b[i:end])
	} else {
		f.reset()
		g := &w.d.general
		g.b, g.i = w.b, i
		err := g.object(f)
		end = g.i
		g.b = nil
		if err != nil {
			end = w.resync(i, end, inArray)
			w.refuse(BadJSON, err.Error(), i, end)
			return end
		}
	}
	w.take(f, i, end)
	return end
}

// resync finds where reading can go on after a fault at i in what began at
// start: at the next object that begins a line, even if the fault is behind it
// (a line cut off after a colon makes the next line look like its value), or in
// an array after a comma; else at the end of the array or of the record.
func (w *walk) resync(start, i int, inArray bool) int {
	last, lastAt, newline := w.b[start], start, false // the last byte that is no space
	for j := start + 1; j < len(w.b); j++ {
		switch c := w.b[j]; {
		case c == '\n':
			newline = true
		case c == ' ' || c == '\t' || c == '\r':
		case c == '{' && inArray && last == ',' && (newline || j >= i):
			return lastAt // the comma belongs to the array
		case c == '{' && newline:
			return j
		default:
			last, lastAt, newline = c, j, false
		}
	}
	if inArray && last == ']' {
		return lastAt
	}
	return len(w.b)
}

// take checks what the object says and appends it to the batch.
func (w *walk) take(f *fields, from, to int) {
	reason, detail := w.check(f)
	if reason != "" {
		w.refuse(reason, detail, from, to)
		return
	}
	id, known := w.d.names.id(f.device)
	if !known {
		if err := telemetry.CheckDeviceName(string(f.device)); err != nil {
			w.refuse(BadDevice, err.Error(), from, to)
			return
		}
		w.d.names.add(f.device, id, w.arrival, f.everySeconds())
	}
	switch {
	case !f.isCount():
		w.heartbeat(f, id)
	case f.isTotal():
		w.total(f, id)
	default:
		interval := f.interval
		if f.intervalState == absent {
			interval = telemetry.DefaultInterval
		}
		w.count(id, f.ts, f.in, f.out, interval)
	}
	w.took(from, to, f.device)
}

// took notes that an object was accepted.
func (w *walk) took(from, to int, device []byte) {
	if w.d.accepted != nil {
		*w.d.accepted = append(*w.d.accepted, span{from, to, device})
	}
	w.index++
}

// everySeconds returns the interval that a count names; 0 when it names none.
func (f *fields) everySeconds() uint32 {
	if f.isCount() && f.intervalState == good {
		return f.interval
	}
	return 0
}

func (w *walk) count(id telemetry.DeviceID, ts int64, in, out, interval uint32) {
	c := &w.into.Counts
	c.Device = append(c.Device, id)
	c.TS = append(c.TS, ts)
	c.Arrival = append(c.Arrival, w.arrival)
	c.Offset = append(c.Offset, w.offset)
	c.In = append(c.In, in)
	c.Out = append(c.Out, out)
	c.Interval = append(c.Interval, interval)
}

func (w *walk) heartbeat(f *fields, id telemetry.DeviceID) {
	h := &w.into.Heartbeats
	h.Device = append(h.Device, id)
	h.TS = append(h.TS, f.ts)
	h.Arrival = append(h.Arrival, w.arrival)
	h.Offset = append(h.Offset, w.offset)
	h.Firmware = append(h.Firmware, w.d.names.word(f.fw))
	for i := range f.measures {
		m := &f.measures[i]
		if m.word == "" {
			m.word = w.d.names.word(m.name)
		}
		h.Name, h.Value = append(h.Name, m.word), append(h.Value, m.value)
	}
	h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
}

func (w *walk) refuse(reason, detail string, from, to int) {
	raw := bytes.TrimSpace(w.b[from:to])
	if w.row != nil {
		raw = w.row()
	}
	*w.rejects = append(*w.rejects, Reject{
		Reason: reason, Detail: detail, Raw: raw,
		Partition: w.d.Partition, Offset: w.offset, Arrival: w.arrival, Index: w.index, At: from,
	})
	w.index++
}

// quote shows a value in a Detail, shortened.
func quote(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf("%.40q...", b)
	}
	return fmt.Sprintf("%q", b)
}
