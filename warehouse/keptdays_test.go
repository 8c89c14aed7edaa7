package warehouse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// daysWorld is a warehouse whose days are asked for while readings come, in time and late,
// again, corrected and from new devices.
type daysWorld struct {
	t      *testing.T
	w      *Warehouse
	random *rand.Rand
	all    telemetry.Batch
	offset int64
	bins   int
}

// send inserts readings that arrive in (from, to], of some devices.
func (x *daysWorld) send(from, to time.Time, devices int) {
	x.t.Helper()
	var b telemetry.Batch
	put := func(name string, ts, arrival time.Time, in, out uint32) {
		x.offset++
		count(&b, name, ts, arrival, x.offset, in, out)
		count(&x.all, name, ts, arrival, x.offset, in, out)
	}
	for range 60 + int(to.Sub(from)/time.Hour)*devices/3 {
		arrival := from.Add(time.Duration(1 + x.random.Int64N(int64(to.Sub(from))))).Truncate(time.Millisecond)
		delay := []time.Duration{0, 0, 0, 0, time.Minute, 5 * time.Minute, 5*time.Minute - time.Millisecond, 90 * time.Minute, 30 * time.Hour, 6 * 24 * time.Hour, -time.Hour}[x.random.IntN(11)]
		n := x.random.Uint32N(60)
		if x.random.IntN(50) == 0 {
			n = 1 << 17
		}
		put(fmt.Sprint("d", x.random.IntN(devices)), arrival.Add(-delay).Truncate([]time.Duration{time.Millisecond, 10 * time.Minute, time.Hour}[x.random.IntN(3)]), arrival, n, 1)
	}
	if err := x.w.Insert(x.t.Context(), &b); err != nil {
		x.t.Fatal(err)
	}
}

// reopen goes on as a process does that was started anew.
func (x *daysWorld) reopen() {
	x.t.Helper()
	w, err := x.w.Database(x.t.Context(), x.w.Name())
	if err != nil {
		x.t.Fatal(err)
	}
	x.w = w
}

// ask compares the bins of the days before an instant, in two pieces of the fleet, and of
// whichever hours one looks at.
func (x *daysWorld) ask(at time.Time, days int, offset time.Duration) {
	x.t.Helper()
	to := at.Truncate(time.Hour).Add(offset)
	s := analyzer.Series{AsOf: at, From: to.AddDate(0, 0, -days), To: to, Step: time.Hour}
	reel := analyzer.NewReel(&x.all)
	last := telemetry.IDOf(fmt.Sprint("d", x.random.IntN(6))) // of the first piece
	for _, piece := range [][2]telemetry.DeviceID{{0, last}, {last + 1, math.MaxUint64}} {
		if s.First, s.Last = piece[0], piece[1]; offset == 0 || x.random.IntN(2) == 0 {
			x.bins += sameBins(x.t, x.w, reel, s)
		}
	}
	s.Devices = []telemetry.DeviceID{telemetry.IDOf("d1"), telemetry.IDOf("d4")}
	slices.Sort(s.Devices)
	s.First, s.Last, x.w.days.listed = s.Devices[0], s.Devices[1], 1+x.random.IntN(3)
	x.bins += sameBins(x.t, x.w, reel, s)
}

// sum compares sums over the days before an instant, and without those that came at it.
func (x *daysWorld) sum(at time.Time, days int) {
	x.t.Helper()
	reel := analyzer.NewReel(&x.all)
	s := analyzer.Scan{AsOf: at}
	for i, fn := range []analyzer.Fn{analyzer.SumIn, analyzer.SumOut, analyzer.Rows, analyzer.SumTotal} {
		to := at.Add(-time.Duration(i/2) * time.Millisecond)
		s.Columns = append(s.Columns, analyzer.Column{Fn: fn, Kind: telemetry.Count, From: to.AddDate(0, 0, -days), To: to})
	}
	got, err := x.w.Scan(x.t.Context(), s)
	if err != nil {
		x.t.Fatal(err)
	}
	defer got.Release()
	want, err := reel.Query(x.t.Context(), s)
	if err != nil {
		x.t.Fatal(err)
	}
	defer want.Release()
	for i := range 10 {
		name := fmt.Sprint("d", i)
		if a, b := scanRow(got, name, 4), scanRow(want, name, 4); a != b && !(a == "" && b == "null null 0 null") {
			x.t.Errorf("%s in %d days as of %s: the engine says %q, the reel %q", name, days, at, a, b)
		}
	}
}

