package telemetry

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestWhatADateIs asks in the order in which dates count: the date itself, the date of
// every year, the public holiday.
func TestWhatADateIs(t *testing.T) {
	s := Site{ID: "s", Zone: "America/New_York", Holidays: Holidays{Of: "us"}, Exceptions: []Exception{
		{Date: "2026-11-26", Hours: "10:00-12:00"}, {Date: "12-25", Closed: true}, {Date: "2026-07-03", As: "fri", Learn: true}}}
	for _, days := range [][2]string{{"mon-fri", "08:00-20:00"}, {"sun", "10:00-14:00"}} {
		if err := s.Hours.Add(days[0], days[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if want := (Holidays{Of: "US", As: "sun"}); s.Holidays != want {
		t.Errorf("got %+v, want %+v", s.Holidays, want)
	}
	for on, want := range map[string]string{
		"2026-11-26": "10:00 12:00",                // Thanksgiving, for which the site has an exception
		"2027-11-25": "10:00 14:00 like Sunday",    // and for which it has none
		"2026-12-25": "closed",                     // Christmas, for which it has one each year
		"2026-07-03": "08:00 20:00 like Friday",    // Independence Day as observed, of which it wants nothing
		"2026-07-04": "10:00 14:00 like Sunday",    // and that itself, a Saturday
		"2026-11-27": "08:00 20:00 as on weekdays", // an ordinary Friday
	} {
		day := s.Day(date(s.Zone, on+" 12:00"))
		got := "closed"
		if len(day.Open) > 0 {
			got = day.Open[0].From.In(s.Location()).Format("15:04 ") + day.Open[0].To.In(s.Location()).Format("15:04")
		}
		if e := s.ExceptionOn(on); e == nil {
			got += " as on weekdays"
		} else if like, is := e.Weekday(); is {
			got += " like " + like.String()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", on, got, want)
		}
	}
	if e := s.ExceptionOn("2027-11-25"); e == nil || e.Note != "Thanksgiving Day" || e.Learn || e.NoAlarms {
		t.Errorf("got %+v", e)
	}
}

// TestEachEffectOfHolidaysStandsByItself reads them from cells.
func TestEachEffectOfHolidaysStandsByItself(t *testing.T) {
	for text, want := range map[string]Holidays{
		"US":                           {Of: "US", As: "sun"},
		"au-vic, closed, no alarms":    {Of: "AU-VIC", Closed: true, NoAlarms: true},
		"DE-BY,no alarms":              {Of: "DE-BY", NoAlarms: true},
		"FR, 10:00-16:00,as sat,learn": {Of: "FR", Hours: "10:00-16:00", As: "sat", Learn: true},
	} {
		got, err := ParseHolidays(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v; want %+v", text, got, err, want)
		}
		e := got.On(map[string]string{"US": "2026-07-04", "AU-VIC": "2026-11-03", "DE-BY": "2026-01-06", "FR": "2026-04-06"}[got.Of])
		if e == nil || (Holidays{got.Of, e.Closed, e.Hours, e.As, e.NoAlarms, e.Learn}) != want {
			t.Errorf("%q: the day is %+v", text, e)
		}
	}
	for text, want := range map[string]string{
		"Atlantis":      `no public holidays are known of "Atlantis"`,
		", closed":      "want a country",
		"US, shut":      `holidays of US: "shut"; want closed, hours`,
		"US, as noday":  `holidays of US: no weekday "noday"`,
		"US,":           `want closed`,
		"US,18:00-9:00": "opening hours",
	} {
		if _, err := ParseHolidays(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	for _, h := range []Holidays{{Closed: true}, {Of: "GB-SCT"}} {
		s := Site{ID: "s", Holidays: h}
		if first, second := s.Check(), s.Check(); first == nil || second == nil || s.Holidays != h {
			t.Errorf("%+v: got %v and, checked again, %v", h, first, second)
		}
	}
}

func TestHolidaysInJSON(t *testing.T) {
	for text, want := range map[string]Holidays{`"US"`: {Of: "US", As: "sun"}, `""`: {}, `null`: {}, `{"of":"at","closed":true}`: {Of: "at", Closed: true}} {
		var got Holidays
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{`"Atlantis"`, `{"of":"US","shut":true}`, `5`, `["US"]`} {
		var got Holidays
		if json.Unmarshal([]byte(text), &got) == nil {
			t.Errorf("%s was taken as %+v", text, got)
		}
	}
	if out, err := json.Marshal(Site{ID: "s"}); err != nil || strings.Contains(string(out), "holidays") {
		t.Errorf("a site without holidays is written as %s, %v", out, err)
	}
}

func FuzzHolidays(f *testing.F) {
	for _, text := range []string{"US", "au-vic, closed, no alarms", "DE-BY,no alarms", "FR, 10:00-16:00, as sat, learn", "UK", ", closed", "US,,", "Ä-"} {
		f.Add(text, "2026-12-25")
	}
	f.Fuzz(func(t *testing.T, text, date string) {
		h, err := ParseHolidays(text)
		if err != nil {
			return
		}
		h.On(date)
		out, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var again Holidays
		if err := json.Unmarshal(out, &again); err != nil || again != h {
			t.Fatalf("%s is written and read as %+v, %v", out, again, err)
		}
		if err := again.Check(); err != nil || again != h {
			t.Fatalf("%+v is checked again as %+v, %v", h, again, err)
		}
	})
}
