package analyzer

import (
	"sync"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/bitutil"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// column is an Arrow column that is written as a slice: the builders of the library
// check and grow at each value, which was a fifth of a backtest.
type column[T uint64 | uint32 | float64] struct {
	buffer *memory.Buffer
	list   []T
}

// takeColumn makes room for n values, whatever they are.
func takeColumn[T uint64 | uint32 | float64](n int) column[T] {
	var one [1]T
	b := memory.NewResizableBuffer(&spare)
	b.Resize(n * len(arrow.GetBytes(one[:])))
	return column[T]{b, arrow.GetData[T](b.Bytes())}
}

// first keeps the first n values.
func (c column[T]) first(n int) column[T] { return column[T]{c.buffer, c.list[:n]} }

// array hands the column over; it has no nulls.
func (c column[T]) array(t arrow.DataType) arrow.Array { return c.arrayWith(t, nil, 0) }

func (c column[T]) arrayWith(t arrow.DataType, valid *memory.Buffer, nulls int) arrow.Array {
	data := array.NewData(t, len(c.list), []*memory.Buffer{valid, c.buffer}, nil, nulls, 0)
	c.buffer.Release() // the array has it now
	defer data.Release()
	return array.MakeFromData(data)
}

// floats hands a column of numbers over, with nulls where they are missing.
func (c column[T]) floats() arrow.Array {
	nulls := 0
	for _, v := range c.list {
		if v != v {
			nulls++
		}
	}
	if nulls == 0 {
		return c.array(arrow.PrimitiveTypes.Float64)
	}
	bits := make([]byte, bitutil.BytesForBits(int64(len(c.list))))
	for i, v := range c.list {
		if v == v {
			bitutil.SetBit(bits, i)
		}
	}
	return c.arrayWith(arrow.PrimitiveTypes.Float64, memory.NewBufferBytes(bits), nulls)
}

// recordOf makes a record of columns, which it owns from then on.
func recordOf(fields []arrow.Field, columns []arrow.Array) arrow.Record {
	record := array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(columns[0].Len()))
	for _, c := range columns {
		c.Release()
	}
	return record
}

// spares is an allocator that gives memory out again: the answers of a reel are of
// the same few sizes, and tens of megabytes each.
type spares struct{ pools [48]sync.Pool } // by power of two

var spare spares

// class returns the power of two that holds n bytes.
func class(n int) int {
	c := 6
	for n > 1<<c {
		c++
	}
	return c
}

// Allocate returns n bytes, whatever they are.
func (s *spares) Allocate(n int) []byte {
	c := class(n)
	if b, ok := s.pools[c].Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, 1<<c)
}

// Reallocate returns the bytes in a slice of n.
func (s *spares) Reallocate(n int, b []byte) []byte {
	if n <= cap(b) {
		return b[:n]
	}
	more := s.Allocate(n)
	copy(more, b)
	s.Free(b)
	return more
}

// Free takes the bytes back.
func (s *spares) Free(b []byte) {
	if b = b[:cap(b)]; len(b) > 0 && len(b) == 1<<class(len(b)) {
		s.pools[class(len(b))].Put(&b)
	}
}
