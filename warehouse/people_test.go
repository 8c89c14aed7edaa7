package warehouse

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
	"belfry/warehouse/chdb"
)

// register puts devices into the registry's copy, at a site in a zone.
func register(t testing.TB, w *Warehouse, site, zone string, devices ...string) {
	t.Helper()
	var list []telemetry.Device
	for _, name := range devices {
		list = append(list, telemetry.Device{Name: name, Site: site, Status: telemetry.DeviceActive})
	}
	if err := w.PutDevices(t.Context(), list, 1); err != nil {
		t.Fatal(err)
	}
	if err := w.PutSites(t.Context(), []telemetry.Site{{ID: site, Zone: zone, Status: telemetry.SiteOpen}}, 1); err != nil {
		t.Fatal(err)
	}
}

var columnRow = regexp.MustCompile(`(?m)^\| ([a-z_]+) \| ([^|]+) \|`)

func TestTheDocumentedViewsAreWhatIsThere(t *testing.T) {
	page, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	w := open(t)
	documented := map[string]string{}
	for text := range strings.SplitSeq(string(page), "\n## ") {
		name, rest, _ := strings.Cut(text, "\n")
		var columns []string
		for _, m := range columnRow.FindAllStringSubmatch(rest, -1) {
			columns = append(columns, m[1]+" "+m[2])
		}
		if len(columns) > 0 {
			documented[name] = strings.Join(columns, "\n")
		}
	}
	for view := range strings.Lines(tsv(t, w, "SELECT name FROM system.tables WHERE database = '{db}' AND engine = 'View' AND NOT startsWith(name, 'raw_') ORDER BY name") + "\n") {
		view = strings.TrimSpace(view)
		got := strings.ReplaceAll(tsv(t, w, fmt.Sprintf("SELECT name || ' ' || type FROM system.columns WHERE database = '{db}' AND table = '%s' ORDER BY position", view)), `\'`, `'`)
		if got != documented[view] {
			t.Errorf("view %s has\n%s\nand docs/schema.md says\n%s", view, got, documented[view])
		}
		delete(documented, view)
	}
	for view := range documented {
		t.Errorf("docs/schema.md documents %s, and there is no such view", view)
	}
}

func TestTheDaysOfTheViewsAreTheSites(t *testing.T) {
	w := open(t)
	register(t, w, "paris", "Europe/Paris", "a")
	register(t, w, "kathmandu", "Asia/Kathmandu", "k") // 5:45 ahead
	spring := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	insert(t, w, func(b *telemetry.Batch) {
		for i := range 96 { // hourly readings from the 28th, 0:00 UTC on
			ts := spring.Add(time.Duration(i-23) * time.Hour)
			count(b, "a", ts, ts, int64(i), 1, 2)
		}
		midnight := time.Date(2026, 3, 28, 18, 15, 0, 0, time.UTC)
		count(b, "k", midnight, midnight, 1, 10, 0)
		count(b, "k", midnight.Add(15*time.Minute), midnight, 2, 20, 0)
	})
	got := tsv(t, w, "SELECT day, `in`, `out`, readings FROM {db}.daily WHERE site = 'paris' AND day BETWEEN '2026-03-29' AND '2026-03-30' ORDER BY day")
	if want := "2026-03-29\t23\t46\t23\n2026-03-30\t24\t48\t24"; got != want {
		t.Errorf("around the change of clocks in Paris:\n%s\nwant\n%s", got, want)
	}
	if got, want := tsv(t, w, "SELECT day, `in` FROM {db}.daily WHERE device = 'k' ORDER BY day"), "2026-03-28\t10\n2026-03-29\t20"; got != want {
		t.Errorf("midnight in Kathmandu:\n%s\nwant\n%s", got, want)
	}
	if got, want := tsv(t, w, "SELECT hour, `in` FROM {db}.hourly WHERE device = 'k' ORDER BY hour"), "2026-03-28 18:00:00\t30"; got != want {
		t.Errorf("by hour: got %s, want %s", got, want)
	}
}

