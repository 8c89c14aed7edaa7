package analyzer

import (
	"context"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
)

// table is a scan's record with its rows told in the fleet's.
type table struct {
	record arrow.Record
	rows   []int32 // by row of the record: row of the fleet, -1 when it is in none; nil: the same
	values [][]float64
	valid  []*array.Float64 // by column; nil when it has no nulls
}

// query runs a scan and aligns what comes back.
func (a *Analyzer) query(ctx context.Context, s Scan) (*table, error) {
	record, err := a.cfg.Query(ctx, s)
	if err != nil {
		return nil, scanError(s, err)
	}
	t := &table{record: record}
	if err := a.align(t, s); err != nil {
		record.Release()
		return nil, scanError(s, err)
	}
	return t, nil
}

// align checks the record against the scan and finds each row's place.
func (a *Analyzer) align(t *table, s Scan) error {
	if got, want := int(t.record.NumCols()), len(s.Columns)+1; got != want {
		return fmt.Errorf("the record has %d columns; want %d", got, want)
	}
	devices, ok := t.record.Column(0).(*array.Uint64)
	if !ok || devices.NullN() > 0 {
		return fmt.Errorf("column device is %s; want uint64 without nulls", t.record.Column(0).DataType())
	}
	for i, c := range s.Columns {
		column, ok := t.record.Column(i + 1).(*array.Float64)
		if !ok {
			return fmt.Errorf("column %s is %s; want float64", c, t.record.Column(i+1).DataType())
		}
		t.values = append(t.values, column.Float64Values())
		if column.NullN() == 0 {
			column = nil
		}
		t.valid = append(t.valid, column)
	}
	return a.alignRows(t, devices.Uint64Values())
}

func (a *Analyzer) alignRows(t *table, devices []uint64) error {
	ids := a.fleet.ids
	same := len(devices) == len(ids)
	for i, d := range devices {
		if i > 0 && d <= devices[i-1] {
			return fmt.Errorf("column device does not ascend at row %d", i)
		}
		same = same && d == uint64(ids[i])
	}
	if same {
		return nil
	}
	t.rows = a.takeRows(len(devices))
	row := 0
	for i, d := range devices {
		for row < len(ids) && uint64(ids[row]) < d {
			row++
		}
		t.rows[i] = -1
		if row < len(ids) && uint64(ids[row]) == d {
			t.rows[i] = int32(row)
		}
	}
	return nil
}

// buffers are columns to be used again.
type buffers struct {
	free  map[int][][]float64 // by length
	taken [][]float64
	rows  [][]int32
}

// take returns a column of n values, whatever they are, until giveBack.
func (b *buffers) take(n int) []float64 {
	var column []float64
	if list := b.free[n]; len(list) > 0 {
		column, b.free[n] = list[len(list)-1], list[:len(list)-1]
	} else {
		column = make([]float64, n)
	}
	b.taken = append(b.taken, column)
	return column
}

// spareBytes is how much is kept of columns of one length: what instants that are near
// each other need. What a whole hour needs at a million devices is several times that.
const spareBytes = 16 << 20

// giveBack takes all columns back, and keeps some.
func (b *buffers) giveBack() {
	if b.free == nil {
		b.free = map[int][][]float64{}
	}
	for _, column := range b.taken {
		if list := b.free[len(column)]; (len(list)+1)*len(column)*8 <= spareBytes {
			b.free[len(column)] = append(list, column)
		}
	}
	clear(b.taken)
	b.taken = b.taken[:0]
}

func (b *buffers) takeRows(n int) []int32 {
	if len(b.rows) > 0 {
		rows := b.rows[len(b.rows)-1]
		b.rows = b.rows[:len(b.rows)-1]
		if cap(rows) >= n {
			return rows[:n]
		}
	}
	return make([]int32, n)
}

func (b *buffers) giveTable(t *table) {
	if t.rows != nil {
		b.rows = append(b.rows, t.rows)
	}
	t.record.Release()
}
