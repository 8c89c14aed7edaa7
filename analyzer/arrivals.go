package analyzer

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// What the arrivals of a device say: how its clock stands, how late its readings
// come, how regularly it speaks. Columns of these functions have their window
// (From, To] on arrivals, and both bounds.

// Numbers of the arrival functions, the same in every source of columns.
const (
	SkewReadings  = 10                  // readings whose median is the skew
	SkewLeast     = 3                   // with fewer there is none
	LagLeast      = 20                  // readings, before a percentile of their lag says anything
	GapLeast      = 20                  // gaps, likewise
	GapFactor     = 6                   // a device is silent after so many of its usual gaps,
	GapFloor      = 15 * time.Minute    // and not before
	UsualBlock    = 24 * time.Hour      // transitions are counted in such blocks, back from To
	ResentBack    = 8 * 24 * time.Hour  // how far before the window a reading's time may lie
	SlopeLeast    = 7                   // days with values, before a slope says anything
	usualDays     = 28 * 24 * time.Hour // what is usual of gaps and transitions
	skewReachMost = 24 * time.Hour      // see Fleet.tenReadings
	skewReachFew  = 3 * time.Hour       //
	dayMillis     = int64(24 * time.Hour / time.Millisecond)
)

// Heard is a reading's first version to arrive in a window: when, in milliseconds since
// 1970, and how long after its time, in milliseconds.
type Heard struct{ Arrival, Delay int64 }

// onArrivals computes a column that looks at arrivals.
func (a aggregate) onArrivals(d *reelDevice) float64 {
	switch a.Fn {
	case Skew, SkewSpread:
		return a.skew(d)
	case Lag:
		return a.lag(d)
	case Gap:
		return a.gap(d)
	case Transitions:
		return float64(transitions(a.stamps(d, a.from, a.until()), a.until()))
	case UsualTransitions:
		most := 0
		for to := a.until(); to > a.from; to -= UsualBlock.Milliseconds() {
			from := max(a.from, to-UsualBlock.Milliseconds())
			most = max(most, transitions(a.stamps(d, from, to), to))
		}
		return float64(most)
	}
	if a.showsTotals(d.totals) {
		return a.resent(d.totals)
	}
	return a.resent(&d.counts)
}

// showsTotals reports whether there are totals among the readings that resent looks at.
func (a aggregate) showsTotals(s *series) bool {
	return s != nil && after(s.ts, a.from-ResentBack.Milliseconds(), &s.nearFrom) < after(s.ts, a.asOf+dayMillis, &s.nearTo)
}

// until is the last arrival that counts.
func (a aggregate) until() int64 { return min(a.to, a.asOf) }

// skew is the median of arrival minus device time over the last ten readings to have
// come, or the median distance from it.
func (a aggregate) skew(d *reelDevice) float64 {
	var few [2 * SkewReadings]Heard
	last := few[:0]
	for _, s := range a.series(d) {
		last = a.firsts(s, SkewReadings, last)
	}
	skew, spread := ClockOf(last)
	if a.Fn == SkewSpread {
		return spread
	}
	return skew
}

// ClockOf returns Skew and SkewSpread of the readings that came in a window, NaN when
// they are fewer than SkewLeast. It reorders heard.
func ClockOf(heard []Heard) (skew, spread float64) {
	if len(heard) < SkewLeast {
		return missing, missing
	}
	if len(heard) <= fewHeard {
		for i := 1; i < len(heard); i++ {
			for j := i; j > 0 && heard[j].compare(heard[j-1]) < 0; j-- {
				heard[j], heard[j-1] = heard[j-1], heard[j]
			}
		}
	} else {
		slices.SortFunc(heard, Heard.compare)
	}
	var delays [SkewReadings]float64
	last := heard[max(0, len(heard)-SkewReadings):]
	for i, r := range last {
		delays[i] = float64(r.Delay)
	}
	m, mad := medianAndMAD(delays[:len(last)])
	return m / 1e3, mad / 1e3
}

