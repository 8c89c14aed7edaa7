package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/segmentio/kafka-go/compress"
)

// record is one record of the log. Its slices alias the fetch's buffers.
type record struct {
	offset      int64
	timestamp   int64 // milliseconds since 1970; -1 when the producer gave none
	key, value  []byte
	contentType []byte // the header of that name
	headers     []byte // all headers, as they are encoded
}

// contentTypeHeader is the header that says what a value is.
const contentTypeHeader = "content-type"

// batchError says that a batch of the log can't be read: the log is damaged
// there, or its producer was.
type batchError struct {
	from, to int64  // offsets: the first, and the one after the last
	raw      []byte // the batch's bytes
	err      error
}

func (e *batchError) Error() string {
	return fmt.Sprintf("batch at offsets %d to %d: %v", e.from, e.to-1, e.err)
}

func (e *batchError) Unwrap() error { return e.err }

// maxInflated bounds what one compressed batch may grow to.
const maxInflated = 256 << 20

// records goes through a record set: the batches of one fetch, format v2. It is
// pure: bytes in, records out. Control batches and those of aborted
// transactions are left out.
type records struct {
	set     []byte // what is left of it
	from    int64  // records before this offset are left out
	next    int64  // where the next fetch begins
	aborted []abortedTransaction

	body        []byte // of the current batch, inflated
	count       int    // records left in it
	base        int64
	firstTime   int64
	maxTime     int64
	logAppended bool

	inflated bytes.Buffer // kept from batch to batch
	source   bytes.Reader
}

// abortedTransaction is a producer's transaction that was given up: its
// records begin at first and end with a control record.
type abortedTransaction struct{ producer, first int64 }

// reset begins a new record set. The records alias it, and memory of r, until
// the next reset.
func (r *records) reset(set []byte, from int64, aborted []abortedTransaction) {
	r.set, r.from, r.next, r.aborted = set, from, from, aborted
	r.body, r.count = nil, 0
}

