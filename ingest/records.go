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
	b := r.body
	length, i := varint(b, 0)
	if i < 0 || length < 1 || length > int64(len(b)-i) {
		return errShort
	}
	b, r.body = b[:i+int(length)], b[i+int(length):]
	timeDelta, i := varint(b, i+1) // behind a byte that has no use yet
	offsetDelta, i := varint(b, i)
	rec.key, i = varbytes(b, i)
	rec.value, i = varbytes(b, i)
	if i < 0 {
		return errShort
	}
	rec.offset, rec.timestamp = r.base+offsetDelta, r.firstTime+timeDelta
	if r.logAppended {
		rec.timestamp = r.maxTime
	}
	rec.contentType, rec.headers = nil, b[i:]
	if len(rec.headers) == 1 && rec.headers[0] == 0 { // none, as usual
		return nil
	}
	return rec.readHeaders()
}

// readHeaders looks for the content type.
func (rec *record) readHeaders() error {
	ok := eachHeader(rec.headers, func(name, text []byte) {
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
	n, i := varint(b, 0)
	for ; i >= 0 && n > 0; n-- {
		var name, text []byte
		name, i = varbytes(b, i)
		if text, i = varbytes(b, i); i >= 0 {
			f(name, text)
		}
	}
	return i >= 0
}

// varint reads the number at i, as binary.Varint does, and returns where it ends; -1
// when there is none, or when i is -1. Most have one or two bytes.
func varint(b []byte, i int) (n int64, end int) {
	if i < 0 || len(b)-i < 2 || b[i] >= 0x80 && b[i+1] >= 0x80 {
		return longVarint(b, i)
	}
	u, end := int64(b[i]), i+1
	if u >= 0x80 {
		u, end = u&0x7F|int64(b[i+1])<<7, i+2
	}
	return u>>1 ^ -(u & 1), end
}

func longVarint(b []byte, i int) (n int64, end int) {
	if i < 0 {
		return 0, -1
	}
	n, size := binary.Varint(b[i:])
	if size <= 0 {
		return 0, -1
	}
	return n, i + size
}

// varbytes reads bytes with their length before them, as varint does numbers. They
// are nil when the length is -1.
func varbytes(b []byte, i int) (text []byte, end int) {
	n, i := varint(b, i)
	switch {
	case i < 0 || n < -1 || n > int64(len(b)-i):
		return nil, -1
	case n < 0:
		return nil, i
	}
	return b[i : i+int(n)], i + int(n)
}
