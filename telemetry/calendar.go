package telemetry

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Span is a stretch of a local day, from minute From up to but without To,
// counted from midnight on the wall clock; To is at most 1440.
type Span struct{ From, To int }

// String returns "09:00-18:30".
func (s Span) String() string {
	return fmt.Sprintf("%02d:%02d-%02d:%02d", s.From/60, s.From%60, s.To/60, s.To%60)
}

// ParseSpan reads "09:00-18:30"; the end may be "24:00".
func ParseSpan(text string) (Span, error) {
	from, to, ok := strings.Cut(text, "-")
	f, errF := parseClock(from)
	t, errT := parseClock(to)
	if !ok || errF != nil || errT != nil || f >= t {
		return Span{}, fmt.Errorf("opening hours %q; want a form like 09:00-18:30, within one day", text)
	}
	return Span{f, t}, nil
}

func parseClock(s string) (minutes int, err error) {
	s = strings.TrimSpace(s)
	if s == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", s)
	return t.Hour()*60 + t.Minute(), err
}

// Hours are the opening hours of a week, by weekday from Sunday (0). The zero
// Hours mean that nothing is known, and count as open around the clock.
type Hours [7][]Span

// Known reports whether any opening hour is given.
func (h Hours) Known() bool {
	for _, day := range h {
		if len(day) > 0 {
			return true
		}
	}
	return false
}

var weekdays = [7]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// MarshalJSON writes {"mon":"09:00-12:00,13:00-18:30", ...}; closed days are left out.
func (h Hours) MarshalJSON() ([]byte, error) { return json.Marshal(h.byDay()) }

// MarshalYAML writes the same form as MarshalJSON.
func (h Hours) MarshalYAML() (any, error) { return h.byDay(), nil }

func (h Hours) byDay() map[string]string {
	out := map[string]string{}
	for day, spans := range h {
		var parts []string
		for _, s := range spans {
			parts = append(parts, s.String())
		}
		if len(parts) > 0 {
			out[weekdays[day]] = strings.Join(parts, ",")
		}
	}
	return out
}

// UnmarshalJSON reads what MarshalJSON writes; a key may also be a range of
// days such as "mon-fri".
func (h *Hours) UnmarshalJSON(b []byte) error {
	var days map[string]string
	if err := json.Unmarshal(b, &days); err != nil {
		return err
	}
	return h.set(days)
}

// UnmarshalYAML reads the same form as UnmarshalJSON.
func (h *Hours) UnmarshalYAML(unmarshal func(any) error) error {
	var days map[string]string
	if err := unmarshal(&days); err != nil {
		return err
	}
	return h.set(days)
}

func (h *Hours) set(days map[string]string) error {
	*h = Hours{}
	for key, text := range days {
		if err := h.Add(key, text); err != nil {
			return err
		}
	}
	return nil
}

// Add adds the spans in text ("09:00-12:00,13:00-18:30") to the days in key
// ("mon", or "mon-fri").
func (h *Hours) Add(key, text string) error {
	first, last, ranged := strings.Cut(strings.ToLower(strings.TrimSpace(key)), "-")
	if !ranged {
		last = first
	}
	from, to := weekday(first), weekday(last)
	if from < 0 || to < 0 {
		return fmt.Errorf("no weekday %q; want mon, tue, ... or a range such as mon-fri", key)
	}
	for day := from; ; day = (day + 1) % 7 {
		for part := range strings.SplitSeq(text, ",") {
			span, err := ParseSpan(part)
			if err != nil {
				return err
			}
			h[day] = append(h[day], span)
		}
		if day == to {
			return nil
		}
	}
}

func weekday(name string) int {
	for i, w := range weekdays {
		if strings.HasPrefix(name, w) {
			return i
		}
	}
	return -1
}

