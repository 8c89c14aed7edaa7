// Package holidays knows on which dates countries and parts of them have public
// holidays, by the names of ISO 3166. The dates come from a library, those of the past
// and of the years to come: no list is kept here, and no clock is read.
//
// A holiday that falls on a weekend and is observed on another day is there twice, for
// both days are unlike others.
package holidays

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rickar/cal/v2"
)

// init makes the library compute in UTC: in the zone of the machine there may be no
// midnight on a date, and then it would give the day before.
func init() { cal.DefaultLoc = time.UTC }

// Places returns the places that are known, in the order of their codes. It belongs to
// the package.
func Places() []Place { return places }

// On returns the name of the holiday that a place has on a date (YYYY-MM-DD); "" when it
// is none, or the place is not known.
func On(place, date string) string {
	if len(date) != len(time.DateOnly) {
		return ""
	}
	year, err := strconv.Atoi(date[:4])
	if err != nil {
		return ""
	}
	return In(place, year)[date]
}

// known are the holidays of a place and year by their dates, once they were asked for.
var (
	mu    sync.Mutex
	known = map[placeYear]map[string]string{}
)

type placeYear struct {
	place string
	year  int
}

// In returns the names of a place's holidays of a year by their dates (YYYY-MM-DD); none
// for a place that is not known. The map belongs to the package.
func In(place string, year int) map[string]string {
	mu.Lock() // held while the library computes: some of its rules write into themselves
	defer mu.Unlock()
	days, ok := known[placeYear{place, year}]
	if ok {
		return days
	}
	for i := range places {
		if places[i].Code == place {
			days = places[i].in(year)
			known[placeYear{place, year}] = days
		}
	}
	return days
}

// in computes the holidays of a year. One may be observed in the year before it or
// after; the day itself counts before that on which another one is observed.
func (p *Place) in(year int) map[string]string {
	days := map[string]string{}
	add := func(day time.Time, name string) {
		if date := day.Format(time.DateOnly); day.Year() == year && days[date] == "" {
			days[date] = name
		}
	}
	for _, h := range p.list {
		if day, _ := h.Calc(year); !day.IsZero() {
			add(day, h.Name)
		}
	}
	for _, h := range p.list {
		for of := year - 1; of <= year+1; of++ {
			if day, observed := h.Calc(of); !observed.Equal(day) {
				add(observed, h.Name+" (observed)")
			}
		}
	}
	return days
}

// Find returns the code of a place, in whatever case it is written. The error names the
// nearest places.
func Find(text string) (string, error) {
	code := strings.ToUpper(strings.TrimSpace(text))
	for i := range places {
		if places[i].Code == code {
			return code, nil
		}
	}
	wanted := "a country or a part of it, such as US or AU-VIC"
	if near := nearest(code); len(near) > 0 {
		wanted = strings.Join(near, ", ")
	}
	return "", fmt.Errorf("no public holidays are known of %q; want %s (belfry devices holidays lists all places)", text, wanted)
}

// nearest returns the places of the same country; or else those in whose names the text
// is, or of the country of which it has three letters.
func nearest(code string) []string {
	if len(code) < 2 {
		return nil
	}
	country, _, _ := strings.Cut(code, "-")
	if country == "UK" { // reserved for it in ISO 3166
		country = "GB"
	}
	matches := []func(p *Place) bool{
		func(p *Place) bool { return p.country() == country },
		func(p *Place) bool { return strings.Contains(" "+strings.ToUpper(p.Name), " "+code) },
		func(p *Place) bool { return len(code) == 3 && p.country() == code[:2] },
	}
	for _, match := range matches {
		var near []string
		for i := range places {
			if match(&places[i]) {
				near = append(near, places[i].Code)
			}
		}
		if len(near) > 0 {
			return near
		}
	}
	return nil
}

func (p *Place) country() string { return p.Code[:2] }
