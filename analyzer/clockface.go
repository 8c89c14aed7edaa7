package analyzer

import "time"

// Baselines are of local hours: a slot is a weekday and an hour of the site's
// clock, 168 in all. A bin is an hour that begins with such an hour.
const (
	binStep = time.Hour
	slots   = 7 * 24
	// settle is how long before an instant a bin must have ended to be judged: its
	// last reading is on its way until then.
	settle = 5 * time.Minute
)

// clockface says where the bins of a series lie on the clock of a calendar.
type clockface struct {
	from  time.Time
	slot  []int16 // by bin: weekday (Sunday 0) · 24 + hour
	day   []int32 // by bin: its place in days
	open  []bool  // the whole bin lies in opening hours
	shut  []bool  // no part of it does
	learn []bool  // baselines may learn from it: no dated exception
	days  []dayBins
}

// dayBins is a local day: its bins are lo up to hi. It is whole when no bin of it
// lies outside the series.
type dayBins struct {
	date   string
	lo, hi int
	whole  bool
}

// newClockface lays n bins from an instant on a calendar.
func newClockface(c *calendar, from time.Time, n int) *clockface {
	f := &clockface{from: from, slot: make([]int16, n), day: make([]int32, n), open: make([]bool, n), shut: make([]bool, n), learn: make([]bool, n)}
	zone := c.site.Location()
	day := c.day(from)
	exception := c.site.ExceptionOn(day.Date)
	f.days = append(f.days, dayBins{date: day.Date, whole: day.Start.Equal(from)})
	for i := range n {
		start := from.Add(time.Duration(i) * binStep)
		for !start.Before(day.End) {
			f.days[len(f.days)-1].hi = i
			day = c.day(day.End)
			exception = c.site.ExceptionOn(day.Date)
			f.days = append(f.days, dayBins{date: day.Date, lo: i, whole: true})
		}
		local := start.In(zone)
		like := local.Weekday()
		if other, is := exception.Weekday(); is {
			like = other
		}
		f.slot[i], f.day[i] = int16(int(like)*24+local.Hour()), int32(len(f.days)-1)
		f.learn[i] = exception == nil || exception.Learn
		f.shut[i] = true
		for _, o := range day.Open {
			f.shut[i] = f.shut[i] && (!o.From.Before(start.Add(binStep)) || !o.To.After(start))
			f.open[i] = f.open[i] || !start.Before(o.From) && !start.Add(binStep).After(o.To)
		}
	}
	last := &f.days[len(f.days)-1]
	last.hi = n
	last.whole = last.whole && from.Add(time.Duration(n)*binStep).Equal(day.End)
	return f
}

// lastBin returns the end of the last bin that has settled at an instant.
func lastBin(zone *time.Location, at time.Time) time.Time {
	at = at.Add(-settle)
	_, offset := at.In(zone).Zone()
	shift := time.Duration(offset) * time.Second
	return alignDown(at.Add(shift), binStep).Add(-shift)
}
