package ingest

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

// fetcher reads the record sets of one partition from its leader, into one
// buffer that it keeps. The requests and answers are spoken here rather than by
// kafka-go: its Conn gives either values without their timestamps, or one
// allocated message for each record, and hides control records and aborted
// transactions. It needs a broker that speaks Fetch version 10 (Kafka 2.1 or
// later).
type fetcher struct {
	link      *link
	client    *kafka.Client
	topic     string
	partition int
	maxBytes  int

	conn    net.Conn // nil when not connected
	request []byte
	answer  []byte
	number  int32 // correlates an answer with its request
}

// fetched is the answer to one fetch. The set is the fetcher's until the next.
type fetched struct {
	set         []byte
	aborted     []abortedTransaction
	end         int64 // offset after the last record that can be read
	start       int64 // offset of the first record that is still there
	transferred int
}

const fetchVersion = 10

// fetch asks for records from an offset on, and waits up to wait for the first.
// A Kafka error, such as kafka.OffsetOutOfRange, is wrapped. After any error the
// next call connects anew.
func (f *fetcher) fetch(ctx context.Context, offset int64, wait time.Duration) (res fetched, err error) {
	if err = f.connect(ctx); err != nil {
		return res, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait+requestTimeout)
	defer cancel()
	conn := f.conn
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = f.roundTrip(offset, wait)
	if stopped := stop(); err == nil && stopped {
		if res, err = parseFetch(f.answer, f.number); err == nil {
			return res, nil
		}
	}
	f.close()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return res, explain(fmt.Errorf("fetch %s/%d from offset %d: %w", f.topic, f.partition, offset, err))
}

func (f *fetcher) connect(ctx context.Context) error {
	if f.conn != nil {
		return nil
	}
	partitions, err := partitionsOf(ctx, f.client, f.topic)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		if p.ID == f.partition {
			f.conn, err = f.link.dial(ctx, net.JoinHostPort(p.Leader.Host, fmt.Sprint(p.Leader.Port)))
			return err
		}
	}
	return fmt.Errorf("topic %s has no partition %d: %w", f.topic, f.partition, ErrMissingTopic)
}

func (f *fetcher) close() {
	if f.conn != nil {
		f.conn.Close()
		f.conn = nil
	}
}

// roundTrip sends a request and reads the answer's bytes into f.answer.
func (f *fetcher) roundTrip(offset int64, wait time.Duration) error {
	f.number++
	f.encode(offset, wait)
	if _, err := f.conn.Write(f.request); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(f.conn, head[:]); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head[:])))
	if size < 0 || size > 1<<30 {
		return fmt.Errorf("an answer of %d bytes; is this a Kafka broker?", size)
	}
	// A single batch may be larger than what was asked for; its buffer is not kept.
	if size > cap(f.answer) || cap(f.answer) > 2*f.maxBytes+1<<20 {
		f.answer = make([]byte, max(size, f.maxBytes+1<<16))
	}
	f.answer = f.answer[:size]
	_, err := io.ReadFull(f.conn, f.answer)
	return err
}

func (f *fetcher) encode(offset int64, wait time.Duration) {
	be := binary.BigEndian
	b := append(f.request[:0], 0, 0, 0, 0)
	b = be.AppendUint16(b, 1) // Fetch
	b = be.AppendUint16(b, fetchVersion)
	b = be.AppendUint32(b, uint32(f.number))
	b = appendText(b, "belfry")
	b = be.AppendUint32(b, 1<<32-1) // replica: none, a consumer
	b = be.AppendUint32(b, uint32(wait.Milliseconds()))
	b = be.AppendUint32(b, 1) // least bytes
	b = be.AppendUint32(b, uint32(f.maxBytes))
	b = append(b, 1)                // committed records only
	b = be.AppendUint32(b, 0)       // session: none
	b = be.AppendUint32(b, 1<<32-1) // session epoch: none
	b = be.AppendUint32(b, 1)       // one topic
	b = appendText(b, f.topic)
	b = be.AppendUint32(b, 1) // one partition
	b = be.AppendUint32(b, uint32(f.partition))
	b = be.AppendUint32(b, 1<<32-1) // leader epoch: unknown
	b = be.AppendUint64(b, uint64(offset))
	b = be.AppendUint64(b, 1<<64-1) // log start: for followers
	b = be.AppendUint32(b, uint32(f.maxBytes))
	b = be.AppendUint32(b, 0) // topics to forget: none
	be.PutUint32(b, uint32(len(b)-4))
	f.request = b
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// parseFetch reads an answer with one topic and one partition.
func parseFetch(b []byte, number int32) (res fetched, err error) {
	res.transferred = len(b)
	in := wire{b: b}
	if got := in.int32(); got != number {
		return res, fmt.Errorf("answer %d to request %d", got, number)
	}
	in.int32() // throttle
	if code := in.int16(); code != 0 {
		return res, kafka.Error(code)
	}
	in.int32() // session
	if n := in.int32(); n != 1 {
		return res, fmt.Errorf("an answer about %d topics", n)
	}
	in.bytes(int(in.int16())) // topic
	if n := in.int32(); n != 1 {
		return res, fmt.Errorf("an answer about %d partitions", n)
	}
	in.int32() // partition
	if code := in.int16(); code != 0 {
		return res, kafka.Error(code)
	}
	in.int64() // high watermark, which open transactions lie under
	res.end = in.int64()
	res.start = in.int64()
	for n := in.int32(); n > 0 && !in.short; n-- {
		res.aborted = append(res.aborted, abortedTransaction{producer: in.int64(), first: in.int64()})
	}
	res.set = in.bytes(int(in.int32()))
	if in.short {
		return res, io.ErrUnexpectedEOF
	}
	return res, nil
}

// wire reads big-endian numbers; short is set when there are too few bytes.
type wire struct {
	b     []byte
	short bool
}

func (w *wire) bytes(n int) []byte {
	if n < 0 { // null
		return nil
	}
	if n > len(w.b) {
		w.short, w.b = true, nil
		return nil
	}
	b := w.b[:n]
	w.b = w.b[n:]
	return b
}

func (w *wire) uint(size int) (n uint64) {
	for _, c := range w.bytes(size) {
		n = n<<8 | uint64(c)
	}
	return n
}

func (w *wire) int16() int16 { return int16(w.uint(2)) }
func (w *wire) int32() int32 { return int32(w.uint(4)) }
func (w *wire) int64() int64 { return int64(w.uint(8)) }
