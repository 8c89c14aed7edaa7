package analyzer

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// Series answers a Series; it is a SeriesQuery.
func (r *Reel) Series(ctx context.Context, s Series) (arrow.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read series from the reel: %w", err)
	}
	w := binWriter{aggregate: newAggregate(Column{Kind: telemetry.Count, From: s.From, To: s.To}, s.AsOf), step: s.Step.Milliseconds()}
	first := sort.Search(len(r.ids), func(i int) bool { return r.ids[i] >= s.First })
	end, most := first, 0
	for ; end < len(r.ids) && r.ids[end] <= s.Last; end++ {
		lo, hi := w.window(&r.devices[end].counts)
		most += min(hi-lo, s.Bins())
	}
	w.device, w.bin = takeColumn[uint64](most), takeColumn[uint32](most)
	w.in, w.out, w.rows = takeColumn[float64](most), takeColumn[float64](most), takeColumn[float64](most)
	for i := first; i < end; i++ {
		if s.Devices != nil {
			if _, wanted := slices.BinarySearch(s.Devices, r.ids[i]); !wanted {
				continue
			}
		}
		w.write(r.ids[i], &r.devices[i].counts)
	}
	return w.record(), nil
}

// binWriter writes the bins of one device after the other.
type binWriter struct {
	aggregate
	step         int64
	device       column[uint64]
	bin          column[uint32]
	in, out      column[float64]
	rows         column[float64]
	n            int // written
	sumIn, sumOu float64
	count        float64
}

// record hands over what was written.
func (w *binWriter) record() arrow.Record {
	return recordOf(seriesSchema.Fields(), []arrow.Array{
		w.device.first(w.n).array(arrow.PrimitiveTypes.Uint64), w.bin.first(w.n).array(arrow.PrimitiveTypes.Uint32),
		w.in.first(w.n).array(arrow.PrimitiveTypes.Float64), w.out.first(w.n).array(arrow.PrimitiveTypes.Float64), w.rows.first(w.n).array(arrow.PrimitiveTypes.Float64),
	})
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
		w.device.list[w.n], w.bin.list[w.n] = uint64(id), uint32(bin)
		w.in.list[w.n], w.out.list[w.n], w.rows.list[w.n] = w.sumIn, w.sumOu, w.count
		w.n++
	}
	w.sumIn, w.sumOu, w.count = 0, 0, 0
}
