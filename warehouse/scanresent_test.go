package warehouse

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// TestWhatCameAgainIsRightAtEachInstant inserts what arrives between instants, much of it
// for the second or third time, and asks as a live analyzer does: one instant after the
// other, now and then after a restart, of some devices, as of the past, and when something
// was replayed.
func TestWhatCameAgainIsRightAtEachInstant(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(3, 9))
	var all telemetry.Batch
	offset := int64(0)
	send := func(from, to time.Time) {
		var b telemetry.Batch
		for range random.IntN(80) {
			arrival := from.Add(time.Duration(1 + random.Int64N(int64(to.Sub(from))-1))).Truncate(time.Millisecond)
			behind := []time.Duration{0, time.Hour, 5 * time.Hour, 30 * time.Hour, 8 * 24 * time.Hour, -2 * time.Hour}[random.IntN(6)]
			ts, name, n := arrival.Truncate(20*time.Minute).Add(-behind), fmt.Sprint("d", random.IntN(9)), random.Uint32N(2)
			if offset++; offset%7 == 0 {
				offset-- // read twice, perhaps
			}
			count(&b, name, ts, arrival, offset, n, 1)
			count(&all, name, ts, arrival, offset, n, 1)
		}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	known := map[analyzer.Fn]int{}
	at, sent := noon, noon.Add(-24*time.Hour)
	for i := range 30 {
		at = at.Add([]time.Duration{5 * time.Minute, time.Hour, 9 * time.Hour, 50 * time.Hour}[random.IntN(4)])
		if ahead := at.Add(time.Minute); ahead.After(sent) {
			send(sent, ahead)
			sent = ahead
		}
		if i%6 == 5 {
			send(at.Add(-7*time.Hour), at.Add(-2*time.Hour))
		}
		if i%8 == 7 {
			w.again = again{} // as after a restart
		}
		scans := []analyzer.Scan{{AsOf: at}}
		if i%5 == 3 {
			scans = append(scans, analyzer.Scan{AsOf: at, Devices: []telemetry.DeviceID{telemetry.IDOf("d1")}}, analyzer.Scan{AsOf: at.Add(-10 * time.Hour)}, scans[0])
		}
		reel := analyzer.NewReel(&all)
		for _, s := range scans {
			for _, span := range []time.Duration{24 * time.Hour, 3 * time.Hour, time.Duration(1+i%3*20) * time.Hour} {
				for _, fn := range []analyzer.Fn{analyzer.ResentSame, analyzer.ResentChanged} {
					s.Columns = append(s.Columns, analyzer.Column{Fn: fn, Kind: telemetry.Count, From: s.AsOf.Add(-span), To: s.AsOf})
				}
			}
			got, err := w.Scan(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			want, err := reel.Query(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			wanted := valuesOf(t, want)
			if s.Devices != nil {
				wanted = map[uint64][]float64{uint64(s.Devices[0]): wanted[uint64(s.Devices[0])]}
			}
			sameValues(t, s, valuesOf(t, got), wanted, known)
		}
	}
	if known[analyzer.ResentSame] < 100 || known[analyzer.ResentChanged] < 100 {
		t.Errorf("too little came again to prove anything: %v", known)
	}
}