// TestTheViewsAgreeWithArgMax holds the views' way of finding the last version
// against the plain one, over readings in many versions, repeats and parts.
func TestTheViewsAgreeWithArgMax(t *testing.T) {
	w := open(t)
	register(t, w, "s", "UTC", "d0", "d1", "d2")
	for part := range 4 {
		tsv(t, w, fmt.Sprintf(`INSERT INTO {db}.raw_counts SELECT xxHash64('d' || (number %% 3)), fromUnixTimestamp64Milli(toInt64(1700000000000 + (number %% 5000) * 60000), 'UTC'),
			toInt64(sipHash64(number, %d) %% 4) * 1000, sipHash64(number, 'o') %% 3, sipHash64(number, %d) %% 4 + 1, 1, 60 FROM numbers(20000)`, part, part))
	}
	plain := "SELECT count(), sum(tupleElement(v, 1)), sum(toUnixTimestamp64Milli(ts) %% 1000003) FROM (SELECT device, ts, argMax((delay, offset), (delay, offset)) AS v FROM {db}.raw_counts%s GROUP BY device, ts)"
	view := "SELECT count(), sum(toUnixTimestamp64Milli(arrival) - toUnixTimestamp64Milli(ts)), sum(toUnixTimestamp64Milli(ts) %% 1000003) FROM {db}.readings%s"
	for _, c := range [][2]string{{"", ""}, {" WHERE ts > '2023-11-15 00:00:00'", " WHERE ts > '2023-11-15 00:00:00'"}, {" WHERE device = xxHash64('d1')", " WHERE device = 'd1'"}, {"", " WHERE site IN ('s')"}} {
		if got, want := tsv(t, w, fmt.Sprintf(view, c[1])), tsv(t, w, fmt.Sprintf(plain, c[0])); got != want || strings.HasPrefix(want, "0\t") {
			t.Errorf("readings%s: got %s, argMax says %s", c[1], got, want)
		}
	}
}

// TestFiltersReachTheTable looks at what the engine plans to do: a filter on a
// site must become one on its devices where the table is read.
func TestFiltersReachTheTable(t *testing.T) {
	w := open(t)
	register(t, w, "s", "UTC", "d0")
	insert(t, w, func(b *telemetry.Batch) { count(b, "d0", noon, noon, 1, 1, 1) })
	for _, view := range []string{"readings", "hourly"} {
		plan := tsv(t, w, "EXPLAIN indexes = 1 SELECT sum(`in`) FROM {db}."+view+" WHERE site = 's'"+map[string]string{"readings": " AND ts > '2026-03-27 00:00:00'", "hourly": " AND hour >= '2026-03-27 00:00:00'"}[view])
		for _, want := range []string{"Runtime filters: RF1(device", "Prewhere", "Min-Max"} {
			if !strings.Contains(plan, want) {
				t.Errorf("%s: the plan has no %q:\n%s", view, want, plan)
			}
		}
		if sort := strings.Index(plan, "toDate(ts) ASC, device ASC, ts ASC, delay ASC, offset ASC"); sort < 0 {
			t.Errorf("%s: it is not read in the order of its key:\n%s", view, plan)
		}
	}
}

var sqlBlock = regexp.MustCompile("(?s)```sql\n(.*?)\n```")

// TestTheDocumentedQueriesRun asks what docs/schema.md shows in the way that
// people do: in a session that reads this database and can do nothing else.
func TestTheDocumentedQueriesRun(t *testing.T) {
	page, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	w, err := server.Database(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	register(t, w, "paris", "Europe/Paris", "FC-10042")
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "FC-10042", now.Add(-time.Minute), now, 1, 10, 9)
		heartbeat(b, "FC-10042", now.Add(-2*time.Minute), now, 2, "temp", 20.0)
	})
	at := Moment{now.Add(-time.Minute)}
	incident := Incident{Ref: "INC-1", Version: 1, State: "new", Condition: "open", Origin: "rule", Rule: "quiet", Category: "sensor", Site: "paris", Device: "FC-10042", OpenedAt: at}
	if err := w.PutIncidents(t.Context(), []Incident{incident}, []IncidentEvent{{Ref: "INC-1", Seq: 1, ID: 1, At: at, Kind: "open", Source: "analyzer", Condition: "open", State: "new", Changes: "{}"}}); err != nil {
		t.Fatal(err)
	}
	reader, err := server.Reader("people", 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	queries := sqlBlock.FindAllStringSubmatch(string(page), -1)
	if len(queries) < 6 {
		t.Fatalf("found %d queries", len(queries))
	}
	for _, q := range queries {
		err := reader.Session(t.Context(), func(s *chdb.Session) error {
			out, err := s.Query(q[1], "TSV", nil)
			if err == nil && len(out) == 0 {
				t.Errorf("%s\nhas no rows", q[1])
			}
			return err
		})
		if err != nil {
			t.Errorf("%s\n%v", q[1], err)
		}
	}
	if got, want := tsv(t, w, "SELECT fw, measurements['temp'], open_incidents, open_categories FROM {db}.device_state"), "5.2.1\t20\t1\t['sensor']"; got != want {
		t.Errorf("device_state: got %q, want %q", got, want)
	}
}

