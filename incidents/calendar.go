package incidents

import (
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"belfry/telemetry"
)

// Calendar says which time counts. It is written by managers, and never changed
// once it is used: a change makes another version.
type Calendar struct {
	ID         string                `json:"id,omitempty" maxLength:"128" doc:"What agreements refer to it by"`
	Name       string                `json:"name,omitempty" maxLength:"300"`
	Zone       string                `json:"zone,omitempty" maxLength:"64" doc:"IANA time zone, such as Europe/Paris; UTC when left out"`
	Always     bool                  `json:"always,omitempty" doc:"Around the clock; then there are no hours"`
	Hours      map[string]string     `json:"hours,omitempty" doc:"Hours by day or range of days: {\"mon-fri\": \"09:00-12:00,13:00-18:00\"}"`
	Exceptions []telemetry.Exception `json:"exceptions,omitempty" maxItems:"1000" doc:"Dates with other hours, or none"`
	Holidays   []string              `json:"holidays,omitempty" maxItems:"400" doc:"Days without hours: YYYY-MM-DD, MM-DD for every year, or the public holidays of a place by ISO 3166, such as AU-VIC; an exception of the same date counts before those of a place"`

	site   telemetry.Site           // zone and hours, in the form that knows local days
	places []telemetry.Holidays     // those of Holidays that are of a place
	last   *atomic.Pointer[openDay] // asked for last; in a storm all ask for the same
}

// openDay is a local day with the spans of it that count, in order and without overlap.
type openDay struct {
	start, end time.Time
	spans      []telemetry.OpenSpan
}

// horizon is how far ahead an instant is looked for.
const horizon = 3 * 366

// Check fills in the defaults and returns what is wrong with the calendar.
func (c *Calendar) Check() error {
	var f faults
	f.name("id", c.ID)
	if c.Zone == "" {
		c.Zone = "UTC"
	}
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "Local" {
		f.add("zone", "no time zone %q; want an IANA name such as Europe/Paris", c.Zone)
	}
	c.last = new(atomic.Pointer[openDay])
	c.site = telemetry.Site{ID: c.ID, Zone: c.Zone, Exceptions: c.Exceptions}
	for _, days := range slices.Sorted(maps.Keys(c.Hours)) {
		if err := c.site.Hours.Add(days, c.Hours[days]); err != nil {
			f.add("hours", "%v", err)
		}
	}
	f.dates(c)
	switch {
	case c.Always && c.site.Hours.Known():
		f.add("hours", "are given although the calendar is always open")
	case !c.Always && !c.site.Hours.Known():
		f.add("hours", "are missing; a calendar with no open hour never gets anywhere")
	}
	return f.err()
}

func (f *faults) dates(c *Calendar) {
	for _, e := range c.Exceptions {
		if _, err := time.Parse(time.DateOnly, e.Date); err != nil {
			f.add("exceptions", "date %q; want YYYY-MM-DD", e.Date)
		}
		if _, err := telemetry.ParseSpan(e.Hours); err != nil && !e.Closed {
			f.add("exceptions", "%s: %v", e.Date, err)
		}
	}
	c.places = nil
	for _, d := range c.Holidays {
		_, full := time.Parse(time.DateOnly, d)
		if _, yearly := time.Parse("01-02", d); full == nil || yearly == nil {
			continue
		}
		place := telemetry.Holidays{Of: d, Closed: true}
		if err := place.Check(); err != nil {
			f.add("holidays", "%v, or a date as YYYY-MM-DD or MM-DD", err)
		}
		c.places = append(c.places, place)
	}
}

// in returns the calendar by the clocks of another zone; "" leaves it.
func (c *Calendar) in(zone string) *Calendar {
	if zone == "" {
		return c
	}
	other := *c
	other.Zone, other.site.Zone, other.last = zone, zone, nil
	return &other
}

// open returns the spans that count of the local day that holds the instant, in
// order and without overlap, and the end of the day.
func (c *Calendar) open(at time.Time) (spans []telemetry.OpenSpan, end time.Time) {
	if c.last == nil { // it was never checked, or is a copy: those of contacts
		d := c.dayOf(at)
		return d.spans, d.end
	}
	d := c.last.Load()
	if d == nil || at.Before(d.start) || !at.Before(d.end) {
		d = c.dayOf(at)
		c.last.Store(d)
	}
	return d.spans, d.end
}

func (c *Calendar) dayOf(at time.Time) *openDay {
	day := c.site.Day(at)
	d := &openDay{start: day.Start, end: day.End}
	if slices.Contains(c.Holidays, day.Date) || slices.Contains(c.Holidays, day.Date[5:]) || c.publicHoliday(day.Date) {
		return d
	}
	slices.SortFunc(day.Open, func(a, b telemetry.OpenSpan) int { return a.From.Compare(b.From) })
	last := day.Start
	for _, s := range day.Open { // where the clocks go forward a span may end before it begins
		if s.From = later(s.From, last); s.To.After(s.From) {
			d.spans, last = append(d.spans, s), s.To
		}
	}
	return d
}

// publicHoliday reports whether a place has a holiday on a date for which nothing else is
// said.
func (c *Calendar) publicHoliday(date string) bool {
	return c.site.ExceptionOn(date) == nil &&
		slices.ContainsFunc(c.places, func(place telemetry.Holidays) bool { return place.On(date) != nil })
}

// Between returns how much time that counts lies in (from, to].
func (c *Calendar) Between(from, to time.Time) (sum time.Duration) {
	if c.Always || !to.After(from) {
		return max(0, to.Sub(from))
	}
	for at := from; at.Before(to); {
		spans, end := c.open(at)
		for _, s := range spans {
			sum += max(0, earlier(s.To, to).Sub(later(s.From, from)))
		}
		at = end
	}
	return sum
}

// Add returns the instant at which so much time that counts has passed since
// from, or the zero time when that is more than three years ahead.
func (c *Calendar) Add(from time.Time, d time.Duration) time.Time {
	if c.Always || d <= 0 {
		return from.Add(max(0, d))
	}
	at := from
	for range horizon {
		spans, end := c.open(at)
		for _, s := range spans {
			begin := later(s.From, from)
			if have := s.To.Sub(begin); have >= d {
				return begin.Add(d).UTC()
			} else if have > 0 {
				d -= have
			}
		}
		at = end
	}
	return time.Time{}
}

// AddDays returns the end of the n-th day after from's on which the calendar is
// open, or the zero time when that is more than three years ahead.
func (c *Calendar) AddDays(from time.Time, n int) time.Time {
	_, at := c.open(from)
	for range horizon {
		spans, end := c.open(at)
		if c.Always || len(spans) > 0 {
			n--
		}
		if n <= 0 {
			return end.UTC()
		}
		at = end
	}
	return time.Time{}
}

// Opening returns the first instant from at on that counts, or the zero time when
// that is more than three years ahead.
func (c *Calendar) Opening(at time.Time) time.Time {
	if at.IsZero() {
		return at
	}
	const moment = time.Millisecond
	open := c.Add(at, moment)
	if open.IsZero() {
		return open
	}
	return open.Add(-moment)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// versioned is how a version of a document is referred to.
func versioned(id string, version int64) string { return fmt.Sprintf("%s@%d", id, version) }
