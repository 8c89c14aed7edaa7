package analyzer

import (
	"math"
	"slices"
	"time"
)

// How baselines are learned (RULES, section Baseline and semantics 9).
const (
	learnBack   = 12 * 7 * 24 * time.Hour // how far back clean values are looked for
	samplesMost = 8                       // of a slot
	samplesMin  = 4
	peakWeeks   = 4
)

// knowledge is what is learned of each device of a fleet, by row: columns, so
// that a million devices are a handful of allocations.
type knowledge struct {
	asked      lessons      // the rest of the columns is empty
	base       [3][]compact // by flow: row · slots + slot; NaN: not enough samples. Empty: nobody asked
	excess     [3][]excess  // likewise: of the spread
	phi        []float32    // overdispersion of the total
	rough      []float32    // relative deviation of the total of a bin: median over slots of 1.4826·MAD/B; 0 before there is a baseline
	peak       []float32    // 99.5th percentile of the total of a bin in 28 days
	share      []float32    // habitual share of IN; NaN: not known
	daily      []float32    // people of a usual day; 0 before habitDays of them
	lean, sway []float32    // of these, IN − OUT by the habitual share, and how far it usually lies from that; shares of daily
	closed     []float32    // 99.5th percentile of the people of a closed span; NaN: not known
	carried    []carries    // what runs had come to by the midnight of learning
	copied     []bool       // the last whole day may be a copy of another one
}

// The runs that are carried over midnight, so that an instant of the day needs the
// bins of the day alone, however long a run is.
const (
	carryQuiet = iota
	carryIn    // people counted OUT since the last one IN
	carryOut
	carryClosed // people counted since the site closed
)

// carry is the sum of a run and when it began, seconds since 1970.
type carry struct{ sum, began float64 }

// carries is the runs of a device, in whole seconds.
type carries struct {
	sum   [4]float32
	began [4]uint32
}

func (c *carries) of(run int) carry { return carry{float64(c.sum[run]), float64(c.began[run])} }

func (c *carries) set(run int, v carry) {
	c.sum[run], c.began[run] = float32(v.sum), 0
	if v.began > 0 && v.began <= math.MaxUint32 {
		c.began[run] = uint32(v.began)
	}
}

func newKnowledge(devices int, asked lessons) *knowledge {
	k := &knowledge{asked: asked}
	if asked[copies] {
		k.copied = make([]bool, devices)
	}
	if !asked[flowTotal] {
		return k
	}
	for flow := range k.base {
		if asked[flow] {
			k.base[flow], k.excess[flow] = slices.Repeat([]compact{unknownCount}, devices*slots), make([]excess, devices*slots)
		}
	}
	for column, empty := range map[*[]float32]float64{&k.phi: phiStart, &k.rough: 0, &k.peak: missing, &k.share: missing, &k.closed: missing, &k.daily: 0, &k.lean: 0, &k.sway: 0} {
		*column = slices.Repeat([]float32{float32(empty)}, devices)
	}
	k.carried = make([]carries, devices)
	return k
}

// phiStart is the overdispersion assumed before there is a baseline.
const phiStart = 4

// learner has the buffers that learning needs.
type learner struct {
	hidden []Spell // incidents of the device at hand
	kept   []bool  // by bin: neither a dated exception nor of an incident
	clean  []bool  // and complete, not copied and no runaway
	total  []float64
	sums   []float64 // of days, of IN and OUT: one number that equal days have in common
	weeks  []weekPeak
	count  [slots]int
	date   [slots]int32
	sample [slots][samplesMost]float64
	ratios []float64
	people []float64 // of days; or deviations of slots
}

