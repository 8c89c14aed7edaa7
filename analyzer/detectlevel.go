package analyzer

import (
	"math"
	"slices"
)

// sureZ is z against the greater of the slot's own spread and what the device's slots
// vary by in the median, as √(φ·B) and as a share of B. The MAD of eight values is
// uncertain by half of it (its efficiency is 37 %: P. J. Rousseeuw and C. Croux,
// Alternatives to the Median Absolute Deviation, JASA 88, 1993), and of 168 slots there
// are always some whose eight happened to lie close together: those were what spiked.
// The median over the slots is as sure as their number.
func (h *history) sureZ(i int) float64 {
	if !h.complete(i) || h.known == nil {
		return missing
	}
	b := h.baseline(flowTotal, i)
	pooled := max(math.Sqrt(float64(h.known.phi[h.row])*max(b, 1)), float64(h.known.rough[h.row])*b)
	return (h.x(flowTotal, i) - b) / max(h.spread(flowTotal, i), pooled)
}

// scoreSpike holds each of the last three bins against the three conditions z > 6,
// x − B ≥ 50 and x ≥ 1.5·B, takes the least of them as its score, and the second
// greatest of the three bins: 2 of 3 (RULES, rule 13).
func scoreSpike(h *history, _ use) (score float64, began int) {
	var all [3]float64
	end := h.bins() - 1
	if end < 2 {
		return missing, never
	}
	for k := range all {
		i := end - k
		x, b := h.x(flowTotal, i), h.baseline(flowTotal, i)
		if all[k] = min(h.sureZ(i)/6, (x-b)/50, x/max(1.5*b, 1)); all[k] != all[k] {
			return missing, never
		}
	}
	return median(all[:]), end - 2
}

// scoreDrop holds the last three complete open bins in a row against z < −4,
// x ≤ 0.5·B and B ≥ 20, and takes the least of all (RULES, rule 14).
func scoreDrop(h *history, _ use) (score float64, began int) {
	end := h.bins() - 1
	if end < 2 {
		return missing, never
	}
	score = math.Inf(1)
	for i := end; i > end-3; i-- {
		x, b := h.x(flowTotal, i), h.baseline(flowTotal, i)
		if !h.open[i] {
			return 0, never
		}
		one := min(-h.sureZ(i)/4, 0.5*b/max(x, 1e-3), b/20)
		if one != one {
			return missing, never
		}
		score = min(score, one)
	}
	return score, end - 2
}

// How the level is watched: a baseline of each weekday from the days before the
// watched ones, which stays as it is, and a CUSUM with the usual allowance of half a
// deviation over the watched ones (E. S. Page, Continuous Inspection Schemes,
// Biometrika 41, 1954; limit from RULES, rule 15).
const (
	watchedDays = 28
	cusumSlack  = 0.5
	cusumLimit  = 8
	leastSigma  = 0.10
)

// scoreShift runs a two-sided CUSUM over the log ratios of the last 28 whole days
// to the median of the same weekday in the weeks before, in units of their robust
// deviation. The score is the greater sum over 8; it began where the climb did.
func scoreShift(h *history, _ use) (score float64, began int) {
	var weekday [7][]float64
	var days []dayBins
	for _, d := range h.days {
		if d.whole && h.completeDay(d) {
			days = append(days, d)
		}
	}
	if len(days) < watchedDays+4*7 {
		return missing, never
	}
	frozen, watched := days[:len(days)-watchedDays], days[len(days)-watchedDays:]
	for _, d := range frozen {
		w := h.slot[d.lo] / 24
		weekday[w] = append(weekday[w], h.dayTotal(d))
	}
	var base [7]float64
	for w := range base {
		base[w] = median(weekday[w])
	}
	var ratios []float64
	for _, d := range frozen {
		ratios = append(ratios, h.dayRatio(d, &base))
	}
	sigma := longRun(ratios)
	up, down := cusum{}, cusum{}
	for _, d := range watched {
		r := h.dayRatio(d, &base) / sigma
		if r != r {
			continue
		}
		up.add(r, d.lo)
		down.add(-r, d.lo)
	}
	if down.sum > up.sum {
		up = down
	}
	return up.sum / cusumLimit, up.began
}

// longRun is the deviation that sums of daily log ratios have: the robust one of a day,
// at least leastSigma, times √((1 + ρ)/(1 − ρ)) for days that follow each other in level
// with the correlation ρ. Page's CUSUM supposes independent days; weather and seasons are
// not (R. A. Johnson and M. Bagshaw, The Effect of Serial Correlation on the Performance
// of CUSUM Tests, Technometrics 16, 1974). ρ is of the ratios up to three deviations.
func longRun(ratios []float64) float64 {
	m, mad := medianAndMAD(slices.Clone(ratios))
	sigma := max(madToSigma*mad, leastSigma)
	along, square := 0.0, 0.0
	for i, r := range ratios {
		r = max(-3*sigma, min(3*sigma, r-m))
		if ratios[i] = r; i > 0 {
			along += r * ratios[i-1]
		}
		square += r * r
	}
	if square == 0 {
		return sigma
	}
	rho := max(0, min(0.9, along/square))
	return sigma * math.Sqrt((1+rho)/(1-rho))
}

// cusum is one side of a CUSUM.
type cusum struct {
	sum   float64
	began int
}

func (c *cusum) add(r float64, at int) {
	if c.sum == 0 {
		c.began = at
	}
	c.sum = max(0, c.sum+r-cusumSlack)
}

func (h *history) dayTotal(d dayBins) float64 {
	sum := 0.0
	for i := d.lo; i < d.hi; i++ {
		sum += h.x(flowTotal, i)
	}
	return sum
}

func (h *history) dayRatio(d dayBins, base *[7]float64) float64 {
	return math.Log((h.dayTotal(d) + 5) / (base[h.slot[d.lo]/24] + 5))
}

// scoreDrift cumulates IN − OUT over the last whole local day, bin by bin from its
// first opening: nobody can leave who did not come, so the sum below −max(5, 10 % of
// its greatest) is drift, and so is more than max(10, 10 % of IN) left at its end
// (RULES, rule 10).
func scoreDrift(h *history, _ use) (score float64, began int) {
	d, ok := h.lastDay(0)
	if !ok || !h.completeDay(d) {
		return missing, never
	}
	inside, least, most, in := 0.0, 0.0, 0.0, 0.0
	for i := d.lo; i < d.hi; i++ {
		in += h.in[i]
		inside += h.in[i] - h.out[i]
		least, most = min(least, inside), max(most, inside)
	}
	return max(-least/max(5, 0.10*most), inside/max(10, 0.10*in)), d.lo
}
