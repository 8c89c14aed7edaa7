package dashboards

import (
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Answer is what a query answers. Of values over time the first column is the
// time, in seconds since 1970.
type Answer struct {
	Columns []string
	Rows    [][]any // float64, string or nil
}

// Ask runs a query whose text has been expanded.
type Ask func(q Query, text string) (Answer, error)

// Preview draws every dashboard as an SVG picture, by its name, from the same
// queries that Grafana would ask. It shows what a panel has to say and where it
// stands, not how Grafana draws it. A query that fails is shown as its error.
func Preview(shown Shown, ask Ask) (map[string]string, error) {
	built, err := all()
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(built)) {
		var c canvas
		for _, a := range built[name].Annotations.List {
			q, err := queryOf(a.Target)
			if err != nil {
				return nil, fmt.Errorf("draw dashboard %s: %w", name, err)
			}
			// What can't be asked is not shaded: the panels say what is wrong.
			answer, _ := ask(q, q.Expand(shown))
			c.shade(a.Name, answer)
		}
		for _, p := range built[name].Panels {
			if p.Panel == nil || p.Panel.GridPos == nil || len(p.Panel.Targets) == 0 {
				continue
			}
			q, err := queryOf(p.Panel.Targets[0])
			if err != nil {
				return nil, fmt.Errorf("draw dashboard %s: %w", name, err)
			}
			answer, err := ask(q, q.Expand(shown))
			c.panel(*p.Panel, q, answer, err, shown)
		}
		out[name] = c.svg()
	}
	return out, nil
}

// The measures of a picture: a cell of Grafana's grid, and a panel's margins.
const (
	cellWidth, cellHeight = 66, 36
	margin, titleHeight   = 8, 28
)

var colours = []string{"#2563eb", "#ea580c", "#16a34a", "#9333ea", "#dc2626", "#0891b2", "#a16207", "#475569"}

// canvas is a picture under way.
type canvas struct {
	strings.Builder
	height int
	shades []shade
}

// shade is a stretch of time that annotations mark.
type shade struct {
	from, to float64
	colour   string
}

// shade notes what an annotation marks: its answer has a time and a timeEnd.
func (c *canvas) shade(name string, a Answer) {
	colour := map[bool]string{true: "#eef4d4", false: "#fde2cf"}[name == "Opening hours"]
	for _, row := range a.Rows {
		from, ok := row[0].(float64)
		to, there := row[1].(float64)
		if ok && there {
			c.shades = append(c.shades, shade{from, to, colour})
		}
	}
}

func (c *canvas) svg() string {
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12"><rect width="100%%" height="100%%" fill="#eef1f5"/>%s</svg>`+"\n",
		24*cellWidth+margin, c.height+margin, c.String())
}

func (c *canvas) text(x, y float64, style, text string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" %s>%s</text>`, x, y, style, html.EscapeString(text))
}

// frame is the room inside a panel.
type frame struct{ x, y, w, h float64 }

// panel draws a panel at its place.
func (c *canvas) panel(p dashboard.Panel, q Query, a Answer, err error, shown Shown) {
	g := p.GridPos
	x, y, w, h := int(g.X)*cellWidth+margin, int(g.Y)*cellHeight+margin, int(g.W)*cellWidth-margin, int(g.H)*cellHeight-margin
	c.height = max(c.height, y+h)
	fmt.Fprintf(c, `<svg x="%d" y="%d" width="%d" height="%d"><rect width="100%%" height="100%%" rx="4" fill="#fff" stroke="#d0d7de"/>`, x, y, w, h)
	defer c.WriteString("</svg>")
	c.text(margin, 18, `font-weight="bold"`, *p.Title)
	f := frame{margin, titleHeight, float64(w) - 2*margin, float64(h) - titleHeight - margin}
	switch {
	case err != nil:
		c.text(f.x, f.y+14, `fill="#dc2626"`, short(err.Error(), int(f.w/7)))
	case len(a.Rows) == 0:
		c.text(f.x, f.y+14, `fill="#6b7280"`, "no data")
	case p.Type == "stat":
		last := a.Rows[len(a.Rows)-1]
		c.stat(f, p, last[len(last)-1])
	case p.Type == "timeseries":
		c.series(f, p, a.wide(), shown, q.SQL && strings.Contains(q.Text, "GROUP BY time"))
	case p.Type == "status-history" && len(a.Columns) == 3:
		c.squares(f, p, a, shown)
	case p.Type == "bargauge":
		c.bars(f, a)
	default:
		c.table(f, p, a)
	}
}

