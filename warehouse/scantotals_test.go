package warehouse

import (
	"fmt"
	"math"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// TestTotalsTellTheirResetsAndWhatWasSentAgain asks the engine, and a reel of what it
// loads, how often counters fell and what came twice: a count that a late total corrects
// is our doing and not the device's.
func TestTotalsTellTheirResetsAndWhatWasSentAgain(t *testing.T) {
	w := open(t)
	total := func(device string, minute, arrived int, offset, in, out int64) {
		insert(t, w, func(b *telemetry.Batch) {
			x := &b.Totals
			x.Device, x.Offset = append(x.Device, telemetry.IDOf(device)), append(x.Offset, offset)
			x.TS = append(x.TS, noon.Add(time.Duration(minute)*time.Minute).UnixMilli())
			x.Arrival = append(x.Arrival, noon.Add(time.Duration(arrived)*time.Minute).UnixMilli())
			x.In, x.Out, x.Modulus = append(x.In, in), append(x.Out, out), append(x.Modulus, 0)
		})
	}
	for i, in := range []int64{65_000, 65_500, 20, 40, 5, 30, 2} { // it runs over, and is reset twice
		total("door", 15*i, 15*i, int64(i), in, telemetry.NoTotal)
	}
	total("door", 50, 100, 7, 45, telemetry.NoTotal) // late: the count of the hour is made anew
	for i, in := range []int64{10, 20, 30} {
		total("liar", 15*i, 15*i, int64(10+i), in, in)
	}
	total("liar", 15, 60, 13, 21, 20) // other numbers
	total("liar", 30, 61, 14, 30, 30) // the same
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "plain", noon, noon, 20, 1, 1)
		count(b, "plain", noon, noon.Add(time.Hour), 21, 2, 1)
	})
	if got := tsv(t, w, "SELECT max(n) FROM (SELECT count() AS n FROM {db}.raw_counts WHERE device = "+fmt.Sprint(uint64(telemetry.IDOf("door")))+" GROUP BY ts)"); got != "2" {
		t.Fatalf("the late total made %s versions of a count; want 2, or the test proves nothing", got)
	}
	batch := &telemetry.Batch{}
	if err := w.Load(t.Context(), time.Time{}, noon.Add(48*time.Hour), func(b *telemetry.Batch) error { batch.Append(b); return nil }); err != nil {
		t.Fatal(err)
	}
	reel, none := analyzer.NewReel(batch), math.NaN()
	for _, at := range []int{75, 200} {
		asOf := noon.Add(time.Duration(at) * time.Minute)
		s := analyzer.Scan{AsOf: asOf}
		for _, c := range []analyzer.Column{{Fn: analyzer.Resets, Kind: telemetry.Heartbeat, Measure: "in_total"}, {Fn: analyzer.Resets, Kind: telemetry.Heartbeat, Measure: "out_total"},
			{Fn: analyzer.ResentChanged, Kind: telemetry.Count}, {Fn: analyzer.ResentSame, Kind: telemetry.Count}} {
			c.From, c.To = asOf.Add(-24*time.Hour), asOf
			s.Columns = append(s.Columns, c)
		}
		want := map[string][]float64{"door": {2, 0, 0, 0}, "liar": {0, 0, 1, 1}, "plain": {none, none, 1, 0}}
		if at == 200 {
			want["door"][0] = 3
		}
		for which, query := range map[string]analyzer.Query{"engine": w.Scan, "reel": reel.Query} {
			r, err := query(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			got := valuesOf(t, r)
			for device, row := range want {
				its := got[uint64(telemetry.IDOf(device))]
				for i, v := range row {
					g := none
					if its != nil {
						g = its[i]
					}
					if i >= 2 && g != g {
						g = 0
					}
					if g != v && (g == g || v == v) {
						t.Errorf("after %d minutes the %s says of %s: %s is %v; want %v", at, which, device, s.Columns[i].Fn, g, v)
					}
				}
			}
		}
	}
}
