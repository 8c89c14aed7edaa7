package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belfry/telemetry"
)

func TestWhatACounterCounted(t *testing.T) {
	for name, c := range map[string]struct {
		from, to, modulus int64
		want              uint32
	}{
		"it went on":                                   {100, 130, 0, 30},
		"it stood still":                               {100, 100, 0, 0},
		"16 bits went over":                            {65_530, 4, 0, 10},
		"32 bits went over":                            {1<<32 - 6, 4, 0, 10},
		"it was reset":                                 {30_000, 12, 0, 12},
		"it was reset near the end of 16 bits":         {57_000, 12, 0, 12},
		"it was reset beyond 16 bits":                  {70_000, 12, 0, 12},
		"32 bits were reset far from their end":        {1<<32 - 1<<17, 12, 0, 12},
		"it has more than 32 bits, and was reset":      {1 << 40, 12, 0, 12},
		"the device tells where it goes over":          {9_990, 5, 10_000, 15},
		"it was reset, and tells where it goes over":   {3_000, 5, 10_000, 5},
		"it jumped by more than a count may have":      {0, 1 << 40, 0, 1<<32 - 1},
		"there was no such counter before":             {telemetry.NoTotal, 5, 0, 0},
		"there is no such counter any more":            {5, telemetry.NoTotal, 0, 0},
		"a modulus told too late is less than the old": {20_000, 5, 10_000, 5},
	} {
		if got := counted(c.from, c.to, c.modulus); got != c.want {
			t.Errorf("%s: from %d to %d counted %d, want %d", name, c.from, c.to, got, c.want)
		}
	}
}

func TestACounterCountsEverybodyWhateverItsModulus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		modulus := rapid.OneOf(rapid.Just[int64](end16), rapid.Just[int64](end32), rapid.Int64Range(1000, 1<<40)).Draw(t, "modulus")
		told := modulus
		if modulus == end16 || modulus == end32 {
			told = rapid.SampledFrom([]int64{0, modulus}).Draw(t, "told")
		}
		shows := rapid.Int64Range(0, modulus-1).Draw(t, "beginning")
		var people, sum int64
		for _, n := range rapid.SliceOfN(rapid.Int64Range(0, min(8000, modulus/2-1)), 1, 100).Draw(t, "people") {
			next := (shows + n) % modulus
			people, sum = people+n, sum+int64(counted(shows, next, told))
			shows = next
		}
		if sum != people {
			t.Fatalf("counted %d of %d", sum, people)
		}
	})
}

// naive is what a log of totals makes as of an instant: of each time the version
// that arrived last, and the differences between them.
func naive(log []shown, asOf int64) map[int64]difference {
	last := map[int64]shown{}
	for _, s := range log {
		if v, ok := last[s.ts]; s.arrival <= asOf && (!ok || cmp.Or(cmp.Compare(s.arrival, v.arrival), cmp.Compare(s.offset, v.offset)) >= 0) {
			last[s.ts] = s
		}
	}
	counts := map[int64]difference{}
	var before *shown
	for _, ts := range slices.Sorted(mapKeys(last)) {
		own := last[ts]
		if before != nil && ts-before.ts <= counterGap {
			counts[ts] = step(before, &own)
		}
		before = &own
	}
	return counts
}

func mapKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// logOfTotals makes a device's part of a log: late totals, corrections,
// repetitions, pauses. The arrivals may go backwards.
func logOfTotals(random *rand.Rand, n int, backwards bool) (log []shown) {
	base, arrival := noon.UnixMilli(), noon.UnixMilli()
	for range n {
		ts := base + random.Int64N(10)*900_000
		switch random.IntN(8) {
		case 0:
			ts += 5 * 24 * 3600_000
		case 1:
			ts -= 40 * 24 * 3600_000
		}
		if arrival += random.Int64N(60_000); backwards && random.IntN(3) == 0 {
			arrival -= random.Int64N(200_000)
		}
		log = append(log, shown{ts: ts, arrival: arrival, in: random.Int64N(1 << 17), out: random.Int64N(1 << 17), modulus: random.Int64N(2) * (1 << 18)})
	}
	return log
}

