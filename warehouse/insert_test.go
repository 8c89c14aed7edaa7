package warehouse

import (
	"fmt"
	"syscall"
	"testing"

	"belfry/telemetry"
)

// fleetBatch is what a partition's batch looks like: devices in turn, with the
// arrival a little after the time.
func fleetBatch(rows, devices, from int) *telemetry.Batch {
	b := new(telemetry.Batch)
	c := &b.Counts
	for i := range rows {
		n := from + i
		ts := noon.UnixMilli() + int64(n/devices)*900_000
		c.Device = append(c.Device, telemetry.IDOf(fmt.Sprintf("FC-%06d", n%devices)))
		c.TS, c.Arrival, c.Offset = append(c.TS, ts), append(c.Arrival, ts), append(c.Offset, int64(n))
		c.In, c.Out, c.Interval = append(c.In, uint32(n*7919%200)), append(c.Out, uint32(n*7919%200/2)), append(c.Interval, 900)
	}
	return b
}

// BenchmarkInsert is the engine's share of ingestion: batches of a partition
// into the real tables.
// BenchmarkInsertFleet is the engine's share of ingestion: batches of a partition
// into the real tables.
func BenchmarkInsertFleet(b *testing.B) {
	for _, rows := range []int{200_000, 500_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			w := open(b)
			var cpu int64
			n := 0
			for b.Loop() {
				b.StopTimer()
				batch := fleetBatch(rows, 10_000, n)
				n += rows
				before := cpuNanos()
				b.StartTimer()
				if err := w.Insert(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
				cpu += cpuNanos() - before
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(cpu)/float64(n), "cpu-ns/row")
		})
	}
}

func cpuNanos() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