// Exception is a local date on which a site is not as usual: a holiday, an event, a
// works outing. Each of its effects stands by itself: other hours or none, the hours and
// the usual figures of another weekday, no alarms, and whether baselines learn from it.
type Exception struct {
	// Date is YYYY-MM-DD, or MM-DD for that date of every year. One with a year counts
	// before one without.
	Date   string `json:"date" yaml:"date"`
	Closed bool   `json:"closed,omitempty" yaml:"closed,omitempty"` // shut all day
	Hours  string `json:"hours,omitempty" yaml:"hours,omitempty"`   // "10:00-16:00", when not closed
	// As is the weekday (mon, tue, ...) that the date is like: its hours, where the
	// exception gives none, and its baselines.
	As string `json:"as,omitempty" yaml:"as,omitempty"`
	// NoAlarms holds back what rules would find of the site and its devices: their
	// conditions are unknown for the day, so that nothing opens and nothing clears.
	NoAlarms bool `json:"no_alarms,omitempty" yaml:"no_alarms,omitempty"`
	// Learn lets baselines learn from the date; other exceptions are left out.
	Learn bool   `json:"learn,omitempty" yaml:"learn,omitempty"`
	Note  string `json:"note,omitempty" yaml:"note,omitempty"`
}

// Check returns what is wrong with the exception, or nil.
func (e *Exception) Check() error {
	_, err := time.Parse(time.DateOnly, e.Date)
	if _, yearly := time.Parse("2006-01-02", "2024-"+e.Date); err != nil && yearly != nil {
		return fmt.Errorf("exception date %q; want YYYY-MM-DD, or MM-DD for every year", e.Date)
	}
	if err := e.checkEffects(); err != nil {
		return fmt.Errorf("exception %s: %w", e.Date, err)
	}
	return nil
}

func (e *Exception) checkEffects() error {
	if e.Hours != "" {
		if _, err := ParseSpan(e.Hours); err != nil {
			return err
		}
	}
	if e.As != "" && weekday(e.As) < 0 {
		return fmt.Errorf("no weekday %q to be like; want mon, tue, wed, thu, fri, sat or sun", e.As)
	}
	return nil
}

// ParseException reads the effects of a date from words as they stand in a cell of a
// table: closed, 09:00-14:00, as sun, no alarms, learn, with commas between them.
func ParseException(date, text string) (Exception, error) {
	e, err := parseEffects(text)
	if e.Date = date; err != nil {
		return e, fmt.Errorf("exception %s: %w", date, err)
	}
	return e, e.Check()
}

func parseEffects(text string) (e Exception, err error) {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.Join(strings.Fields(word), " ")
		like, isLike := strings.CutPrefix(word, "as ")
		switch {
		case word == "closed":
			e.Closed = true
		case word == "no alarms":
			e.NoAlarms = true
		case word == "learn":
			e.Learn = true
		case isLike:
			e.As = like
		case strings.Contains(word, ":") && e.Hours == "":
			e.Hours = word
		default:
			return e, fmt.Errorf("%q; want closed, hours such as 09:00-14:00, as sun, no alarms, learn, with commas between them", word)
		}
	}
	return e, nil
}

// Usual reports whether the opening hours are those of a weekday: of the date's own, or of
// the one that it is like.
func (e *Exception) Usual() bool {
	return !e.Closed && e.Hours == "" && (e.As != "" || e.NoAlarms || e.Learn)
}

// Weekday returns the weekday that the date is like; false when it is its own.
func (e *Exception) Weekday() (time.Weekday, bool) {
	if e == nil || e.As == "" {
		return 0, false
	}
	w := weekday(e.As)
	return time.Weekday(w), w >= 0
}

// ExceptionOn returns the exception of a local date (YYYY-MM-DD), or nil: that of the date
// itself, or else of the date of every year, or else of the public holiday that it is.
func (s *Site) ExceptionOn(date string) *Exception {
	var yearly *Exception
	for i := range s.Exceptions {
		switch e := &s.Exceptions[i]; {
		case e.Date == date:
			return e
		case len(e.Date) == len("01-02") && strings.HasSuffix(date, "-"+e.Date):
			yearly = e
		}
	}
	if yearly == nil {
		return s.Holidays.On(date)
	}
	return yearly
}

