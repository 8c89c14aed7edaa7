package warehouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

var server *Server // one a process: the tests share it, each with a database of its own

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "warehouse")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if server, err = Open(Options{Path: dir, Readers: []string{"people"}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer server.Close()
		return m.Run()
	}())
}

// open returns a fresh database.
func open(t testing.TB) *Warehouse {
	t.Helper()
	w, err := server.Database(context.Background(), fmt.Sprintf("t%d", rand.Uint64()))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tsv(t testing.TB, w *Warehouse, sql string) string {
	t.Helper()
	out, err := w.Query(context.Background(), "test", sql, "TSV", nil)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimRight(string(out), "\n")
}

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

func count(b *telemetry.Batch, device string, ts, arrival time.Time, offset int64, in, out uint32) {
	c := &b.Counts
	c.Device = append(c.Device, telemetry.IDOf(device))
	c.TS, c.Arrival = append(c.TS, ts.UnixMilli()), append(c.Arrival, arrival.UnixMilli())
	c.Offset, c.In, c.Out = append(c.Offset, offset), append(c.In, in), append(c.Out, out)
	c.Interval = append(c.Interval, 60)
}

func heartbeat(b *telemetry.Batch, device string, ts, arrival time.Time, offset int64, measures ...any) {
	h := &b.Heartbeats
	h.Device = append(h.Device, telemetry.IDOf(device))
	h.TS, h.Arrival = append(h.TS, ts.UnixMilli()), append(h.Arrival, arrival.UnixMilli())
	h.Offset, h.Firmware = append(h.Offset, offset), append(h.Firmware, "5.2.1")
	for i := 0; i < len(measures); i += 2 {
		h.Name, h.Value = append(h.Name, measures[i].(string)), append(h.Value, measures[i+1].(float64))
	}
	h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
}

func insert(t testing.TB, w *Warehouse, fill func(*telemetry.Batch)) {
	t.Helper()
	var b telemetry.Batch
	fill(&b)
	if err := w.Insert(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
}

func TestOfTwoVersionsTheOneThatArrivedLastCounts(t *testing.T) {
	w := open(t)
	register(t, w, "s", "UTC", "a")
	correct := func(b *telemetry.Batch) { count(b, "a", noon, noon.Add(time.Hour), 7, 30, 20) }
	insert(t, w, correct)
	insert(t, w, func(b *telemetry.Batch) { count(b, "a", noon, noon, 3, 10, 10) })
	insert(t, w, correct) // the same record once more
	if got, want := tsv(t, w, "SELECT count(), sum(`in`), sum(`out`) FROM {db}.readings"), "1\t30\t20"; got != want {
		t.Errorf("readings: got %q, want %q", got, want)
	}
	as := func(asOf time.Time) string {
		return scanned(t, w, analyzer.Scan{AsOf: asOf, Columns: []analyzer.Column{
			{Fn: analyzer.SumIn, Kind: telemetry.Count, From: noon.Add(-time.Hour), To: noon},
			{Fn: analyzer.Rows, Kind: telemetry.Count, From: noon.Add(-time.Hour), To: noon}}}, "a")
	}
	if got := as(noon.Add(time.Minute)); got != "10 1" {
		t.Errorf("as of before the correction: %q, want 10 1", got)
	}
	if got := as(noon.Add(time.Hour)); got != "30 1" {
		t.Errorf("as of the correction: %q, want 30 1", got)
	}
	if got := as(noon.Add(-time.Minute)); got != "absent" {
		t.Errorf("as of before the reading: %q, want absent", got)
	}
}

// scanned returns the scan's values for one device, "null" where there is none.
func scanned(t testing.TB, w *Warehouse, s analyzer.Scan, device string) string {
	t.Helper()
	r, err := w.Scan(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if text := scanRow(r, device, len(s.Columns)); text != "" {
		return text
	}
	return "absent"
}

// scanRow writes the values of a device in a scan's record; "" when it has no row or
// nothing but nulls, which are the same.
func scanRow(r arrow.Record, device string, columns int) string {
	ids := r.Column(0).(*array.Uint64)
	for i := range ids.Len() {
		if telemetry.DeviceID(ids.Value(i)) != telemetry.IDOf(device) {
			continue
		}
		var out []string
		known := false
		for c := range columns {
			column := r.Column(c + 1).(*array.Float64)
			if column.IsNull(i) {
				out = append(out, "null")
			} else {
				known = true
				out = append(out, fmt.Sprint(column.Value(i)))
			}
		}
		if known {
			return strings.Join(out, " ")
		}
	}
	return ""
}

func TestScanComputesEveryColumn(t *testing.T) {
	w := open(t)
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "a", noon.Add(-time.Hour), noon.Add(-time.Hour), 1, 100, 100) // at the open end: not in the window
		count(b, "a", noon.Add(-30*time.Minute), noon.Add(-29*time.Minute), 2, 1, 2)
		count(b, "a", noon, noon.Add(time.Second), 3, 4, 8) // at the closed end: in the window
		heartbeat(b, "a", noon.Add(-40*time.Minute), noon.Add(-40*time.Minute), 4, "temp", 20.0, "rssi", -60.0)
		heartbeat(b, "a", noon.Add(-20*time.Minute), noon.Add(-20*time.Minute), 5, "temp", 30.0)
		heartbeat(b, "b", noon.Add(-10*time.Minute), noon.Add(-5*time.Minute), 6)
		count(b, "busy", noon.Add(time.Minute), noon.Add(2*time.Hour), 11, 1, 1) // not there yet, and
		count(b, "busy", noon.Add(-2*time.Hour), noon.Add(-2*time.Hour), 10, 1, 1)
		count(b, "late", noon, noon.Add(3*time.Hour), 9, 1, 1) // not there yet as of noon + 1 h
		count(b, "late", noon.Add(-48*time.Hour), noon.Add(-48*time.Hour), 8, 1, 1)
	})
	from, to := noon.Add(-time.Hour), noon
	window := func(fn analyzer.Fn, kind telemetry.Kind, measure string) analyzer.Column {
		return analyzer.Column{Fn: fn, Kind: kind, Measure: measure, From: from, To: to}
	}
	s := analyzer.Scan{AsOf: noon.Add(time.Hour), Columns: []analyzer.Column{
		window(analyzer.SumIn, telemetry.Count, ""), window(analyzer.SumOut, telemetry.Count, ""), window(analyzer.SumTotal, telemetry.Count, ""),
		window(analyzer.Rows, telemetry.Count, ""), window(analyzer.Rows, telemetry.Heartbeat, ""), window(analyzer.Rows, 0, ""),
		window(analyzer.Last, telemetry.Heartbeat, "temp"), window(analyzer.Avg, telemetry.Heartbeat, "temp"),
		window(analyzer.Min, telemetry.Heartbeat, "temp"), window(analyzer.Max, telemetry.Heartbeat, "rssi"),
		{Fn: analyzer.LastArrival}, {Fn: analyzer.LastArrival, Kind: telemetry.Heartbeat}, {Fn: analyzer.FirstArrival, Kind: telemetry.Count},
	}}
	unix := func(t time.Time) string { return fmt.Sprint(float64(t.UnixMilli()) / 1000) }
	for device, want := range map[string]string{
		"a":    "5 10 15 2 2 4 30 25 20 -60 " + unix(noon.Add(time.Second)) + " " + unix(noon.Add(-20*time.Minute)) + " " + unix(noon.Add(-time.Hour)),
		"b":    "null null null null 1 1 null null null null " + unix(noon.Add(-5*time.Minute)) + " " + unix(noon.Add(-5*time.Minute)) + " null",
		"busy": "null null null null null null null null null null " + unix(noon.Add(-2*time.Hour)) + " null " + unix(noon.Add(-2*time.Hour)),
		// Two days old as far as anybody could know: the later one had not arrived.
		"late": "null null null null null null null null null null " + unix(noon.Add(-48*time.Hour)) + " null " + unix(noon.Add(-48*time.Hour)),
	} {
		if got := scanned(t, w, s, device); got != want {
			t.Errorf("device %s:\n got %s\nwant %s", device, got, want)
		}
	}
	s.Devices = []telemetry.DeviceID{telemetry.IDOf("b")}
	if got := scanned(t, w, s, "a"); got != "absent" {
		t.Errorf("a device that was not asked for: %s, want absent", got)
	}
	if got := scanned(t, w, s, "b"); !strings.HasPrefix(got, "null null null null 1 1") {
		t.Errorf("the device that was asked for: %s", got)
	}
}

