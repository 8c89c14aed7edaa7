package ingest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"testing"
)

var discard = slog.New(slog.DiscardHandler)

// makeBatch writes a record batch of format v2: one record for each value.
func makeBatch(base int64, attributes uint16, values ...string) []byte {
	var body []byte
	for i, v := range values {
		r := []byte{0}
		r = binary.AppendVarint(r, int64(i)*1000) // time
		r = binary.AppendVarint(r, int64(i))      // offset
		r = binary.AppendVarint(r, -1)            // key
		r = append(binary.AppendVarint(r, int64(len(v))), v...)
		r = binary.AppendVarint(r, 1)
		r = append(binary.AppendVarint(r, 12), "content-type"...)
		r = append(binary.AppendVarint(r, 4), "text"...)
		body = append(binary.AppendVarint(body, int64(len(r))), r...)
	}
	be := binary.BigEndian
	b := be.AppendUint64(nil, uint64(base))
	b = be.AppendUint32(b, uint32(49+len(body)))
	b = be.AppendUint32(b, 0) // leader epoch
	b = append(b, 2)          // magic
	b = be.AppendUint32(b, 0) // checksum, below
	b = be.AppendUint16(b, attributes)
	b = be.AppendUint32(b, uint32(len(values)-1))
	b = be.AppendUint64(b, noon)
	b = be.AppendUint64(b, noon+5000)
	b = be.AppendUint64(b, 7) // producer
	b = be.AppendUint16(b, 0)
	b = be.AppendUint32(b, 0)
	b = be.AppendUint32(b, uint32(len(values)))
	b = append(b, body...)
	be.PutUint32(b[17:], crc32.Checksum(b[21:], castagnoli))
	return b
}

func TestRecords(t *testing.T) {
	two := append(makeBatch(10, 0, "a", "b"), makeBatch(12, 0, "c")...)
	damaged := bytes.Clone(two)
	damaged[70] ^= 1
	tests := []struct {
		name    string
		set     []byte
		from    int64
		aborted []abortedTransaction
		want    string // values, and ! for a batch that can't be read
		next    int64
	}{
		{"nothing", nil, 5, nil, "", 5},
		{"two batches", two, 10, nil, "abc", 13},
		{"from the middle of a batch", two, 11, nil, "bc", 13},
		{"the last batch cut off", two[:len(two)-1], 10, nil, "ab", 12},
		{"the first batch cut off", two[:30], 10, nil, "", 10},
		{"a damaged batch", damaged, 10, nil, "!c", 13},
		{"a control batch", append(makeBatch(10, 0x30, "a"), makeBatch(11, 0, "c")...), 10, nil, "c", 12},
		{"an aborted transaction and then another of that producer",
			bytes.Join([][]byte{makeBatch(10, 0x10, "a"), makeBatch(11, 0x30, "x"), makeBatch(12, 0x10, "c")}, nil), 10,
			[]abortedTransaction{{7, 10}}, "c", 13},
		{"another producer's aborted transaction", makeBatch(10, 0x10, "a"), 10, []abortedTransaction{{8, 10}}, "a", 11},
		{"an unknown compression", append(makeBatch(10, 5, "a"), makeBatch(11, 0, "c")...), 10, nil, "!c", 12},
		{"no lz4 in a batch that says so", append(makeBatch(10, 3, "a"), makeBatch(11, 0, "c")...), 10, nil, "!c", 12},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var r records
			r.reset(test.set, test.from, test.aborted)
			got := ""
			for {
				var rec record
				err := r.read(&rec)
				var broken *batchError
				if errors.As(err, &broken) {
					got += "!"
					continue
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got += string(rec.value)
				if string(rec.contentType) != "text" || rec.key != nil || (rec.timestamp-noon)%1000 != 0 {
					t.Errorf("record %+v", rec)
				}
			}
			if got != test.want || r.next != test.next {
				t.Errorf("got %q, next %d; want %q, %d", got, r.next, test.want, test.next)
			}
		})
	}
}

func TestTimeOfAppendCountsWhenTheLogSaysSo(t *testing.T) {
	var r records
	var rec record
	r.reset(makeBatch(0, 0x08, "a"), 0, nil)
	if err := r.read(&rec); err != nil || rec.timestamp != noon+5000 {
		t.Errorf("got %d, %v; want %d", rec.timestamp, err, noon+5000)
	}
}

func TestAnOldRecordFormatIsAnErrorAndNotSkipped(t *testing.T) {
	set := makeBatch(0, 0, "a")
	set[16] = 1
	var r records
	var rec record
	r.reset(set, 0, nil)
	if err := r.read(&rec); err == nil || err == io.EOF {
		t.Errorf("got %v", err)
	}
}

// FuzzRecords looks for crashes and for sets that never end.
func FuzzRecords(f *testing.F) {
	f.Add(makeBatch(10, 0, "a", "b"), true)
	f.Add(append(makeBatch(10, 4, "a"), makeBatch(11, 0x30, "b")...), false)
	f.Fuzz(func(t *testing.T, set []byte, mend bool) {
		if mend && len(set) > batchHead { // else few get past the checksum
			binary.BigEndian.PutUint32(set[8:], uint32(len(set)-batchPrefix))
			set[16] = 2
			binary.BigEndian.PutUint32(set[17:], crc32.Checksum(set[21:], castagnoli))
		}
		var r records
		r.reset(set, 0, []abortedTransaction{{7, 0}})
		var rec record
		for range 2*len(set) + 10 {
			var broken *batchError
			if err := r.read(&rec); err != nil && !errors.As(err, &broken) {
				return
			}
		}
		t.Errorf("%d bytes go on for ever", len(set))
	})
}

// FuzzFetch looks for crashes in the reading of answers.
func FuzzFetch(f *testing.F) {
	f.Add(make([]byte, 80))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = parseFetch(b, 0)
	})
}
