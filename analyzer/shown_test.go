package analyzer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

// What a plain count from the files says of an incident that no label explains. The rules
// for it stand in EVIDENCE.md, "What is shown by a count". A count shares nothing with
// the rules of the catalogue but three limits that RULES gives.
const (
	byGap    = "rows are missing"
	bySecond = "the second source counts people"
	byOthers = "it alone is low"
	common   = "the others are low too"
	unshown  = "not shown"
)

// shownTrue are those that show that something was wrong at one counter.
var shownTrue = []string{byGap, bySecond, byOthers}

// hourly is what counters counted, IN and OUT, by the end of the hour in milliseconds.
type hourly map[string]map[int64][2]uint32

func hourlyOf(f *Fleet, b *telemetry.Batch) hourly {
	names, all := map[telemetry.DeviceID]string{}, hourly{}
	for i := range f.Devices {
		name := f.Devices[i].Name
		names[telemetry.IDOf(name)], all[name] = name, map[int64][2]uint32{}
	}
	for i, id := range b.Counts.Device {
		all[names[id]][b.Counts.TS[i]] = [2]uint32{b.Counts.In[i], b.Counts.Out[i]}
	}
	return all
}

// whom says which of an hour's people a count is about.
type whom func([2]uint32) float64

func everybody(n [2]uint32) float64 { return float64(n[0]) + float64(n[1]) }

func side(s int) whom { return func(n [2]uint32) float64 { return float64(n[s]) } }

// hourSpan is hours in a row, the first and the last by their ends.
type hourSpan struct{ first, last time.Time }

func (s hourSpan) hours() int { return int(s.last.Sub(s.first).Hours()) + 1 }

// moved is the same local hours of another week.
func (s hourSpan) moved(weeks int, zone *time.Location) hourSpan {
	first := s.first.In(zone).AddDate(0, 0, 7*weeks)
	return hourSpan{first, first.Add(s.last.Sub(s.first))}
}

// sum counts over hours in a row; ok when each of its hours has a row.
func (h hourly) sum(name string, s hourSpan, of whom) (sum float64, ok bool) {
	for at := s.first; !at.After(s.last); at = at.Add(time.Hour) {
		n, ok := h[name][at.UnixMilli()]
		if !ok {
			return 0, false
		}
		sum += of(n)
	}
	return sum, true
}

// usual counts the same local hours in the eight weeks before and the eight after, where whole.
func (h hourly) usual(name string, s hourSpan, of whom, zone *time.Location) (sums []float64) {
	for w := -8; w <= 8; w++ {
		if n, ok := h.sum(name, s.moved(w, zone), of); ok && w != 0 {
			sums = append(sums, n)
		}
	}
	return sums
}

// leastWeeks is of how many weeks something usual is made, of sixteen.
const leastWeeks = 8

// run is the hours in a row without anybody that an incident began in, a week of it at most.
func (h hourly) run(name string, from time.Time, of whom) (s hourSpan, ok bool) {
	empty := func(at time.Time) bool {
		n, ok := h[name][at.UnixMilli()]
		return ok && of(n) == 0
	}
	at := from.Truncate(time.Hour)
	if !empty(at) {
		if at = at.Add(-time.Hour); !empty(at) {
			return s, false
		}
	}
	s = hourSpan{at, at}
	for s.hours() < 168 && empty(s.first.Add(-time.Hour)) {
		s.first = s.first.Add(-time.Hour)
	}
	for s.hours() < 168 && empty(s.last.Add(time.Hour)) {
		s.last = s.last.Add(time.Hour)
	}
	return s, true
}

// files are what an incident is held against.
type files struct {
	own    hourly
	town   hourly  // counters of the same town
	second hourly  // the same counters by another source
	faults []Label // of counters of the town: one that is known to be wrong is no witness
	zone   *time.Location
}

// witness reports whether a counter of the town is not known to be wrong in those hours.
func (f files) witness(name string, s hourSpan) bool {
	return !slices.ContainsFunc(f.faults, func(l Label) bool {
		return l.name() == name && l.Start.Before(s.last) && l.End.After(s.first.Add(-time.Hour))
	})
}

// filesOf is what the incidents of a data set are held against: itself, and of Seattle's
// its counters and the other source of the same ones.
func filesOf(t *testing.T, dataset string, fleet *Fleet, batch *telemetry.Batch) files {
	t.Helper()
	f, town := files{own: hourlyOf(fleet, batch), zone: oneZone(fleet)("")}, dataset
	switch f.town = f.own; dataset {
	case "seattle_counters", "fremont, held out":
		f.town, f.second, town = hourlyOf(seattle(t)), hourlyOf(vendor(t)), "seattle_counters"
	case "the vendor's data, held out":
		f.town, town = hourlyOf(seattle(t)), "seattle_counters"
		f.second = f.town
	}
	var err error
	if f.faults, err = ReadLabels(openData(t, "real_incidents.csv"), town, func(string) *time.Location { return f.zone }); err != nil {
		t.Fatal(err)
	}
	return f
}

// showing is what the files show of an incident, and by which numbers.
type showing struct {
	what, how string
	twice     bool // another source has its hours too
	moved     bool // one direction is dead, and the other counts no fewer than usual
	lone      bool // in none of the other weeks is nobody there, and the others are not low
}

