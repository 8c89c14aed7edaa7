package fleet

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// faultText is a fault as it stands in a file.
type faultText struct {
	Device string  `yaml:"device"`
	Site   string  `yaml:"site"`
	Kind   string  `yaml:"kind"`
	From   string  `yaml:"from"`
	To     string  `yaml:"to"`
	By     string  `yaml:"by"`
	Factor float64 `yaml:"factor"`
	Note   string  `yaml:"note"`
}

// ParseFaults reads a list of faults. Times are RFC 3339, or durations such as
// +36h or +3d after start. The error holds every fault of the file, one on each
// line, as "name:line:col: what is wrong; what is wanted".
//
//	faults:
//	  - {device: FC-10007, kind: offline, from: +2d, to: +6d, note: cable cut}
//	  - {site: mall-paris, kind: in_out_discrepancy, from: +3d, to: +5d, factor: 0.7}
func ParseFaults(name string, text []byte, start time.Time) ([]Fault, error) {
	p := &faultParser{name: name, start: start}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		p.yaml(err, nil)
		return nil, p.errs()
	}
	for _, doc := range file.Docs {
		p.document(doc.Body)
	}
	if err := p.errs(); err != nil {
		return nil, err
	}
	return p.faults, nil
}

type faultParser struct {
	name   string
	start  time.Time
	faults []Fault
	wrong  []wrong
}

// wrong is something wrong in the file, and where.
type wrong struct {
	line, column int
	what         string
}

// errs returns all that is wrong, in the order of the file.
func (p *faultParser) errs() error {
	slices.SortStableFunc(p.wrong, func(a, b wrong) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	var all []error
	for _, w := range p.wrong {
		all = append(all, fmt.Errorf("%s:%d:%d: %s", p.name, w.line, w.column, w.what))
	}
	return errors.Join(all...)
}

func (p *faultParser) fail(node ast.Node, format string, args ...any) {
	at := node.GetToken().Position
	p.wrong = append(p.wrong, wrong{at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// yaml notes an error of the YAML library.
func (p *faultParser) yaml(err error, node ast.Node) {
	var positioned yaml.Error
	switch {
	case errors.As(err, &positioned) && positioned.GetToken() != nil:
		at := positioned.GetToken().Position
		p.wrong = append(p.wrong, wrong{at.Line, at.Column, positioned.GetMessage()})
	case node != nil:
		p.fail(node, "%v", err)
	default:
		p.wrong = append(p.wrong, wrong{1, 1, err.Error()})
	}
}

func (p *faultParser) document(body ast.Node) {
	if body == nil {
		return
	}
	for _, entry := range p.entries(body, "faults") {
		list, ok := entry.Value.(*ast.SequenceNode)
		if !ok {
			p.fail(entry.Value, "no list; want faults, each beginning with a dash")
			continue
		}
		for _, item := range list.Values {
			p.item(item)
		}
	}
}

// entries returns the pairs of a mapping whose keys are among those wanted.
func (p *faultParser) entries(node ast.Node, wanted ...string) (out []*ast.MappingValueNode) {
	var all []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		all = n.Values
	case *ast.MappingValueNode:
		all = append(all, n)
	default:
		p.fail(node, "no mapping; want %s", strings.Join(wanted, ", "))
	}
	for _, entry := range all {
		if key := entry.Key.GetToken().Value; !slices.Contains(wanted, key) {
			p.fail(entry.Key, "no key %q; want %s", key, strings.Join(wanted, ", "))
			continue
		}
		out = append(out, entry)
	}
	return out
}

// item reads one fault.
func (p *faultParser) item(node ast.Node) {
	before := len(p.wrong)
	var keys []string
	for t, i := reflect.TypeFor[faultText](), 0; i < t.NumField(); i++ {
		keys = append(keys, t.Field(i).Tag.Get("yaml"))
	}
	values := map[string]ast.Node{}
	for _, entry := range p.entries(node, keys...) {
		values[entry.Key.GetToken().Value] = entry.Value
	}
	if len(p.wrong) > before {
		return
	}
	var t faultText
	if err := yaml.NodeToValue(node, &t, yaml.Strict()); err != nil {
		p.yaml(err, node)
		return
	}
	x := Fault{Device: t.Device, Site: t.Site, Kind: Kind(t.Kind), Factor: t.Factor, Note: t.Note}
	x.From = p.time(node, values, "from", t.From)
	x.To = p.time(node, values, "to", t.To)
	if t.By != "" {
		by, err := duration(t.By)
		if err != nil {
			p.fail(values["by"], "by %q; want a duration such as 90m, 6h or 2d", t.By)
		}
		x.By = by
	}
	if len(p.wrong) > before {
		return
	}
	if err := x.complete(); err != nil {
		p.fail(node, "%v", err)
		return
	}
	p.faults = append(p.faults, x)
}

func (p *faultParser) time(node ast.Node, values map[string]ast.Node, key, text string) time.Time {
	if text == "" {
		p.fail(node, "no %s; want a time, or a duration after the start such as +2d", key)
		return time.Time{}
	}
	if after, ok := strings.CutPrefix(text, "+"); ok {
		if d, err := duration(after); err == nil {
			return p.start.Add(d)
		}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p.fail(values[key], "%s %q; want a time like 2026-03-27T11:00:00Z, or a duration after the start such as +2d", key, text)
	}
	return t.UTC()
}

// duration reads a Go duration, or days such as 2d.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * float64(24*time.Hour)), err
	}
	return time.ParseDuration(text)
}

// WriteOracle writes faults in the form of a label file: dataset, device, start,
// end, kind, basis, note. The device of a site's fault is the site, and its note
// says so. Times are UTC.
func WriteOracle(w io.Writer, dataset string, faults []Fault) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"dataset", "device", "start", "end", "kind", "basis", "note"}}
	for _, x := range faults {
		note := x.Note
		if x.Site != "" {
			note = strings.TrimSpace("all devices of the site. " + note)
		}
		rows = append(rows, []string{dataset, x.Scope(), x.From.UTC().Format(time.RFC3339), x.To.UTC().Format(time.RFC3339), string(x.Kind), "injected", note})
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write the list of faults: %w", err)
	}
	return nil
}