// learn fills a device's rows of k from its history, which ends where the local
// day begins.
func (l *learner) learn(h *history, k *knowledge) {
	if k.asked[copies] {
		k.copied[h.row] = h.mayBeCopied()
	}
	if !k.asked[flowTotal] {
		return
	}
	l.mark(h)
	k.peak[h.row] = float32(l.peakOf(peakWeeks))
	l.habits(h, k)
	for flow := range k.base {
		if len(k.base[flow]) > 0 {
			l.slots(h, flow)
			l.summarise(h, k, flow)
		}
	}
	carried := &k.carried[h.row]
	*carried = carries{}
	in, inBegan := h.onlyOther(flowIn, flowOut, carryIn)
	out, outBegan := h.onlyOther(flowOut, flowIn, carryOut)
	carried.set(carryIn, carry{in, h.begin(inBegan)})
	carried.set(carryOut, carry{out, h.begin(outBegan)})
	carried.set(carryQuiet, h.carryQuietRun())
	closed, open := l.closedSpans(h)
	k.closed[h.row] = closed
	carried.set(carryClosed, open)
}

// hide marks the bins of a spell as not to be learned from.
func (h *history) hide(s Spell, kept []bool) {
	until := s.Began.Add(hideAtMost)
	if !s.Ended.IsZero() && s.Ended.Before(until) {
		until = s.Ended
	}
	lo := int(s.Began.Sub(h.from) / binStep)
	hi := int((until.Sub(h.from) + binStep - 1) / binStep)
	for i := max(0, lo); i < min(hi, len(kept)); i++ {
		kept[i] = false
	}
}

// mark tells which bins are clean: complete, no dated exception, not of an incident or
// a copied day, and no runaway against the four weeks before.
func (l *learner) mark(h *history) {
	l.kept = append(l.kept[:0], h.learn...)
	for _, s := range l.hidden {
		h.hide(s, l.kept)
	}
	n := h.bins()
	l.clean, l.total = slices.Grow(l.clean[:0], n)[:n], slices.Grow(l.total[:0], n)[:n]
	in, out, rows, clean, total := h.in[:n], h.out[:n], h.rows[:n], l.clean, l.total[:n]
	least := enough * h.need
	for i, kept := range l.kept[:n] {
		clean[i], total[i] = kept && rows[i] > 0 && rows[i] >= least, in[i]+out[i] // history.complete
	}
	l.sums = l.sums[:0]
	for n, d := range h.days {
		came, went := 0.0, 0.0
		for i := d.lo; i < d.hi; i++ {
			came, went = came+in[i], went+out[i]
		}
		l.sums = append(l.sums, came+math.Pi*went)
		if !d.whole {
			continue
		}
		if k := l.sameCounts(h, n); k >= 0 && h.days[k].whole && h.equalDays(h.days[k], d) && h.daySurprise(d) >= improbable {
			clear(clean[d.lo:d.hi])
		}
	}
	l.runaways(h)
}

// sameCounts returns the first day before one that counts the same in every bin; -1 when
// there is none.
func (l *learner) sameCounts(h *history, n int) int {
	for k, sum := range l.sums[:n] {
		if sum != l.sums[n] {
			continue
		}
		d, o := h.days[n], h.days[k]
		if slices.Equal(h.in[o.lo:o.hi], h.in[d.lo:d.hi]) && slices.Equal(h.out[o.lo:o.hi], h.out[d.lo:d.hi]) {
			return k
		}
	}
	return -1
}

// runaways goes week by week: bins over the limit that the four weeks before give
// are not clean, and do not count towards later limits.
func (l *learner) runaways(h *history) {
	l.weeks = l.weeks[:0]
	for first := 0; first < len(h.days); first += 7 {
		limit := runawayLimit(l.peakOf(peakWeeks))
		var week weekPeak
		lo, hi := h.days[first].lo, h.days[min(first+7, len(h.days))-1].hi
		clean := l.clean[lo:hi]
		for i, v := range l.total[lo:hi] {
			if !clean[i] {
				continue
			}
			if v > limit {
				clean[i] = false
				continue
			}
			if week.n++; v > week.top[len(week.top)-1] {
				week.add(v)
			}
		}
		l.weeks = append(l.weeks, week)
	}
}

