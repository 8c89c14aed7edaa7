package warehouse

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"belfry/analyzer"
	"belfry/telemetry"
)

// TestTheLastArrivalIsRightAtEachInstant inserts what arrives between instants, some of
// it late and some ahead of time, always with readings behind the instant at hand, and
// asks as a live analyzer does: one instant after the other, now and then after a
// restart, after a long pause, as of the past, and when something was replayed.
func TestTheLastArrivalIsRightAtEachInstant(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(7, 1))
	var all telemetry.Batch
	offset := int64(0)
	send := func(from, to time.Time) {
		var b telemetry.Batch
		for range random.IntN(60) {
			arrival := from.Add(time.Duration(1 + random.Int64N(int64(to.Sub(from))-1))).Truncate(time.Millisecond)
			delay := []time.Duration{0, time.Second, 4*time.Minute + 59*time.Second, 5 * time.Minute, 3 * time.Hour, 30 * time.Hour, 9 * 24 * time.Hour, -time.Hour}[random.IntN(8)]
			name := fmt.Sprint("d", random.IntN(25))
			offset++
			if random.IntN(2) == 0 {
				count(&b, name, arrival.Add(-delay), arrival, offset, 1, 1)
				count(&all, name, arrival.Add(-delay), arrival, offset, 1, 1)
			} else {
				heartbeat(&b, name, arrival.Add(-delay), arrival, int64(b.Len()))
				heartbeat(&all, name, arrival.Add(-delay), arrival, int64(b.Len()))
			}
		}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	cells := 0
	at, sent := noon, noon.Add(-time.Hour)
	columns := []analyzer.Column{{Fn: analyzer.LastArrival}, {Fn: analyzer.LastArrival, Kind: telemetry.Count}, {Fn: analyzer.LastArrival, Kind: telemetry.Heartbeat}}
	for i := range 24 {
		step := []time.Duration{time.Second, 5 * time.Minute, 30 * time.Minute, 40 * time.Hour}[random.IntN(4)]
		at = at.Add(step)
		ahead := at.Add(time.Duration(random.IntN(120)) * time.Second)
		if ahead.After(sent) {
			send(sent, ahead)
			sent = ahead
		}
		if i%5 == 4 {
			send(at.Add(-3*time.Hour), at.Add(-2*time.Hour)) // replayed, as if it had arrived then
		}
		if i%9 == 8 {
			w.latest = latest{} // as after a restart
		}
		asks := []time.Time{at}
		if i%7 == 6 {
			asks = append(asks, at.Add(-20*time.Hour), at)
		}
		reel := analyzer.NewReel(&all)
		for _, asOf := range asks {
			s := analyzer.Scan{AsOf: asOf, Columns: columns}
			want, err := reel.Query(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			got, err := w.Scan(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for d := range 25 {
				name := fmt.Sprint("d", d)
				if a, b := scanRow(got, name, len(columns)), scanRow(want, name, len(columns)); a != b {
					t.Fatalf("step %d, %s as of %s: the warehouse says %s, the reel %s", i, name, asOf, a, b)
				}
			}
			got.Release()
			want.Release()
			gave, err := w.Late(t.Context(), asOf.Add(-step), asOf, asOf.Add(-14*24*time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			wanted, err := reel.Late(t.Context(), asOf.Add(-step), asOf, asOf.Add(-14*24*time.Hour))
			if diff := cmp.Diff(wanted, gave, cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Fatalf("step %d, late as of %s: %v: %s", i, asOf, err, diff)
			}
			cells += len(gave)
		}
	}
	if cells == 0 {
		t.Error("nothing came late")
	}
}