// stat draws one large value in the colour of its bounds.
func (c *canvas) stat(f frame, p dashboard.Panel, v any) {
	l := lookOf(p, "")
	c.text(f.x, f.y+f.h/2+14, `font-size="34" fill="`+l.ink(v)+`"`, l.says(v))
}

// series draws values over time as lines, each column with its colour, and those
// bounds that lie among the values.
func (c *canvas) series(f frame, p dashboard.Panel, a Answer, shown Shown, fromZero bool) {
	low, high := math.Inf(1), math.Inf(-1)
	for _, row := range a.Rows {
		for _, v := range row[1:] {
			if n, ok := finite(v); ok {
				low, high = min(low, n), max(high, n)
			}
		}
	}
	if fromZero || low > 0 && low < high/2 {
		low = min(low, 0)
	}
	if high <= low {
		low, high = min(low, 0), max(high, low+1)
	}
	if math.IsInf(low, 0) || math.IsInf(high, 0) { // there is no value
		low, high = 0, 1
	}
	from, to := float64(shown.From.Unix()), float64(shown.To.Unix())
	plot, l := frame{f.x + 60, f.y + 4, f.w - 60, f.h - 24}, lookOf(p, "")
	for _, s := range c.shades {
		at := func(t float64) float64 { return plot.x + plot.w*min(max((t-from)/max(to-from, 1), 0), 1) }
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, at(s.from), plot.y, at(s.to)-at(s.from), plot.h, s.colour)
	}
	for i := range 3 {
		v := low + (high-low)*float64(i)/2
		y := plot.y + plot.h*(1-float64(i)/2)
		fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="#e5e7eb"/>`, plot.x, plot.x+plot.w, y, y)
		c.text(plot.x-4, y+4, `text-anchor="end" fill="#6b7280" font-size="10"`, l.says(v))
	}
	for _, bound := range l.bounds {
		if bound.Value != nil && *bound.Value > low && *bound.Value <= high {
			y := plot.y + plot.h*(1-(*bound.Value-low)/(high-low))
			fmt.Fprintf(c, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f" stroke="%s" stroke-dasharray="6 4"/>`, plot.x, plot.x+plot.w, y, y, inks[bound.Color])
		}
	}
	x := plot.x
	for i, name := range a.Columns[1:] {
		colour := colours[i%len(colours)]
		var path strings.Builder
		down := false
		for _, row := range a.Rows {
			t, ok := row[0].(float64)
			v, there := finite(row[i+1])
			if !ok || !there || t < from {
				down = false
				continue
			}
			// A point that stands alone is drawn as a line of no length: a dot.
			fmt.Fprintf(&path, map[bool]string{true: "L%.1f %.1f", false: "M%.1f %.1fh0"}[down], plot.x+plot.w*(t-from)/max(to-from, 1), plot.y+plot.h*(1-(v-low)/(high-low)))
			down = true
		}
		fmt.Fprintf(c, `<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linecap="round"/>`, path.String(), colour)
		if x < f.x+f.w-60 {
			c.text(x, f.y+f.h-2, `fill="`+colour+`" font-size="11"`, name)
			x += float64(8*len(name) + 16)
		}
	}
}

