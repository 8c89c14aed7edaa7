package warehouse

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"belfry/telemetry"
)

func TestRowsComeInTheOrderOfTheTables(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	e := newEncoder()
	for round := range 200 {
		n := random.IntN(400)
		var b telemetry.Batch
		for i := range n {
			device := telemetry.DeviceID(random.Uint64N(1+random.Uint64N(40)) << uint(random.IntN(40)))
			ts := noon.UnixMilli() + random.Int64N(1+int64(round)*dayMillis/50)
			count(&b, "", noon, noon, int64(i%7), uint32(i), uint32(i)+1)
			b.Counts.Device[i], b.Counts.TS[i], b.Counts.Arrival[i] = device, ts, ts+random.Int64N(3)
			heartbeat(&b, "", noon, noon, int64(i%7), fmt.Sprint("temp", i), float64(i+1))
			b.Heartbeats.Device[i], b.Heartbeats.TS[i], b.Heartbeats.Arrival[i] = device, ts, b.Counts.Arrival[i]
		}
		type row struct {
			day            int64
			device         telemetry.DeviceID
			ts, at, offset int64
			in, out, every uint32
			name           string
			value          float64
		}
		rowsOf := func(c *telemetry.Counts, h *telemetry.Heartbeats) (rows []row) {
			for i := range c.Len() {
				rows = append(rows, row{day: c.TS[i] / dayMillis, device: c.Device[i], ts: c.TS[i], at: c.Arrival[i], offset: c.Offset[i], in: c.In[i], out: c.Out[i], every: c.Interval[i]})
			}
			for i, from := 0, 0; i < h.Len(); i++ {
				r := row{day: h.TS[i] / dayMillis, device: h.Device[i], ts: h.TS[i], at: h.Arrival[i], offset: h.Offset[i], name: h.Firmware[i]}
				for ; from < h.MeasureEnd[i]; from++ {
					r.name, r.value = r.name+h.Name[from], r.value+h.Value[from]
				}
				rows = append(rows, r)
			}
			return rows
		}
		byKey := func(a, b row) int {
			return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.device, b.device), cmp.Compare(a.ts, b.ts), cmp.Compare(a.at, b.at), cmp.Compare(a.offset, b.offset))
		}
		got := rowsOf(e.sortCounts(&b.Counts), e.sortHeartbeats(&b.Heartbeats))
		for _, half := range [][]row{got[:n], got[n:]} {
			if !slices.IsSortedFunc(half, byKey) {
				t.Fatalf("round %d: not in order: %v", round, half)
			}
		}
		all := func(a, b row) int {
			return cmp.Or(cmp.Compare(a.in, b.in), cmp.Compare(a.value, b.value), byKey(a, b))
		}
		want := rowsOf(&b.Counts, &b.Heartbeats)
		slices.SortFunc(got, all)
		slices.SortFunc(want, all)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: other rows than before", round)
		}
	}
}

func BenchmarkOrder(b *testing.B) {
	for _, devices := range []int{2500, 200_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			batch := fleetBatch(200_000, devices, 0)
			e := newEncoder()
			for b.Loop() {
				e.sortCounts(&batch.Counts)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200_000, "ns/row")
		})
	}
}
