package page

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// Hour is what a device counted in the hour that ends at End, and what is usual
// then for In + Out; NaN where nobody knows.
type Hour struct {
	End           time.Time
	Known         bool // there are readings
	In, Out       float64
	Usual, Spread float64
}

// The band of what is usual: twice the spread to either side.
func (h Hour) low() float64  { return max(0, h.Usual-2*h.Spread) }
func (h Hour) high() float64 { return h.Usual + 2*h.Spread }

// odd reports whether what was counted lies outside the band.
func (h Hour) odd() bool {
	sum := h.In + h.Out
	return h.Known && (sum < h.low() || sum > h.high())
}

// picture shows hours as an SVG: the sum of both directions over the band of
// what is usual, with the opening hours behind.
type picture struct {
	hours []Hour
	site  telemetry.Site
	since time.Time // from when an incident's condition holds; zero: none is shown
	until time.Time // zero: it still holds
	Ends  bool      // it shows the days before the device fell silent, not the last ones
}

// plot is where the values are drawn in a picture of a size.
type plot struct {
	picture
	strings.Builder
	w, h, left, bottom, top float64
	most                    float64
}

// Days returns over how many days the picture goes.
func (p picture) Days() int { return (len(p.hours) + 12) / 24 }

// Wide and Narrow are the picture for a desk and for a phone: text keeps its
// size, the room for days differs.
func (p picture) Wide() template.HTML { return p.draw(1080, 240, "wide") }

// Narrow is the picture for a phone.
func (p picture) Narrow() template.HTML { return p.draw(358, 220, "narrow") }

// draw makes the SVG. All that stands in it are numbers and names of days, so
// that it may go into a page as it is.
func (p picture) draw(w, h float64, class string) template.HTML {
	c := &plot{picture: p, w: w, h: h, left: 40, top: 10, bottom: 22}
	for _, x := range p.hours {
		c.most = max(c.most, x.In+x.Out, number(x.high()))
	}
	c.most = roundUp(c.most)
	fmt.Fprintf(c, `<svg class="picture %s" viewBox="0 0 %g %g" role="img" aria-label="%s">`, class, w, h, template.HTMLEscapeString(p.says()))
	c.open()
	c.grid()
	c.condition()
	c.band()
	c.line()
	c.WriteString("</svg>")
	return template.HTML(c.String())
}

// says is the picture in a sentence, for those who hear the page.
func (p picture) says() string {
	known, outside, people := 0, 0, 0.0
	for _, h := range p.hours {
		if h.Known {
			known++
			people += h.In + h.Out
		}
		if h.odd() {
			outside++
		}
	}
	return fmt.Sprintf("People counted by hour over %d days: %.0f in all; %d of %d hours have readings, %d of them are outside what is usual.",
		p.Days(), people, known, len(p.hours), outside)
}