// weekPeak is the greatest values of a week, descending, and how many there were of all.
// Of four weeks the 99.5th percentile is the fourth from above, or a later one.
type weekPeak struct {
	n   int
	top [4]float64
}

func (w *weekPeak) add(v float64) {
	for j := range w.top {
		if v > w.top[j] {
			v, w.top[j] = w.top[j], v
		}
	}
}

// peakOf returns the 99.5th percentile (nearest rank) of the total of the clean bins
// of the last weeks; NaN when they are less than a week's.
func (l *learner) peakOf(weeks int) float64 {
	var all weekPeak
	n := 0
	for _, w := range l.weeks[max(0, len(l.weeks)-weeks):] {
		n += w.n
		for _, v := range w.top {
			all.add(v)
		}
	}
	if n < slots {
		return missing
	}
	return all.top[min(n-int(math.Ceil(0.995*float64(n))), len(all.top)-1)]
}

// habitDays is how many days with people it takes before it is known how far IN and OUT
// usually lie apart.
const habitDays = 28

// habits learns the median over days of the share of IN in all that was counted, before
// seven days with people not known; and from habitDays on the people of a day, and how
// far IN and OUT lie apart.
func (l *learner) habits(h *history, k *knowledge) {
	l.ratios, l.people = l.ratios[:0], l.people[:0]
	for _, d := range h.days {
		in, total := 0.0, 0.0
		counted := l.total[d.lo:d.hi]
		for i, clean := range l.clean[d.lo:d.hi] {
			if clean {
				in, total = in+h.in[d.lo+i], total+counted[i]
			}
		}
		if total > 0 {
			l.ratios, l.people = append(l.ratios, in/total), append(l.people, total)
		}
	}
	k.share[h.row], k.daily[h.row], k.lean[h.row], k.sway[h.row] = float32(missing), 0, 0, 0
	days := len(l.ratios)
	share, mad := medianAndMAD(l.ratios)
	if days >= 7 {
		k.share[h.row] = float32(share)
	}
	if days >= habitDays {
		k.daily[h.row], k.lean[h.row], k.sway[h.row] = float32(median(l.people)), float32(2*share-1), float32(2*madToSigma*mad)
	}
}

// slots gathers the last clean values of each slot. An hour that comes twice in a
// night is one sample, the mean of both: a rate for each hour. One that is skipped
// is none.
func (l *learner) slots(h *history, flow int) {
	l.count = [slots]int{}
	values, full := [...][]float64{h.in, h.out, l.total}[flow], 0
	for i := h.bins() - 1; i >= 0; i-- {
		if !l.clean[i] {
			continue
		}
		s, v := h.slot[i], values[i]
		n := l.count[s]
		switch {
		case n > 0 && l.date[s] == h.day[i]:
			l.sample[s][n-1] = (l.sample[s][n-1] + v) / 2
		case n < samplesMost:
			l.sample[s][n], l.date[s] = v, h.day[i]
			if l.count[s]++; n == samplesMost-1 {
				full++
			}
		case full == slots: // and what was of one night has come
			return
		}
	}
}

// summarise turns the samples into baseline and spread, and for the total into the
// overdispersion: the median over slots of (1.4826·MAD)²/B, at least 1.
func (l *learner) summarise(h *history, k *knowledge, flow int) {
	l.ratios, l.people = l.ratios[:0], l.people[:0]
	base, above := k.base[flow][h.row*slots:], k.excess[flow][h.row*slots:]
	for s, n := range l.count {
		base[s], above[s] = unknownCount, 0
		if n < samplesMin {
			continue
		}
		b, mad := medianAndMAD(l.sample[s][:n])
		base[s], above[s] = compactOf(b), excessOf(spreadOf(b, mad), b)
		if b > 0 {
			l.ratios, l.people = append(l.ratios, mad*madToSigma*mad*madToSigma/b), append(l.people, mad*madToSigma/b)
		}
	}
	if flow != flowTotal {
		return
	}
	if k.phi[h.row], k.rough[h.row] = phiStart, 0; len(l.ratios) > 0 {
		k.phi[h.row], k.rough[h.row] = float32(max(1, median(l.ratios))), float32(median(l.people))
	}
}

