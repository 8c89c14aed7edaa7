package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"belfry/telemetry"
)

// Vitals are what a device says of itself in its heartbeats.
type Vitals struct {
	Last         time.Time // of its own clock; zero: there are no heartbeats
	Firmware     string
	Temp, Signal float64     // the newest, in °C and dBm; NaN: it never said
	Hours        []VitalHour // those with heartbeats, in their order
}

// VitalHour is an hour of heartbeats that begins at Start: how many, and the mean
// of what they say; NaN where they don't.
type VitalHour struct {
	Start               time.Time
	Beats, Temp, Signal float64
}

// vitalDays is how many days the pictures of vitals show.
const vitalDays = 7

// vital is one of the vitals, with its last value and its picture.
type vital struct {
	Name, Unit string
	last       float64
	fromZero   bool
	picture              // for the place of hours and days
	values     []float64 // by hour; NaN: unknown
}

// vitalsView is the part of a device's page.
type vitalsView struct {
	Vitals
	Each []vital
}

// vitals asks for what a device says of itself in the days before an instant; nil
// when nobody knows.
func (v *visit) vitals(d telemetry.Device, s telemetry.Site, heard time.Time) *vitalsView {
	if v.Vitals == nil {
		return nil
	}
	at, _ := lastDays(v.at, heard)
	to := at.Truncate(time.Hour).Add(time.Hour)
	from := to.AddDate(0, 0, -vitalDays)
	said, err := v.Vitals(v.ctx(), d.Name, from, to)
	if err != nil {
		v.Log.Warn("the page could not ask for heartbeats", "error", err)
		return nil
	}
	view := &vitalsView{Vitals: said}
	if said.Last.IsZero() {
		return view
	}
	p := picture{hours: make([]Hour, vitalDays*24), site: s}
	for i := range p.hours {
		p.hours[i].End = from.Add(time.Duration(i+1) * time.Hour)
	}
	beats := vital{Name: "Heartbeats by hour", fromZero: true, picture: p, values: make([]float64, len(p.hours))}
	temp := vital{Name: "Temperature", Unit: " °C", last: said.Temp, picture: p, values: unknown(len(p.hours))}
	signal := vital{Name: "Signal", Unit: " dBm", last: said.Signal, picture: p, values: unknown(len(p.hours))}
	for _, h := range said.Hours {
		if i := int(h.Start.Sub(from) / time.Hour); i >= 0 && i < len(p.hours) {
			beats.values[i], temp.values[i], signal.values[i] = h.Beats, h.Temp, h.Signal
		}
	}
	// The hour that is not over has fewer heartbeats, and says nothing yet.
	beats.values[len(beats.values)-1] = math.NaN()
	beats.last = beats.values[len(beats.values)-2]
	view.Each = append(view.Each, beats)
	for _, x := range []vital{temp, signal} {
		if _, _, known := x.span(); known {
			view.Each = append(view.Each, x)
		}
	}
	return view
}

func unknown(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}

// Now is the last value, for a person.
func (v vital) Now() string { return v.says(v.last) }

func (v vital) says(value float64) string {
	if math.IsNaN(value) {
		return "–"
	}
	// A minus sign, not a hyphen: it is read aloud.
	return strings.Replace(fmt.Sprintf("%.4g", math.Round(value*10)/10), "-", "−", 1) + v.Unit
}

// span is the least and the greatest value.
func (v vital) span() (low, high float64, known bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, x := range v.values {
		if !math.IsNaN(x) {
			low, high, known = min(low, x), max(high, x), true
		}
	}
	return low, high, known
}

// Drawing is the small picture of a vital: its line, interrupted where nothing
// was said, between its least and its greatest value.
func (v vital) Drawing() template.HTML {
	low, high, _ := v.span()
	c := &plot{picture: v.picture, w: 340, h: 110, left: 40, top: 10, bottom: 22}
	fmt.Fprintf(c, `<svg class="picture" viewBox="0 0 %g %g" role="img" aria-label="%s">`, c.w, c.h, template.HTMLEscapeString(
		fmt.Sprintf("%s over %d days: between %s and %s, last %s.", v.Name, vitalDays, v.says(low), v.says(high), v.Now())))
	if v.fromZero {
		low = 0
	}
	room := max(high-low, 1)
	y := func(value float64) float64 { return c.h - c.bottom - (value-low)/room*(c.h-c.bottom-c.top) }
	c.dayLines()
	for _, value := range []float64{low, low + room} {
		fmt.Fprintf(c, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`,
			c.left, c.w-4, y(value), y(value), c.left-5, y(value)+4, strings.TrimSuffix(v.says(value), v.Unit))
	}
	c.WriteString(`<path class="counted" d="`)
	lifted := true
	for i, value := range v.values {
		if !math.IsNaN(value) {
			fmt.Fprintf(c, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[lifted], c.middle(i), y(value))
			if lifted { // a point that stands alone is a line of no length: a dot
				c.WriteString("h0")
			}
		}
		lifted = math.IsNaN(value)
	}
	c.WriteString(`"/></svg>`)
	return template.HTML(c.String())
}
