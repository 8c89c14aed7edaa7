package analyzer

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"belfry/telemetry"
)

// Schedule says at which instants a rule is evaluated: every so often, on a
// grid aligned to 1970 in UTC, or once per local day of each site.
//
// It also says which local day the windows `day` and `open` mean:
//
//   - midnight+X: the local day that ended at that midnight;
//   - close+X: the local day of that closing time, from its midnight to the next
//     midnight or to the instant, whichever is first;
//   - every: the last complete local day, the one that ended at or before the
//     instant.
//
// A site that is closed all day has no closing time, hence no `close` instant.
// One whose hours are unknown closes at midnight: close+60m is 01:00 of the next
// local day, and the day is complete.
type Schedule struct {
	Every  time.Duration `json:"every,omitempty"`
	Anchor string        `json:"at,omitempty"` // "close" or "midnight"
	After  time.Duration `json:"after,omitempty"`
}

// String returns "every 5m", "at close+1h" or "at midnight".
func (s Schedule) String() string {
	switch {
	case s.Anchor == "":
		return "every " + short(s.Every)
	case s.After == 0:
		return "at " + s.Anchor
	}
	return "at " + s.Anchor + "+" + short(s.After)
}

// short writes a duration without the zeros at its end.
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-len("0s")]
		}
	}
	return text
}

// parseAt reads "close+60m" or "midnight".
func parseAt(text string) (Schedule, error) {
	anchor, after, plus := strings.Cut(strings.ReplaceAll(text, " ", ""), "+")
	s := Schedule{Anchor: anchor}
	if anchor != "close" && anchor != "midnight" {
		return s, fmt.Errorf("no instant %q", text)
	}
	if plus {
		d, err := parseDuration(after)
		if err != nil {
			return s, err
		}
		s.After = d
	}
	if s.After > 24*time.Hour {
		return s, fmt.Errorf("%s is more than a day behind", s.After)
	}
	return s, nil
}

// grid returns the instants of the grid in (from, to], or only the last of them.
func (s Schedule) grid(from, to time.Time, each bool) []time.Time {
	last := alignDown(to, s.Every)
	if !last.After(from) {
		return nil
	}
	if !each {
		return []time.Time{last}
	}
	var all []time.Time
	for t := alignDown(from, s.Every).Add(s.Every); !t.After(to); t = t.Add(s.Every) {
		all = append(all, t)
	}
	return all
}

// alignDown returns the last multiple of the step since 1970 at or before t.
func alignDown(t time.Time, step time.Duration) time.Time {
	ms, by := t.UnixMilli(), step.Milliseconds()
	rest := ms % by
	if rest < 0 {
		rest += by
	}
	return time.UnixMilli(ms - rest).UTC()
}

// dayInstant is a site's instant with the local day that it judges.
type dayInstant struct {
	at  time.Time
	day telemetry.Day
}

// daily returns a calendar's instants in (from, to], ascending.
func (s Schedule) daily(c *calendar, from, to time.Time) []dayInstant {
	var all []dayInstant
	for day := c.day(from.Add(-s.After - 25*time.Hour)); !day.Start.After(to); day = c.day(day.End) {
		at, ok := day.End, true
		if s.Anchor == "close" {
			at, ok = day.Close()
		}
		if at = at.Add(s.After).UTC(); ok && at.After(from) && !at.After(to) {
			all = append(all, dayInstant{at, day})
		}
	}
	return all
}

// stretch is (From, To] on a reading's ts.
type stretch struct{ from, to time.Time }

// stretches resolves a window at an instant; day is the local day it judges.
func (s Schedule) stretches(w window, at time.Time, day telemetry.Day) []stretch {
	limit := day.End
	if s.Anchor == "close" && at.Before(limit) {
		limit = at
	}
	switch w.kind {
	case windowTrailing:
		return []stretch{{at.Add(-w.length), at}}
	case windowDay:
		return []stretch{{day.Start.UTC(), limit.UTC()}}
	case windowOpen:
		var all []stretch
		for _, o := range day.Open {
			if to := o.To; o.From.Before(to) {
				all = append(all, stretch{o.From.UTC(), to.UTC()})
			}
		}
		return all
	}
	return []stretch{{}}
}

// calendar gives the local days of all sites that share zone, hours, exceptions
// and holidays. Days are kept, since each is asked for again and again; analyzers
// that share a fleet share them.
type calendar struct {
	site telemetry.Site
	mu   sync.Mutex
	days []telemetry.Day // contiguous, ascending
}

// day returns the local day that holds the instant.
func (c *calendar) day(at time.Time) telemetry.Day {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.days) == 0 {
		c.days = append(c.days, c.site.Day(at))
	}
	if first := c.days[0].Start; at.Before(first.Add(-maxWindow)) || at.After(c.days[len(c.days)-1].End.Add(maxWindow)) {
		c.days = append(c.days[:0], c.site.Day(at)) // a jump: begin anew
	}
	for at.Before(c.days[0].Start) {
		c.days = append([]telemetry.Day{c.site.Day(c.days[0].Start.Add(-time.Hour))}, c.days...)
	}
	for !at.Before(c.days[len(c.days)-1].End) {
		c.days = append(c.days, c.site.Day(c.days[len(c.days)-1].End))
	}
	i := sort.Search(len(c.days), func(i int) bool { return at.Before(c.days[i].End) })
	return c.days[i]
}

// complete returns the last local day that ended at or before the instant.
func (c *calendar) complete(at time.Time) telemetry.Day {
	return c.day(c.day(at).Start.Add(-time.Nanosecond))
}

// daysBefore returns the beginning of the local day that lies so many before the one that
// holds the instant, which is not counted.
func (c *calendar) daysBefore(at time.Time, days int) time.Time {
	day := c.day(at)
	for range days {
		day = c.day(day.Start.Add(-time.Nanosecond))
	}
	return day.Start.UTC()
}