// The layout of a batch's head.
const (
	batchPrefix = 12 // first offset, length
	batchHead   = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// read puts the next record into rec; io.EOF when there is none, *batchError
// when a batch is unreadable, after which read goes on behind it.
func (r *records) read(rec *record) error {
	for {
		for r.count > 0 {
			r.count--
			if err := r.record(rec); err != nil {
				r.count = 0
				return &batchError{r.base, r.next, r.body, err}
			}
			if rec.offset >= r.from {
				return nil
			}
		}
		if err := r.batch(); err != nil {
			return err
		}
	}
}

// batch opens the next batch.
func (r *records) batch() error {
	// A fetch may cut its last batch off anywhere; it comes whole next time.
	if len(r.set) < batchPrefix {
		return io.EOF
	}
	base := int64(binary.BigEndian.Uint64(r.set))
	size := batchPrefix + int(int32(binary.BigEndian.Uint32(r.set[8:])))
	if size < batchHead {
		r.set = nil
		return fmt.Errorf("a batch of %d bytes at offset %d: the log speaks no protocol we know", size, base)
	}
	if len(r.set) < size {
		return io.EOF
	}
	b := r.set[:size]
	r.set = r.set[size:]
	if magic := b[16]; magic != 2 {
		return fmt.Errorf("record format v%d at offset %d; want v2, of Kafka 0.11 or later", magic, base)
	}
	r.base = base
	r.next = max(r.next, base+int64(int32(binary.BigEndian.Uint32(b[23:])))+1)
	if err := r.open(b); err != nil {
		return &batchError{base, r.next, b, err}
	}
	return nil
}

// open checks a batch and makes its records readable.
func (r *records) open(b []byte) (err error) {
	if sum := crc32.Checksum(b[21:], castagnoli); sum != binary.BigEndian.Uint32(b[17:]) {
		return fmt.Errorf("checksum %08x, want %08x", sum, b[17:21])
	}
	attributes := binary.BigEndian.Uint16(b[21:])
	if attributes&0x20 != 0 || attributes&0x10 != 0 && r.isAborted(int64(binary.BigEndian.Uint64(b[43:]))) {
		if attributes&0x20 != 0 {
			r.endTransaction(int64(binary.BigEndian.Uint64(b[43:])))
		}
		return nil
	}
	r.logAppended = attributes&0x08 != 0
	r.firstTime = int64(binary.BigEndian.Uint64(b[27:]))
	r.maxTime = int64(binary.BigEndian.Uint64(b[35:]))
	if r.body, err = r.inflate(b[batchHead:], compress.Compression(attributes&0x07)); err != nil {
		return err
	}
	r.count = int(int32(binary.BigEndian.Uint32(b[57:])))
	return nil
}

// isAborted reports whether the current batch belongs to an aborted transaction
// of the producer.
func (r *records) isAborted(producer int64) bool {
	return slices.ContainsFunc(r.aborted, func(a abortedTransaction) bool { return a.producer == producer && a.first <= r.base })
}

// endTransaction forgets the producer's oldest aborted transaction, which the
// control batch at r.base ends.
func (r *records) endTransaction(producer int64) {
	oldest := -1
	for i, a := range r.aborted {
		if a.producer == producer && a.first <= r.base && (oldest < 0 || a.first < r.aborted[oldest].first) {
			oldest = i
		}
	}
	if oldest >= 0 {
		r.aborted = slices.Delete(r.aborted, oldest, oldest+1)
	}
}

func (r *records) inflate(b []byte, method compress.Compression) ([]byte, error) {
	if method == compress.None {
		return b, nil
	}
	codec := method.Codec()
	if codec == nil {
		return nil, fmt.Errorf("compression %d is unknown", method)
	}
	r.source.Reset(b)
	in := codec.NewReader(&r.source)
	defer in.Close()
	r.inflated.Reset()
	n, err := r.inflated.ReadFrom(io.LimitReader(in, maxInflated+1))
	if err != nil {
		return nil, fmt.Errorf("inflate (%s): %w", codec.Name(), err)
	}
	if n > maxInflated {
		return nil, fmt.Errorf("inflates (%s) to more than %d bytes", codec.Name(), maxInflated)
	}
	return r.inflated.Bytes(), nil
}

var errShort = errors.New("a record runs over the end of its batch")

// record reads the next record of the open batch.
func (r *records) record(rec *record) error {
	length, b, ok := varint(r.body)
	if !ok || length < 1 || int64(len(b)) < length {
		return errShort
	}
	b, r.body = b[:length], b[length:]
	timeDelta, b, ok1 := varint(b[1:]) // the first byte has no use yet
	offsetDelta, b, ok2 := varint(b)
	var ok3, ok4 bool
	rec.key, b, ok3 = varbytes(b)
	rec.value, b, ok4 = varbytes(b)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return errShort
	}
	rec.offset, rec.timestamp = r.base+offsetDelta, r.firstTime+timeDelta
	if r.logAppended {
		rec.timestamp = r.maxTime
	}
	return rec.setHeaders(b)
}

// setHeaders keeps the headers and looks for the content type.
func (rec *record) setHeaders(b []byte) error {
	rec.contentType, rec.headers = nil, b
	if len(b) == 1 && b[0] == 0 { // none, as usual
		return nil
	}
	ok := eachHeader(b, func(name, text []byte) {
		if string(name) == contentTypeHeader {
			rec.contentType = text
		}
	})
	if !ok {
		return errShort
	}
	return nil
}

// eachHeader goes through encoded headers; false when they are broken.
func eachHeader(b []byte, f func(name, text []byte)) bool {
	n, b, ok := varint(b)
	for ; ok && n > 0; n-- {
		var name, text []byte
		var ok2 bool
		name, b, ok = varbytes(b)
		text, b, ok2 = varbytes(b)
		if ok = ok && ok2; ok {
			f(name, text)
		}
	}
	return ok
}

func varint(b []byte) (n int64, rest []byte, ok bool) {
	n, size := binary.Varint(b)
	if size <= 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

// varbytes reads bytes with their length before them; -1 is for none.
func varbytes(b []byte) (text, rest []byte, ok bool) {
	n, b, ok := varint(b)
	if !ok || n < -1 || n > int64(len(b)) {
		return nil, nil, false
	}
	if n == -1 {
		return nil, b, true
	}
	return b[:n], b[n:], true
}
