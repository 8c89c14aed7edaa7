package incidents

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belfry/telemetry"
)

func calendar(t testing.TB, c Calendar) *Calendar {
	t.Helper()
	c.ID = "c"
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return &c
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCalendars(t *testing.T) {
	paris := Calendar{Zone: "Europe/Paris", Hours: map[string]string{"mon-fri": "09:00-12:00,13:00-18:00"}}
	night := Calendar{Zone: "Europe/Paris", Hours: map[string]string{"mon-sun": "00:00-24:00"}}
	gap := Calendar{Zone: "Europe/Paris", Hours: map[string]string{"sun": "02:00-03:00"}}
	odd := Calendar{Zone: "Europe/Paris", Hours: paris.Hours, Holidays: []string{"03-27", "2026-03-30"},
		Exceptions: []telemetry.Exception{{Date: "2026-03-28", Hours: "10:00-11:00"}, {Date: "2026-03-31", Closed: true}}}
	// Melbourne Cup Day is on 2026-11-03; on Boxing Day, a Saturday that is observed on Monday, it is open for an hour.
	cup := Calendar{Zone: "Australia/Melbourne", Hours: paris.Hours, Holidays: []string{"12-24", "au-vic"}}
	christmas := Calendar{Zone: "Australia/Melbourne", Hours: map[string]string{"mon-sun": "09:00-14:00"}, Holidays: []string{"AU-VIC", "GR"},
		Exceptions: []telemetry.Exception{{Date: "2026-12-26", Hours: "10:00-11:00"}}}
	tests := map[string]struct {
		c        Calendar
		from, to string
		want     time.Duration
	}{
		"lunch does not count": {paris, "2026-03-27T11:00:00+01:00", "2026-03-27T14:00:00+01:00", 2 * time.Hour},
		"nor does a weekend, with the clocks going forward in it": {paris, "2026-03-27T17:00:00+01:00", "2026-03-30T10:00:00+02:00", 2 * time.Hour},
		"the day on which the clocks go forward has 23 hours":     {night, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23 * time.Hour},
		"the day on which they go back has 25":                    {night, "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25 * time.Hour},
		"an hour that is skipped does not count":                  {gap, "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 0},
		"holidays have no hours and exceptions have their own":    {odd, "2026-03-27T00:00:00+01:00", "2026-04-01T00:00:00+02:00", time.Hour},
		"the holidays of a place have none, but for an exception": {cup, "2026-11-02T00:00:00+11:00", "2026-11-05T00:00:00+11:00", 16 * time.Hour},
		"and each other place has its own":                        {christmas, "2026-12-24T00:00:00+11:00", "2026-12-29T00:00:00+11:00", 11 * time.Hour},
		"around the clock is every hour":                          {Calendar{Always: true}, "2026-03-27T00:00:00Z", "2026-04-01T00:00:00Z", 120 * time.Hour},
		"nothing lies between an instant and itself":              {paris, "2026-03-27T11:00:00+01:00", "2026-03-27T11:00:00+01:00", 0},
		"nor between an instant and one before it":                {paris, "2026-03-27T11:00:00+01:00", "2026-03-26T11:00:00+01:00", 0},
		"a clock that was set across a year is nothing to fear":   {paris, "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00", 261 * 8 * time.Hour},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := calendar(t, tt.c).Between(at(t, tt.from), at(t, tt.to)); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// TestAddIsTheInverseOfBetween also holds that time is additive.
func TestAddIsTheInverseOfBetween(t *testing.T) {
	calendars := []*Calendar{
		calendar(t, Calendar{Always: true}),
		calendar(t, Calendar{Zone: "Europe/Bucharest", Hours: map[string]string{"mon-sat": "08:30-17:15"}, Holidays: []string{"12-01"}}),
		calendar(t, Calendar{Zone: "America/Sao_Paulo", Hours: map[string]string{"fri-mon": "00:00-03:00,22:00-24:00"}}),
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(calendars).Draw(t, "calendar")
		draw := func(what string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, what)) * time.Second
		}
		from := noon.Add(draw("from", 400*86400))
		d := draw("worked", 30*86400)
		due := c.Add(from, d)
		if got := c.Between(from, due); got != d {
			t.Fatalf("from %v, %v ends at %v, which is %v later", from, d, due, got)
		}
		middle := from.Add(draw("middle", 40*86400))
		to := middle.Add(draw("to", 40*86400))
		if a, b, all := c.Between(from, middle), c.Between(middle, to), c.Between(from, to); a+b != all {
			t.Fatalf("%v + %v is not %v", a, b, all)
		}
	})
}

func TestCalendarsThatCannotBe(t *testing.T) {
	tests := map[string]struct {
		c    Calendar
		want string
	}{
		"a zone that does not exist":       {Calendar{ID: "c", Zone: "Mars/Olympus", Always: true}, `no time zone "Mars/Olympus"`},
		"no open hour":                     {Calendar{ID: "c"}, "no open hour"},
		"hours that end before they begin": {Calendar{ID: "c", Hours: map[string]string{"mon": "18:00-09:00"}}, "18:00-09:00"},
		"a day that is none":               {Calendar{ID: "c", Hours: map[string]string{"noday": "09:00-18:00"}}, "noday"},
		"a date that is none":              {Calendar{ID: "c", Always: true, Exceptions: []telemetry.Exception{{Date: "31.3.", Closed: true}}}, "YYYY-MM-DD"},
		"a holiday that is none":           {Calendar{ID: "c", Always: true, Holidays: []string{"Easter"}}, "Easter"},
		"holidays of a place that is none": {Calendar{ID: "c", Always: true, Holidays: []string{"AU-VIV"}}, "want AU-ACT"},
		"always, and hours":                {Calendar{ID: "c", Always: true, Hours: map[string]string{"mon": "09:00-18:00"}}, "always open"},
	}
	for name, tt := range tests {
		if err := tt.c.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
