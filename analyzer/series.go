package analyzer

import (
	"context"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// Series asks what each device counted in bins of equal length: bin i is the
// window (From + i·Step, From + (i+1)·Step] on a reading's ts. Versions of a
// reading are treated as in a Scan.
type Series struct {
	AsOf     time.Time
	From, To time.Time     // To - From is a whole number of steps
	Step     time.Duration // at least a second
	// First and Last bound the devices, both included. Rows of other devices are
	// not allowed.
	First, Last telemetry.DeviceID
	// Devices are those wanted, ascending, when they are not all between First and Last.
	// The slice is the analyzer's, and valid until the SeriesQuery returns.
	Devices []telemetry.DeviceID
}

// Bins returns how many bins the series has.
func (s Series) Bins() int { return int(s.To.Sub(s.From) / s.Step) }

// SeriesQuery answers a Series with a record of five columns: device (uint64),
// bin (uint32), in, out and rows (float64: the sums, and the number of distinct
// readings), none with nulls. Rows ascend strictly by (device, bin); a bin without
// readings is absent, so that what is not there costs nothing.
//
// The caller owns the record and releases it. A SeriesQuery must be safe for
// concurrent use.
type SeriesQuery func(ctx context.Context, s Series) (arrow.Record, error)

// seriesSchema is the form of a SeriesQuery's answer.
var seriesSchema = arrow.NewSchema([]arrow.Field{
	{Name: "device", Type: arrow.PrimitiveTypes.Uint64}, {Name: "bin", Type: arrow.PrimitiveTypes.Uint32},
	{Name: "in", Type: arrow.PrimitiveTypes.Float64}, {Name: "out", Type: arrow.PrimitiveTypes.Float64}, {Name: "rows", Type: arrow.PrimitiveTypes.Float64},
}, nil)
