package warehouse

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// TestARingSaysWhatItsWindowDoes takes versions in as they come, those of an instant in any
// order and some of them again, and holds the ring against all that came in the window.
func TestARingSaysWhatItsWindowDoes(t *testing.T) {
	const reach = int64(3 * time.Hour / time.Millisecond)
	random := rand.New(rand.NewPCG(12, 26))
	compared, full, opened := 0, 0, 0
	for range 400 {
		at, most, again := noon.UnixMilli(), 1+random.IntN(9), 1+random.IntN(100)
		k, r, open := &ticks{base: at}, ring{}, false
		var all []arrivalRow
		for range 20 {
			before := at
			at += 1000 + random.Int64N(reach/4)
			for range random.IntN(most) {
				came := before + 1 + random.Int64N(at-before)
				delay := []int64{0, 1000, 40_000, -300_000, 3_600_000}[random.IntN(5)]
				row := arrivalRow{kind: uint8(kinds[random.IntN(2)].kind), stamp: (came - delay) / 1000 * 1000}
				if len(all) > 0 && random.IntN(again) == 0 {
					row = all[random.IntN(len(all))]
				}
				row.delay = came - row.stamp
				all = append(all, row)
				open = !k.take(&r, int(row.kind)-1, came, row.delay) || open
			}
			if open {
				opened++
				break // what it says is not asked for
			}
			f := clockface{}
			for _, row := range slices.SortedFunc(slices.Values(all), arrivalRow.compare) {
				if came := row.stamp + row.delay; came > at-reach {
					f.add(1, row)
				}
			}
			if f.finish(); len(f.device) == 0 {
				continue
			}
			compared++
			if r.n == analyzer.SkewReadings {
				full++
			}
			skew, spread := analyzer.ClockOf(k.heard(&r, at-reach, nil))
			if got, want := fmt.Sprint(skew, spread), fmt.Sprint(f.skew[0], f.spread[0]); got != want {
				t.Fatalf("the ring says %s and its window %s", got, want)
			}
		}
	}
	if compared < 1000 || full < 200 || opened < 50 {
		t.Errorf("%d instants were compared, %d of them with a full ring, and %d rings left something open", compared, full, opened)
	}
}

// TestClocksAreRightAtEachInstant asks as a live analyzer does, last arrivals every few
// minutes and clocks now and then, while devices send early, late and again, join, and
// everything is asked anew after a restart or a replay.
func TestClocksAreRightAtEachInstant(t *testing.T) {
	w := open(t)
	random := rand.New(rand.NewPCG(12, 6))
	var all telemetry.Batch
	offset := int64(0)
	send := func(from, to time.Time, devices int) {
		var b telemetry.Batch
		for d := range devices {
			for range random.IntN(2 + 6/(1+d%4)) {
				arrival := from.Add(time.Duration(1 + random.Int64N(int64(to.Sub(from))-1))).Truncate(time.Millisecond)
				delay := time.Duration(random.IntN(3000)) * time.Millisecond
				switch n := random.IntN(30); {
				case n == 0:
					delay = 20 * time.Minute
				case d == 5:
					delay = 1024 * 7 * 24 * time.Hour
				case d == 6:
					delay = -time.Hour
				}
				for _, b := range []*telemetry.Batch{&b, &all} {
					name, ts := fmt.Sprint("d", d), arrival.Add(-delay)
					if d == 2 {
						ts = arrival.Truncate(4 * time.Minute) // some again
					}
					if arrival.UnixMilli()%3 == 0 {
						count(b, name, ts, arrival, offset, 1, 1)
					} else {
						heartbeat(b, name, ts, arrival, offset)
					}
				}
				offset++
			}
		}
		if err := w.Insert(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	known, kept := map[analyzer.Fn]int{}, 0
	at := noon
	for i := range 16 {
		before := at
		at = at.Add([]time.Duration{5 * time.Minute, 5 * time.Minute, 20 * time.Minute}[random.IntN(3)])
		send(before, at, 8+i/3)
		if i == 11 {
			send(at.Add(-2*time.Hour), at.Add(-time.Hour), 3) // replayed
		}
		if i == 7 {
			w.latest = latest{} // as after a restart
		}
		s := analyzer.Scan{AsOf: at, Columns: []analyzer.Column{{Fn: analyzer.LastArrival}}}
		if i%2 == 0 {
			for _, fn := range []analyzer.Fn{analyzer.Skew, analyzer.SkewSpread} {
				s.Columns = append(s.Columns, analyzer.Column{Fn: fn, From: at.Add(-3 * time.Hour), To: at})
			}
		}
		was := w.latest.ticks
		got, err := w.Scan(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 && was != nil && was == w.latest.ticks {
			kept++
		}
		want, err := analyzer.NewReel(&all).Query(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		sameValues(t, s, valuesOf(t, got), valuesOf(t, want), known)
	}
	if known[analyzer.Skew] < 40 || kept < 4 {
		t.Errorf("%d clocks were compared, and %d times of 8 they were kept", known[analyzer.Skew], kept)
	}
}