// Day is one local day of a site.
type Day struct {
	Date       string     // YYYY-MM-DD, in the site's zone
	Start, End time.Time  // from midnight to the next: 23, 24 or 25 hours
	Open       []OpenSpan // opening hours, in order; empty when closed
}

// OpenSpan is a stretch of opening hours as instants.
type OpenSpan struct{ From, To time.Time }

// Close returns the end of the day's last opening hour; false when it is closed.
func (d Day) Close() (time.Time, bool) {
	if len(d.Open) == 0 {
		return time.Time{}, false
	}
	return d.Open[len(d.Open)-1].To, true
}

// Day returns the local day of the site that holds the instant. A site whose
// opening hours are not known is open for the whole day. The zone must be
// valid (see Check); one that is not counts as UTC.
func (s *Site) Day(at time.Time) Day {
	loc := s.Location()
	y, m, d := at.In(loc).Date()
	return s.dayOf(y, m, d, loc)
}

// Location returns the site's time zone.
func (s *Site) Location() *time.Location {
	if loc, ok := zones.Load(s.Zone); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(s.Zone)
	if err != nil {
		return time.UTC
	}
	zones.Store(s.Zone, loc)
	return loc
}

// zones caches *time.Location by name: LoadLocation reads a file each time, and
// a fleet asks for the same few dozen zones at each evaluation.
var zones sync.Map

func (s *Site) dayOf(y int, m time.Month, d int, loc *time.Location) Day {
	day := Day{Start: midnight(y, m, d, loc), End: midnight(y, m, d+1, loc)}
	noon := time.Date(y, m, d, 12, 0, 0, 0, loc)
	day.Date = noon.Format(time.DateOnly)
	for _, span := range s.HoursOn(s.ExceptionOn(day.Date), noon.Weekday()) {
		day.Open = append(day.Open, day.instants(span, y, m, d, loc))
	}
	return day
}

// HoursOn returns the opening hours of a date of that weekday and exception, which may be
// nil; none when the site is closed, and the whole day when its hours are not known.
func (s *Site) HoursOn(e *Exception, weekday time.Weekday) []Span {
	if e != nil && !e.Usual() {
		if span, err := ParseSpan(e.Hours); err == nil && !e.Closed {
			return []Span{span}
		}
		return nil
	}
	if !s.Hours.Known() {
		return []Span{{0, 24 * 60}}
	}
	if other, is := e.Weekday(); is {
		weekday = other
	}
	return s.Hours[weekday]
}

func (d Day) instants(s Span, year int, month time.Month, day int, loc *time.Location) OpenSpan {
	at := func(minutes int) time.Time {
		switch minutes {
		case 0:
			return d.Start
		case 24 * 60:
			return d.End
		}
		return time.Date(year, month, day, minutes/60, minutes%60, 0, 0, loc)
	}
	return OpenSpan{at(s.From), at(s.To)}
}

// midnight returns the first instant of a local date, or of the next one that
// there is where a zone skipped the date. Most often that is 00:00; where it is
// skipped or comes twice, the transition is looked for.
func midnight(y int, m time.Month, d int, loc *time.Location) time.Time {
	t := time.Date(y, m, d, 0, 0, 0, 0, loc)
	want := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	reached := func(at time.Time) bool {
		y, m, d := at.Date()
		return !time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(want)
	}
	if reached(t) && !reached(t.Add(-time.Nanosecond)) {
		return t
	}
	probe := t.Add(-36 * time.Hour)
	for !reached(probe) {
		probe = probe.Add(15 * time.Minute) // every transition is at a multiple of it
	}
	return probe
}
