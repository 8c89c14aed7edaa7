package analyzer

import (
	"math"
	"time"
)

// Signals on the last settled bin, by RULES, section Baseline: B is the median of
// the last 8 clean values of the same slot, at least 4; spread = max(1.4826·MAD,
// √max(B, 1), 0.10·B); z = (x − B)/spread; r = ln((x + 5)/(B + 5)).

func scoreBaseline(h *history, u use) (float64, int) {
	return h.baseline(flowOf(u.word), h.bins()-1), never
}

func scoreSpread(h *history, u use) (float64, int) {
	return h.spread(flowOf(u.word), h.bins()-1), never
}

func scoreZ(h *history, u use) (float64, int) {
	return h.z(flowOf(u.word), h.bins()-1), never
}

func scoreLogRatio(h *history, u use) (float64, int) {
	return h.logRatio(flowOf(u.word), h.bins()-1), never
}

// z returns how many spreads a bin is from its baseline; NaN when it is not
// complete or nothing is learned.
func (h *history) z(flow, i int) float64 {
	if !h.complete(i) {
		return missing
	}
	return (h.x(flow, i) - h.baseline(flow, i)) / h.spread(flow, i)
}

func (h *history) logRatio(flow, i int) float64 {
	if !h.complete(i) {
		return missing
	}
	return math.Log((h.x(flow, i) + 5) / (h.baseline(flow, i) + 5))
}

// scoreRun is the length of the run of complete bins that ends with the last one
// and in which the flow is zero, or is the same as in the bin before.
func scoreRun(h *history, u use) (float64, int) {
	flow, end := flowOf(u.word), h.bins()-1
	if !h.complete(end) {
		return missing, never
	}
	i := end
	for ; i >= 0 && h.complete(i); i-- {
		if u.test == "zero" && h.x(flow, i) != 0 || u.test == "same" && h.x(flow, i) != h.x(flow, end) {
			break
		}
	}
	return float64(end-i) * float64(binStep/time.Second), i + 1
}
