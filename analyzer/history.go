package analyzer

import "math"

// The flows of a device, as places in arrays.
const (
	flowIn = iota
	flowOut
	flowTotal
)

func flowOf(word string) int {
	return map[string]int{"in": flowIn, "out": flowOut, "total": flowTotal, "copies": copies}[word]
}

// history is what a device counted in bins, up to the bin that is judged. It is
// filled anew for each device.
type history struct {
	*clockface
	known   *knowledge // what is learned of the fleet's devices; nil: nothing
	row     int        // the device
	need    float64    // readings expected in a bin
	in, out []float64  // by bin; 0 where there are no readings
	rows    []float64  // readings, by bin
	today   int        // bins before this one are carried: what a run had come to by then is in known
}

// never is the bin where nothing began.
const never = math.MinInt32

// bins returns how many there are.
func (h *history) bins() int { return len(h.rows) }

// x returns what a flow counted in a bin.
func (h *history) x(flow, i int) float64 {
	switch flow {
	case flowIn:
		return h.in[i]
	case flowOut:
		return h.out[i]
	}
	return h.in[i] + h.out[i]
}

// enough is the share of its readings that makes a bin complete.
const enough = 0.95

// complete reports whether the readings of a bin are there. A missing row is not
// a zero.
func (h *history) complete(i int) bool { return h.rows[i] > 0 && h.rows[i] >= enough*h.need }

// baseline and spread return what is usual in a bin's slot; NaN before four clean
// samples of it.
func (h *history) baseline(flow, i int) float64 {
	if h.known == nil || len(h.known.base[flow]) == 0 {
		return missing
	}
	return h.known.base[flow][h.row*slots+int(h.slot[i])].float()
}

func (h *history) spread(flow, i int) float64 {
	if h.known == nil || len(h.known.excess[flow]) == 0 {
		return missing
	}
	return h.known.excess[flow][h.row*slots+int(h.slot[i])].spread(h.baseline(flow, i))
}

// lastDay returns the last whole local day, and false when there is none.
func (h *history) lastDay(back int) (dayBins, bool) {
	for i := len(h.days) - 1; i >= 0; i-- {
		if !h.days[i].whole {
			continue
		}
		if back == 0 {
			return h.days[i], true
		}
		back--
	}
	return dayBins{}, false
}

// completeDay reports whether enough bins of a day are complete.
func (h *history) completeDay(d dayBins) bool {
	n := 0
	for i := d.lo; i < d.hi; i++ {
		if h.complete(i) {
			n++
		}
	}
	return float64(n) >= enough*float64(d.hi-d.lo)
}

// begin and binAt turn a bin into the instant of its beginning, and back; such a
// bin may lie before the history.
func (h *history) begin(bin int) float64 {
	return float64(h.from.UnixMilli())/1e3 + float64(bin)*binStep.Seconds()
}

func (h *history) binAt(seconds float64) int {
	return int((seconds - float64(h.from.UnixMilli())/1e3) / binStep.Seconds())
}