// madToSigma makes a normal deviation of a median absolute one: 1/Φ⁻¹(3/4).
const madToSigma = 1.4826

// spreadOf is max(1.4826·MAD, √max(B, 1), 0.10·B).
func spreadOf(b, mad float64) float64 { return max(madToSigma*mad, leastSpread(b)) }

// leastSpread is spreadOf of a slot whose values are all the same.
func leastSpread(b float64) float64 { return max(math.Sqrt(max(b, 1)), 0.10*b) }

// medianAndMAD returns the median and the median distance from it. It leaves the values
// in another order, or others.
func medianAndMAD(values []float64) (m, mad float64) {
	if len(values) == 8 {
		return medianAndMAD8((*[8]float64)(values))
	}
	m = median(values)
	for i, v := range values {
		values[i] = math.Abs(v - m)
	}
	return m, median(values)
}

// medianAndMAD8 is medianAndMAD of as many values as most slots have, without a branch
// that depends on them: sorted by a network of 19 comparisons (D. E. Knuth, The Art of
// Computer Programming 3, 5.3.4), the distances below and above the median ascend, and of
// two ascending lists the lesser half is min(aᵢ, b₃₋ᵢ) (K. E. Batcher, 1968).
func medianAndMAD8(v *[8]float64) (m, mad float64) {
	a, b, c, d, e, f, g, h := v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]
	a, c = min(a, c), max(a, c)
	b, d = min(b, d), max(b, d)
	e, g = min(e, g), max(e, g)
	f, h = min(f, h), max(f, h)
	a, e = min(a, e), max(a, e)
	b, f = min(b, f), max(b, f)
	c, g = min(c, g), max(c, g)
	d, h = min(d, h), max(d, h)
	a, b = min(a, b), max(a, b)
	c, d = min(c, d), max(c, d)
	e, f = min(e, f), max(e, f)
	g, h = min(g, h), max(g, h)
	c, e = min(c, e), max(c, e)
	d, f = min(d, f), max(d, f)
	b, e = min(b, e), max(b, e)
	d, g = min(d, g), max(d, g)
	b, c = min(b, c), max(b, c)
	d, e = min(d, e), max(d, e)
	f, g = min(f, g), max(f, g)
	m = (d + e) / 2
	a, b, c, d = m-a, m-b, m-c, m-d
	e, f, g, h = e-m, f-m, g-m, h-m
	lesser := max(min(d, h), min(c, g), min(b, f), min(a, e))
	greater := min(max(d, h), max(c, g), max(b, f), max(a, e))
	return m, (lesser + greater) / 2
}

// median returns the middle one of the values, or the mean of both. It leaves them in
// another order.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return missing
	}
	if n <= samplesMost { // short lists, nearly all: insertion is quicker than a call
		for i := 1; i < n; i++ {
			for j := i; j > 0 && values[j] < values[j-1]; j-- {
				values[j], values[j-1] = values[j-1], values[j]
			}
		}
		return (values[(n-1)/2] + values[n/2]) / 2
	}
	upper := selected(values, n/2)
	if n%2 == 1 {
		return upper
	}
	return (slices.Max(values[:n/2]) + upper) / 2
}

// selected brings the value to its place that it would have in order, lesser ones before
// it, and returns it (C. A. R. Hoare, Algorithm 65: Find, 1961).
func selected(values []float64, k int) float64 {
	for lo, hi := 0, len(values)-1; lo < hi; {
		pivot, i, j := values[k], lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for pivot < values[j] {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i, j = i+1, j-1
			}
		}
		if j < k {
			lo = i
		}
		if k < i {
			hi = j
		}
	}
	return values[k]
}