func (f files) shows(i RolledUp) (w showing) {
	name := i.Scopes[0].Name
	if w.what = unshown; i.Rule == "suspected-offline" || i.Rule == "incomplete-day" {
		missing := f.missing(name, i.From)
		if w.how = fmt.Sprintf("of the 72 hours before %d have no row", missing); missing > 1 {
			w.what = byGap
		}
		return w
	}
	of, other := whom(everybody), whom(nil)
	s, ok := f.own.run(name, i.From, of)
	if i.Rule == "one-direction-dead" {
		in, okIn := f.own.run(name, i.From, side(0))
		out, okOut := f.own.run(name, i.From, side(1))
		if of, other, s, ok = side(0), side(1), in, okIn; okOut && (!okIn || out.hours() > in.hours()) {
			of, other, s, ok = side(1), side(0), out, true
		}
	}
	if !ok {
		w.how = "no run of zero ends there"
		return w
	}
	w.how = fmt.Sprintf("%d hours of nobody from %s", s.hours(), s.first.Add(-time.Hour).In(f.zone).Format("01-02 15:04"))
	if n, ok := f.bySecond(name, s, other != nil); ok {
		w.how, w.twice = w.how+fmt.Sprintf(", in which the second source counts %.0f", n), true
		if n > 0 {
			w.what = bySecond
			return w
		}
	}
	own := f.own.usual(name, s, of, f.zone)
	if len(own) < leastWeeks {
		w.how += fmt.Sprintf("; %d weeks to compare with", len(own))
		return w
	}
	b, z := median(own), zOfNobody(own)
	sum, usual := f.others(name, s, other)
	w.how += fmt.Sprintf(", where %.0f are usual (%.0f at the least in %d weeks, z %.1f); the others count %.0f, where %.0f are usual", b, slices.Min(own), len(own), z, sum, usual)
	w.moved = other != nil && sum >= usual
	switch low := math.Log((sum+5)/(usual+5)) < -0.35; {
	case !(usual >= 20): // nor when it is missing
	case low:
		w.what = common
	case b >= 20 && z < -4:
		w.what = byOthers
	default:
		w.lone = slices.Min(own) > 0
	}
	return w
}

// missing counts the hours without a row among the 72 before.
func (f files) missing(name string, from time.Time) (n int) {
	for h := range 72 {
		if _, ok := f.own[name][from.Truncate(time.Hour).Add(-time.Duration(h)*time.Hour).UnixMilli()]; !ok {
			n++
		}
	}
	return n
}

// bySecond counts the same hours by the other source: everybody, or the lesser of both
// directions, so that it does not matter which it calls IN.
func (f files) bySecond(name string, s hourSpan, directions bool) (float64, bool) {
	if !directions {
		return f.second.sum(name, s, everybody)
	}
	in, ok := f.second.sum(name, s, side(0))
	out, _ := f.second.sum(name, s, side(1))
	return min(in, out), ok
}

// zOfNobody is z of a zero (RULES, baseline) against the sums of other weeks.
func zOfNobody(sums []float64) float64 {
	b, mad := medianAndMAD(slices.Clone(sums))
	return -b / max(1.4826*mad, math.Sqrt(max(b, 1)), 0.10*b)
}

// others counts the same hours at the other counters of the town, or the other direction
// of the same counter, and what is usual there.
func (f files) others(name string, s hourSpan, other whom) (sum, usual float64) {
	if other != nil {
		sum, _ = f.own.sum(name, s, other)
		return sum, median(f.own.usual(name, s, other, f.zone))
	}
	for _, o := range slices.Sorted(maps.Keys(f.town)) {
		if o == name || !f.witness(o, s) {
			continue
		}
		n, ok := f.town.sum(o, s, everybody)
		if weeks := f.town.usual(o, s, everybody, f.zone); ok && len(weeks) >= leastWeeks {
			sum, usual = sum+n, usual+median(weeks)
		}
	}
	return sum, usual
}

// shownBy holds each incident that no label explains against the files, and counts by what
// they show.
func shownBy(t *testing.T, r *Report, f files) map[string]int {
	t.Helper()
	n, by := map[string]int{}, map[string]map[string]int{}
	twice, moved, lone := 0, 0, 0
	for _, i := range r.Unlabelled {
		w := f.shows(i)
		if n[w.what]++; by[w.what] == nil {
			by[w.what] = map[string]int{}
		}
		by[w.what][i.Rule]++
		twice += count(w.twice)
		moved += count(w.moved && w.what == unshown)
		lone += count(w.lone)
		t.Logf("  unlabelled: %s %s %s, fired %d times: %s: %s", i.From.In(f.zone).Format("2006-01-02 15:04"), i.Rule, scopeNames(i), i.Fired, w.what, w.how)
	}
	for _, what := range slices.Sorted(maps.Keys(by)) {
		t.Logf("  %-32s %d: %v", what, n[what], by[what])
	}
	if f.second != nil {
		t.Logf("  the second source has the hours of %d, and counts people in those of %d", twice, n[bySecond])
	}
	if n[unshown] > 0 {
		t.Logf("  of what is not shown, in %d one direction is empty and the other counts no fewer than usual; in %d the others are as usual and no other week is empty", moved, lone)
	}
	return n
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func scopeNames(i RolledUp) string {
	var names []string
	for _, s := range i.Scopes {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}
