package ingest

import (
	"bytes"
	"fmt"
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
	records, bad, kept := Split([]byte(body), time.UnixMilli(noon))
	if kept != 0 {
		t.Errorf("%d readings are said to have been kept for a day; want none", kept)
	}
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

func TestSplitTellsWhatDevicesHaveKeptForADay(t *testing.T) {
	const day = 24 * 3600 * 1000
	body := fmt.Sprintf(`[{"device":"a","ts":%d,"in":1},{"device":"b","ts":%d,"in":1},{"device":"c","ts":%d,"temp":1},{"device":"d","ts":%d,"in_total":5}]`,
		noon-day, noon-day-1, noon-2*day, noon-7*day)
	if records, bad, kept := Split([]byte(body), time.UnixMilli(noon)); len(records) != 4 || len(bad) != 0 || kept != 3 {
		t.Errorf("%d records, refused %v, kept for a day %d; want 4, none and 3", len(records), bad, kept)
	}
}

func BenchmarkSplit(b *testing.B) {
	body := bytes.Repeat([]byte(`{"device":"FC-10042","ts":"2026-03-27T11:00:00Z","in":12,"out":9,"interval":900}`+"\n"), 1000)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if records, _, _ := Split(body, time.UnixMilli(noon)); len(records) != 1000 {
			b.Fatal(len(records))
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "readings/s")
}
