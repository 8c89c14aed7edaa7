package page

import (
	"bytes"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
)

// sheet is a page to be written: which template, and what it shows.
type sheet struct {
	Title string
	Name  string // of the template
	Data  any
	Tab   string // the part of the navigation that it is in: fleet or incidents
	Live  bool   // parts of it change by themselves

	Token   incidents.Token // of who looks
	Drawn   time.Time
	Viewing bool // sites and devices are to be seen
}

// write renders a sheet. It is made whole before the first byte goes out, so that
// nobody gets half of one.
func (v *visit) write(w http.ResponseWriter, status int, s *sheet) {
	s.Token, s.Drawn, s.Viewing = v.token, v.at, slices.Contains(viewers, v.token.Role)
	var out bytes.Buffer
	if err := templates.ExecuteTemplate(&out, s.Name, s); err != nil {
		v.Log.Error("write page", "template", s.Name, "error", err)
		http.Error(w, "Something went wrong here; the log has it.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // who went away needs no answer
}

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"when": when, "ago": ago, "span": span, "num": num, "seen": seen, "words": words, "prio": prio,
	"split": strings.Fields, "minutes": func(n int) string { return span(time.Duration(n) * time.Minute) },
}).ParseFS(files, "templates/*.html"))

// when writes an instant in a zone, with the instant itself for machines.
func when(t time.Time, zone *time.Location) template.HTML {
	if t.IsZero() {
		return "–"
	}
	if zone == nil {
		zone = time.UTC
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.RFC3339), t.In(zone).Format("2 Jan 15:04 MST")))
}

// ago writes how long before now an instant was.
func ago(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	text := span(now.Sub(t)) + " ago"
	if now.Sub(t) < time.Minute {
		text = "just now"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s">%s</time>`, t.UTC().Format(time.RFC3339), text))
}

// span writes a length of time in the two largest units that matter.
func span(d time.Duration) string {
	d = d.Abs()
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60), " 0 min")
	}
	return strings.TrimSuffix(fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24), " 0 h")
}

// num writes a number with thin spaces between thousands.
func num(v any) string {
	var text string
	switch n := v.(type) {
	case *float64:
		if n == nil {
			return "–"
		}
		return num(*n)
	case float64:
		if math.Abs(n) < 1000 && n != math.Trunc(n) || math.Abs(n) > 1e15 {
			return strconv.FormatFloat(n, 'g', 4, 64)
		}
		text = strconv.FormatInt(int64(math.Round(n)), 10)
	default:
		text = fmt.Sprint(n)
	}
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "−", text[1:]
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return sign + text
}

// seen writes the value of a signal: seconds, where it is a length of time.
func seen(signal string, v *float64) string {
	if v == nil || !strings.HasPrefix(signal, "silence(") && !strings.HasPrefix(signal, "skew(") {
		return num(v)
	}
	return span(time.Duration(*v * float64(time.Second)))
}

// words makes readable what is a code: in_progress, suspected_offline.
func words(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") }

// prio names a priority for those who hear the page.
func prio(n int) string {
	return map[int]string{1: "critical", 2: "high", 3: "medium", 4: "low"}[n]
}
