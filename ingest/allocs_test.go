package ingest

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"belfry/telemetry"
)

// usualMessages are n records of the kind that a fleet sends.
func usualMessages(n int) (list []*Record) {
	for i := range n {
		text := fmt.Sprintf(`{"device":"FC-%d","ts":"2026-03-27T11:00:00Z","in":%d,"out":9,"interval":900}`, i, i)
		switch i % 4 {
		case 2:
			text = fmt.Sprintf(`{"device":"FC-%d","ts":1774609200000,"kind":"heartbeat","fw":"5.2.1","uptime":%d,"temp":41.5,"rssi":-61}`, i, i)
		case 3:
			text = fmt.Sprintf(`{"ts":1774609200000,"out_total":%d,"in_total":9,"device":"FC-%d"}`, i, i)
		}
		list = append(list, &Record{Key: fmt.Append(nil, "FC-", i), Value: []byte(text)})
	}
	return list
}

// TestNoMessageCostsAnAllocation goes the way of a fetch from its bytes to the
// columns of a batch, again and again, as a consumer does. What is allocated is
// for the whole fetch: the reader of its compression.
func TestNoMessageCostsAnAllocation(t *testing.T) {
	const messages = 10_000
	var set recordSet
	fetch, err := set.encode(usualMessages(messages), noon)
	if err != nil {
		t.Fatal(err)
	}
	var in records
	var batch telemetry.Batch
	var rejects []Reject
	d := NewDecoder(0)
	read := func() {
		batch.Reset()
		in.reset(fetch, 0, nil)
		var rec record
		for {
			if err := in.read(&rec); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				t.Fatal(err)
			}
			d.Decode(rec.value, noon, rec.offset, &batch, &rejects)
		}
	}
	read() // it meets the devices, and makes room
	d.Registered()
	if n := testing.AllocsPerRun(20, read); n > messages/100 {
		t.Errorf("%v allocations for a fetch of %d messages", n, messages)
	}
	if batch.Len() != messages || len(rejects) > 0 {
		t.Errorf("%d readings of %d messages, refused %+v", batch.Len(), messages, rejects)
	}
}

// BenchmarkFetched goes from the bytes of a fetch to columns: a record for each
// reading, of a fleet of ten thousand that count what comes.
func BenchmarkFetched(b *testing.B) {
	const devices, messages = 10_000, 20_000
	var list []*Record
	for i := range messages {
		text := fmt.Sprintf(`{"device":"FC-%06d","ts":"2026-03-27T%02d:%02d:00Z","in":%d,"out":%d,"interval":900}`, i%devices, i/devices+11, i*7%60, i*7919%200, i*104729%1300)
		list = append(list, &Record{Key: fmt.Appendf(nil, "FC-%06d", i%devices), Value: []byte(text)})
	}
	var set recordSet
	fetch, err := set.encode(list, noon)
	if err != nil {
		b.Fatal(err)
	}
	var in records
	in.reset(fetch, 0, nil)
	if err := in.batch(); err != nil {
		b.Fatal(err)
	}
	body := in.body
	var batch telemetry.Batch
	var rejects []Reject
	d := NewDecoder(0)
	for _, decode := range []bool{false, true} {
		b.Run(map[bool]string{false: "records", true: "readings"}[decode], func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				batch.Reset()
				in.body, in.count, in.set = body, messages, nil
				var rec record
				for in.read(&rec) == nil {
					if decode {
						d.Decode(rec.value, noon, rec.offset, &batch, &rejects)
					}
				}
			}
			b.ReportMetric(float64(messages*b.N)/b.Elapsed().Seconds(), "records/s")
			if decode && batch.Len() != messages || len(rejects) > 0 {
				b.Fatalf("%d readings of %d messages, refused %+v", batch.Len(), messages, rejects)
			}
		})
	}
}
