package bench

import (
	"fmt"
	"io"
)

// Print implements Report.
func (r *IngestReport) Print(out io.Writer) {
	for i := range r.Formats {
		r.Formats[i].print(out, r.Readings)
	}
	if d := r.Delivery; d != nil {
		fmt.Fprintf(out, "delivery: %d readings, %.0f a second (%.0f wanted), behind a backlog of %d\n", d.Readings, d.PerSecond, float64(deliveryPace), d.Backlog)
		fmt.Fprintf(out, "  %-36s %9.0f ms\n  %-36s %9.0f ms\n  %-36s %9.0f ms\n  %-36s %9d MB\n",
			"appended to queryable, half", d.P50Millis, "99 of 100", d.P99Millis, "at most", d.MaxMillis, "resident", d.Memory>>20)
	}
	if r.Intake != nil {
		r.Intake.print(out)
	}
}

func (r *FormatReport) print(out io.Writer, readings int) {
	fmt.Fprintf(out, "%s: %d readings of %d bytes\n%-38s %12s %16s %12s\n", r.Format, readings, r.Bytes/int64(readings), "", "readings/s", "CPU ns/reading", "resident MB")
	line := func(what string, p *Pace) {
		if p != nil {
			fmt.Fprintf(out, "  %-36s %12.0f %16.0f %12d\n", what, p.PerSecond, p.CPUNanos, p.Memory>>20)
		}
	}
	line("into the log", &r.Fill)
	line("read and thrown away", &r.Discard)
	line("read and decoded", r.Decoded)
	line("inserted, decoded before", r.Engine)
	line("both, one after the other", r.Parts)
	line("log to sink", &r.Full)
	line("ClickHouse's Kafka table engine", r.Kafka)
	ratio := func(what string, of float64) {
		if of > 0 {
			fmt.Fprintf(out, "  %-36s %12.2f\n", what, of)
		}
	}
	ratio("log to sink, of read and thrown away", r.Ratio)
	ratio("of inserting alone", r.EngineRatio)
	ratio("of ClickHouse's Kafka table engine", r.KafkaRatio)
	ratio("CPU time of log to sink, of both", r.PartsRatio)
	if r.Goal > 0 {
		verdict := "not reached"
		switch {
		case r.Full.PerSecond >= r.Goal:
			verdict = "reached"
		case r.Possible < r.Goal:
			verdict = "out of reach here"
		}
		fmt.Fprintf(out, "  goal %.2f M/s: %s, log to sink went at %.2f M/s. %d cores have %.0f ns for each reading then; to read and decode it takes %.0f and to insert it %.0f, which allows %.2f M/s\n",
			r.Goal/1e6, verdict, r.Full.PerSecond/1e6, r.Cores, float64(r.Cores)*1e9/r.Goal, r.Decoded.CPUNanos, r.Engine.CPUNanos, r.Possible/1e6)
	}
}
