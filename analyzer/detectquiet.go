package analyzer

// improbable is how improbable a chance must be before a hard fault is called one:
// −ln 10⁻⁶ (RULES, catalogue, rules 6, 7 and 11).
const improbable = 13.8

// scoreQuiet looks at the run of zero, complete, open bins that ends with the last
// one (closed hours between are passed over). With Poisson counts a bin that
// expects B people stays empty with the chance e^−B; counts that vary φ times as
// much make that e^−B/φ. So the score is ΣB/φ over 13.8 (RULES, rule 6).
func scoreQuiet(h *history, _ use) (score float64, began int) {
	if h.known == nil {
		return missing, never
	}
	sum, seen := 0.0, false
	began = never
	for i := h.bins() - 1; i >= h.today; i-- {
		if !h.open[i] {
			continue
		}
		if !h.complete(i) || h.x(flowTotal, i) != 0 {
			return h.quiet(sum, seen, began, h.complete(i))
		}
		seen, began = true, i
		if b := h.baseline(flowTotal, i); b == b {
			sum += b
		}
	}
	carried := h.known.carried[h.row].of(carryQuiet)
	if carried.sum != carried.sum { // the day before ended without readings
		return h.quiet(sum, seen, began, false)
	}
	if carried.sum > 0 {
		seen, sum, began = true, sum+carried.sum, h.binAt(carried.began)
	}
	return h.quiet(sum, seen, began, true)
}

// quiet is the score of a run; known says whether what ended it is.
func (h *history) quiet(sum float64, seen bool, began int, known bool) (float64, int) {
	if !seen && !known {
		return missing, never
	}
	return sum / float64(h.known.phi[h.row]) / improbable, began
}

// carryQuietRun notes what the run has come to at the end of a history.
func (h *history) carryQuietRun() carry {
	score, began := scoreQuiet(h, use{})
	return carry{score * improbable * float64(h.known.phi[h.row]), h.begin(began)}
}