func TestScanOfNothingHasItsColumns(t *testing.T) {
	w := open(t)
	r, err := w.Scan(t.Context(), analyzer.Scan{AsOf: noon, Columns: []analyzer.Column{{Fn: analyzer.LastArrival}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	if r.NumRows() != 0 || r.NumCols() != 2 {
		t.Errorf("got %d rows of %d columns, want 0 of 2", r.NumRows(), r.NumCols())
	}
	day := analyzer.Column{Fn: analyzer.SumIn, Kind: telemetry.Count, From: noon.Add(-24 * time.Hour), To: noon}
	of, err := w.Scan(t.Context(), analyzer.Scan{AsOf: noon, Devices: []telemetry.DeviceID{}, Columns: []analyzer.Column{day}}) // a zone without devices
	if err != nil {
		t.Fatal(err)
	}
	defer of.Release()
	if of.NumRows() != 0 || of.NumCols() != 2 {
		t.Errorf("of no devices: got %d rows of %d columns, want 0 of 2", of.NumRows(), of.NumCols())
	}
}

func TestLoadGivesBackWhatWasInserted(t *testing.T) {
	w := open(t)
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "a", noon, noon.Add(time.Minute), 5, 3, 4)
		heartbeat(b, "a", noon, noon, 6, "temp", 21.5, "rssi", -61.0)
		count(b, "a", noon.Add(-time.Hour), noon, 4, 9, 9) // outside
	})
	var counts telemetry.Counts
	var beats telemetry.Heartbeats
	err := w.Load(t.Context(), noon.Add(-time.Hour), noon, func(b *telemetry.Batch) error {
		counts.TS = append(counts.TS, b.Counts.TS...)
		counts.Arrival = append(counts.Arrival, b.Counts.Arrival...)
		beats.Name = append(beats.Name, b.Heartbeats.Name...)
		beats.Firmware = append(beats.Firmware, b.Heartbeats.Firmware...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(counts.TS) != 1 || counts.TS[0] != noon.UnixMilli() || counts.Arrival[0] != noon.Add(time.Minute).UnixMilli() {
		t.Errorf("counts: got %+v", counts)
	}
	if strings.Join(beats.Name, ",") != "temp,rssi" || beats.Firmware[0] != "5.2.1" {
		t.Errorf("heartbeats: got %+v", beats)
	}
}

func TestLoadGivesEveryRowOfManyChunks(t *testing.T) {
	w := open(t)
	tsv(t, w, `INSERT INTO {db}.raw_counts SELECT number % 7, fromUnixTimestamp64Milli(toInt64(1700000000000 + number * 1000), 'UTC'), 0, number, 1, 2, 60 FROM numbers(300000)`)
	rows, in := 0, 0
	err := w.Load(t.Context(), time.Time{}, noon, func(b *telemetry.Batch) error {
		rows += b.Len()
		for _, n := range b.Counts.In {
			in += int(n)
		}
		return nil
	})
	if rows != 300_000 || in != 300_000 || err != nil {
		t.Errorf("got %d rows with a sum of %d, %v; want 300000 each", rows, in, err)
	}
}

func TestNamesComeFromTheRegistryInItsNewestRevision(t *testing.T) {
	w := open(t)
	insert(t, w, func(b *telemetry.Batch) { count(b, "a", noon, noon, 1, 3, 4) })
	device := telemetry.Device{Name: "a", Site: "old", Status: telemetry.DeviceActive, Labels: map[string]string{"k": "v"}}
	moved := device
	moved.Site = "new"
	for revision, d := range map[uint64]telemetry.Device{8: moved, 3: device} {
		if err := w.PutDevices(t.Context(), []telemetry.Device{d}, revision); err != nil {
			t.Fatal(err)
		}
	}
	site := telemetry.Site{ID: "new", Name: "The new one", Zone: "Europe/Paris", Status: telemetry.SiteOpen}
	if err := w.PutSites(t.Context(), []telemetry.Site{site}, 9); err != nil {
		t.Fatal(err)
	}
	if got := tsv(t, w, "SELECT device, site, `in` FROM {db}.readings"); got != "a\tnew\t3" {
		t.Errorf("got %q", got)
	}
	if got := tsv(t, w, "SELECT device, site, toUnixTimestamp(last_reading) FROM {db}.latest"); got != fmt.Sprintf("a\tnew\t%d", noon.Unix()) {
		t.Errorf("latest: got %q", got)
	}
	if sites, devices, err := w.RegistryRevisions(t.Context()); sites != 9 || devices != 8 || err != nil {
		t.Errorf("revisions: got %d and %d, %v; want 9 and 8", sites, devices, err)
	}
}

func TestClickHouseComputesTheIDsOfDevices(t *testing.T) {
	for _, name := range []string{"FC-10042", "Zähler 3/Nord"} {
		if got, want := tsv(t, open(t), "SELECT xxHash64('"+name+"')"), fmt.Sprint(uint64(telemetry.IDOf(name))); got != want {
			t.Errorf("%s: ClickHouse says %s, telemetry says %s", name, got, want)
		}
	}
}

func TestReadingsBySteps(t *testing.T) {
	w := open(t)
	insert(t, w, func(b *telemetry.Batch) {
		for i := range 60 {
			count(b, "a", noon.Add(time.Duration(i+1)*time.Minute), noon.Add(2*time.Hour), int64(i), 1, 2)
		}
	})
	got, err := w.Readings(t.Context(), "a", noon, noon.Add(time.Hour), 30*time.Minute, 100)
	if err != nil || len(got) != 2 || got[0].In != 30 || got[1].Out != 60 || !got[0].TS.Equal(noon.Add(30*time.Minute)) {
		t.Errorf("by half hours: got %+v, %v", got, err)
	}
	if got, err = w.Readings(t.Context(), "a", noon, noon.Add(time.Hour), 0, 7); err != nil || len(got) != 7 {
		t.Errorf("each by itself, 7 at most: got %d, %v", len(got), err)
	}
}

func TestADatabaseOfANewerBelfryIsRefused(t *testing.T) {
	w := open(t)
	tsv(t, w, "INSERT INTO {db}.raw_migrations (version, name) VALUES (9999, 'from the future')")
	if _, err := server.Database(t.Context(), w.Name()); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("got %v, want a refusal that names the version", err)
	}
}

func TestDatabaseNamesThatCouldBeSQLAreRefused(t *testing.T) {
	for _, name := range []string{"", "A", "a b", "a;b", "a`b", strings.Repeat("a", 64)} {
		if _, err := server.Database(t.Context(), name); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
}
