package analyzer

import (
	"math"
	"slices"
)

// surprise is how improbable it is to count exactly x twice: about
// 1/√(2π·x), which gives ½·ln(2π·max(x, 1)) (RULES, rule 11).
func surprise(x float64) float64 { return 0.5 * math.Log(2*math.Pi*max(x, 1)) }

// scoreFlatline looks at the run of complete bins with one and the same total, not
// zero, that ends with the last one. The score is the sum of surprises over 13.8; a
// run of one is none (RULES, rule 11).
func scoreFlatline(h *history, _ use) (score float64, began int) {
	end := h.bins() - 1
	if !h.complete(end) {
		return missing, never
	}
	x := h.x(flowTotal, end)
	i := end
	for i >= 0 && h.complete(i) && h.x(flowTotal, i) == x {
		i--
	}
	if x == 0 || end-i < 2 {
		return 0, never
	}
	return float64(end-i) * surprise(x) / improbable, i + 1
}

// runawayLimit is the count of a bin that no crowd explains: ten times the 99.5th
// percentile of 28 days, and at least 200 in an hour (RULES, rule 12).
func runawayLimit(peak float64) float64 {
	if peak != peak {
		return math.Inf(1)
	}
	return max(10*peak, 200)
}

// scoreRunaway holds the lesser of the last two bins against the limit.
func scoreRunaway(h *history, _ use) (score float64, began int) {
	end := h.bins() - 1
	if end < 1 || h.known == nil || h.rows[end] == 0 || h.rows[end-1] == 0 {
		return missing, never
	}
	peak := float64(h.known.peak[h.row])
	if peak != peak {
		return missing, never
	}
	return min(h.x(flowTotal, end), h.x(flowTotal, end-1)) / runawayLimit(peak), end - 1
}

// scoreCopiedDay compares the last whole local day with every other day of the
// device in the history, bin by bin and flow by flow. When it equals one, the score
// is the sum of the surprises of its bins over 13.8, so that two empty days are no
// copies (RULES, rule 22).
func scoreCopiedDay(h *history, _ use) (score float64, began int) {
	last, ok := h.lastDay(0)
	if !ok || !h.completeDay(last) {
		return missing, never
	}
	for _, d := range h.days {
		if d.lo != last.lo && d.whole && h.equalDays(d, last) {
			return h.daySurprise(last) / improbable, d.lo
		}
	}
	return 0, never
}

// scoreMayBeCopied is scoreCopiedDay of the last whole local day alone: it is sure where
// nothing that was learned of that day as of its end spoke for a copy.
func scoreMayBeCopied(h *history, _ use) (score float64, began int) {
	if last, ok := h.lastDay(0); !ok || !h.completeDay(last) {
		return missing, never
	}
	if h.known == nil || !h.known.copied[h.row] {
		return 0, never
	}
	return unsure, never
}

// mayBeCopied reports whether the last day of a history, which ends with it, may turn out
// to be a copy of another one when its last readings have come: whether that equals it in
// the bins that are complete by now, people among them. The last bin never is.
func (h *history) mayBeCopied() bool {
	last, most := h.days[len(h.days)-1], 0.0
	busiest := last.lo // tells nearly all days apart at once
	for i := last.lo; i < last.hi-1; i++ {
		if x := h.x(flowTotal, i); x > most && h.complete(i) {
			busiest, most = i, x
		}
	}
	return most > 0 && slices.ContainsFunc(h.days[:len(h.days)-1], func(d dayBins) bool {
		return d.whole && d.hi-d.lo == last.hi-last.lo && h.equalBins(d.lo+busiest-last.lo, busiest) && h.equalSoFar(d, last)
	})
}

// equalSoFar is equalDays in the bins of b that are complete, but for the last one.
func (h *history) equalSoFar(a, b dayBins) bool {
	for i := range b.hi - b.lo - 1 {
		if h.complete(b.lo+i) && !h.equalBins(a.lo+i, b.lo+i) {
			return false
		}
	}
	return true
}

func (h *history) equalBins(i, j int) bool {
	return h.in[i] == h.in[j] && h.out[i] == h.out[j] && (h.rows[i] > 0) == (h.rows[j] > 0)
}

func (h *history) daySurprise(d dayBins) float64 {
	sum := 0.0
	for i := d.lo; i < d.hi; i++ {
		if x := h.x(flowTotal, i); x > 0 {
			sum += surprise(x)
		}
	}
	return sum
}

func (h *history) equalDays(a, b dayBins) bool {
	if a.hi-a.lo != b.hi-b.lo {
		return false
	}
	for i := range a.hi - a.lo {
		if !h.equalBins(a.lo+i, b.lo+i) {
			return false
		}
	}
	return true
}
