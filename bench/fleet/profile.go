package fleet

import (
	"math"
	"time"

	"belfry/telemetry"
)

// plan is a kind of site: when it is open and when people come.
type plan struct {
	kind, city, name, zone string
	hours                  telemetry.Hours
	perDoor                float64       // people who come on a full day, for each door
	week                   [7]float64    // how full a day is, from Sunday
	peaks                  []peak        // when they come
	dwell                  time.Duration // how long they stay
}

// peak is a bell curve of arrivals around an hour of the local day.
type peak struct{ hour, width, weight float64 }

func hours(days map[string]string) (h telemetry.Hours) {
	for key, text := range days {
		if err := h.Add(key, text); err != nil {
			panic(err) // a mistake in the table below, which the tests would meet first
		}
	}
	return h
}

var (
	mallHours   = hours(map[string]string{"mon-sat": "09:00-20:00", "sun": "10:00-18:00"})
	shopHours   = hours(map[string]string{"mon-fri": "09:00-12:30,13:30-19:00", "sat": "09:00-18:00"})
	officeHours = hours(map[string]string{"mon-fri": "07:00-19:00"})

	mallWeek    = [7]float64{0.8, 0.7, 0.7, 0.75, 0.8, 1, 1.3}
	officeWeek  = [7]float64{0, 1, 1, 1, 1, 0.8, 0}
	stationWeek = [7]float64{0.6, 1, 1, 1, 1, 1.1, 0.7}

	mallPeaks    = []peak{{11.5, 1.5, 1}, {16.5, 2, 1.6}}
	officePeaks  = []peak{{8.7, 0.7, 1.4}, {13.2, 0.6, 0.8}}
	stationPeaks = []peak{{8.2, 1.1, 1.5}, {13, 3, 0.7}, {17.8, 1.4, 1.6}}
)

// plans are dealt out in turn. A station's hours are not known: it never closes.
var plans = []plan{
	{"mall", "paris", "Mall, Paris", "Europe/Paris", mallHours, 900, mallWeek, mallPeaks, 45 * time.Minute},
	{"station", "melbourne", "Station, Melbourne", "Australia/Melbourne", telemetry.Hours{}, 1500, stationWeek, stationPeaks, 15 * time.Minute},
	{"office", "new-york", "Office tower, New York", "America/New_York", officeHours, 260, officeWeek, officePeaks, 3 * time.Hour},
	{"shop", "bucharest", "Shop, Bucharest", "Europe/Bucharest", shopHours, 350, mallWeek, mallPeaks, 20 * time.Minute},
	{"mall", "kolkata", "Mall, Kolkata", "Asia/Kolkata", mallHours, 1100, mallWeek, mallPeaks, 45 * time.Minute},
	{"shop", "los-angeles", "Shop, Los Angeles", "America/Los_Angeles", mallHours, 400, mallWeek, mallPeaks, 20 * time.Minute},
	{"station", "london", "Station, London", "Europe/London", telemetry.Hours{}, 1800, stationWeek, stationPeaks, 15 * time.Minute},
	{"office", "tokyo", "Office tower, Tokyo", "Asia/Tokyo", officeHours, 300, officeWeek, officePeaks, 3 * time.Hour},
}

// flow returns how many people come to the site, and how many leave it, in the
// interval that ends at an instant, on the average.
func (s *site) flow(end time.Time, interval time.Duration) (in, out float64) {
	if s.Status == telemetry.SiteClosed {
		return 0, 0
	}
	middle := end.Add(-interval / 2)
	in = s.arrivals(middle, interval)
	// Who came a dwell ago leaves now: the same curve, moved, so that a day's
	// IN and OUT are alike.
	out = s.arrivals(middle.Add(-s.plan.dwell), interval)
	return in, out
}

// arrivals returns how many people come in an interval around an instant.
// Nobody comes who could not stay until closing time.
func (s *site) arrivals(at time.Time, interval time.Duration) float64 {
	local := at.In(s.zone)
	hour := float64(local.Hour()) + float64(local.Minute())/60 + float64(local.Second())/3600
	if !s.welcomes(local.Weekday(), hour) {
		return 0
	}
	rate, area := 0.0, 0.0
	for _, p := range s.plan.peaks {
		x := (hour - p.hour) / p.width
		rate += p.weight * math.Exp(-x*x/2)
		area += p.weight * p.width * math.Sqrt(2*math.Pi)
	}
	doors := float64(len(s.members))
	return doors * s.plan.perDoor * s.plan.week[local.Weekday()] * rate / area * interval.Hours()
}

func (s *site) welcomes(day time.Weekday, hour float64) bool {
	if !s.Hours.Known() {
		return true
	}
	for _, span := range s.Hours[day] {
		if hour >= float64(span.From)/60 && hour <= float64(span.To)/60-s.plan.dwell.Hours() {
			return true
		}
	}
	return false
}
