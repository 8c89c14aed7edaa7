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
		return missing, -1
	}
	sum, seen := 0.0, false
	began = -1
	for i := h.bins() - 1; i >= 0; i-- {
		if !h.open[i] {
			continue
		}
		if !h.complete(i) {
			if !seen {
				return missing, -1
			}
			break
		}
		if h.x(flowTotal, i) != 0 {
			break
		}
		seen = true
		if b := h.baseline(flowTotal, i); b == b {
			sum += b
		}
		began = i
	}
	return sum / float64(h.known.phi[h.row]) / improbable, began
}
