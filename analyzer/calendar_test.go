package analyzer

import (
	"testing"
	"time"

	"belfry/telemetry"
)

// TestTheThreeEffectsOfACalendarStandByThemselves: a date may be without alarms, be
// learned from or not, and be like another weekday, each without the others.
func TestTheThreeEffectsOfACalendarStandByThemselves(t *testing.T) {
	hours := telemetry.Hours{}
	for key, text := range map[string]string{"mon-fri": "08:00-20:00", "sun": "10:00-14:00"} {
		if err := hours.Add(key, text); err != nil {
			t.Fatal(err)
		}
	}
	site := telemetry.Site{ID: "s", Zone: "Europe/Paris", Hours: hours, Exceptions: []telemetry.Exception{
		{Date: "05-01", As: "sun", Note: "holiday, each year"},
		{Date: "2026-05-04", NoAlarms: true},
		{Date: "2026-05-05", Learn: true, Hours: "09:00-12:00"},
		{Date: "2026-05-06", Closed: true},
	}}
	for i := range site.Exceptions {
		if err := site.Exceptions[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	c := &calendar{site: site}
	from := time.Date(2026, 4, 30, 22, 0, 0, 0, time.UTC) // midnight of Friday the 1st
	f := newClockface(c, from, 7*24)
	for _, day := range []struct {
		date    string
		weekday time.Weekday
		open    int
		learn   bool
	}{
		{"2026-05-01", time.Sunday, 4, false}, {"2026-05-02", time.Saturday, 0, true}, {"2026-05-03", time.Sunday, 4, true},
		{"2026-05-04", time.Monday, 12, false}, {"2026-05-05", time.Tuesday, 3, true}, {"2026-05-06", time.Wednesday, 0, false}, {"2026-05-07", time.Thursday, 12, true},
	} {
		for _, d := range f.days {
			if d.date != day.date {
				continue
			}
			open := 0
			for i := d.lo; i < d.hi; i++ {
				if f.open[i] {
					open++
				}
				if got := time.Weekday(f.slot[i] / 24); got != day.weekday || f.learn[i] != day.learn {
					t.Fatalf("%s: hour %d is like %s and learned: %t; want %s, %t", day.date, i-d.lo, got, f.learn[i], day.weekday, day.learn)
				}
			}
			if open != day.open {
				t.Errorf("%s: open for %d hours; want %d", day.date, open, day.open)
			}
		}
	}
}

// TestPublicHolidaysAreDaysOfTheCalendar: what is learned, and what it is compared with.
func TestPublicHolidaysAreDaysOfTheCalendar(t *testing.T) {
	sites := []telemetry.Site{
		{ID: "a", Zone: "America/New_York", Holidays: telemetry.Holidays{Of: "US"}},
		{ID: "b", Zone: "America/New_York"},
		{ID: "c", Zone: "America/New_York", Holidays: telemetry.Holidays{Of: "us"}},
	}
	for i := range sites {
		if err := sites[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	fleet := mustFleet(t, sites, nil)
	if got := fleet.calendarOf; got[0] != got[2] || got[0] == got[1] {
		t.Errorf("calendars by site: got %v; want that of a for c and another one for b", got)
	}
	from := time.Date(2026, 11, 25, 5, 0, 0, 0, time.UTC) // midnight before the Wednesday
	for site, thursday := range []time.Weekday{time.Sunday, time.Thursday} {
		f := newClockface(fleet.calendars[fleet.calendarOf[site]], from, 3*24)
		for i, slot := range f.slot {
			day := []time.Weekday{time.Wednesday, thursday, time.Friday}[i/24]
			if want := day == time.Sunday; time.Weekday(slot/24) != day || f.learn[i] == want {
				t.Fatalf("site %d, hour %d: like %s and learned: %t; want %s and %t", site, i, time.Weekday(slot/24), f.learn[i], day, !want)
			}
		}
	}
}

func TestADayWithoutAlarmsOpensAndClearsNothing(t *testing.T) {
	start := time.Date(2026, 5, 3, 12, 0, 0, 0, time.UTC)
	site := telemetry.Site{ID: "s", Zone: "UTC", Exceptions: []telemetry.Exception{{Date: "2026-05-04", NoAlarms: true}}}
	w := newWorld(t, `
rules:
  - { name: silent, scope: device, when: silence() > 1h, every: 1h, category: x }
`, []telemetry.Site{site}, []telemetry.Device{{Name: "a", Site: "s", InServiceSince: start}, {Name: "b", Site: "s", InServiceSince: start}, {Name: "c", Site: "other", InServiceSince: start}})
	for h := range 14 {
		addCount(w.batch, "b", start.Add(time.Duration(h)*time.Hour), start.Add(time.Duration(h)*time.Hour), 1, 1)
		addCount(w.batch, "c", start.Add(time.Duration(h)*time.Hour), start.Add(time.Duration(h)*time.Hour), 1, 1)
	}
	w.expect(start.Add(2*time.Hour), "firing a")
	w.expect(start.Add(13*time.Hour), "unknown a (no alarms on 2026-05-04, by the site's calendar)")
	addCount(w.batch, "a", start.Add(15*time.Hour), start.Add(15*time.Hour), 1, 1)
	w.expect(start.Add(16*time.Hour), "firing c") // b is as silent as c
	w.expect(start.Add(37*time.Hour), "firing a (known again)", "firing b")
}

func TestExceptionsThatCantBe(t *testing.T) {
	for _, e := range []telemetry.Exception{{Date: "13-01"}, {Date: "2026-02-30"}, {Date: "tomorrow"}, {Date: "05-01", As: "someday"}, {Date: "05-01", Hours: "9-17"}} {
		if e.Check() == nil {
			t.Errorf("%+v was taken", e)
		}
	}
}
