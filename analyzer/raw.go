package analyzer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"belfry/telemetry"
)

// Raw is the query of a rule in SQL, as it is asked for an instant.
type Raw struct {
	SQL    string            // as it stands in the rule, with placeholders such as {at:DateTime64(3)}
	Params map[string]string // what the placeholders stand for, by name: numbers, dates, times in UTC
}

// RawRow is a row of the answer.
type RawRow struct {
	Scope string  // name of a device, id of a site, value of a group's label; of the tenant any
	Value float64 // NaN for NULL
}

// RawQuery runs a rule's query and returns its columns `scope` and `value`. Whoever
// makes one sees to it that the query reads only, reads nothing but the tenant's, and
// ends in time. It must be safe for concurrent use; the rows are the caller's.
type RawQuery func(ctx context.Context, q Raw) ([]RawRow, error)

// rawParam is a row of the table of placeholders.
type rawParam struct {
	name  string
	about string
	daily bool // of rules with `at` only
}

var rawParams = []rawParam{
	{name: "at", about: "the instant that is judged"},
	{name: "as_of", about: "what had arrived by then counts: `at`, or later when late readings let a day be judged again. A query that asks `readings_as_of(as_of = {as_of:DateTime64(3)})`, or `heartbeats_as_of`, finds in a backtest what it found live"},
	{name: "from", about: "beginning of the local day that is judged, in a rule with `at`", daily: true},
	{name: "to", about: "its end, or the instant if that is before", daily: true},
	{name: "day", about: "its date", daily: true},
}

