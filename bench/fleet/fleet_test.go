package fleet

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belfry/telemetry"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// lines returns all messages of a span with their arrivals.
func lines(t testing.TB, f *Fleet, from, to time.Time) []string {
	t.Helper()
	var out []string
	err := f.Readings(from, to, func(r *Record) error {
		out = append(out, r.Arrival.UTC().Format("02T15:04:05.000 ")+string(r.AppendJSON(nil)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// collect returns the records of one device.
func collect(t testing.TB, f *Fleet, device string, from, to time.Time) []Record {
	t.Helper()
	var out []Record
	err := f.Readings(from, to, func(r *Record) error {
		if r.Device == device {
			out = append(out, *r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func totals(records []Record) (counts, heartbeats int, in, out uint32) {
	for _, r := range records {
		if r.Kind == telemetry.Heartbeat {
			heartbeats++
			continue
		}
		counts++
		in += r.In
		out += r.Out
	}
	return counts, heartbeats, in, out
}

func with(t testing.TB, faults ...Fault) *Fleet {
	t.Helper()
	f := New(Options{Devices: 36, Seed: 7})
	if err := f.Inject(faults...); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestPiecesMakeTheWhole(t *testing.T) {
	f := New(Options{Devices: 120, Seed: 1, HeartbeatEvery: 10 * time.Minute})
	if err := f.Inject(f.Scatter(monday, monday.Add(2*day))...); err != nil {
		t.Fatal(err)
	}
	from := monday.Add(20 * time.Hour)
	whole := lines(t, f, from, from.Add(5*time.Hour))
	var pieces []string
	for at, step := from, 7*time.Minute+13*time.Second; at.Before(from.Add(5 * time.Hour)); at = at.Add(step) {
		pieces = append(pieces, lines(t, f, at, minTime(at.Add(step), from.Add(5*time.Hour)))...)
	}
	if diff := cmp.Diff(whole, pieces); diff != "" {
		t.Errorf("the pieces differ from the whole (-whole +pieces):\n%s", diff[:min(len(diff), 2000)])
	}
	for i := 1; i < len(whole); i++ {
		if whole[i][:15] < whole[i-1][:15] {
			t.Fatalf("out of order: %s after %s", whole[i], whole[i-1])
		}
	}
	if again := lines(t, f, from, from.Add(5*time.Hour)); !cmp.Equal(whole, again) {
		t.Error("asked twice, the fleet answered differently")
	}
	for _, line := range whole[:200] {
		if !json.Valid([]byte(line[16:])) {
			t.Errorf("not JSON: %s", line)
		}
	}
}

func TestSitesBalanceAndKeepTheirHours(t *testing.T) {
	f := New(Options{Devices: 120, Seed: 3})
	in, out := map[string]float64{}, map[string]float64{}
	sites := map[string]telemetry.Site{}
	for _, s := range f.Sites() {
		sites[s.ID] = s
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
	site := map[string]string{}
	for _, d := range f.Devices() {
		if err := d.Check(); err != nil {
			t.Error(err)
		}
		site[d.Name] = d.Site
	}
	err := f.Readings(monday, monday.Add(7*day), func(r *Record) error {
		if r.Kind != telemetry.Count {
			return nil
		}
		s := sites[site[r.Device]]
		in[s.ID] += float64(r.In)
		out[s.ID] += float64(r.Out)
		middle := r.TS.Add(-time.Duration(r.Interval) * time.Second / 2)
		if open := openAt(&s, middle); !open && r.In+r.Out > 0 {
			t.Fatalf("%s counts %d and %d at %s, when %s is closed", r.Device, r.In, r.Out, middle, s.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	closed := 0
	for id, s := range sites {
		if s.Status == telemetry.SiteClosed {
			closed++
			if in[id] > 0 {
				t.Errorf("closed site %s counted %g", id, in[id])
			}
			continue
		}
		if in[id] < 1000 {
			t.Errorf("site %s counted only %g in a week", id, in[id])
		}
		if gap := (in[id] - out[id]) / max(in[id], out[id]); gap > 0.05 || gap < -0.05 {
			t.Errorf("site %s: in %g, out %g: they differ by %.1f %%, want at most 5 %%", id, in[id], out[id], 100*gap)
		}
	}
	if closed != 1 {
		t.Errorf("got %d closed sites, want 1", closed)
	}
}

func openAt(s *telemetry.Site, at time.Time) bool {
	for _, span := range s.Day(at).Open {
		if !at.Before(span.From) && !at.After(span.To) {
			return true
		}
	}
	return false
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	const name = "FC-10005"
	from, to := monday.Add(day), monday.Add(2*day)
	base := collect(t, with(t), name, from, to)
	_, beats, baseIn, baseOut := totals(base)
	if beats != 96 || baseIn < 200 || baseOut < 200 {
		t.Fatalf("the healthy day has %d heartbeats, %d in, %d out; want 96 and at least 200 each", beats, baseIn, baseOut)
	}
	for _, tt := range []struct {
		fault Fault
		check func(counts, beats int, in, out uint32, rows []Record) bool
	}{
		{Fault{Kind: Offline}, func(c, b int, _, _ uint32, _ []Record) bool { return c == 0 && b == 0 }},
		{Fault{Kind: Zero}, func(c, b int, in, out uint32, _ []Record) bool { return c == 96 && b == 96 && in+out == 0 }},
		{Fault{Kind: PoweredNotCounting}, func(c, b int, _, _ uint32, _ []Record) bool { return c == 0 && b == 96 }},
		{Fault{Kind: NoHeartbeat}, func(c, b int, _, _ uint32, _ []Record) bool { return c == 96 && b == 0 }},
		{Fault{Kind: OneDirectionDead}, func(_, _ int, in, out uint32, _ []Record) bool { return in == 0 && out == baseOut }},
		{Fault{Kind: Discrepancy, Factor: 0.6}, func(_, _ int, in, out uint32, _ []Record) bool {
			return in == baseIn && out < baseOut*65/100 && out > baseOut*45/100
		}},
		{Fault{Kind: Swapped}, func(_, _ int, in, out uint32, _ []Record) bool { return in == baseOut && out == baseIn }},
		{Fault{Kind: Stuck}, func(c, _ int, in, out uint32, rows []Record) bool {
			return in > 0 && in%uint32(c) == 0 && out%uint32(c) == 0
		}},
		{Fault{Kind: Runaway}, func(_, _ int, in, _ uint32, _ []Record) bool { return in > 90000 && in < 100000 }},
		{Fault{Kind: ClockSkew, By: -2 * time.Hour}, func(_, _ int, _, _ uint32, rows []Record) bool {
			return rows[0].Arrival.Sub(rows[0].TS) > 2*time.Hour
		}},
		{Fault{Kind: Late, By: 3 * time.Hour}, func(c, _ int, _, _ uint32, rows []Record) bool {
			return c == 96-13 && rows[0].Arrival.Sub(rows[0].TS) > 3*time.Hour
		}},
		{Fault{Kind: Flapping}, func(c, _ int, _, _ uint32, _ []Record) bool { return c > 40 && c < 56 }},
		{Fault{Kind: Backfill}, func(c, b int, _, _ uint32, _ []Record) bool { return c == 0 && b == 0 }},
	} {
		tt.fault.Device, tt.fault.From, tt.fault.To = name, from, to
		rows := collect(t, with(t, tt.fault), name, from.Add(slowest), to.Add(-time.Millisecond))
		if tt.fault.Kind != Late && tt.fault.Kind != Backfill && tt.fault.Kind != PoweredNotCounting {
			rows = collect(t, with(t, tt.fault), name, from.Add(slowest), to.Add(slowest))
		}
		counts, beats, in, out := totals(rows)
		if !tt.check(counts, beats, in, out, rows) {
			t.Errorf("%s: got %d counts, %d heartbeats, %d in, %d out (healthy: %d in, %d out)", tt.fault.Kind, counts, beats, in, out, baseIn, baseOut)
		}
	}
}

func TestBackfillAndCopiedDay(t *testing.T) {
	const name = "FC-10005"
	from, to := monday.Add(7*day), monday.Add(8*day)
	f := with(t, Fault{Device: name, Kind: Backfill, From: from, To: to})
	rows := collect(t, f, name, to, to.Add(slowest))
	if counts, _, in, _ := totals(rows); counts != 96 || in < 200 {
		t.Errorf("back-fill: got %d counts with %d in, want 96 of a whole day", counts, in)
	}
	f = with(t, Fault{Device: name, Kind: CopiedDay, From: from, To: to})
	_, _, was, _ := totals(collect(t, f, name, from.Add(-7*day+slowest), to.Add(-7*day+slowest)))
	_, _, is, _ := totals(collect(t, f, name, from.Add(slowest), to.Add(slowest)))
	if was != is || was == 0 {
		t.Errorf("copied day: got %d in, want %d", is, was)
	}
}

func TestParseFaults(t *testing.T) {
	got, err := ParseFaults("f.yaml", []byte(`
faults:
  - {device: FC-10001, kind: offline, from: +2d, to: 2026-03-06T00:00:00Z, note: cable}
  - site: mall-paris
    kind: clock_skew
    from: +36h
    to: +3d
    by: -90m
`), monday)
	if err != nil {
		t.Fatal(err)
	}
	want := []Fault{
		{Device: "FC-10001", Kind: Offline, From: monday.Add(2 * day), To: monday.Add(4 * day), Note: "cable"},
		{Site: "mall-paris", Kind: ClockSkew, From: monday.Add(36 * time.Hour), To: monday.Add(3 * day), By: -90 * time.Minute},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	var oracle bytes.Buffer
	if err := WriteOracle(&oracle, "sim", got); err != nil {
		t.Fatal(err)
	}
	wantCSV := "dataset,device,start,end,kind,basis,note\n" +
		"sim,FC-10001,2026-03-04T00:00:00Z,2026-03-06T00:00:00Z,offline,injected,cable\n" +
		"sim,mall-paris,2026-03-03T12:00:00Z,2026-03-05T00:00:00Z,clock_skew,injected,all devices of the site.\n"
	if diff := cmp.Diff(wantCSV, oracle.String()); diff != "" {
		t.Errorf("oracle (-want +got):\n%s", diff)
	}
}

func TestParseFaultsListsEveryFault(t *testing.T) {
	_, err := ParseFaults("f.yaml", []byte(`faults:
  - {device: A, kind: broken, from: +1d, to: +2d}
  - {device: A, sight: B, kind: offline, from: +1d, to: +2d}
  - {device: A, site: B, kind: offline, from: +1d, to: +2d}
  - {device: A, kind: offline, from: tomorrow, by: long}
  - {device: A, kind: offline, from: +2d, to: +1d}
  - {device: A, kind: in_out_discrepancy, from: +1d, to: +2d, factor: 2}
  - A
doors: 1
`), monday)
	if err == nil {
		t.Fatal("got no error")
	}
	want := []string{
		`f.yaml:2:5: kind "broken"; want one of offline, zero`,
		`f.yaml:3:17: no key "sight"; want device, site`,
		`f.yaml:4:5: device "A" and site "B"; want either`,
		`f.yaml:5:5: no to; want a time`,
		`f.yaml:5:38: from "tomorrow"; want a time like`,
		`f.yaml:5:52: by "long"; want a duration`,
		`f.yaml:6:5: it lasts from`,
		`f.yaml:7:5: factor 2; want the share`,
		`f.yaml:8:5: no mapping; want device`,
		`f.yaml:9:1: no key "doors"; want faults`,
	}
	got := strings.Split(err.Error(), "\n")
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("fault %d: want %q in\n%s", i, w, err)
			break
		}
	}
	f := New(Options{Devices: 3})
	for _, x := range []Fault{{Device: "FC-99999"}, {Site: "nowhere"}} {
		x.Kind, x.From, x.To = Offline, monday, monday.Add(day)
		if err := f.Inject(x); err == nil || len(f.Faults()) != 0 {
			t.Errorf("%+v: got error %v and %d faults, want an error and none", x, err, len(f.Faults()))
		}
	}
}

func TestScatterHasEveryKind(t *testing.T) {
	f := New(Options{Devices: 300, Seed: 5})
	faults := f.Scatter(monday, monday.Add(28*day))
	seen := map[Kind]bool{}
	for _, x := range faults {
		seen[x.Kind] = true
	}
	for _, k := range Kinds {
		if !seen[k] {
			t.Errorf("no fault of kind %s", k)
		}
	}
	if err := f.Inject(faults...); err != nil {
		t.Error(err)
	}
}

// BenchmarkFleet makes a day of a fleet.
func BenchmarkFleet(b *testing.B) {
	for _, o := range []Options{{Devices: 300}, {Devices: 10000, Flat: true}} {
		name := map[bool]string{false: "profiles", true: "flat"}[o.Flat]
		b.Run(name, func(b *testing.B) {
			f := New(o)
			var buf []byte
			n := 0
			for b.Loop() {
				_ = f.Readings(monday, monday.Add(day), func(r *Record) error {
					buf = r.AppendJSON(buf[:0])
					n++
					return nil
				})
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