// fewHeard is how many readings are sorted by insertion, which is quicker for few that are
// nearly in order already.
const fewHeard = 48

// compare orders by arrival, of one arrival the newest last.
func (h Heard) compare(o Heard) int {
	if h.Arrival != o.Arrival {
		return cmp.Compare(h.Arrival, o.Arrival)
	}
	return cmp.Compare(o.Delay, h.Delay)
}

// firsts appends of each reading the first version that came in the window, for the
// last most of them.
func (a aggregate) firsts(s *series, most int, into []Heard) []Heard {
	lo, hi := after(s.arrivals, a.from, &s.nearFrom), after(s.arrivals, a.until(), &s.near)
	for n := hi - 1; n >= lo && most > 0; n-- {
		i := s.byArrival(n)
		if i > 0 && s.ts[i-1] == s.ts[i] && s.arrival[i-1] > a.from {
			continue // an earlier version came in the window too
		}
		into, most = append(into, Heard{s.arrival[i], s.arrival[i] - s.ts[i]}), most-1
	}
	return into
}

// byArrival returns the row that was the n-th to come.
func (s *series) byArrival(n int) int {
	if s.plain {
		return n
	}
	return int(s.order[n])
}

func (a aggregate) lag(d *reelDevice) float64 {
	var all []Heard
	for _, s := range a.series(d) {
		all = a.firsts(s, math.MaxInt32, all)
	}
	if len(all) < LagLeast {
		return missing
	}
	slices.SortFunc(all, func(x, y Heard) int { return cmp.Compare(x.Delay, y.Delay) })
	return float64(all[rankOf(a.Share, len(all))].Delay) / 1e3
}

// rankOf is the place of a quantile among n sorted values.
func rankOf(share float64, n int) int { return min(int(share*float64(n)), n-1) }

