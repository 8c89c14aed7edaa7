package recording

import (
	"fmt"
	"slices"
	"strings"
)

// mapping turns the cells of a row into a draft of a message.
type mapping struct {
	fields   map[string]field
	measures []measure
	counts   bool // rows without a kind are counts
	flows    map[string]direction
	others   bool // rows of flows that are not named are left out
	both     bool // flows name both directions, so one alone is half a reading
	missing  map[string]bool
	prefix   string
}

type measure struct {
	name  string
	field field
}

type direction byte

const (
	left direction = iota // to be left out
	flowIn
	flowOut
	unnamed // a flow that Options.Flows doesn't know
)

// check returns the parsed column map (nil for belfry's own columns) and what is
// wrong with the options.
func (o *Options) check(format string) (spec *Columns, err error) {
	if o.Columns != "" {
		if spec, err = ParseColumns(o.Columns); err != nil {
			return nil, err
		}
	}
	interval := o.Interval > 0 || spec == nil || spec.fields["interval"] != nil
	switch {
	case o.NoHeader && format != formatCSV:
		return nil, fmt.Errorf("only a CSV file can be without a header; this one is %s", format)
	case o.NoHeader && spec == nil:
		return nil, fmt.Errorf("a file without a header needs a column map by number, such as device=1,ts=2,in=3")
	case o.Stamps != "" && o.Stamps != "start" && o.Stamps != "end":
		return nil, fmt.Errorf("stamps %q; want start or end", o.Stamps)
	case o.Stamps == "start" && !interval:
		return nil, fmt.Errorf("stamps that are starts of intervals need the interval's length")
	case o.Interval < 0:
		return nil, fmt.Errorf("interval %d; want seconds, at least 1", o.Interval)
	case (o.Flows != "") != (spec != nil && spec.fields["flow"] != nil):
		return nil, fmt.Errorf("flows and the column map's flow and count go together, such as flows 9=in,7=out with flow=1,count=4")
	}
	return spec, nil
}

// bind ties the map to the columns of a file. A nil map stands for belfry's own
// columns.
func (c *Columns) bind(columns []string, o Options) (*mapping, error) {
	if c == nil {
		c = ownColumns(columns)
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%w. The file has the columns %s; a column map says which is which", err, quoted(columns))
		}
	}
	m := &mapping{fields: map[string]field{}, missing: map[string]bool{}, prefix: o.DevicePrefix}
	for _, target := range c.order {
		var bound field
		for _, p := range c.fields[target] {
			index := -1
			if !p.fixed {
				var err error
				if index, err = find(columns, p.column); err != nil {
					return nil, fmt.Errorf("column map: %s: %w", target, err)
				}
			}
			bound = append(bound, boundPart{index, p.constant})
		}
		if slices.Contains(targets, target) {
			m.fields[target] = bound
		} else {
			m.measures = append(m.measures, measure{target, bound})
		}
	}
	m.counts = m.fields["in"] != nil || m.fields["out"] != nil || m.fields["flow"] != nil
	if !m.counts && m.fields["kind"] == nil && len(m.measures) == 0 && m.fields["fw"] == nil {
		return nil, fmt.Errorf("column map: nothing to read but names and times; add in=COLUMN, out=COLUMN, or kind='heartbeat'")
	}
	for _, token := range missingTokens(o.Missing) {
		m.missing[token] = true
	}
	return m, m.parseFlows(o.Flows)
}

func missingTokens(given []string) []string {
	if given == nil {
		return []string{"", "NaN", "nan", "NULL", "null", "NA", "N/A"}
	}
	return append([]string{""}, given...)
}

func (m *mapping) parseFlows(text string) error {
	if text == "" {
		return nil
	}
	m.flows = map[string]direction{}
	seen := map[direction]bool{}
	for pair := range strings.SplitSeq(text, ",") {
		i := strings.LastIndex(pair, "=")
		if i < 0 {
			return fmt.Errorf("flows: %q; want VALUE=in, VALUE=out or VALUE=-", pair)
		}
		value, to := strings.TrimSpace(pair[:i]), strings.TrimSpace(pair[i+1:])
		dir, ok := map[string]direction{"in": flowIn, "out": flowOut, "-": left}[to]
		switch {
		case !ok:
			return fmt.Errorf("flows: %s=%s; want in, out, or - to leave it out", value, to)
		case value == "*" && dir != left:
			return fmt.Errorf("flows: * can only be left out (*=-)")
		case value == "*":
			m.others = true
			continue
		}
		m.flows[value] = dir
		seen[dir] = true
	}
	if !seen[flowIn] && !seen[flowOut] {
		return fmt.Errorf("flows: %q names neither in nor out", text)
	}
	m.both = seen[flowIn] && seen[flowOut]
	return nil
}

// cell is the text of a column in a row.
type cell struct {
	text  string
	there bool // the file has such a column, whatever stands in it
}

// draft is a row on its way to a message: texts as they stand in the file.
type draft struct {
	line     int64
	device   string // "" when missing
	ts       string // "" when missing
	kind     string
	in, out  cell
	interval string
	arrival  string
	fw       string
	flow     string
	dir      direction
	measures []measured
}

type measured struct{ name, text string }

func (m *mapping) draft(cells []string, line int64) *draft {
	d := &draft{line: line}
	d.device = m.value(cells, "device")
	if d.device != "" {
		d.device = m.prefix + d.device
	}
	d.ts = m.value(cells, "ts")
	d.kind = m.value(cells, "kind")
	if d.kind == "" {
		d.kind = "heartbeat"
		if m.counts {
			d.kind = "count"
		}
	}
	d.in, d.out = m.cell(cells, "in"), m.cell(cells, "out")
	d.interval, d.arrival, d.fw = m.value(cells, "interval"), m.value(cells, "arrival"), m.value(cells, "fw")
	if m.flows != nil {
		m.direct(d, cells)
	}
	if d.kind == "count" {
		return d
	}
	for _, x := range m.measures {
		if text, ok := x.field.text(cells); ok && !m.missing[strings.TrimSpace(text)] {
			d.measures = append(d.measures, measured{x.name, strings.TrimSpace(text)})
		}
	}
	return d
}

// direct puts a flow's count where it belongs.
func (m *mapping) direct(d *draft, cells []string) {
	count, _ := m.fields["count"].text(cells)
	flow, _ := m.fields["flow"].text(cells)
	d.flow = strings.TrimSpace(flow)
	dir, known := m.flows[d.flow]
	d.dir = dir
	switch {
	case dir == flowIn:
		d.in = cell{strings.TrimSpace(count), true}
	case dir == flowOut:
		d.out = cell{strings.TrimSpace(count), true}
	case !known && !m.others:
		// Neither guessed nor dropped: a text for a number is refused.
		d.dir = unnamed
		d.in = cell{"flow " + d.flow + ": " + strings.TrimSpace(count), true}
	}
}

// value returns a target's text, "" when it is missing. Of a joined one (a date
// and a time) no part may be missing.
func (m *mapping) value(cells []string, target string) string {
	f := m.fields[target]
	for _, p := range f {
		if text, ok := p.text(cells); !ok || m.missing[strings.TrimSpace(text)] {
			return ""
		}
	}
	text, _ := f.text(cells)
	return strings.TrimSpace(text)
}

func (m *mapping) cell(cells []string, target string) cell {
	f := m.fields[target]
	if f == nil {
		return cell{}
	}
	text, _ := f.text(cells)
	return cell{strings.TrimSpace(text), true}
}
