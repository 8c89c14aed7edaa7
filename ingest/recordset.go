package ingest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/segmentio/kafka-go/compress"
)

// recordSet writes records as one batch of format v2, compressed with lz4: what
// records reads. It keeps its memory.
type recordSet struct {
	body []byte       // the records, plain
	out  bytes.Buffer // the batch
}

// encode returns the batch. It is valid until the next call; nothing in it
// aliases the records. now is the timestamp of records without one, in
// milliseconds since 1970.
func (s *recordSet) encode(list []*Record, now int64) ([]byte, error) {
	first := list[0].millis(now)
	newest := first
	s.body = s.body[:0]
	for i, r := range list {
		at := r.millis(now)
		newest = max(newest, at)
		s.record(r, at-first, int64(i))
	}
	var head [batchHead]byte
	be := binary.BigEndian
	be.PutUint32(head[12:], 1<<32-1) // leader epoch: unknown
	head[16] = 2
	be.PutUint16(head[21:], uint16(compress.Lz4))
	be.PutUint32(head[23:], uint32(len(list)-1))
	be.PutUint64(head[27:], uint64(first))
	be.PutUint64(head[35:], uint64(newest))
	be.PutUint64(head[43:], 1<<64-1) // producer, its epoch and the sequence: none
	be.PutUint16(head[51:], 1<<16-1)
	be.PutUint32(head[53:], 1<<32-1)
	be.PutUint32(head[57:], uint32(len(list)))
	s.out.Reset()
	s.out.Write(head[:])
	z := compress.Lz4.Codec().NewWriter(&s.out)
	if _, err := z.Write(s.body); err != nil {
		return nil, fmt.Errorf("compress %d records: %w", len(list), err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("compress %d records: %w", len(list), err)
	}
	b := s.out.Bytes()
	be.PutUint32(b[8:], uint32(len(b)-batchPrefix))
	be.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b, nil
}

func (s *recordSet) record(r *Record, timeDelta, offsetDelta int64) {
	var scratch [2 * binary.MaxVarintLen64]byte
	deltas := binary.AppendVarint(binary.AppendVarint(scratch[:0], timeDelta), offsetDelta)
	size := 1 + len(deltas) + sizeOf(r.Key) + sizeOf(r.Value) + 1
	if r.ContentType != "" {
		size += sizeOf([]byte(contentTypeHeader)) + sizeOf([]byte(r.ContentType))
	}
	s.body = binary.AppendVarint(s.body, int64(size))
	s.body = append(append(s.body, 0), deltas...)
	s.body = appendBytes(appendBytes(s.body, r.Key), r.Value)
	if r.ContentType == "" {
		s.body = append(s.body, 0)
		return
	}
	s.body = binary.AppendVarint(s.body, 1)
	s.body = appendBytes(appendBytes(s.body, []byte(contentTypeHeader)), []byte(r.ContentType))
}

// appendBytes writes bytes with their length before them; -1 is for none.
func appendBytes(to, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(to, -1)
	}
	return append(binary.AppendVarint(to, int64(len(b))), b...)
}

// sizeOf is how many bytes appendBytes writes.
func sizeOf(b []byte) int {
	var scratch [binary.MaxVarintLen64]byte
	return binary.PutVarint(scratch[:], int64(len(b))) + len(b) // -1 is as long as 0
}