// stamps lists the distinct arrivals in (from, to], ascending.
func (a aggregate) stamps(d *reelDevice, from, to int64) []int64 {
	var all []int64
	for _, s := range a.series(d) {
		all = append(all, s.arrivals[after(s.arrivals, from, &s.nearFrom):after(s.arrivals, to, &s.near)]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (a aggregate) gap(d *reelDevice) float64 {
	gaps := gapsOf(a.stamps(d, a.from, a.until()))
	if len(gaps) < GapLeast {
		return missing
	}
	return float64(gaps[rankOf(a.Share, len(gaps))]) / 1e3
}

// gapsOf returns the gaps between ascending stamps, sorted.
func gapsOf(stamps []int64) []int64 {
	if len(stamps) < 2 {
		return nil
	}
	gaps := make([]int64, len(stamps)-1)
	for i := range gaps {
		gaps[i] = stamps[i+1] - stamps[i]
	}
	slices.Sort(gaps)
	return gaps
}

// transitions counts how often a device went silent and came back: each gap over six
// times its median gap, and over a quarter of an hour, is two, and one that lasts is one.
func transitions(stamps []int64, to int64) int {
	gaps := gapsOf(stamps)
	if len(gaps) < 2 {
		return 0
	}
	limit := max(GapFactor*gaps[rankOf(0.5, len(gaps))], GapFloor.Milliseconds())
	n := 0
	for _, g := range gaps {
		if g > limit {
			n += 2
		}
	}
	if to-stamps[len(stamps)-1] > limit {
		n++
	}
	return n
}

// resent counts the versions of counts that came in the window after another version of
// the same reading, with the same numbers or with others.
func (a aggregate) resent(s *series) float64 {
	if s.plain {
		return 0
	}
	count := 0
	for n := after(s.arrivals, a.from, &s.nearFrom); n < after(s.arrivals, a.until(), &s.near); n++ {
		i := s.byArrival(n)
		if i == 0 || s.ts[i-1] != s.ts[i] || s.ts[i] <= a.from-ResentBack.Milliseconds() {
			continue
		}
		if same := s.in[i] == s.in[i-1] && s.out[i] == s.out[i-1]; same == (a.Fn == ResentSame) {
			count++
		}
	}
	return float64(count)
}

// resets counts how often a measurement fell from one heartbeat to the next: a counter
// that began anew.
func (a aggregate) resets(s *series) float64 {
	before, n := missing, missing
	a.measured(s, func(_ int64, v float64) {
		if n != n {
			n = 0
		}
		if v < before {
			n++
		}
		before = v
	})
	return n
}

// totalResets counts how often a cumulative counter fell from one total to the next.
func (a aggregate) totalResets(s *series) float64 {
	if s == nil {
		return missing
	}
	values := s.in
	if a.Measure == "out_total" {
		values = s.out
	}
	before, n := missing, missing
	visit := func(i int) {
		if n != n {
			n = 0
		}
		if values[i] < 0 {
			return // it has no such counter
		}
		if values[i] < before {
			n++
		}
		before = values[i]
	}
	lo, hi := a.window(s)
	if !s.plain {
		a.each(s, lo, hi, visit)
		return n
	}
	for i := lo; i < hi; i++ {
		visit(i)
	}
	return n
}

// slope is the Theil–Sen slope of a measurement's daily medians, for each day: the
// median of the slopes between any two days (P. K. Sen, Estimates of the Regression
// Coefficient Based on Kendall's Tau, JASA 63, 1968). Days are of UTC.
func (a aggregate) slope(s *series) float64 {
	var days []int64
	var values [][]float64
	a.measured(s, func(ts int64, v float64) {
		day := ts / dayMillis
		if len(days) == 0 || days[len(days)-1] != day {
			days, values = append(days, day), append(values, nil)
		}
		values[len(values)-1] = append(values[len(values)-1], v)
	})
	if len(days) < SlopeLeast {
		return missing
	}
	medians := make([]float64, len(days))
	for i := range values {
		medians[i] = median(values[i])
	}
	return theilSen(days, medians)
}

func theilSen(days []int64, values []float64) float64 {
	var slopes []float64
	for i := range days {
		for j := i + 1; j < len(days); j++ {
			slopes = append(slopes, (values[j]-values[i])/float64(days[j]-days[i]))
		}
	}
	return median(slopes)
}

// measured visits the values of a measurement in the window, by device time.
func (a aggregate) measured(s *series, visit func(ts int64, v float64)) {
	see := func(i int) {
		if v, ok := s.measures[i][a.Measure]; ok {
			visit(s.ts[i], v)
		}
	}
	lo, hi := a.window(s)
	if !s.plain {
		a.each(s, lo, hi, see)
		return
	}
	for i := lo; i < hi; i++ {
		see(i)
	}
}

// tenReadings is how far back the last ten readings of the fleet's slowest device
// usually lie: from three hours to a day.
func (f *Fleet) tenReadings() time.Duration {
	longest := 0.0
	for i := range f.Devices {
		every := f.reading[i]
		if beat := float64(f.Devices[i].HeartbeatEvery); beat > 0 {
			every = min(every, beat)
		}
		longest = max(longest, every)
	}
	return min(max(time.Duration(SkewReadings*longest)*time.Second, skewReachFew), skewReachMost)
}

// skewHint tells what a clock's fault looks like; "" when it looks like none that is known.
func skewHint(seconds float64) string {
	const rollover = 1024 * 7 * 24 * 3600
	off := math.Abs(seconds)
	near := func(multiple, within float64) bool {
		n := math.Round(off / multiple)
		return n >= 1 && math.Abs(off-n*multiple) <= within
	}
	switch {
	case off > 20*365*24*3600 && near(rollover, 7*24*3600), off > 300*24*3600 && near(rollover, 24*3600):
		return "1024 weeks off: the GPS receiver's week counter rolled over"
	case off > 300*24*3600:
		return "years off: the clock was never set, or its battery is empty"
	case near(1800, 90) && off < 15*3600:
		return "a whole number of half hours off: the time zone is wrong, or summer time"
	}
	return ""
}
