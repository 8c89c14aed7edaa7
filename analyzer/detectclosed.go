package analyzer

import "slices"

// Who counts people while the site is closed (RULES, rule 26): cleaners and guards are
// usual, so the limit is the 99.5th percentile of the last 90 closed spans, and five.
const (
	closedSpans = 90
	closedLeast = 14 // spans, before anything is usual
	closedFloor = 5
)

// scoreClosed holds the people since the site closed, or while it was closed last,
// against that limit. A bin that lies partly in opening hours belongs to no span.
func scoreClosed(h *history, _ use) (score float64, began int) {
	if h.known == nil {
		return missing, never
	}
	limit := float64(h.known.closed[h.row])
	if limit != limit {
		return missing, never
	}
	end := h.bins() - 1
	if !h.shut[end] {
		return 0, never
	}
	sum, i := 0.0, end
	for ; i >= h.today && h.shut[i]; i-- {
		sum += h.x(flowTotal, i)
	}
	began = i + 1
	if c := h.known.carried[h.row].of(carryClosed); i < h.today && c.began > 0 {
		sum, began = sum+c.sum, h.binAt(c.began)
	}
	return sum / max(closedFloor, limit), began
}

// closedSpans learns from the closed spans of a history that have ended, and notes
// what has come together in the one that has not.
func (l *learner) closedSpans(h *history) (limit float32, open carry) {
	l.ratios = l.ratios[:0]
	end := h.bins()
	for hi := end; hi > 0; hi-- {
		if !h.shut[hi-1] {
			continue
		}
		lo, sum, clean := hi, 0.0, true
		for ; lo > 0 && h.shut[lo-1]; lo-- {
			sum, clean = sum+l.total[lo-1], clean && l.kept[lo-1]
		}
		switch {
		case hi == end:
			open = carry{sum, h.begin(lo)}
		case clean && lo > 0 && len(l.ratios) < closedSpans:
			l.ratios = append(l.ratios, sum)
		}
		hi = lo + 1
	}
	if len(l.ratios) < closedLeast {
		return float32(missing), open
	}
	return float32(slices.Max(l.ratios)), open // of less than 200 the 99.5th percentile is the greatest
}