// placeholder finds the placeholders of a query, and first what may hold something
// that only looks like one.
var placeholder = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|--[^\n]*|(?s:/\*.*?\*/)|\{\s*(\w+)\s*:`)

// placeholders lists the names in a query with the places where they begin.
func placeholders(sql string) (names []string, at []int) {
	for _, m := range placeholder.FindAllStringSubmatchIndex(sql, -1) {
		if m[2] >= 0 {
			names, at = append(names, sql[m[2]:m[3]]), append(at, m[2])
		}
	}
	return names, at
}

func (d *draft) readQuery(e entry) {
	text, ok := d.text(e)
	if text = strings.TrimRight(text, "; \n\t"); ok && text == "" {
		d.fault(e.value, "the query is empty", "want SELECT ... AS scope, ... AS value FROM ...")
		return
	}
	d.rule.Query = text
	d.rule.QueryLine, _ = d.src.position(tokenOf(e.value))
	if _, block := e.value.(*ast.LiteralNode); block {
		d.rule.QueryLine++
	}
}

// checkQuery checks the placeholders of the query, once params and schedule are known.
func (d *draft) checkQuery(varies []bool) {
	names, places := placeholders(d.rule.Query)
	known := []string{}
	for _, p := range rawParams {
		known = append(known, p.name)
	}
	for i, p := range d.rule.Params {
		if slices.Contains(known, p.Name) {
			d.fault(d.at["params"].value, fmt.Sprintf("a parameter %q beside a query, which knows it as a placeholder", p.Name), "want another name")
		}
		if slices.Contains(names, p.Name) && varies[i] {
			d.fault(d.at["params"].value, fmt.Sprintf("the parameter %q of the query is overridden", p.Name), "want one that is the same for all")
		}
	}
	for _, p := range d.rule.Params {
		known = append(known, p.Name)
	}
	for i, name := range names {
		what, want := "", ""
		p := slices.IndexFunc(rawParams, func(p rawParam) bool { return p.name == name })
		switch {
		case !slices.Contains(known, name):
			what, want = fmt.Sprintf("no parameter %q for the query", name), wantOneOf(name, known)
		case p >= 0 && rawParams[p].daily && d.rule.Schedule.Anchor == "":
			what, want = fmt.Sprintf("the query asks for %s of a local day, and the rule has none", name), "want at: midnight+30m, or {at:DateTime64(3)}"
		default:
			continue
		}
		line, col := d.src.locate(tokenOf(d.at["query"].value), d.rule.Query, places[i])
		d.add(line, col, what, want)
	}
}

// Raw returns the rule's query as it is asked for an instant that judges a stretch of
// a local day; for a rule without `at` the stretch does not matter.
func (r *Rule) Raw(at, from, to time.Time, date string) Raw {
	q := Raw{SQL: r.Query, Params: map[string]string{"at": rawTime(at), "as_of": rawTime(at)}}
	if r.Schedule.Anchor != "" {
		q.Params["from"], q.Params["to"], q.Params["day"] = rawTime(from), rawTime(to), date
	}
	for _, p := range r.Params {
		q.Params[p.Name] = strconv.FormatFloat(p.Value, 'g', -1, 64)
	}
	return q
}

// rawTime writes an instant; without a fraction when it has none, so that it is a
// DateTime as well as a DateTime64(3).
func rawTime(t time.Time) string {
	if t.UnixMilli()%1000 == 0 {
		return t.UTC().Format(time.DateTime)
	}
	return t.UTC().Format("2006-01-02 15:04:05.000")
}

// rawAnswer is what the query of a rule said at an instant.
type rawAnswer struct {
	value     []float64 // by scope
	strangers int       // rows about scopes that the rule does not have
	stranger  string    // one of them
	err       error
}

// ask runs the query of a task's rule: once, or once for each of the local days that
// are judged at the instant when it asks for the day.
func (p *pass) ask(ctx context.Context, t *task) *rawAnswer {
	answer := &rawAnswer{value: p.take(t.bound.scopes)}
	fillWith(answer.value, missing)
	if p.cfg.Raw == nil {
		answer.err = errors.New("queries in SQL are not answered here")
		return answer
	}
	for _, a := range p.rawAudiences(t) {
		q := t.bound.rule.Raw(t.at, a.spans[0].from, a.spans[0].to, a.date)
		begin := p.now()
		rows, err := p.cfg.Raw(ctx, q)
		p.scanned(ExplainedScan{At: t.at, What: "query", Columns: []string{oneLine(q.SQL)}, Rules: []string{t.bound.rule.Name}, Rows: len(rows)}, begin, err)
		if err == nil {
			err = answer.lay(p, t.bound, rows, a.calendars)
		}
		if err != nil {
			answer.err = fmt.Errorf("query of %s as of %s: %w", t.bound.rule.Name, t.at.Format(time.RFC3339), err)
			return answer
		}
	}
	return answer
}

// rawAudience is the calendars whose local day is one and the same.
type rawAudience struct {
	audience
	date string
}

func (p *pass) rawAudiences(t *task) []rawAudience {
	names, _ := placeholders(t.bound.rule.Query)
	if !slices.ContainsFunc(rawParams, func(r rawParam) bool { return r.daily && slices.Contains(names, r.name) }) {
		return []rawAudience{{audience: audience{spans: []stretch{{}}}}}
	}
	var all []rawAudience
	for c := range p.fleet.calendars {
		day, due := t.days[int32(c)]
		if !due {
			continue
		}
		spans := t.bound.rule.Schedule.stretches(window{kind: windowDay}, t.at, day)
		i := slices.IndexFunc(all, func(a rawAudience) bool { return a.date == day.Date && slices.Equal(a.spans, spans) })
		if i < 0 {
			i = len(all)
			all = append(all, rawAudience{audience{make([]bool, len(p.fleet.calendars)), spans}, day.Date})
		}
		all[i].calendars[c] = true
	}
	return all
}

// lay puts the rows of an answer in the order of the rule's scopes; calendars says
// whose rows are wanted, nil everybody's.
func (a *rawAnswer) lay(p *pass, b *bound, rows []RawRow, calendars []bool) error {
	seen := make([]bool, b.scopes)
	for _, r := range rows {
		row, ok := b.row(p.fleet, telemetry.Scope{Level: b.rule.Scope, Name: r.Scope})
		switch {
		case !ok:
			a.strangers++
			a.stranger = r.Scope
			continue
		case seen[row]:
			return fmt.Errorf("it returns %s %q twice; want one row for each scope", b.rule.Scope, r.Scope)
		}
		seen[row] = true
		if c := b.calendarOf(p.fleet, row); calendars == nil || c >= 0 && calendars[c] {
			if a.value[row] = r.Value; math.IsInf(r.Value, 0) {
				a.value[row] = missing // divided by zero
			}
		}
	}
	return nil
}

// oneLine is a query for a table of scans.
func oneLine(sql string) string {
	text := []rune(strings.Join(strings.Fields(sql), " "))
	if len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(text)
}
