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
	Measure string         // name of the heartbeat measurement, for Last, Avg, Min and Max; "" otherwise
	// From and To are the window (From, To] on ts, in UTC and whole
	// milliseconds; a zero From or To is no bound on that side. Both are zero for
	// LastArrival and FirstArrival, which look at arrivals only.
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
)

var fnNames = [...]string{"", "sum_in", "sum_out", "sum_total", "rows", "last_arrival", "first_arrival", "last", "avg", "min", "max"}

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
	bound := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	if !c.From.IsZero() || !c.To.IsZero() {
		fmt.Fprintf(&b, " (%s, %s]", bound(c.From), bound(c.To))
	}
	return b.String()
}

// Query runs a Scan. The record's column 0 is named "device", is of type uint64
// and ascends strictly; then comes one nullable float64 column for each
// Scan.Columns, in that order. A device without any reading may be absent.
//
// The caller owns the record and releases it. A Query must be safe for
// concurrent use.
type Query func(ctx context.Context, s Scan) (arrow.Record, error)
