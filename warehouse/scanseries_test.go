package warehouse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"belfry/analyzer"
	"belfry/telemetry"
)

// sameBins asks the engine and a reel for a series, which have to say the same, and returns
// how many bins it has.
func sameBins(t *testing.T, w *Warehouse, reel *analyzer.Reel, s analyzer.Series) int {
	t.Helper()
	got, err := w.Series(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	want, err := reel.Series(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Release()
	a, b := binsOf(t, got), binsOf(t, want)
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("%+v:\nthe engine says %d bins %v\nthe reel says %d bins %v", s, len(a), a, len(b), b)
	}
	return len(a)
}

// binsOf writes a series' record as text, after checking its form.
func binsOf(t *testing.T, r arrow.Record) []string {
	t.Helper()
	var lines []string
	device, bin := r.Column(0).(*array.Uint64), r.Column(1).(*array.Uint32)
	for i := range int(r.NumRows()) {
		line := fmt.Sprint(device.Value(i), " ", bin.Value(i))
		for c := 2; c < 5; c++ {
			line += fmt.Sprint(" ", r.Column(c).(*array.Float64).Value(i))
		}
		lines = append(lines, line)
	}
	return lines
}

// TestTheEngineAnswersASeriesLikeTheReel draws readings with corrections, late
// and future arrivals, and compares any series of them.
func TestTheEngineAnswersASeriesLikeTheReel(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(4, 4))
	var batch telemetry.Batch
	for i := range 4000 {
		ts := noon.Add(time.Duration(random.IntN(600)) * 10 * time.Minute)
		count(&batch, fmt.Sprintf("d%d", random.IntN(9)), ts, ts.Add(time.Duration(random.IntN(3)*random.IntN(300))*time.Minute), int64(i), random.Uint32N(900), random.Uint32N(900))
	}
	if err := w.Insert(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	reel := analyzer.NewReel(&batch)
	rows := 0
	for range 40 {
		from := noon.Add(time.Duration(random.IntN(100)-10) * time.Hour)
		step := []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour}[random.IntN(3)]
		s := analyzer.Series{AsOf: noon.Add(time.Duration(random.IntN(120)) * time.Hour), From: from, To: from.Add(time.Duration(1+random.IntN(50)) * step), Step: step, Last: math.MaxUint64}
		if random.IntN(2) == 0 {
			s.First, s.Last = telemetry.IDOf("d3"), telemetry.IDOf("d4")
		}
		if random.IntN(3) == 0 {
			s.Devices = []telemetry.DeviceID{telemetry.IDOf("d1"), telemetry.IDOf("d3"), telemetry.IDOf("nobody"), telemetry.IDOf("d8")}
			slices.Sort(s.Devices)
		}
		rows += sameBins(t, w, reel, s)
	}
	if rows < 1000 {
		t.Errorf("only %d bins were compared", rows)
	}
}