func TestTotalsMakeTheSameCountsInWhateverOrderTheyCome(t *testing.T) {
	w := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	const devices, records = 60, 25
	logs := make([][]shown, devices)
	for d := range logs {
		logs[d] = logOfTotals(random, records, d%2 == 1)
	}
	var whole telemetry.Totals // the devices in turn, as in a partition
	for i := range records {
		for d := range logs {
			s := &logs[d][i]
			s.offset = int64(whole.Len())
			appendTotal(&whole, telemetry.DeviceID(d+1), s)
		}
	}
	for at := 0; at < whole.Len(); {
		to := min(whole.Len(), at+1+random.IntN(400))
		var b telemetry.Batch
		for i := at; i < to; i++ {
			s := rowOf(&whole, i)
			appendTotal(&b.Totals, whole.Device[i], &s)
		}
		if err := w.Insert(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		at = to
		if random.IntN(4) == 0 { // it was not committed, and is read again, cut elsewhere
			at = max(0, to-random.IntN(300))
		}
	}
	for d, log := range logs {
		id := telemetry.DeviceID(d + 1)
		instants := []int64{1 << 60}
		if d%2 == 0 { // arrivals in order: it is known when each was known
			instants = append(instants, log[records/3].arrival, log[2*records/3].arrival)
		}
		for _, asOf := range instants {
			if got, want := countsOf(t, w, id, asOf), show(naive(log, asOf)); got != want {
				t.Fatalf("device %d as of %d: got\n%s\nwant\n%s\nlog %+v", d, asOf, got, want, log)
			}
		}
	}
}

func TestManyTotalsOfOneDevice(t *testing.T) {
	const n = 200_000 // each looking through all others would take minutes
	for name, ts := range map[string]func(i int) int64{
		"in order":          func(i int) int64 { return int64(i) * 60_000 },
		"the newest first":  func(i int) int64 { return int64(n-i) * 60_000 },
		"all for one time":  func(int) int64 { return 60_000 },
		"two times in turn": func(i int) int64 { return int64(i%2) * 60_000 },
	} {
		rows := make([]shown, n)
		for i := range rows {
			rows[i] = shown{ts: ts(i), arrival: int64(i), offset: int64(i), in: ts(i) / 60_000, batch: true}
		}
		log := slices.Clone(rows)
		slices.SortFunc(rows, byTime)
		last := map[int64]difference{}
		for _, d := range differences(rows) {
			last[d.ts] = d
		}
		if got, want := show(last), show(naive(log, 1<<60)); got != want {
			t.Errorf("%s: got %d bytes of counts, want %d", name, len(got), len(want))
		}
	}
}

func appendTotal(t *telemetry.Totals, id telemetry.DeviceID, s *shown) {
	t.Device, t.TS, t.Arrival, t.Offset = append(t.Device, id), append(t.TS, s.ts), append(t.Arrival, s.arrival), append(t.Offset, s.offset)
	t.In, t.Out, t.Modulus = append(t.In, s.in), append(t.Out, s.out), append(t.Modulus, s.modulus)
}

func countsOf(t *testing.T, w *Warehouse, id telemetry.DeviceID, asOf int64) string {
	return tsv(t, w, fmt.Sprintf("SELECT toUnixTimestamp64Milli(ts) AS at, argMax((`in`, `out`, interval), (delay, offset)) AS last FROM {db}.raw_counts"+
		" WHERE device = %d AND toUnixTimestamp64Milli(ts) + delay <= %d GROUP BY at ORDER BY at", id, asOf))
}

func show(counts map[int64]difference) string {
	var lines []string
	for _, ts := range slices.Sorted(mapKeys(counts)) {
		c := counts[ts]
		lines = append(lines, fmt.Sprintf("%d\t(%d,%d,%d)", ts, c.in, c.out, c.interval))
	}
	return strings.Join(lines, "\n")
}
