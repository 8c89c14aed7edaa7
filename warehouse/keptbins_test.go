package warehouse

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// TestBinsAreRightHourAfterHour asks for the bins of a day as a live analyzer does, in two
// pieces of the fleet, while readings come late and are corrected, devices join, a day ends,
// and everything is asked anew after a restart or a replay.
func TestBinsAreRightHourAfterHour(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(5, 12))
	var all telemetry.Batch
	offset := int64(0)
	send := func(from, to time.Time, devices int) {
		var b telemetry.Batch
		for range 4 * devices {
			arrival := from.Add(time.Duration(1 + random.Int64N(int64(to.Sub(from))-1))).Truncate(time.Millisecond)
			delay := []time.Duration{0, 0, 0, time.Minute, 5 * time.Minute, 90 * time.Minute, 7 * time.Hour, -time.Hour}[random.IntN(8)]
			name, ts, n := fmt.Sprint("d", random.IntN(devices)), arrival.Add(-delay).Truncate(10*time.Minute), random.Uint32N(60)
			if random.IntN(20) == 0 {
				n = 1 << 17
			}
			offset++
			count(&b, name, ts, arrival, offset, n, 1)
			count(&all, name, ts, arrival, offset, n, 1)
		}
		for ts := from.Add(10 * time.Second); ts.Before(to); ts = ts.Add(10 * time.Second) { // over 255 in an hour
			offset++
			count(&b, "busy", ts, ts, offset, 1, 0)
			count(&all, "busy", ts, ts, offset, 1, 0)
		}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	at, sent, kept, bins := noon, noon.Add(-12*time.Hour), 0, 0
	for i := range 11 {
		at = at.Add([]time.Duration{5 * time.Minute, time.Hour, time.Hour, 3 * time.Hour}[random.IntN(4)])
		send(sent, at.Add(30*time.Second), 5+i/3)
		sent = at.Add(30 * time.Second)
		if i == 8 {
			send(at.Add(-5*time.Hour), at.Add(-4*time.Hour), 4) // replayed
		}
		if i == 4 {
			w.bins = keptBins{} // as after a restart
		}
		asks := []time.Time{at}
		if i%6 == 5 {
			asks = append(asks, at.Add(-4*time.Hour), at)
		}
		reel := analyzer.NewReel(&all)
		for _, asOf := range asks {
			end := asOf.Add(-5 * time.Minute).Truncate(time.Hour)
			s := analyzer.Series{AsOf: asOf, From: end.Add(-2 * time.Hour), To: end, Step: time.Hour}
			if midnight := asOf.Truncate(24 * time.Hour); midnight.Before(s.From) {
				s.From = midnight
			}
			was := w.bins.grids[binGrid{step: 3_600_000}]
			for _, piece := range [][2]telemetry.DeviceID{{0, telemetry.IDOf("d3")}, {telemetry.IDOf("d3") + 1, math.MaxUint64}} {
				s.First, s.Last = piece[0], piece[1]
				bins += sameBins(t, w, reel, s)
			}
			if d := w.bins.grids[binGrid{step: 3_600_000}]; d != nil && d == was {
				kept++
			}
		}
	}
	if bins < 400 || kept < 5 {
		t.Errorf("%d bins were compared, and %d times they were kept", bins, kept)
	}
}
