package recording

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseZone returns the zone of an IANA name or of a fixed offset such as
// +10:00, -0330 or +5; "" is UTC.
func ParseZone(text string) (*time.Location, error) {
	if text == "" || text == "Z" {
		return time.UTC, nil
	}
	if text[0] == '+' || text[0] == '-' {
		for _, layout := range []string{"-07:00", "-0700", "-07"} {
			if t, err := time.Parse(layout, text); err == nil {
				_, offset := t.Zone()
				return time.FixedZone(text, offset), nil
			}
		}
		if hours, err := strconv.Atoi(text); err == nil && hours > -15 && hours < 15 {
			return time.FixedZone(text, hours*3600), nil
		}
		return nil, fmt.Errorf("zone %q; want a form like +10:00", text)
	}
	loc, err := time.LoadLocation(text)
	if err != nil || text == "Local" {
		return nil, fmt.Errorf("no time zone %q; want an IANA name such as Europe/Paris, or an offset such as +10:00", text)
	}
	return loc, nil
}

// errGap says that a local time does not exist: the zone skipped it.
var errGap = errors.New("no such local time: the zone skipped it")

// moment is what a time in a file may mean: one instant, or two when the zone
// repeated that local hour.
type moment struct{ first, second time.Time }

// clock reads the times of a file. Files often hold the same time many times in
// a row, once for each device, so the last one is remembered.
type clock struct {
	format string
	zone   *time.Location
	seen   map[localStamp]bool // repeated local times, by who showed them

	text string
	was  moment
	err  error
}

type localStamp struct {
	device string
	at     int64
}

func newClock(format string, zone *time.Location) *clock {
	return &clock{format: format, zone: zone, seen: map[localStamp]bool{}, err: errors.New("none")}
}

// at returns the instant of a device's time. Where the zone repeated the hour
// it is the first of the two, and the second when the device shows the same
// local time again.
func (c *clock) at(device, text string) (time.Time, error) {
	m, err := c.parse(text)
	if err != nil || m.second.IsZero() {
		return m.first, err
	}
	key := localStamp{device, m.first.UnixNano()}
	if c.seen[key] {
		return m.second, nil
	}
	c.seen[key] = true
	return m.first, nil
}

func (c *clock) parse(text string) (moment, error) {
	if text != c.text || text == "" {
		c.was, c.err = parseMoment(text, c.format, c.zone)
		c.text = text
	}
	return c.was, c.err
}

func parseMoment(text, format string, zone *time.Location) (moment, error) {
	switch format {
	case "":
		return anyMoment(text, zone)
	case "rfc3339":
		t, err := time.Parse(time.RFC3339, text)
		return moment{first: t}, err
	case "unix":
		return epoch(text, 1000)
	case "unixms":
		return epoch(text, 1)
	}
	if hasOffset(format) {
		t, err := time.Parse(format, text)
		return moment{first: t}, err
	}
	wall, err := time.Parse(format, text)
	if err != nil {
		return moment{}, err
	}
	return local(wall, zone)
}

// hasOffset reports whether a layout holds the offset from UTC.
func hasOffset(layout string) bool {
	return strings.Contains(layout, "Z07") || strings.Contains(layout, "-07")
}

// anyMoment reads a time in the forms of the telemetry message, or local.
func anyMoment(text string, zone *time.Location) (moment, error) {
	if m, err := epoch(text, 1); err == nil {
		return m, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err == nil {
		return moment{first: t}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return local(wall, zone)
		}
	}
	return moment{}, err
}

// epoch reads a number of units of so many milliseconds since 1970.
func epoch(text string, unit int64) (moment, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n < 1e15 && n > -1e15 {
		return moment{first: time.UnixMilli(n * unit)}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != f || f > 1e15 || f < -1e15 {
		return moment{}, fmt.Errorf("%q is no number", text)
	}
	return moment{first: time.UnixMilli(int64(f * float64(unit)))}, nil
}

// local returns the instants at which the zone's clocks showed a wall time
// (given as if it were UTC). Only the offsets in force a day before and a day
// after can be meant.
func local(wall time.Time, zone *time.Location) (moment, error) {
	_, before := wall.Add(-26 * time.Hour).In(zone).Zone()
	_, after := wall.Add(26 * time.Hour).In(zone).Zone()
	first, okFirst := under(wall, before, zone)
	if before == after {
		return moment{first: first}, nil
	}
	second, okSecond := under(wall, after, zone)
	switch {
	case okFirst && okSecond:
		return moment{first, second}, nil
	case okFirst:
		return moment{first: first}, nil
	case okSecond:
		return moment{first: second}, nil
	}
	return moment{}, errGap
}

// under returns the instant of a wall time under an offset, and whether that
// offset was in force then.
func under(wall time.Time, offset int, zone *time.Location) (time.Time, bool) {
	at := wall.Add(-time.Duration(offset) * time.Second)
	_, in := at.In(zone).Zone()
	return at, in == offset
}