func number(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// roundUp returns the next 1, 2 or 5 times a power of ten.
func roundUp(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, m := range []float64{1, 2, 5, 10} {
		if v <= m*unit {
			return m * unit
		}
	}
	return v
}

func (c *plot) begin() time.Time { return c.hours[0].End.Add(-time.Hour) }

// x is the place of an instant, held within the picture.
func (c *plot) x(t time.Time) float64 {
	share := t.Sub(c.begin()).Hours() / float64(len(c.hours))
	return c.left + min(max(share, 0), 1)*(c.w-c.left-4)
}

func (c *plot) y(v float64) float64 {
	return c.h - c.bottom - max(0, v)/c.most*(c.h-c.bottom-c.top)
}

// days calls with each local day of the site that the picture shows.
func (c *plot) days(each func(telemetry.Day)) {
	end := c.hours[len(c.hours)-1].End
	for at := c.begin(); at.Before(end); {
		day := c.site.Day(at)
		each(day)
		at = day.End
	}
}

// open shades the opening hours.
func (c *plot) open() {
	if !c.site.Hours.Known() {
		return
	}
	c.days(func(day telemetry.Day) {
		for _, s := range day.Open {
			from, to := c.x(s.From), c.x(s.To)
			if to > from {
				fmt.Fprintf(c, `<rect class="open" x="%.1f" y="%g" width="%.1f" height="%.1f"/>`, from, c.top, to-from, c.h-c.bottom-c.top)
			}
		}
	})
}

// grid draws the axes: the days in the site's zone, and three values.
func (c *plot) grid() {
	for i := range 3 {
		v := c.most * float64(i) / 2
		fmt.Fprintf(c, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`,
			c.left, c.w-4, c.y(v), c.y(v), c.left-5, c.y(v)+4, short(v))
	}
	c.dayLines()
}

// dayLines draws where days begin in the site's zone, and names those for which
// there is room.
func (c *plot) dayLines() {
	form, width := "Mon 2 Jan", 68.0
	if c.w/float64(c.Days()+1) < width {
		form, width = "Mon", 30
	}
	c.days(func(day telemetry.Day) {
		x := c.x(day.Start)
		fmt.Fprintf(c, `<line class="grid" x1="%.1f" x2="%.1f" y1="%g" y2="%.1f"/>`, x, x, c.top, c.h-c.bottom)
		if c.x(day.End)-x > width {
			fmt.Fprintf(c, `<text x="%.1f" y="%.1f">%s</text>`, x+3, c.h-7, c.dayName(day, form))
		}
	})
}

// dayName names a day by its noon: midnight may not exist.
func (c *plot) dayName(day telemetry.Day, form string) string {
	return day.Start.Add(12 * time.Hour).In(c.site.Location()).Format(form)
}

// condition shades how long an incident's condition held.
func (c *plot) condition() {
	if c.since.IsZero() {
		return
	}
	until := c.until
	if until.IsZero() {
		until = c.hours[len(c.hours)-1].End
	}
	from, to := c.x(c.since), c.x(until)
	fmt.Fprintf(c, `<rect class="held" x="%.1f" y="%g" width="%.1f" height="%.1f"/>`, from, c.top, max(2, to-from), c.h-c.bottom-c.top)
}

func (c *plot) middle(i int) float64 { return c.x(c.hours[i].End.Add(-30 * time.Minute)) }

// band fills what is usual, in pieces where it is known.
func (c *plot) band() {
	for i := 0; i < len(c.hours); i++ {
		from := i
		for i < len(c.hours) && !math.IsNaN(c.hours[i].Usual) {
			i++
		}
		if i == from {
			continue
		}
		c.WriteString(`<path class="band" d="`)
		for k := from; k < i; k++ {
			c.point(k == from, k, c.hours[k].high())
		}
		for k := i - 1; k >= from; k-- {
			c.point(false, k, c.hours[k].low())
		}
		c.WriteString(`Z"/>`)
	}
}

// line draws what was counted, interrupted where there are no readings, and a
// mark on the axis there.
func (c *plot) line() {
	c.WriteString(`<path class="counted" d="`)
	lifted := true
	for i, h := range c.hours {
		if h.Known {
			c.point(lifted, i, h.In+h.Out)
			if lifted { // a point that stands alone is a line of no length: a dot
				c.WriteString("h0")
			}
		}
		lifted = !h.Known
	}
	c.WriteString(`"/>`)
	width := (c.w - c.left) / float64(len(c.hours))
	for _, h := range c.hours {
		if !h.Known {
			fmt.Fprintf(c, `<rect class="gap" x="%.1f" y="%.1f" width="%.1f" height="3"/>`, c.x(h.End.Add(-time.Hour)), c.h-c.bottom-3, width)
		}
	}
}

func (c *plot) point(first bool, i int, v float64) {
	verb := "L"
	if first {
		verb = "M"
	}
	fmt.Fprintf(c, "%s%.1f %.1f", verb, c.middle(i), c.y(v))
}

// short writes a number for an axis.
func short(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%.3gk", v/1000)
	}
	return fmt.Sprintf("%.4g", v)
}

// day is a row of the table beside a picture.
type day struct {
	Date              string
	In, Out, Usual    float64
	Learnt            bool // what is usual is known for all of its hours
	Hours, Known, Odd int
}

// Table is the picture as numbers, by local day, the newest first.
func (p picture) Table() (rows []day) {
	loc := p.site.Location()
	for _, h := range slices.Backward(p.hours) {
		date := h.End.Add(-30 * time.Minute).In(loc).Format("Mon 2 Jan 2006")
		if len(rows) == 0 || rows[len(rows)-1].Date != date {
			rows = append(rows, day{Date: date, Learnt: true})
		}
		r := &rows[len(rows)-1]
		r.Hours++
		r.Learnt = r.Learnt && !math.IsNaN(h.Usual)
		r.Usual += number(h.Usual)
		if h.Known {
			r.Known++
			r.In, r.Out = r.In+h.In, r.Out+h.Out
		}
		if h.odd() {
			r.Odd++
		}
	}
	return rows
}

// Rounded is what is usual, to whole people.
func (d day) Rounded() float64 { return math.Round(d.Usual) }
