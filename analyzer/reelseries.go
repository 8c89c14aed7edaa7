package analyzer

import (
	"context"
	"fmt"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"belfry/telemetry"
)

// Series answers a Series; it is a SeriesQuery.
func (r *Reel) Series(ctx context.Context, s Series) (arrow.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read series from the reel: %w", err)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, seriesSchema)
	defer b.Release()
	w := binWriter{
		aggregate: newAggregate(Column{Kind: telemetry.Count, From: s.From, To: s.To}, s.AsOf), step: s.Step.Milliseconds(),
		device: b.Field(0).(*array.Uint64Builder), bin: b.Field(1).(*array.Uint32Builder),
		in: b.Field(2).(*array.Float64Builder), out: b.Field(3).(*array.Float64Builder), rows: b.Field(4).(*array.Float64Builder),
	}
	first := sort.Search(len(r.ids), func(i int) bool { return r.ids[i] >= s.First })
	end, most := first, 0
	for ; end < len(r.ids) && r.ids[end] <= s.Last; end++ {
		lo, hi := w.window(&r.devices[end].counts)
		most += min(hi-lo, s.Bins())
	}
	w.reserve(most)
	for i := first; i < end; i++ {
		w.write(r.ids[i], &r.devices[i].counts)
	}
	return b.NewRecord(), nil
}

// binWriter writes the bins of one device after the other.
type binWriter struct {
	aggregate
	step         int64
	device       *array.Uint64Builder
	bin          *array.Uint32Builder
	in, out      *array.Float64Builder
	rows         *array.Float64Builder
	sumIn, sumOu float64
	count        float64
}

// reserve makes room for n bins, so that none has to ask for it.
func (w *binWriter) reserve(n int) {
	w.device.Reserve(n)
	w.bin.Reserve(n)
	w.in.Reserve(n)
	w.out.Reserve(n)
	w.rows.Reserve(n)
}

func (w *binWriter) write(id telemetry.DeviceID, s *series) {
	lo, hi := w.window(s)
	if s.plain {
		w.writePlain(id, s, lo, hi)
		return
	}
	current := int64(-1)
	w.each(s, lo, hi, func(i int) {
		if bin := (s.ts[i] - w.from - 1) / w.step; bin != current {
			w.flush(id, current)
			current = bin
		}
		w.sumIn, w.sumOu, w.count = w.sumIn+s.in[i], w.sumOu+s.out[i], w.count+1
	})
	w.flush(id, current)
}

// writePlain takes the sums of a bin as differences.
func (w *binWriter) writePlain(id telemetry.DeviceID, s *series, lo, hi int) {
	for lo < hi {
		bin := (s.ts[lo] - w.from - 1) / w.step
		end := lo + 1
		for limit := w.from + (bin+1)*w.step; end < hi && s.ts[end] <= limit; end++ {
		}
		w.sumIn, w.sumOu, w.count = s.in[end]-s.in[lo], s.out[end]-s.out[lo], float64(end-lo)
		w.flush(id, bin)
		lo = end
	}
}

func (w *binWriter) flush(id telemetry.DeviceID, bin int64) {
	if w.count > 0 {
		w.device.UnsafeAppend(uint64(id))
		w.bin.UnsafeAppend(uint32(bin))
		w.in.UnsafeAppend(w.sumIn)
		w.out.UnsafeAppend(w.sumOu)
		w.rows.UnsafeAppend(w.count)
	}
	w.sumIn, w.sumOu, w.count = 0, 0, 0
}