// squares draws one row for each name and one square for each time, in the colour
// of its value in percent.
func (c *canvas) squares(f frame, p dashboard.Panel, a Answer, shown Shown) {
	var names []string
	for _, row := range a.Rows {
		if name := cell(row[1]); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	from, to := float64(shown.From.Unix()), float64(shown.To.Unix())
	height := min(f.h/float64(len(names)), 30)
	for _, row := range a.Rows {
		t, _ := row[0].(float64)
		x, width := 180+(f.w-180)*max(0, t-from)/max(to-from, 1), (f.w-180)*6*3600/max(to-from, 1)
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, f.x+x, f.y+float64(slices.Index(names, cell(row[1])))*height, max(1, min(width-1, f.w-x)), height-2, fills[lookOf(p, "").colour(row[2])])
	}
	for i, name := range names {
		c.text(f.x, f.y+float64(i)*height+height/2+4, "", short(name, 24))
	}
}

// wide makes of rows of a time, a text and a value a column for each text, as
// Grafana does of series that have a label.
func (a Answer) wide() Answer {
	if len(a.Columns) != 3 {
		return a
	}
	if _, text := a.Rows[0][1].(string); !text {
		return a
	}
	out := Answer{Columns: a.Columns[:1:1]}
	for _, row := range a.Rows {
		if name := cell(row[1]); !slices.Contains(out.Columns[1:], name) {
			out.Columns = append(out.Columns, name)
		}
	}
	for _, row := range a.Rows {
		i := slices.IndexFunc(out.Rows, func(r []any) bool { return r[0] == row[0] })
		if i < 0 {
			i = len(out.Rows)
			out.Rows = append(out.Rows, make([]any, len(out.Columns)))
			out.Rows[i][0] = row[0]
		}
		out.Rows[i][1+slices.Index(out.Columns[1:], cell(row[1]))] = row[2]
	}
	return out
}

// finite returns a number that can be drawn.
func finite(v any) (float64, bool) {
	n, ok := v.(float64)
	return n, ok && !math.IsNaN(n) && !math.IsInf(n, 0)
}

// bars draws the last row's values, or each row's, as bars.
func (c *canvas) bars(f frame, a Answer) {
	high := 1.0
	row := a.Rows[len(a.Rows)-1]
	for _, v := range row[1:] {
		if n, ok := v.(float64); ok {
			high = max(high, n)
		}
	}
	step := min(f.h/float64(max(1, len(row)-1)), 26)
	for i, v := range row[1:] {
		n, _ := v.(float64)
		y := f.y + float64(i)*step
		c.text(f.x, y+step/2+4, "", short(a.Columns[i+1], 26))
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`, f.x+180, y+2, (f.w-240)*n/high, step-4, colours[0])
		c.text(f.x+186+(f.w-240)*n/high, y+step/2+4, "", cell(n))
	}
}

// table draws as many rows as there is room for.
func (c *canvas) table(f frame, p dashboard.Panel, a Answer) {
	width := f.w / float64(len(a.Columns))
	for i, name := range a.Columns {
		c.text(f.x+float64(i)*width, f.y+12, `fill="#6b7280"`, short(name, int(width/7)))
	}
	room := int((f.h - 20) / 17)
	for r, row := range a.Rows[:min(room, len(a.Rows))] {
		for i, v := range row {
			l := lookOf(p, a.Columns[i])
			c.text(f.x+float64(i)*width, f.y+12+float64(r+1)*17, `fill="`+l.ink(v)+`"`, short(l.says(v), int(width/7)))
		}
	}
}

// cell writes a value for a person.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case float64:
		switch size := math.Abs(v); {
		case size >= 1e9:
			return fmt.Sprintf("%.3gG", v/1e9)
		case size >= 1e6:
			return fmt.Sprintf("%.3gM", v/1e6)
		case size >= 1e4:
			return fmt.Sprintf("%.3gk", v/1e3)
		}
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprint(v)
}

func short(text string, most int) string {
	if runes := []rune(text); len(runes) > max(most, 2) {
		return string(runes[:max(most, 2)-1]) + "…"
	}
	return text
}
