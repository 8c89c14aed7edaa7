package telemetry

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Package warehouse asks ClickHouse for the second.
func TestIDsAreThoseThatClickHouseComputes(t *testing.T) {
	for name, want := range map[string]DeviceID{
		"":         17241709254077376921,
		"FC-10042": 862248270680532399,
	} {
		if got := IDOf(name); got != want {
			t.Errorf("IDOf(%q): got %d, want %d", name, got, want)
		}
	}
}

func TestDeviceNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"FC-10042": true, "Zähler 3/Nord": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a\nb": false, "a\x00": false, "\xff": false, "a\u0085": false,
	} {
		if err := CheckDeviceName(name); (err == nil) != ok {
			t.Errorf("name %q: got %v, want ok %v", name, err, ok)
		}
	}
}

func date(zone, text string) time.Time {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	at, err := time.ParseInLocation("2006-01-02 15:04", text, loc)
	if err != nil {
		panic(err)
	}
	return at
}

func TestALocalDayHas23Or24Or25Hours(t *testing.T) {
	for _, c := range []struct {
		zone, noon string
		hours      float64
	}{
		{"Europe/Paris", "2026-03-28 12:00", 24},
		{"Europe/Paris", "2026-03-29 12:00", 23},
		{"Europe/Paris", "2026-10-25 12:00", 25},
		{"America/Los_Angeles", "2005-10-30 12:00", 25},
		{"Australia/Lord_Howe", "2026-10-04 12:00", 23.5}, // half an hour
		{"America/Asuncion", "2023-10-01 12:00", 23},      // midnight itself is skipped
		{"America/Havana", "2026-11-01 12:00", 25},        // midnight comes twice
		{"Pacific/Apia", "2011-12-31 12:00", 24},          // the day before was skipped whole
	} {
		s := Site{Zone: c.zone}
		at := date(c.zone, c.noon)
		day := s.Day(at)
		if got := day.End.Sub(day.Start).Hours(); got != c.hours || day.Date != c.noon[:10] {
			t.Errorf("%s %s: got %v hours of %s, want %v", c.zone, c.noon, got, day.Date, c.hours)
		}
		if before := s.Day(day.Start.Add(-time.Nanosecond)); !before.End.Equal(day.Start) {
			t.Errorf("%s %s: the day before ends at %v, this one starts at %v", c.zone, c.noon, before.End, day.Start)
		}
		if close, ok := day.Close(); !ok || !close.Equal(day.End) {
			t.Errorf("%s: a site whose hours are not known closes at %v, want the day's end %v", c.zone, close, day.End)
		}
	}
}

func TestOpeningHoursAreWallClockTimes(t *testing.T) {
	s := Site{Zone: "Europe/Paris", Exceptions: []Exception{
		{Date: "2026-12-25", Closed: true}, {Date: "2026-12-24", Hours: "10:00-16:00"}}}
	if err := json.Unmarshal([]byte(`{"mon-fri":"09:00-12:00,13:00-18:30","sat":"22:00-24:00"}`), &s.Hours); err != nil {
		t.Fatal(err)
	}
	for noon, want := range map[string]string{
		"2026-03-27 12:00": "09:00 12:00 13:00 18:30",
		"2026-03-28 12:00": "22:00 00:00",
		"2026-03-29 12:00": "", // Sunday
		"2026-12-24 12:00": "10:00 16:00",
		"2026-12-25 12:00": "",
	} {
		day := s.Day(date("Europe/Paris", noon))
		var got []string
		for _, o := range day.Open {
			got = append(got, o.From.In(s.Location()).Format("15:04"), o.To.In(s.Location()).Format("15:04"))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %q", noon, got, want)
		}
	}
	text, err := json.Marshal(s.Hours)
	if err != nil {
		t.Fatal(err)
	}
	var again Hours
	if err := json.Unmarshal(text, &again); err != nil || again.byDay()["wed"] != "09:00-12:00,13:00-18:30" {
		t.Errorf("written and read again: %s, %v", text, err)
	}
	for _, bad := range []string{`{"mon":"9-5"}`, `{"mon":"18:00-09:00"}`, `{"someday":"09:00-10:00"}`, `{"mon":"09:00-25:00"}`, `[1]`} {
		if err := json.Unmarshal([]byte(bad), &again); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestInService(t *testing.T) {
	from, to := date("UTC", "2026-01-01 00:00"), date("UTC", "2026-02-01 00:00")
	d := Device{Name: "a", Status: DeviceRetired, InServiceSince: from, RetiredAt: to}
	for at, want := range map[time.Time]bool{
		from.Add(-time.Second): false, from: true, to.Add(-time.Second): true, to: false,
	} {
		if got := d.InService(at); got != want {
			t.Errorf("at %v: got %v, want %v", at, got, want)
		}
	}
	if d = (Device{Status: DeviceRetired}); d.InService(to) {
		t.Error("retired at an unknown time: got in service")
	}
}

func TestCheckFillsInDefaultsAndRefusesNonsense(t *testing.T) {
	s := Site{ID: "s"}
	if err := s.Check(); err != nil || s.Zone != "UTC" || s.Status != SiteOpen || s.Name != "s" {
		t.Errorf("got %+v, %v", s, err)
	}
	d := Device{Name: "d"}
	if err := d.Check(); err != nil || d.Site != Unassigned || d.ReadingEvery != DefaultInterval || d.Status != DeviceActive {
		t.Errorf("got %+v, %v", d, err)
	}
	for _, s := range []Site{{}, {ID: "s", Zone: "Mars/Olympus"}, {ID: "s", Zone: "Local"}, {ID: "s", Status: "shut"}, {ID: "s", Exceptions: []Exception{{Date: "1/2/2026"}}}} {
		if s.Check() == nil {
			t.Errorf("site %+v was taken", s)
		}
	}
	for _, d := range []Device{{}, {Name: "d", Status: "off"}, {Name: "d", HeartbeatEvery: -1}} {
		if d.Check() == nil {
			t.Errorf("device %+v was taken", d)
		}
	}
}

func FuzzHours(f *testing.F) {
	f.Add("mon-fri", "09:00-12:00,13:00-18:30")
	f.Add("sun-sat", "00:00-24:00")
	f.Fuzz(func(t *testing.T, key, text string) {
		var h Hours
		if h.Add(key, text) != nil {
			return
		}
		out, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var again Hours
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s is written and not read: %v", out, err)
		}
	})
}
