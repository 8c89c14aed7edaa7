package analyzer

import (
	"testing"
	"time"

	"belfry/telemetry"
)

func newCalendar(t *testing.T, zone, hours string) *calendar {
	t.Helper()
	s := telemetry.Site{ID: "s", Zone: zone}
	if hours != "" {
		if err := s.Hours.Add("mon-sun", hours); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return &calendar{site: s}
}

func utc(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestOneInstantForEachLocalDay(t *testing.T) {
	for _, c := range []struct {
		name, zone, hours, at string
		from, to              string
		instants, days        []string
		lengths               []time.Duration // of the window `day`
	}{
		{"the short day in spring has 23 hours", "Europe/Paris", "", "midnight+30m", "2026-03-28 12:00", "2026-03-30 12:00",
			[]string{"2026-03-28 23:30", "2026-03-29 22:30"}, []string{"2026-03-28", "2026-03-29"}, []time.Duration{24 * time.Hour, 23 * time.Hour}},
		{"the long day in autumn has 25 hours", "Europe/Paris", "", "midnight", "2026-10-24 12:00", "2026-10-26 12:00",
			[]string{"2026-10-24 22:00", "2026-10-25 23:00"}, []string{"2026-10-24", "2026-10-25"}, []time.Duration{24 * time.Hour, 25 * time.Hour}},
		{"a shop is judged after it closes, up to then", "Europe/Paris", "09:00-18:00", "close+60m", "2026-03-28 00:00", "2026-03-30 00:00",
			[]string{"2026-03-28 18:00", "2026-03-29 17:00"}, []string{"2026-03-28", "2026-03-29"}, []time.Duration{19 * time.Hour, 18 * time.Hour}},
		{"without known hours a day closes at midnight", "America/Los_Angeles", "", "close+60m", "2026-06-01 00:00", "2026-06-02 09:00",
			[]string{"2026-06-01 08:00", "2026-06-02 08:00"}, []string{"2026-05-31", "2026-06-01"}, []time.Duration{24 * time.Hour, 24 * time.Hour}},
		{"the bounds are left-open and right-closed", "UTC", "", "midnight", "2026-06-01 00:00", "2026-06-02 00:00",
			[]string{"2026-06-02 00:00"}, []string{"2026-06-01"}, []time.Duration{24 * time.Hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseAt(c.at)
			if err != nil {
				t.Fatal(err)
			}
			got := s.daily(newCalendar(t, c.zone, c.hours), utc(t, c.from), utc(t, c.to))
			if len(got) != len(c.instants) {
				t.Fatalf("got %d instants (%v); want %d", len(got), got, len(c.instants))
			}
			for i, d := range got {
				day := s.stretches(window{kind: windowDay}, d.at, d.day)[0]
				if !d.at.Equal(utc(t, c.instants[i])) || d.day.Date != c.days[i] || day.to.Sub(day.from) != c.lengths[i] {
					t.Errorf("got %s judging %s over %s; want %s judging %s over %s", d.at, d.day.Date, day.to.Sub(day.from), c.instants[i], c.days[i], c.lengths[i])
				}
			}
		})
	}
}

func TestAClosedDayHasNoClosingTime(t *testing.T) {
	c := newCalendar(t, "UTC", "09:00-12:00,13:00-18:00")
	c.site.Exceptions = []telemetry.Exception{{Date: "2026-06-02", Closed: true}}
	close, err := parseAt("close")
	if err != nil {
		t.Fatal(err)
	}
	got := close.daily(c, utc(t, "2026-06-01 00:00"), utc(t, "2026-06-04 00:00"))
	if len(got) != 2 || got[0].day.Date != "2026-06-01" || got[1].day.Date != "2026-06-03" {
		t.Fatalf("got %v; want the first and the third of June", got)
	}
	open := close.stretches(window{kind: windowOpen}, got[0].at, got[0].day)
	if len(open) != 2 || !open[0].to.Equal(utc(t, "2026-06-01 12:00")) || !open[1].to.Equal(utc(t, "2026-06-01 18:00")) {
		t.Errorf("open on %v; want two spans, to 12:00 and to 18:00", open)
	}
}

func TestEveryMeansTheLastCompleteDay(t *testing.T) {
	c := newCalendar(t, "Europe/Paris", "")
	for at, want := range map[string]string{"2026-03-29 21:59": "2026-03-28", "2026-03-29 22:00": "2026-03-29", "2026-03-30 12:00": "2026-03-29"} {
		if got := c.complete(utc(t, at)).Date; got != want {
			t.Errorf("at %s the last complete day is %s; want %s", at, got, want)
		}
	}
}

func TestTheGridIsAlignedTo1970(t *testing.T) {
	s := Schedule{Every: 15 * time.Minute}
	got := s.grid(utc(t, "2026-06-01 00:00"), utc(t, "2026-06-01 00:50"), true)
	if len(got) != 3 || !got[0].Equal(utc(t, "2026-06-01 00:15")) || !got[2].Equal(utc(t, "2026-06-01 00:45")) {
		t.Errorf("got %v; want 00:15, 00:30 and 00:45", got)
	}
	if last := s.grid(utc(t, "2026-06-01 00:00"), utc(t, "2026-06-01 00:50"), false); len(last) != 1 || !last[0].Equal(got[2]) {
		t.Errorf("got %v; want the newest only", last)
	}
	if none := s.grid(got[2], utc(t, "2026-06-01 00:50"), false); none != nil {
		t.Errorf("got %v again", none)
	}
}

func TestASchedulesTextIsAsItIsWritten(t *testing.T) {
	for want, s := range map[string]Schedule{
		"every 5m":          {Every: 5 * time.Minute},
		"every 1h":          {Every: time.Hour},
		"every 10s":         {Every: 10 * time.Second},
		"every 1m30s":       {Every: 90 * time.Second},
		"every 1h30m":       {Every: 90 * time.Minute},
		"at close+10h":      {Anchor: "close", After: 10 * time.Hour},
		"at midnight":       {Anchor: "midnight"},
		"at midnight+1h40m": {Anchor: "midnight", After: 100 * time.Minute},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
