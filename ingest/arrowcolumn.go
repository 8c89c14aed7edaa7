package ingest

import (
	"math"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// A column gives the value of a row, and false where there is none.
type (
	textColumn   func(row int) ([]byte, bool)
	numberColumn func(row int) (float64, bool)
	timeColumn   func(row int) (int64, state)
)

// at returns the text of a row; a nil column has none. The text is the batch's.
func (c textColumn) at(row int) ([]byte, state) {
	if c == nil {
		return nil, absent
	}
	if text, ok := c(row); ok {
		return text, good
	}
	return nil, absent
}

// uint32 returns the number of a row; a nil column has none.
func (c numberColumn) uint32(row int) (uint32, state) {
	if c == nil {
		return 0, absent
	}
	x, ok := c(row)
	switch {
	case !ok:
		return 0, absent
	case x >= 0 && x <= math.MaxUint32 && x == math.Trunc(x):
		return uint32(x), good
	}
	return 0, bad
}

// texts is what the arrays of text have in common.
type texts interface {
	arrow.Array
	Value(int) string
}

func textsOf(a arrow.Array) (textColumn, bool) {
	switch a := a.(type) {
	case texts: // String, LargeString and StringView
		if id := a.DataType().ID(); id != arrow.STRING && id != arrow.LARGE_STRING && id != arrow.STRING_VIEW {
			return nil, false
		}
		return func(row int) ([]byte, bool) {
			if a.IsNull(row) {
				return nil, false
			}
			return view(a.Value(row)), true
		}, true
	case *array.Dictionary:
		words, ok := textsOf(a.Dictionary())
		if !ok {
			return nil, false
		}
		return func(row int) ([]byte, bool) {
			if a.IsNull(row) {
				return nil, false
			}
			return words(a.GetValueIndex(row))
		}, true
	case *array.Null:
		return func(int) ([]byte, bool) { return nil, false }, true
	}
	return nil, false
}

// view returns the bytes of a string, for reading alone.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// numbers are the number types of Arrow that are slices of Go's.
type numbers interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32 | float64
}

func column[T numbers](a arrow.Array, values []T) (numberColumn, bool) {
	return func(row int) (float64, bool) { return float64(values[row]), !a.IsNull(row) }, true
}

func numbersOf(a arrow.Array) (numberColumn, bool) {
	switch a := a.(type) {
	case *array.Int8:
		return column(a, a.Int8Values())
	case *array.Int16:
		return column(a, a.Int16Values())
	case *array.Int32:
		return column(a, a.Int32Values())
	case *array.Int64:
		return column(a, a.Int64Values())
	case *array.Uint8:
		return column(a, a.Uint8Values())
	case *array.Uint16:
		return column(a, a.Uint16Values())
	case *array.Uint32:
		return column(a, a.Uint32Values())
	case *array.Uint64:
		return column(a, a.Uint64Values())
	case *array.Float32:
		return column(a, a.Float32Values())
	case *array.Float64:
		return column(a, a.Float64Values())
	case *array.Null:
		return func(int) (float64, bool) { return 0, false }, true
	}
	return nil, false
}

// timesOf reads timestamps of any unit, numbers as epoch milliseconds, and text
// as RFC 3339. A timestamp without a zone is taken for UTC.
func timesOf(a arrow.Array) (timeColumn, bool) {
	if stamps, ok := a.(*array.Timestamp); ok {
		return timestamps(stamps), true
	}
	if words, ok := textsOf(a); ok {
		return func(row int) (int64, state) {
			text, ok := words(row)
			if !ok {
				return 0, absent
			}
			if at, ok := parseTime(text); ok {
				return at, good
			}
			return 0, bad
		}, true
	}
	x, ok := numbersOf(a)
	return func(row int) (int64, state) {
		v, ok := x(row)
		switch {
		case !ok:
			return 0, absent
		case math.Abs(v) < 1e15:
			return int64(math.Floor(v)), good
		}
		return 0, bad
	}, ok
}

func timestamps(a *array.Timestamp) timeColumn {
	values := a.TimestampValues()
	times, parts := int64(1), int64(1)
	switch a.DataType().(*arrow.TimestampType).Unit {
	case arrow.Second:
		times = 1000
	case arrow.Microsecond:
		parts = 1000
	case arrow.Nanosecond:
		parts = 1_000_000
	}
	return func(row int) (int64, state) {
		v := int64(values[row])
		switch {
		case a.IsNull(row):
			return 0, absent
		case v > math.MaxInt64/times || v < math.MinInt64/times:
			return 0, bad
		}
		if v < 0 {
			v -= parts - 1 // so that the division rounds down
		}
		return v * times / parts, good
	}
}
