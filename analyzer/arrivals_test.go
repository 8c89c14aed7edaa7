package analyzer

import (
	"math"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/telemetry"
)

// ask computes one column of the device "d".
func ask(t *testing.T, b *telemetry.Batch, asOf time.Time, c Column) float64 {
	t.Helper()
	record, err := NewReel(b).Query(t.Context(), Scan{AsOf: asOf, Columns: []Column{c}})
	if err != nil {
		t.Fatal(err)
	}
	defer record.Release()
	column := record.Column(1).(*array.Float64)
	for i, id := range record.Column(0).(*array.Uint64).Uint64Values() {
		if telemetry.DeviceID(id) == telemetry.IDOf("d") && column.IsValid(i) {
			return column.Value(i)
		}
	}
	return math.NaN()
}

// TestArrivalsByHand works the functions on arrivals out on a device that sends each
// quarter of an hour; the k-th reading comes after delays[k].
func TestArrivalsByHand(t *testing.T) {
	const quarter = 15 * time.Minute
	sent := func(delays ...time.Duration) *telemetry.Batch {
		b := &telemetry.Batch{}
		for i, d := range delays {
			ts := monday.Add(time.Duration(i) * quarter)
			addCount(b, "d", ts, ts.Add(d), 1, 0)
		}
		return b
	}
	repeat := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	lost := sent(repeat(40, 0)...)
	for _, gap := range [][2]int{{5, 12}, {20, 30}} { // two gaps: 8 and 11 quarters long
		for i := gap[0]; i < gap[1]; i++ {
			lost.Counts.Device[i] = telemetry.IDOf("another")
		}
	}
	again := sent(repeat(20, 0)...)
	addCount(again, "d", monday, monday.Add(4*time.Hour), 1, 0)                       // the first, as it was
	addCount(again, "d", monday.Add(quarter), monday.Add(4*time.Hour), 7, 0)          // the second, changed
	addCount(again, "d", monday.Add(quarter), monday.Add(4*time.Hour+quarter), 7, 0)  // and as it is by then
	addCount(again, "d", monday.Add(-9*24*time.Hour), monday.Add(4*time.Hour), 7, 0)  // too old, and only once
	addCount(again, "d", monday.Add(-9*24*time.Hour), monday.Add(5*time.Hour), 99, 0) // changed, of before ResentBack

	at := monday.Add(10 * time.Hour)
	for _, c := range []struct {
		name  string
		batch *telemetry.Batch
		fn    Fn
		share float64
		want  float64
	}{
		{"the median of an odd number", sent(60e9, 90e9, 30e9), Skew, 0, 60},
		{"of ten, halfway between the fifth and the sixth; the oldest two are left out", sent(3e11, 3e11, 0, 0, 0, 0, 10e9, 20e9, 30e9, 30e9, 30e9, 30e9), Skew, 0, 15},
		{"two readings say nothing of a clock", sent(60e9, 60e9), Skew, 0, math.NaN()},
		{"distances 30, 0, 30 from the median 60", sent(30e9, 60e9, 90e9), SkewSpread, 0, 30},
		{"a clock that is ahead", sent(repeat(5, -time.Hour)...), Skew, 0, -3600},
		{"the 19th of 20", sent(append(repeat(18, 0), 60e9, 120e9)...), Lag, 0.90, 60},
		{"the last of 20", sent(append(repeat(18, 0), 60e9, 120e9)...), Lag, 0.999, 120},
		{"19 readings have no percentile", sent(repeat(19, 0)...), Lag, 0.5, math.NaN()},
		{"20 gaps of a quarter of an hour", sent(repeat(21, 0)...), Gap, 0.5, 900},
		{"19 gaps are too few", sent(repeat(20, 0)...), Gap, 0.5, math.NaN()},
		{"the longest of the gaps, 11 quarters", lost, Gap, 0.999, 11 * 900},
		{"both gaps are over six quarters: gone and back, twice", lost, Transitions, 0, 4},
		{"gone for good is one more", sent(repeat(5, 0)...), Transitions, 0, 1},
		{"two readings have no usual gap", sent(0, 0), Transitions, 0, 0},
		{"the first came again as it was, and the second a third time", again, ResentSame, 0, 2},
		{"the second came again with other numbers", again, ResentChanged, 0, 1},
	} {
		if got := ask(t, c.batch, at, Column{Fn: c.fn, Share: c.share, From: monday.Add(-time.Hour), To: at}); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: got %v; want %v", c.name, got, c.want)
		}
	}
}

// TestMeasurementsOverTimeByHand is the slopes and falls of a measurement.
func TestMeasurementsOverTimeByHand(t *testing.T) {
	b := &telemetry.Batch{}
	for i, v := range []float64{100, 98, 97, 95, 20, 91, 90, 87} { // a day each; the fifth is an outlier
		ts := monday.AddDate(0, 0, i)
		addHeartbeat(b, "d", ts, ts, "battery", v)
	}
	at := monday.AddDate(0, 0, 8)
	c := Column{Kind: telemetry.Heartbeat, Measure: "battery", From: monday.Add(-time.Hour), To: at}
	c.Fn = Slope // of 28 slopes between two days, the 14th and 15th are −11/6 and −9/5
	if got, want := ask(t, b, at, c), (-11.0/6-9.0/5)/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("the slope is %v a day; want %v", got, want)
	}
	if c.Fn = Resets; ask(t, b, at, c) != 6 {
		t.Errorf("it fell %v times; want 6", ask(t, b, at, c))
	}
	if c.Fn, c.To = Slope, monday.AddDate(0, 0, 5); ask(t, b, at, c) == ask(t, b, at, c) {
		t.Error("six days have a slope")
	}
}

func TestHintsOfAClock(t *testing.T) {
	const week = 7 * 24 * 3600.0
	for seconds, want := range map[float64]string{
		3600: "a whole", -3610: "a whole", 5.5 * 3600: "a whole", 600: "", 1024 * week: "1024 weeks", 1024*week - 3600: "1024 weeks", 24 * 365 * 24 * 3600: "years", 40 * 3600: "",
	} {
		if got := skewHint(seconds); len(got) < len(want) || got[:len(want)] != want || want == "" && got != "" {
			t.Errorf("%v s off: %q; want %q", seconds, got, want)
		}
	}
}
