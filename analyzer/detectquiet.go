package analyzer

import "math"

// improbable is how improbable a chance must be before a hard fault is called one:
// −ln 10⁻⁶ (RULES, catalogue, rules 6, 7 and 11).
const improbable = 13.8

// scoreQuiet looks at the run of zero, complete, open bins that ends with the last
// one (closed hours between are passed over): how improbable it is, over 13.8
// (RULES, rule 6). Local days are taken to be independent, so that what the days of
// the run make improbable adds up.
func scoreQuiet(h *history, _ use) (score float64, began int) {
	if h.known == nil {
		return missing, never
	}
	r := quietRun{phi: float64(h.known.phi[h.row]), began: never}
	for i := h.bins() - 1; i >= h.today; i-- {
		if !h.open[i] {
			continue
		}
		if !h.complete(i) || h.x(flowTotal, i) != 0 {
			return r.score(h.complete(i))
		}
		r.add(h, i)
	}
	carried := h.known.carried[h.row].of(carryQuiet)
	if carried.sum != carried.sum { // the day before ended without readings
		return r.score(false)
	}
	if carried.sum > 0 {
		r.seen, r.days, r.began = true, r.days+carried.sum, h.binAt(carried.began)
	}
	return r.score(true)
}

// quietRun is what a run of zero has come to, gathered backwards.
type quietRun struct {
	phi    float64
	seen   bool
	began  int
	day    int32   // the local day at hand
	usual  float64 // ΣB of it
	shared float64 // Σ√(spread² − B) of it; B is at least 1 there, as in a spread
	days   float64 // −ln of the chance of the days behind it
}

func (r *quietRun) add(h *history, i int) {
	if r.seen && h.day[i] != r.day {
		r.endDay()
	}
	r.seen, r.began, r.day = true, i, h.day[i]
	if b := h.baseline(flowTotal, i); b == b {
		spread := h.spread(flowTotal, i)
		r.usual, r.shared = r.usual+b, r.shared+math.Sqrt(max(0, spread*spread-max(b, 1)))
	}
}

func (r *quietRun) endDay() {
	r.days += emptyDay(r.usual, r.shared, r.phi)
	r.usual, r.shared = 0, 0
}

// emptyDay returns −ln of the chance that nobody comes in hours of one day that expect
// m people together. With Poisson counts that is m, and m/φ where each hour by itself
// varies φ times as much. But rain, snow and a closed road lower all hours of a day
// together. What a slot varies beyond Poisson is therefore taken as shared by the hours:
// a sum varies by no more than its parts together (Minkowski's inequality), so the
// variance is at most V = m + shared². Counts whose mean is gamma-distributed are
// negative binomial, and none at all then has the chance (m/V)^(m²/(V−m)) (Greenwood and
// Yule, 1920). The greater of both chances counts.
func emptyDay(m, shared, phi float64) float64 {
	if shared == 0 || m == 0 {
		return m / phi
	}
	w := shared * shared / m // V/m − 1
	return min(m/phi, m*math.Log1p(w)/w)
}

// score is that of the run; known says whether what ended it is.
func (r *quietRun) score(known bool) (float64, int) {
	if !r.seen && !known {
		return missing, never
	}
	r.endDay()
	return r.days / improbable, r.began
}

// carryQuietRun notes what the run has come to at the end of a history.
func (h *history) carryQuietRun() carry {
	score, began := scoreQuiet(h, use{})
	return carry{score * improbable, h.begin(began)}
}
