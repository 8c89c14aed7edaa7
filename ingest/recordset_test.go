package ingest

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestARecordSetIsReadAsItWasWritten(t *testing.T) {
	var set recordSet
	rapid.Check(t, func(t *rapid.T) {
		const now = 1774609200000
		var list []*Record
		for range rapid.IntRange(1, 40).Draw(t, "records") {
			r := &Record{Key: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "key"), Value: rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "value"),
				ContentType: rapid.SampledFrom([]string{"", arrowStream}).Draw(t, "type")}
			if rapid.Bool().Draw(t, "with a time") {
				r.Time = time.UnixMilli(rapid.Int64Range(0, 2*now).Draw(t, "time"))
			}
			if rapid.Bool().Draw(t, "without a key") {
				r.Key = nil
			}
			list = append(list, r)
		}
		batch, err := set.encode(list, now)
		if err != nil {
			t.Fatal(err)
		}
		var in records
		in.reset(batch, 0, nil)
		var got record
		for i, want := range list {
			if err := in.read(&got); err != nil {
				t.Fatal(err)
			}
			if got.offset != int64(i) || got.timestamp != want.millis(now) || !bytes.Equal(got.key, want.Key) || (got.key == nil) != (want.Key == nil) ||
				!bytes.Equal(got.value, want.Value) || string(got.contentType) != want.ContentType {
				t.Fatalf("record %d: got %+v, want %+v", i, got, want)
			}
		}
		if err := in.read(&got); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last: %v", err)
		}
	})
}
