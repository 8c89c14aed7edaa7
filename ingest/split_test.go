package ingest

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSplitTakesTheGoodAndListsTheBad(t *testing.T) {
	body := `{"device":"a","ts":1774609200000,"in":1}

{"device":"","ts":1774609200000,"in":1}
{"device":"b","ts":1774609200000,"in":
{"device":"\u0063","ts":1774609200000,
 "in":1}
x`
	records, bad := Split([]byte(body), time.UnixMilli(noon))
	want := []Record{
		{Key: []byte("a"), Value: []byte(`{"device":"a","ts":1774609200000,"in":1}`)},
		{Key: []byte("c"), Value: []byte("{\"device\":\"\\u0063\",\"ts\":1774609200000,\n \"in\":1}")},
	}
	if diff := cmp.Diff(want, records, cmp.Comparer(bytes.Equal)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	wantBad := []BadLine{
		{3, 1, BadDevice, "a device needs a name"},
		{4, 2, BadJSON, "byte 169: want a comma or the object's end"},
		{7, 4, BadJSON, "want an object"},
	}
	if diff := cmp.Diff(wantBad, bad); diff != "" {
		t.Errorf("bad lines (-want +got):\n%s", diff)
	}
}

func BenchmarkSplit(b *testing.B) {
	body := bytes.Repeat([]byte(`{"device":"FC-10042","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`+"\n"), 1000)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if records, _ := Split(body, time.UnixMilli(noon)); len(records) != 1000 {
			b.Fatal(len(records))
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "readings/s")
}
