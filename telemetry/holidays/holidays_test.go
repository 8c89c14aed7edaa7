package holidays

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHolidays holds dates that were worked out or looked up elsewhere.
func TestHolidays(t *testing.T) {
	for _, tt := range []struct{ place, date, name string }{
		{"FR", "2025-04-21", "Lundi de Pâques"}, {"FR", "2026-04-06", "Lundi de Pâques"}, {"FR", "2026-04-05", ""},
		{"FR", "2026-07-14", "Fête Nationale"}, {"FR", "2026-07-04", ""},
		{"US", "2026-11-26", "Thanksgiving Day"}, {"US", "2026-11-27", ""}, {"US", "2025-11-27", "Thanksgiving Day"},
		{"US", "2026-07-04", "Independence Day"}, {"US", "2026-07-03", "Independence Day (observed)"}, // a Saturday
		{"US", "2021-12-31", "New Year's Day (observed)"}, {"US", "2022-01-01", "New Year's Day"}, {"US", "2020-06-19", ""},
		{"AU-VIC", "2026-11-03", "Melbourne Cup"}, {"AU-NSW", "2026-11-03", ""},
		{"GB-ENG", "2027-12-27", "Christmas Day (observed)"}, {"GB-ENG", "2027-12-28", "Boxing Day (observed)"},
		{"DE", "2026-01-06", ""}, {"DE-BY", "2026-01-06", "Heilige Drei Könige"}, {"GR", "2026-04-13", "Δευτέρα του Πάσχα"},
		{"", "2026-12-25", ""}, {"XX", "2026-12-25", ""}, {"us", "2026-12-25", ""}, {"US", "12-25", ""}, {"US", "someday in", ""},
	} {
		if got := On(tt.place, tt.date); got != tt.name {
			t.Errorf("%s %s: got %q, want %q", tt.place, tt.date, got, tt.name)
		}
	}
}

func TestEveryPlaceHasHolidaysInEveryYear(t *testing.T) {
	var wg sync.WaitGroup
	for _, p := range Places() {
		wg.Go(func() {
			for year := 1999; year <= 2061; year++ {
				days := In(p.Code, year)
				if len(days) < 5 || len(days) > 30 {
					t.Errorf("%s has %d holidays in %d", p.Code, len(days), year)
				}
				for date, name := range days {
					if day, err := time.Parse(time.DateOnly, date); err != nil || day.Year() != year || name == "" {
						t.Errorf("%s %d: %q is %q, %v", p.Code, year, date, name, err)
					}
				}
			}
		})
	}
	wg.Wait()
	In("US", 0)
	In("US", 99999)
}

func TestAPlaceThatIsNotKnownIsRefusedWithTheNearest(t *testing.T) {
	for text, want := range map[string]string{
		"AU":       "want AU-ACT, AU-NSW, AU-NT, AU-QLD, AU-SA, AU-TAS, AU-VIC, AU-WA (",
		"au-vci":   "want AU-ACT, ",
		"UK":       "want GB-ENG, GB-WLS (",
		"GB-SCT":   "want GB-ENG, GB-WLS (",
		"US-WA":    "want US (",
		"USA":      "want US (",
		"Victoria": "want AU-VIC (",
		"germany":  "want DE, DE-BB, ",
		"ESP":      "want ES (",
		"":         "want a country or a part of it, such as US or AU-VIC (",
		"Z":        "want a country",
		"Ägypten":  "want a country",
	} {
		if _, err := Find(text); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q; ", text)+want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if code, err := Find(" au-vic "); code != "AU-VIC" || err != nil {
		t.Errorf("got %q, %v", code, err)
	}
}

func TestAskingAgainCostsNoMemory(t *testing.T) {
	On("US", "2026-11-26")
	if n := testing.AllocsPerRun(100, func() { On("US", "2026-11-26"); On("", "2026-11-26") }); n != 0 {
		t.Errorf("got %v allocations, want none", n)
	}
}

// TestTheDocumentedPlaces holds the table of docs/calendars.md.
func TestTheDocumentedPlaces(t *testing.T) {
	page, err := os.ReadFile("../../docs/calendars.md")
	if err != nil {
		t.Fatal(err)
	}
	countries, parts := []string{}, map[string][]string{}
	for _, p := range Places() {
		if country, part, is := strings.Cut(p.Code, "-"); is {
			parts[country] = append(parts[country], "`"+part+"`")
		} else {
			countries = append(countries, "`"+p.Code+"` "+p.Name)
		}
	}
	want := "Whole countries: " + strings.Join(countries, ", ") + "."
	for _, country := range []string{"AU", "CH", "DE", "GB"} {
		want += "\n\n`" + country + "-`: " + strings.Join(parts[country], ", ") + "."
		delete(parts, country)
	}
	if len(parts) > 0 {
		t.Errorf("parts of %v are not documented", parts)
	}
	if !slices.IsSortedFunc(Places(), func(a, b Place) int { return strings.Compare(a.Code, b.Code) }) {
		t.Error("the places are not in the order of their codes")
	}
	if !strings.Contains(string(page), want) {
		t.Errorf("docs/calendars.md doesn't have\n%s", want)
	}
}
