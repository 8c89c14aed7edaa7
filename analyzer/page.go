package analyzer

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"belfry/telemetry"
)

// Size of a picture in the page, in pixels.
const pictureWidth, pictureHeight = 860.0, 180.0

// WritePage writes a report and its pictures as one HTML page that needs nothing
// else.
func WritePage(w io.Writer, r *Report, pictures []*Picture) error {
	if err := pageTemplate.Execute(w, struct {
		*Report
		Pictures []*Picture
		Undrawn  int
	}{r, pictures, max(0, r.drawable()-len(pictures))}); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// PicturesMost is how many pictures a page has at most: some 10 kB each.
const PicturesMost = 500

// Drawn reports whether a page has a picture for a finding: of each that begins to fire
// for a device or a site.
func Drawn(f telemetry.Finding) bool {
	return f.Condition == telemetry.Firing && f.Reason == "" && (f.Scope.Level == telemetry.LevelDevice || f.Scope.Level == telemetry.LevelSite)
}

func (r *Report) drawable() (n int) {
	for _, f := range r.Findings {
		if Drawn(f) {
			n++
		}
	}
	return n
}

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"time":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"draw":  func(p *Picture) template.HTML { return template.HTML(p.svg()) }, // made of numbers alone
	"fix":   func(v float64) string { return fmt.Sprintf("%.2f", v) },
	"notes": notes,
	"quiet": func(rules []RuleReport) (names []string) {
		for _, r := range rules {
			if r.Opened+r.HitDays == 0 {
				names = append(names, r.Rule)
			}
		}
		return names
	},
}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>belfry: backtest</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #1b1f24; }
table { border-collapse: collapse; } td, th { padding: .2em .9em .2em 0; text-align: left; border-bottom: 1px solid #ddd; }
td.n, th.n { text-align: right; } figure { margin: 2em 0; } figcaption { margin-bottom: .3em; } small { color: #57606a; }
svg { width: 100%; min-width: 620px; background: #fafbfc; border: 1px solid #ddd; } .wide { overflow-x: auto; }
figure .wide { direction: rtl; } figure svg { direction: ltr; } /* a narrow screen begins with the end */
.band { fill: #c8d3df; } .base { stroke: #6e7f91; } .in { stroke: #0a66c2; } .out { stroke: #c25e0a; } .span { fill: #d1242f; fill-opacity: .12; }
.total { stroke: #1b1f24; stroke-opacity: .55; } .day { stroke: #d0d7de; } text { fill: #57606a; font-size: 11px; }
.gap { fill: #8c959f; fill-opacity: .6; } path { fill: none; stroke-width: 1.5; } path.band { stroke: none; }
</style>
<h1>Backtest</h1>
<p>{{ time .From }} to {{ time .To }} UTC: {{ .Devices }} devices on {{ .Sites }} sites, {{ .Rows }} readings.</p>
<div class="wide"><table><tr><th>Rule<th class="n">Opened<th class="n">Cleared<th class="n">Days held<th class="n">Scopes<th class="n">For 1,000 devices and week</tr>
{{ range .Rules }}{{ if or .Opened .HitDays }}<tr><td>{{ .Rule }}<td class="n">{{ .Opened }}<td class="n">{{ .Cleared }}<td class="n">{{ .HitDays }}<td class="n">{{ .Scopes }}<td class="n">{{ fix .PerThousandWeek }}</tr>
{{ end }}{{ end }}</table></div>
{{ with quiet .Rules }}<p><small>Nothing was found by {{ range $i, $name := . }}{{ if $i }}, {{ end }}{{ $name }}{{ end }}.</small></p>{{ end }}
{{ with .Ailments }}<details><summary><small>Rules that could find nothing, or less, for a time or for all of it: {{ len . }}</small></summary><ul>
{{ range . }}<li><small>{{ .What }}{{ if not .Until.IsZero }} (until {{ time .Until }}){{ end }}</small>
{{ end }}</ul></details>{{ end }}
<p>{{ len .Incidents }} incidents after roll-up, {{ fix .PerThousandWeek }} for each 1,000 devices and week{{ if .Kinds }}; {{ len .Unlabelled }} of them lie in no known fault's span{{ end }}.</p>
{{ if .Kinds }}<h2>Known faults</h2>
<div class="wide"><table><tr><th>Kind<th class="n">Spans<th class="n">Found<th class="n">Recall<th class="n">Detected after</tr>
{{ range .Kinds }}<tr><td>{{ .Kind }}<td class="n">{{ .Spans }}<td class="n">{{ .Found }}<td class="n">{{ fix .Recall }}<td class="n">{{ .Detect }}</tr>
{{ end }}</table></div>{{ end }}
<h2>Findings</h2>
<p><small>Blue: IN, brown: OUT, black: both together, grey band: what is usual of both together, red: the span that the finding is about, dark at the bottom: no readings. Days are local.{{ if .Undrawn }} Only the first {{ len .Pictures }} are drawn, {{ .Undrawn }} more are not: take fewer rules or days.{{ end }}</small></p>
{{ range .Pictures }}<figure><figcaption><b>{{ .Finding.Rule }}</b> {{ .Finding.Summary }}<br>
<small>{{ time .Finding.At }} UTC{{ range notes .Finding }}<br>{{ . }}{{ end }}</small></figcaption>
<div class="wide">{{ draw . }}</div></figure>
{{ else }}<p>None about a device or a site.</p>{{ end }}
</html>
`))

// svg draws the picture. Everything in it is a number.
func (p *Picture) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img">`, pictureWidth, pictureHeight)
	if len(p.Hours) == 0 {
		return b.String() + "</svg>"
	}
	top := 1.0
	for _, h := range p.Hours {
		top = max(top, h.In+h.Out, orZero(h.Base+h.Spread))
	}
	x := func(i float64) float64 { return i * pictureWidth / float64(len(p.Hours)) }
	y := func(v float64) float64 { return pictureHeight - 4 - max(0, v)/top*(pictureHeight-20) }
	p.days(&b, x)
	p.spans(&b, x)
	p.band(&b, x, y)
	if p.twoWays() {
		p.line(&b, "total", x, y, func(h PictureHour) float64 { return h.In + h.Out })
	}
	p.line(&b, "in", x, y, func(h PictureHour) float64 { return h.In })
	p.line(&b, "out", x, y, func(h PictureHour) float64 { return h.Out })
	fmt.Fprintf(&b, `<text x="4" y="28">%s an hour</text></svg>`, formatNumber(math.Round(top)))
	return b.String()
}

// notes lists what is said of a finding besides its readings: why it fired, first.
func notes(f telemetry.Finding) (all []string) {
	for _, e := range f.Evidence {
		switch {
		case e.Note == "" || strings.HasPrefix(e.What, "readings"):
		case e.What == "why":
			all = append([]string{"Because " + e.Note}, all...)
		default:
			all = append(all, e.What+" "+e.Note)
		}
	}
	return all
}

// twoWays reports whether both directions were counted.
func (p *Picture) twoWays() bool {
	in, out := false, false
	for _, h := range p.Hours {
		in, out = in || h.In > 0, out || h.Out > 0
	}
	return in && out
}

// days draws a line at each local midnight, with the date.
func (p *Picture) days(b *strings.Builder, x func(float64) float64) {
	zone, err := time.LoadLocation(p.Zone)
	if err != nil {
		zone = time.UTC
	}
	for i, h := range p.Hours {
		if local := h.End.Add(-binStep).In(zone); local.Hour() == 0 {
			fmt.Fprintf(b, `<path class="day" d="M%.1f 0V%g"/><text x="%.1f" y="14">%s</text>`, x(float64(i)), pictureHeight, x(float64(i))+3, local.Format("Mon 2 Jan"))
		}
	}
}

// spans shades where the condition held and where there are no readings.
func (p *Picture) spans(b *strings.Builder, x func(float64) float64) {
	first := p.Hours[0].End.Add(-binStep)
	place := func(t time.Time) float64 {
		return min(max(t.Sub(first).Hours(), 0), float64(len(p.Hours)))
	}
	from, to := place(beginning(&p.Finding)), float64(len(p.Hours))
	if !p.Cleared.IsZero() {
		to = place(p.Cleared)
	}
	fmt.Fprintf(b, `<rect class="span" x="%.1f" y="0" width="%.1f" height="%g"/>`, x(from), max(1, x(to)-x(from)), pictureHeight)
	for i, h := range p.Hours {
		if !h.Known {
			fmt.Fprintf(b, `<rect class="gap" x="%.1f" y="%g" width="%.1f" height="4"/>`, x(float64(i)), pictureHeight-4, x(1))
		}
	}
}

// band fills what is usual, in pieces where it is known.
func (p *Picture) band(b *strings.Builder, x, y func(float64) float64) {
	for i := 0; i < len(p.Hours); i++ {
		start := i
		for i < len(p.Hours) && p.Hours[i].Base == p.Hours[i].Base {
			i++
		}
		if i == start {
			continue
		}
		b.WriteString(`<path class="band" d="`)
		for k := start; k < i; k++ {
			point(b, k == start, x(float64(k)+.5), y(p.Hours[k].Base+p.Hours[k].Spread))
		}
		for k := i - 1; k >= start; k-- {
			point(b, false, x(float64(k)+.5), y(p.Hours[k].Base-p.Hours[k].Spread))
		}
		b.WriteString(`Z"/>`)
	}
}

// line draws a flow, interrupted where there are no readings.
func (p *Picture) line(b *strings.Builder, class string, x, y func(float64) float64, value func(PictureHour) float64) {
	fmt.Fprintf(b, `<path class="%s" d="`, class)
	lifted := true
	for i, h := range p.Hours {
		if h.Known {
			point(b, lifted, x(float64(i)+.5), y(value(h)))
		}
		lifted = !h.Known
	}
	b.WriteString(`"/>`)
}

func point(b *strings.Builder, first bool, x, y float64) {
	verb := "L"
	if first {
		verb = "M"
	}
	fmt.Fprintf(b, "%s%.1f %.1f", verb, x, y)
}
