package recording

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The columns that belfry knows; any other target is a named measurement.
var targets = []string{"device", "ts", "in", "out", "interval", "kind", "arrival", "fw", "flow", "count"}

var targetName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// Columns is a parsed column map.
type Columns struct {
	order  []string
	fields map[string][]part
}

// part is a column of the file, or a constant.
type part struct {
	column   string
	constant string
	fixed    bool
}

// ParseColumns reads a column map: target=source pairs parted by commas. A
// target is device, ts, in, out, interval, kind, arrival, fw, flow, count, or the
// name of a measurement. A source is the name of a column (its number, from 1,
// in a file without a header), a constant in single quotes, or several of them
// joined by +, whose values are put together with one space between. A name
// with a comma, +, = or quote in it stands in double quotes.
//
//	device=SensorID,in=PedestrianCount,ts=Date+Hour
//	device='CalIt2',flow=1,ts=2+3,count=4
func ParseColumns(text string) (*Columns, error) {
	c := &Columns{fields: map[string][]part{}}
	for _, pair := range cut(text, ',') {
		target, source, ok := strings.Cut(pair, "=")
		target = strings.TrimSpace(target)
		switch {
		case !ok || strings.TrimSpace(source) == "":
			return nil, fmt.Errorf("column map: %q; want target=column, such as device=SensorID", pair)
		case !targetName.MatchString(target):
			return nil, fmt.Errorf("column map: no target %q; want one of %s, or the name of a measurement", target, strings.Join(targets, ", "))
		case c.fields[target] != nil:
			return nil, fmt.Errorf("column map: %s is given twice", target)
		}
		for _, p := range cut(source, '+') {
			parsed, err := parsePart(strings.TrimSpace(p))
			if err != nil {
				return nil, fmt.Errorf("column map: %s: %w", target, err)
			}
			c.fields[target] = append(c.fields[target], parsed)
		}
		c.order = append(c.order, target)
	}
	return c, c.check()
}

// check returns what the map lacks, or nil.
func (c *Columns) check() error {
	has := func(target string) bool { return c.fields[target] != nil }
	counts := has("in") || has("out")
	switch {
	case !has("device"):
		return fmt.Errorf("column map: no device; add device=COLUMN or device='NAME'")
	case !has("ts"):
		return fmt.Errorf("column map: no ts; add ts=COLUMN (several parts: ts=DATE+TIME)")
	case has("flow") != has("count"):
		return fmt.Errorf("column map: flow and count go together; the one names the direction of the other")
	case has("flow") && counts:
		return fmt.Errorf("column map: either in and out, or flow and count")
	}
	return nil
}

// ownColumns maps belfry's own columns to themselves.
func ownColumns(names []string) *Columns {
	c := &Columns{fields: map[string][]part{}}
	for _, name := range names {
		if name = strings.TrimSpace(name); targetName.MatchString(name) && c.fields[name] == nil {
			c.fields[name] = []part{{column: name}}
			c.order = append(c.order, name)
		}
	}
	return c
}

// columnsOf returns the file's columns behind a target.
func (c *Columns) columnsOf(target string) []string {
	if c == nil {
		return []string{target}
	}
	var names []string
	for _, p := range c.fields[target] {
		if !p.fixed {
			names = append(names, p.column)
		}
	}
	return names
}

// names returns all columns of the file that the map uses, each once.
func (c *Columns) names() []string {
	var names []string
	for _, target := range c.order {
		for _, name := range c.columnsOf(target) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func parsePart(text string) (part, error) {
	if inner, ok := unquote(text, '\''); ok {
		return part{constant: inner, fixed: true}, nil
	}
	if inner, ok := unquote(text, '"'); ok {
		text = inner
	}
	if text == "" || strings.ContainsAny(text[:1], `'"`) {
		return part{}, fmt.Errorf("%q is no column; want a name, a number, or a constant in single quotes", text)
	}
	return part{column: text}, nil
}

func unquote(text string, q byte) (string, bool) {
	if len(text) < 2 || text[0] != q || text[len(text)-1] != q {
		return "", false
	}
	return text[1 : len(text)-1], true
}

// cut parts a text at a separator that stands outside quotes.
func cut(text string, sep byte) []string {
	var out []string
	var quote byte
	start := 0
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case quote != 0:
			if ch == quote {
				quote = 0
			}
		case ch == '\'' || ch == '"':
			quote = ch
		case ch == sep:
			out = append(out, text[start:i])
			start = i + 1
		}
	}
	return append(out, text[start:])
}

// field is a target bound to a file: how its text is made of a row's cells.
type field []boundPart

type boundPart struct {
	index    int // -1 for a constant
	constant string
}

// text returns the field's text; false when the row has no such cell.
func (f field) text(cells []string) (string, bool) {
	if len(f) == 1 {
		return f[0].text(cells)
	}
	var joined strings.Builder
	for i, p := range f {
		text, ok := p.text(cells)
		if !ok {
			return "", false
		}
		if i > 0 {
			joined.WriteByte(' ')
		}
		joined.WriteString(text)
	}
	return joined.String(), true
}

func (p boundPart) text(cells []string) (string, bool) {
	switch {
	case p.index < 0:
		return p.constant, true
	case p.index >= len(cells):
		return "", false
	}
	return cells[p.index], true
}

// find returns the place of a column among the file's.
func find(columns []string, name string) (int, error) {
	if i := slices.Index(columns, name); i >= 0 {
		return i, nil
	}
	shown := columns
	if len(shown) > 40 {
		shown = shown[:40]
	}
	return 0, fmt.Errorf("no column %q; there are %s", name, quoted(shown))
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, ", ")
}
