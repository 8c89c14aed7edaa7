package analyzer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// Scan is one pass over the readings: for each device the columns asked for,
// from the readings that had arrived by AsOf.
//
// Of several versions of a reading (device, kind, ts) among those with
// arrival <= AsOf, the one with the greatest (arrival, offset) counts, and it
// counts once. Arrival is compared in whole milliseconds.
type Scan struct {
	AsOf    time.Time
	Columns []Column // at least one, no two alike
	// Devices says whose rows are wanted, ascending; nil means every device.
	// Rows of other devices are allowed and ignored, so a warehouse may leave
	// the filter out when the list is long. The slice is the analyzer's, and
	// valid until the Query returns.
	Devices []telemetry.DeviceID
}

// Column is one aggregate for each device. It is comparable: equal columns are
// one column.
type Column struct {
	Fn      Fn
	Kind    telemetry.Kind // of the readings that it looks at; 0: both kinds
	Measure string         // name of the heartbeat measurement, for Last, Avg, Min, Max, Resets and Slope; "" otherwise; see OfTotals
	Share   float64        // of a quantile, for Lag and Gap; 0 otherwise
	// From and To are the window (From, To] on ts, in UTC and whole
	// milliseconds; a zero From or To is no bound on that side. Both are zero for
	// LastArrival and FirstArrival, which look at arrivals only. For the functions
	// from Skew to ResentChanged the window is on arrivals and has both bounds.
	From, To time.Time
}

// Fn is what a Column computes.
type Fn uint8

// The functions of a column. A device without a matching reading has null,
// except for Rows, where null, 0 and an absent device are the same.
const (
	SumIn        Fn = iota + 1 // sum of in, over counts
	SumOut                     // sum of out, over counts
	SumTotal                   // sum of in + out, over counts
	Rows                       // number of distinct readings
	LastArrival                // greatest arrival <= AsOf of any version, in seconds since 1970 with fraction
	FirstArrival               // least arrival of any version, in the same unit
	Last                       // the measure's value in the newest (by ts) heartbeat that has it
	Avg                        // mean of the measure over heartbeats that have it
	Min                        // least value of the measure
	Max                        // greatest value of the measure
	Resets                     // how often the measure, or the total, fell from one reading, by ts, to the next
	Slope                      // Theil–Sen slope for each day of the measure's medians of UTC days, at least SlopeLeast

	// Of each reading the first version that arrived in the window counts for Skew,
	// SkewSpread and Lag; a quantile of n sorted values is the one at ⌊Share·n⌋.
	Skew             // median of arrival − ts, in seconds, of the SkewReadings last to arrive (of those with one arrival the newest), at least SkewLeast
	SkewSpread       // median distance of those from their median
	Lag              // quantile of arrival − ts, at least LagLeast
	Gap              // quantile of the gaps between distinct arrivals of any version, at least GapLeast
	Transitions      // gaps over max(GapFactor · median gap, GapFloor), each twice; one up to To counts once; of fewer than three arrivals 0
	UsualTransitions // the greatest Transitions of the windows of UsualBlock into which the window falls, back from To
	ResentSame       // versions of counts that arrived after another with the same numbers, of readings from ResentBack before the window on; see there
	ResentChanged    // likewise, with others
)

var fnNames = [...]string{"", "sum_in", "sum_out", "sum_total", "rows", "last_arrival", "first_arrival", "last", "avg", "min", "max", "resets", "slope",
	"skew", "skew_spread", "lag", "gap", "transitions", "usual_transitions", "resent_same", "resent_changed"}

// String returns the function's name, such as "sum_in".
func (f Fn) String() string {
	if f == 0 || int(f) >= len(fnNames) {
		return fmt.Sprintf("Fn(%d)", uint8(f))
	}
	return fnNames[f]
}

// String describes the column in one line, for logs and explanations.
func (c Column) String() string {
	var b strings.Builder
	b.WriteString(c.Fn.String())
	if c.Kind != 0 {
		b.WriteString(" " + c.Kind.String())
	}
	if c.Measure != "" {
		b.WriteString(" " + c.Measure)
	}
	if c.Share > 0 {
		b.WriteString(" " + formatPercent(c.Share))
	}
	bound := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	if !c.From.IsZero() || !c.To.IsZero() {
		fmt.Fprintf(&b, " (%s, %s]", bound(c.From), bound(c.To))
	}
	return b.String()
}

// OfTotals reports whether the column is about what cumulative counters showed, in_total
// or out_total, which is no measurement of a heartbeat. A counter that a device does not
// have never falls; one without any total has no value.
//
// Of a device that shows totals, ResentSame and ResentChanged look at these too, and not
// at its counts: they are differences that are made anew when a total comes late.
func (c Column) OfTotals() bool {
	return c.Fn == Resets && (c.Measure == "in_total" || c.Measure == "out_total")
}

// OnArrivals reports whether the function's window is on arrivals.
func (f Fn) OnArrivals() bool { return f >= Skew && f <= ResentChanged }

// Query runs a Scan. The record's column 0 is named "device", is of type uint64
// and ascends strictly; then comes one nullable float64 column for each
// Scan.Columns, in that order. A device without any reading may be absent.
//
// The caller owns the record and releases it. A Query must be safe for
// concurrent use.
type Query func(ctx context.Context, s Scan) (arrow.Record, error)