func TestDaysThatAreKeptAreRightWhateverComesAndIsAsked(t *testing.T) {
	x := &daysWorld{t: t, w: open(t), random: rand.New(rand.NewPCG(9, 80))}
	at, sent := noon, noon.AddDate(0, 0, -8)
	for i := range 6 {
		x.w.days.atOnce = []int{madeAtOnce, 8}[i%2] // so little that days are made in several questions
		to := at.Add(30 * time.Second)
		x.send(sent, to, 5+i/2)
		sent = to
		x.ask(at, 3+x.random.IntN(3), 0)
		if i%2 == 0 {
			x.sum(at, 3+x.random.IntN(2))
		}
		switch i {
		case 0, 3:
			x.ask(at, 4, -30*time.Minute) // Adelaide
		case 2:
			x.reopen()
		case 4:
			x.send(at.AddDate(0, 0, -3), at.AddDate(0, 0, -2), 4) // a replay of what arrived then
			x.ask(at, 6, 0)
			x.reopen()
		case 5: // the past, where days are known as of later instants, and are not
			for _, back := range []time.Duration{5 * time.Hour, 100 * time.Hour, 27 * time.Hour} {
				x.ask(at.Add(-back), 4, 0)
			}
			if err := x.w.TouchAll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		at = at.Add([]time.Duration{3 * time.Minute, time.Hour, 7 * time.Hour, 26 * time.Hour}[x.random.IntN(4)])
	}
	x.w.days.atOnce = madeAtOnce
	x.ask(at, 4, 0)
	known := tsv(t, x.w, "SELECT countIf(look IN (SELECT look FROM {db}.raw_looks)) > 10, countIf(notEmpty(great)) > 0 FROM {db}.raw_days")
	if x.bins < 1500 || known != "1\t1" {
		t.Errorf("%d bins were compared; many rows are of a look, and some are great: %s", x.bins, known)
	}
}

func TestRowsOfALookThatWasCutOffDoNotCount(t *testing.T) {
	x := &daysWorld{t: t, w: open(t), random: rand.New(rand.NewPCG(1, 80))}
	x.send(noon.AddDate(0, 0, -8), noon, 5)
	s := analyzer.Series{AsOf: noon, From: noon.AddDate(0, 0, -6), To: noon, Step: time.Hour, Last: math.MaxUint64}
	d, _ := daysWithin(s)
	d.asOf -= 40 * time.Hour.Milliseconds()
	if err := x.w.pack(t.Context(), 7, d, d.series()); err != nil { // and the process is killed
		t.Fatal(err)
	}
	x.ask(noon, 6, 0)
	x.reopen()
	x.ask(noon, 6, 0)
	if got := tsv(t, x.w, "SELECT countIf(look = 7) > 0, countIf(look != 7) > 0, (SELECT count() FROM {db}.raw_looks) FROM {db}.raw_days"); got != "1\t1\t1" {
		t.Errorf("rows of the look that was cut off, of others, looks: %q, want 1 1 1", got)
	}
}

func TestWhatWasInsertedBehindALookIsSeenAfterARestart(t *testing.T) {
	x := &daysWorld{t: t, w: open(t), random: rand.New(rand.NewPCG(2, 80))}
	x.send(noon.AddDate(0, 0, -8), noon, 5)
	x.ask(noon.AddDate(0, 0, -1), 4, 0)
	x.ask(noon, 4, 0)
	x.reopen() // what was asked for is known from the table
	x.send(noon.Add(-2*time.Hour), noon.Add(-time.Hour), 5)
	if got := tsv(t, x.w, "SELECT max(as_of) FROM {db}.raw_looks"); got != "2026-03-26 12:00:00.000" {
		t.Errorf("the last look is of %s; want that of the day before, when nothing of this had come", got)
	}
	x.ask(noon, 4, 0)
	x.reopen()
	x.ask(noon, 4, 0)
}

func TestADayWhoseReadingsWentForTheirAgeIsNotKnown(t *testing.T) {
	x := &daysWorld{t: t, w: open(t), random: rand.New(rand.NewPCG(3, 80))}
	now := monthOf(time.Now()).AddDate(0, 0, 3) // whatever the day: three days into a month
	x.send(now.AddDate(0, 0, -9), now, 5)
	x.ask(now, 8, 0)
	if _, err := x.w.Refresh(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	x.w.retention = Retention{Readings: 1}
	defer func() { x.w.retention = Retention{} }() // of all tests
	if err := x.w.Sweep(t.Context(), now.AddDate(0, 0, 1)); err != nil {
		t.Fatal(err)
	}
	kept := telemetry.Batch{}
	for i, ts := range x.all.Counts.TS {
		if c := &x.all.Counts; ts >= monthOf(now).UnixMilli() {
			kept.Counts.Device, kept.Counts.TS, kept.Counts.Arrival = append(kept.Counts.Device, c.Device[i]), append(kept.Counts.TS, ts), append(kept.Counts.Arrival, c.Arrival[i])
			kept.Counts.Offset, kept.Counts.In, kept.Counts.Out = append(kept.Counts.Offset, c.Offset[i]), append(kept.Counts.In, c.In[i]), append(kept.Counts.Out, c.Out[i])
			kept.Counts.Interval = append(kept.Counts.Interval, 60)
		}
	}
	x.all = kept
	x.ask(now, 8, 0)
	if err := x.w.Sweep(t.Context(), now.AddDate(0, 6, 0)); err != nil {
		t.Fatal(err)
	}
	if got := tsv(t, x.w, "SELECT (SELECT count() FROM {db}.raw_looks), (SELECT count() FROM {db}.raw_days)"); got != "0\t0" {
		t.Errorf("looks and rows after half a year: %q, want none", got)
	}
}
