package recording

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	pqfile "github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// write puts a text into a file of that name.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll returns all rows of a file.
func readAll(t testing.TB, path string, o Options) []Row {
	t.Helper()
	r, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rows []Row
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}

func values(rows []Row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, string(r.Value))
	}
	return out
}

func TestMessages(t *testing.T) {
	flows := Options{Columns: "device=1,flow=2,ts=3,count=4", NoHeader: true, Flows: "9=in,7=out", Interval: 1800}
	ignoring := flows
	ignoring.Flows = "9=in,7=out,*=-"
	for _, tt := range []struct {
		name, file, text string
		options          Options
		want             []string
	}{
		{"belfry's own columns", "a.csv", "device,ts,in,out,interval\nA,2026-03-27T11:00:00Z,12,9,900\n", Options{}, []string{
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":12,"out":9,"interval":900}`}},
		{"a heartbeat keeps its measurements, a count has none", "a.csv",
			"device,ts,kind,in,fw,temp\nA,1774609200000,heartbeat,,5.2,41.50\nA,1774609200000,count,3,,7\n", Options{}, []string{
				`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"heartbeat","fw":"5.2","temp":41.5}`,
				`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":3}`}},
		{"a bad count never becomes a heartbeat", "a.csv", "device,ts,in,out\nA,1774609200000,NaN,\nNaN,1774609200000,1,2\nA,,1,2\nA,yesterday,1,2\nA,1774609200000,-1,4.5\nA,1774609200000,3.0,1e2\n", Options{}, []string{
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":"NaN","out":null}`,
			`{"device":null,"ts":"2026-03-27T11:00:00Z","kind":"count","in":1,"out":2}`,
			`{"device":"A","ts":null,"kind":"count","in":1,"out":2}`,
			`{"device":"A","ts":"yesterday","kind":"count","in":1,"out":2}`,
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":-1,"out":4.5}`,
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":3,"out":100}`}},
		{"a broken row costs that row alone", "a.csv", "device,ts,in\n\"A,1774609200000,1\n\"B \"\"b\"\"\",1774609200000,2\nC,1774609200000\n", Options{}, []string{
			`{"device":null,"ts":null,"kind":"count","row":"\"A,1774609200000,1"}`,
			`{"device":"B \"b\"","ts":"2026-03-27T11:00:00Z","kind":"count","in":2}`,
			`{"device":null,"ts":null,"kind":"count","row":"C,1774609200000"}`}},
		{"semicolons, a byte order mark, carriage returns and blank lines", "a.csv", "\xef\xbb\xbfdevice;ts;in\r\n\r\nA;1774609200000;1\r\n", Options{}, []string{
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":1}`}},
		{"stamps at the start, a zone, a prefix, a shift", "a.csv", "d,day,h,n\n7,2026-03-27,9,4\n",
			Options{Columns: "device=d,ts=day+h,in=n", TimeFormat: "2006-01-02 15", Zone: "-0230", Interval: 900, Stamps: "start", DevicePrefix: "M-", Shift: 24 * time.Hour}, []string{
				`{"device":"M-7","ts":"2026-03-28T11:45:00Z","kind":"count","in":4,"interval":900}`}},
		{"two flows make one reading", "a.csv", "A,7,1774609200000,1\nA,9,1774609200000,2\nB,7,1774609200000,3\nB,9,1774611000000,4\nB,8,1774611000000,5\n", flows, []string{
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":2,"out":1,"interval":1800}`,
			`{"device":"B","ts":"2026-03-27T11:00:00Z","kind":"count","in":null,"out":3,"interval":1800}`,
			`{"device":"B","ts":"2026-03-27T11:30:00Z","kind":"count","in":4,"out":null,"interval":1800}`,
			`{"device":"B","ts":"2026-03-27T11:30:00Z","kind":"count","in":"flow 8: 5","interval":1800}`}},
		{"other flows are left out when asked for", "a.csv", "A,7,1774609200000,1\nA,total,1774609200000,3\nA,9,1774609200000,2\n", ignoring, []string{
			`{"device":"A","ts":"2026-03-27T11:00:00Z","kind":"count","in":2,"out":1,"interval":1800}`}},
		{"NDJSON goes through as it is", "a.ndjson", `{"device":"A","ts":1774609200000,"in":1, "x":[1]}` + "\n" + `[{"device":"B","ts":"2026-03-27T11:00:00Z"},{"device":"C"}]` + "\nnonsense\n", Options{}, []string{
			`{"device":"A","ts":1774609200000,"in":1, "x":[1]}`, `{"device":"B","ts":"2026-03-27T11:00:00Z"}`, `{"device":"C"}`, `nonsense`}},
		{"NDJSON with another time", "a.ndjson", `{"device":"A","ts":1774609200000,"in":1}` + "\n", Options{Shift: time.Hour}, []string{
			`{"device":"A","ts":"2026-03-27T12:00:00Z","in":1}`}},
		{"NDJSON through a column map", "a.ndjson", `{"id":7,"when":"2026-03-27 11:00:00","n":{"a":1}}` + "\n[]\n", Options{Columns: "device=id,ts=when,in=n,out='0'"}, []string{
			`{"device":"7","ts":"2026-03-27T11:00:00Z","kind":"count","in":"{\"a\":1}","out":0}`,
			`{"device":null,"ts":null,"kind":"count","row":"[]"}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rows := readAll(t, write(t, tt.file, tt.text), tt.options)
			if diff := cmp.Diff(tt.want, values(rows)); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArrivalIsTheRowsOwnOrItsTime(t *testing.T) {
	path := write(t, "a.csv", "device,ts,in,arrival\nA,2026-03-27T11:00:00Z,1,2026-03-27T11:05:00Z\nA,2026-03-27T12:00:00Z,1,\nA,never,1,\n")
	var got []string
	for _, row := range readAll(t, path, Options{}) {
		got = append(got, row.Arrival.UTC().Format("15:04"))
	}
	if diff := cmp.Diff([]string{"11:05", "12:00", "12:00"}, got); diff != "" {
		t.Errorf("arrivals (-want +got):\n%s", diff)
	}
}

func TestClockChanges(t *testing.T) {
	// Paris skips 02:30 on 2026-03-29 and repeats 02:30 on 2026-10-25.
	path := write(t, "a.csv", strings.Join([]string{"device,ts,in",
		"A,2026-03-29 01:30,1", "A,2026-03-29 02:30,1", "A,2026-03-29 03:30,1",
		"A,2026-10-25 02:30,1", "B,2026-10-25 02:30,1", "A,2026-10-25 02:30,1", "A,2026-10-25 03:30,1"}, "\n"))
	var got []string
	for _, row := range readAll(t, path, Options{Zone: "Europe/Paris"}) {
		_, ts, _ := bytes.Cut(row.Value, []byte(`"ts":"`))
		got = append(got, row.Device+" "+string(ts[:bytes.IndexByte(ts, '"')]))
	}
	want := []string{"A 2026-03-29T00:30:00Z", "A 2026-03-29 02:30", "A 2026-03-29T01:30:00Z",
		"A 2026-10-25T00:30:00Z", "B 2026-10-25T00:30:00Z", "A 2026-10-25T01:30:00Z", "A 2026-10-25T02:30:00Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestPackedFilesAndSpan(t *testing.T) {
	text := "device,ts,in\nA,2026-03-27T11:00:00Z,1\nB,2026-03-27T10:00:00Z,2\n"
	var gz, zst bytes.Buffer
	g := gzip.NewWriter(&gz)
	_, _ = io.WriteString(g, text)
	_ = g.Close()
	z, _ := zstd.NewWriter(&zst)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	for name, body := range map[string]string{"a.csv": text, "a.csv.gz": gz.String(), "a.csv.zst": zst.String()} {
		first, last, rows, err := Span(write(t, name, body), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := first.UTC().Format("15:04") + last.UTC().Format(" 15:04"); got != "10:00 11:00" || rows != 2 {
			t.Errorf("%s: got %s and %d rows, want 10:00 11:00 and 2", name, got, rows)
		}
	}
	cut := write(t, "cut.csv.gz", gz.String()[:gz.Len()-9])
	if _, _, _, err := Span(cut, Options{}); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a gzip file that breaks off: got %v, want an error that says so", err)
	}
}

func TestParquet(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "sensor", Type: arrow.BinaryTypes.String},
		{Name: "at", Type: &arrow.TimestampType{Unit: arrow.Millisecond}},
		{Name: "n", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "m", Type: arrow.PrimitiveTypes.Uint32},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"A", "B"}, nil)
	b.Field(1).(*array.TimestampBuilder).AppendValues([]arrow.Timestamp{1774609200000, 1774609200500}, nil)
	b.Field(2).(*array.Float64Builder).AppendValues([]float64{3, 0}, []bool{true, false})
	b.Field(3).(*array.Uint32Builder).AppendValues([]uint32{5, 6}, nil)
	record := b.NewRecord()
	defer record.Release()
	var body bytes.Buffer
	w, err := pqarrow.NewFileWriter(schema, &body, pqfile.NewWriterProperties(), pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(record); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	path := write(t, "a.parquet", body.String())
	rows := readAll(t, path, Options{Columns: "device=sensor,ts=at,in=n,out=m", Zone: "+01:00"})
	want := []string{
		`{"device":"A","ts":"2026-03-27T10:00:00Z","kind":"count","in":3,"out":5}`,
		`{"device":"B","ts":"2026-03-27T10:00:00.5Z","kind":"count","in":null,"out":6}`,
	}
	if diff := cmp.Diff(want, values(rows)); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if _, err := Open(write(t, "b.parquet", "PAR1 but nothing else"), Options{Columns: "device=a,ts=b,in=c"}); err == nil {
		t.Error("a broken Parquet file: got no error, want one")
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	head := "SensorID,Date,Hour,N\n1,2026-01-01,2,3\n"
	for _, tt := range []struct {
		name, text string
		options    Options
		want       string
	}{
		{"a.csv", head, Options{}, `no device; add device=COLUMN or device='NAME'. The file has the columns "SensorID", "Date", "Hour", "N"`},
		{"a.csv", head, Options{Columns: "device=Sensor,ts=Date,in=N"}, `device: no column "Sensor"; there are "SensorID"`},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date"}, "nothing to read but names and times"},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,in=N", Zone: "Mars/Base"}, `no time zone "Mars/Base"; want an IANA name`},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,in=N", Stamps: "start"}, "need the interval's length"},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,in=N", Stamps: "middle"}, "want start or end"},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,in=N", Flows: "1=in"}, "flows and the column map's flow and count go together"},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,flow=Hour,count=N", Flows: "1=up"}, "1=up; want in, out, or -"},
		{"a.csv", head, Options{Columns: "device=SensorID,ts=Date,flow=Hour"}, "flow and count go together"},
		{"a.csv", head, Options{Columns: "device=SensorID,device=N"}, "device is given twice"},
		{"a.csv", head, Options{Columns: "device"}, "want target=column"},
		{"a.csv", head, Options{Columns: "device='x,ts=Date"}, "is no column"},
		{"a.csv", head, Options{NoHeader: true}, "needs a column map by number"},
		{"a.csv", "", Options{}, "the file is empty"},
		{"a.xls", head, Options{}, "doesn't tell the format"},
		{"a.csv", head, Options{Format: "xls"}, "want csv, ndjson or parquet"},
		{"a.ndjson", "{}", Options{NoHeader: true}, "only a CSV file can be without a header"},
	} {
		path := write(t, tt.name, tt.text)
		r, err := Open(path, tt.options)
		if err == nil {
			r.Close()
			t.Errorf("%+v: got no error, want %q", tt.options, tt.want)
		} else if !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: got %q, want %q and the path", tt.options, err, tt.want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none.csv"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: got %v, want ErrNotExist", err)
	}
}
