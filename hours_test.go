package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"belfry/dashboards"
	"belfry/telemetry"
	"belfry/warehouse"
)

// TestADashboardShadesTheHoursOfTheCalendar holds the shading of opening hours, around
// days that are not as usual, against the sites' own days.
func TestADashboardShadesTheHoursOfTheCalendar(t *testing.T) {
	server, err := warehouse.Open(warehouse.Options{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	w, err := server.Database(t.Context(), "hours")
	if err != nil {
		t.Fatal(err)
	}
	week := telemetry.Hours{}
	for days, hours := range map[string]string{"mon-fri": "09:00-12:00,13:00-18:30", "sat": "10:00-14:00"} {
		if err := week.Add(days, hours); err != nil {
			t.Fatal(err)
		}
	}
	sites := []telemetry.Site{
		{ID: "sunday", Zone: "America/New_York", Hours: week, Holidays: telemetry.Holidays{Of: "US"}},
		{ID: "monday", Zone: "America/New_York", Hours: week, Holidays: telemetry.Holidays{Of: "US", As: "mon"}},
		{ID: "hours", Zone: "America/New_York", Hours: week, Holidays: telemetry.Holidays{Of: "US", Hours: "11:00-15:00"}},
		{ID: "usual", Zone: "America/New_York", Hours: week, Holidays: telemetry.Holidays{Of: "US", NoAlarms: true}},
		{ID: "elsewhere", Zone: "Australia/Melbourne", Hours: week, Holidays: telemetry.Holidays{Of: "AU-VIC", Closed: true}},
		{ID: "dates", Zone: "America/New_York", Hours: week, Holidays: telemetry.Holidays{Of: "US", Closed: true}, Exceptions: []telemetry.Exception{
			{Date: "2026-11-26", Learn: true}, {Date: "12-25", As: "mon"}, {Date: "2026-12-24", Closed: true}, {Date: "12-24", Hours: "09:00-10:00"}}},
	}
	for i := range sites {
		if err := sites[i].Check(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.PutSites(t.Context(), sites, 1); err != nil {
		t.Fatal(err)
	}
	queries, err := dashboards.Queries()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queries {
		if q.Dashboard != "site" || q.Panel != "annotation Opening hours" {
			continue
		}
		shown := dashboards.Shown{From: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), To: time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC), Database: "hours"}
		for i := range sites {
			shown.Sites = []string{sites[i].ID}
			got, err := w.Query(t.Context(), "test", "SELECT groupArray((toUnixTimestamp(time), toUnixTimestamp(timeEnd))) FROM ("+q.Expand(shown)+")", "TSV", nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := openSpans(&sites[i], shown.From, shown.To); strings.TrimSpace(string(got)) != want {
				t.Errorf("%s: the dashboard shades %s, want %s", sites[i].ID, got, want)
			}
		}
		return
	}
	t.Error("no dashboard shades opening hours")
}

func TestPlacesAndTheirHolidaysAreListed(t *testing.T) {
	for args, want := range map[string]string{
		"":                   "AU-VIC  Australia, Victoria\n",
		"au-vic 2026":        "2026-11-03  Melbourne Cup\n",
		"US 2026 --json":     `"date": "2026-11-26",`,
		"--json":             `"place": "US"`,
		"US-WA":              "want US (",
		"DE-BY --no-such-it": "unknown flag",
	} {
		var out, said strings.Builder
		err := run(t.Context(), append([]string{"devices", "holidays"}, strings.Fields(args)...), &out, &said)
		if got := fmt.Sprint(out.String(), err); !strings.Contains(got, want) {
			t.Errorf("belfry devices holidays %s: got %s, want %s", args, got, want)
		}
	}
}

// openSpans writes when a site is open as the engine does; the instants are whole quarters.
func openSpans(site *telemetry.Site, from, to time.Time) string {
	var spans []string
	for at := from; at.Before(to); {
		day := site.Day(at)
		for _, s := range day.Open {
			if begin, end := latest(s.From, from), earliest(s.To, to); begin.Before(end) {
				spans = append(spans, fmt.Sprintf("(%d,%d)", begin.Unix(), end.Unix()))
			}
		}
		at = day.End
	}
	return "[" + strings.Join(spans, ",") + "]"
}
