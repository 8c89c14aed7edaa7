package warehouse

import (
	"fmt"
	"math"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// answer is a record that answers some of a scan's columns.
type answer struct {
	places []int // of its columns in the scan
	record arrow.Record
}

func (a answer) devices() []uint64 { return a.record.Column(0).(*array.Uint64).Uint64Values() }

// newRecord makes the record of a scan: columns by device, NaN for null. It copies both.
func newRecord(device []uint64, columns [][]float64) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, scanSchema(len(columns)))
	defer b.Release()
	b.Field(0).(*array.Uint64Builder).AppendValues(device, nil)
	for i, values := range columns {
		var valid []bool
		for row, v := range values {
			if v != v {
				if valid == nil {
					valid = slices.Repeat([]bool{true}, len(values))
				}
				valid[row] = false
			}
		}
		b.Field(1+i).(*array.Float64Builder).AppendValues(values, valid)
	}
	return b.NewRecord()
}

func scanSchema(columns int) *arrow.Schema {
	fields := []arrow.Field{{Name: "device", Type: arrow.PrimitiveTypes.Uint64}}
	for i := range columns {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: arrow.PrimitiveTypes.Float64, Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

// join brings answers together by device: those devices that any of them has, and the
// columns in their places. The answers stay the caller's.
func join(answers []answer, columns int) arrow.Record {
	device := answers[0].devices()
	for _, a := range answers[1:] {
		device = union(device, a.devices())
	}
	values := make([][]float64, columns)
	for _, a := range answers {
		rows := placesOf(device, a.devices())
		for i, place := range a.places {
			values[place] = laid(a.record.Column(1+i).(*array.Float64), rows, len(device))
		}
	}
	return newRecord(device, values)
}

// union returns what two ascending lists have, ascending: one of them, when it has all.
func union(a, b []uint64) []uint64 {
	if len(b) == 0 || slices.Equal(a, b) {
		return a
	}
	all := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		least := min(a[0], b[0])
		all = append(all, least)
		if a[0] == least {
			a = a[1:]
		}
		if b[0] == least {
			b = b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// placesOf returns where some of the devices are among all; both ascend.
func placesOf(all, some []uint64) []int32 {
	rows := make([]int32, len(some))
	at := int32(0)
	for i, d := range some {
		for all[at] < d {
			at++
		}
		rows[i] = at
	}
	return rows
}

// laid lays a column into n rows, NaN where it has nothing.
func laid(column *array.Float64, rows []int32, n int) []float64 {
	values := slices.Repeat([]float64{math.NaN()}, n)
	source, nulls := column.Float64Values(), column.NullN() > 0
	for i, row := range rows {
		if !nulls || column.IsValid(i) {
			values[row] = source[i]
		}
	}
	return values
}
