// Package recording reads recorded measurements: CSV, NDJSON and Parquet files,
// plain or packed with gzip or zstd, in belfry's own columns or through a column
// map. Out come rows that are ready for the log: the device as key, the
// telemetry message as value, and the arrival to stamp the record with.
//
// It promises that each row of a file comes out, as a message or as part of one.
// What can't be right (no device, a time that did not exist, "NaN" for a number)
// is passed on as it stands in the file, so that ingestion refuses it with its
// reason and keeps it with the dead letters; nothing is dropped, and nothing
// that is missing turns into a zero.
//
// The package knows nothing of Kafka and never reads the clock. It also reads
// registry files (ReadRegistry).
package recording

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Options say how a file is to be read. The zero Options read belfry's own
// columns: device, ts, in, out, interval, kind, arrival, fw, and any other as a
// named measurement of a heartbeat.
type Options struct {
	// Format is csv, ndjson or parquet; "" takes it from the file's name.
	Format string
	// Columns maps the file's columns to belfry's: see ParseColumns.
	Columns string
	// NoHeader says that a CSV file has no header, and that Columns names its
	// columns by number, from 1.
	NoHeader bool
	// TimeFormat is rfc3339, unix (seconds), unixms, or a layout of Go's time
	// package. "" takes RFC 3339, epoch milliseconds, and the same date and
	// time without an offset, which is then local to Zone.
	TimeFormat string
	// Zone is an IANA name or a fixed offset such as +10:00, for times without
	// an offset of their own; "" is UTC.
	Zone string
	// Interval is the length of a count's interval in seconds, where the file
	// has no column for it; 0 leaves it to the message's default.
	Interval int
	// Stamps says whether a count's time is the "start" or the "end" of its
	// interval; "" is end.
	Stamps string
	// Flows says which value of the flow column is which direction, such as
	// "9=in,7=out"; "x=-" leaves rows of flow x out, and "*=-" all others. Rows
	// of one device and time that stand next to each other become one reading.
	Flows string
	// DevicePrefix is put before each device's name.
	DevicePrefix string
	// Missing lists what stands for a missing value; nil means "", NaN, NULL,
	// null, NA, N/A.
	Missing []string
	// Shift is added to all times.
	Shift time.Duration
}

// Row is one message for the log. Its value belongs to the caller.
type Row struct {
	Device  string    // key of the record; "" when the row names no device
	Value   []byte    // the telemetry message
	Arrival time.Time // the row's own, or the reading's time; when neither can be read, that of the row before
	Line    int64     // where it stood in the file, from 1 (the header counts); the last of several joined ones
	Note    string    // what is wrong with it, as far as the reader can tell; "" when nothing
}

// Progress says how far a file has been read.
type Progress struct {
	Rows    int64 // rows of the file, the header not counted
	Ignored int64 // of these, rows of flows that Options.Flows leaves out
	Bytes   int64 // position in the file as it lies on disk
	Total   int64 // size of the file
}

// Reader reads one file. Next and Close are for one goroutine; Progress is for any.
type Reader struct {
	file    *file
	src     source
	mapped  *mapping
	pass    bool // NDJSON in belfry's own form: lines go through untouched
	clock   *clock
	options Options

	held    *draft // a reading whose other flow may follow
	queue   []Row
	arrival time.Time
	rows    atomic.Int64
	ignored atomic.Int64
}

// A source yields the rows of a file as text cells, one for each column. The
// slice is the source's and is overwritten by the following call.
type source interface {
	columns() []string
	next() (cells []string, line int64, err error)
}

// rowError says that one row can't be taken apart. The rows after it can.
type rowError struct {
	raw string
	why string
}

func (e *rowError) Error() string { return e.why }

// Open opens a file and checks the options against its columns.
func Open(path string, o Options) (*Reader, error) {
	r, err := open(path, o)
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", path, err)
	}
	return r, nil
}

func open(path string, o Options) (*Reader, error) {
	format, err := formatOf(path, o.Format)
	if err != nil {
		return nil, err
	}
	spec, err := o.check(format)
	if err != nil {
		return nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	r := &Reader{file: f, options: o, pass: format == formatNDJSON && o.Columns == ""}
	if err := r.bind(format, spec); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// bind opens the source and ties the column map to its columns.
func (r *Reader) bind(format string, spec *Columns) (err error) {
	zone, err := ParseZone(r.options.Zone)
	if err != nil {
		return err
	}
	timeFormat := r.options.TimeFormat
	switch format {
	case formatCSV:
		r.src, err = newCSV(r.file, r.options.NoHeader)
	case formatNDJSON:
		r.src = newNDJSON(r.file, spec)
	case formatParquet:
		var p *parquetSource
		if p, err = newParquet(r.file); err == nil {
			r.src = p
			// Times that have a type of their own need no format.
			if p.timed(spec.columnsOf("ts")) {
				timeFormat = ""
			}
		}
	}
	if err != nil {
		return err
	}
	r.clock = newClock(timeFormat, zone)
	if r.pass {
		return nil
	}
	r.mapped, err = spec.bind(r.src.columns(), r.options)
	return err
}

// Next returns the next row, or io.EOF after the last. An error other than
// io.EOF means that the file can't be read further.
func (r *Reader) Next() (Row, error) {
	for len(r.queue) == 0 {
		if err := r.read(); err != nil {
			return Row{}, err
		}
	}
	row := r.queue[0]
	r.queue = r.queue[1:]
	return row, nil
}

// read takes one row of the file and queues what it completes.
func (r *Reader) read() error {
	cells, line, err := r.src.next()
	var bad *rowError
	switch {
	case errors.Is(err, io.EOF):
		if !r.flush() {
			return io.EOF
		}
		return nil
	case errors.As(err, &bad):
		r.rows.Add(1)
		r.flush()
		r.queue = append(r.queue, r.unreadable(bad, line))
		return nil
	case err != nil:
		return fmt.Errorf("read recording %s, after line %d: %w", r.file.path, line, err)
	}
	r.rows.Add(1)
	if r.pass {
		r.queue = r.passThrough(r.queue, cells[0], line)
		return nil
	}
	d := r.mapped.draft(cells, line)
	if r.mapped.flows == nil {
		r.queue = append(r.queue, r.row(d))
		return nil
	}
	r.join(d)
	return nil
}

// Progress says how far the reader has come.
func (r *Reader) Progress() Progress {
	return Progress{Rows: r.rows.Load(), Ignored: r.ignored.Load(), Bytes: r.file.position(), Total: r.file.size}
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }

// Span reads a whole file and returns the first and the last time in it, and the
// number of rows that it yields; both times are zero when no row has one.
func Span(path string, o Options) (first, last time.Time, rows int64, err error) {
	r, err := Open(path, o)
	if err != nil {
		return first, last, 0, err
	}
	defer r.Close()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return first, last, rows, nil
		}
		if err != nil {
			return first, last, rows, err
		}
		rows++
		if row.Arrival.IsZero() {
			continue
		}
		if first.IsZero() || row.Arrival.Before(first) {
			first = row.Arrival
		}
		if row.Arrival.After(last) {
			last = row.Arrival
		}
	}
}