// TestTheMirrorTakesWhatComesAgain copies versions in any order, and events twice.
func TestTheMirrorTakesWhatComesAgain(t *testing.T) {
	w := open(t)
	v := func(x float64) *float64 { return &x }
	at := Moment{noon}
	events := []IncidentEvent{
		{Ref: "INC-1", Seq: 1, ID: 7, At: at, Kind: "open", Source: "analyzer", Condition: "open", State: "new", Value: v(5), Threshold: v(3), Since: &at},
		{Ref: "INC-1", Seq: 2, ID: 8, At: at, Kind: "take", Source: "api", State: "in_progress"},
		{Ref: "INC-1", Seq: 3, ID: 9, At: at, Kind: "observe", Source: "analyzer", Condition: "clear", Value: v(2)},
	}
	newer := Incident{Ref: "INC-1", Version: 3, State: "in_progress", Origin: "rule", Rule: "r", Device: "a"}
	older := Incident{Ref: "INC-1", Version: 1, State: "new", Origin: "rule", Rule: "r", Device: "a"}
	for _, list := range [][]Incident{{newer}, {older}, {newer}} {
		if err := w.PutIncidents(t.Context(), list, events); err != nil {
			t.Fatal(err)
		}
	}
	if id, err := w.MirroredTo(t.Context()); id != 9 || err != nil {
		t.Errorf("mirrored to %d, %v; want 9", id, err)
	}
	for sql, want := range map[string]string{
		"SELECT ref, version, state FROM {db}.incidents":                                                 "INC-1\t3\tin_progress",
		"SELECT seq, kind FROM {db}.incident_events ORDER BY seq":                                        "1\topen\n2\ttake\n3\tobserve",
		"SELECT kind, condition, value, threshold FROM {db}.findings ORDER BY kind, value":               "observe\tclear\t2\t3\nopen\topen\t5\t3",
		"SELECT count() FROM {db}.findings WHERE since = fromUnixTimestamp64Milli(" + millis(noon) + ")": "2",
	} {
		if got := tsv(t, w, sql); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
	if err := w.ForgetIncidents(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id, err := w.MirroredTo(t.Context()); id != 0 || err != nil {
		t.Errorf("after all was forgotten: mirrored to %d, %v", id, err)
	}
}

func TestAQuestionAboutADayReadsThatDay(t *testing.T) {
	w := open(t)
	tsv(t, w, "INSERT INTO {db}.raw_hours SELECT toDateTime('2026-03-01 00:00:00', 'UTC') + intDiv(number, 1000) * 3600, number % 1000, 1, 1, 4, 0, 4 FROM numbers(480000)")
	tsv(t, w, "INSERT INTO {db}.raw_counts SELECT number % 1000, toDateTime64('2026-03-01 01:00:00', 3, 'UTC') + intDiv(number, 1000) * 3600, 0, number, 1, 1, 3600 FROM numbers(480000)")
	tsv(t, w, "INSERT INTO {db}.raw_heartbeats (device, ts) SELECT number % 1000, toDateTime64('2026-03-01 01:00:00', 3, 'UTC') + intDiv(number, 1000) * 3600 FROM numbers(480000)")
	for table, sql := range map[string]string{
		"raw_hours":      "SELECT sum(`in`) FROM {db}.hourly WHERE hour >= '2026-03-20 00:00:00'",
		"raw_counts":     "SELECT sum(`in`) FROM {db}.readings WHERE ts > '2026-03-20 00:00:00'",
		"raw_heartbeats": "SELECT count() FROM {db}.heartbeats WHERE ts > '2026-03-20 00:00:00'",
	} {
		// A day is 24,000 of 480,000 rows, in granules of 8,192.
		if got := tsv(t, w, "SELECT rows <= 49152 FROM (EXPLAIN ESTIMATE "+sql+") WHERE table = '"+table+"'"); got != "1" {
			t.Errorf("%s: %q; want at most 49152 rows read: %s", table, got, tsv(t, w, "EXPLAIN ESTIMATE "+sql))
		}
	}
}
