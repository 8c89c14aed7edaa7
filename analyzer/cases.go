package analyzer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"belfry/telemetry"
)

// Cases are the tests of a file of rule tests, with the rules that they try.
type Cases struct {
	File  string
	Rules *RuleSet
	// Stage is needed by tests of rules that have a query.
	Stage Stage
	cases []*testCase
}

// Stage puts the registry and the readings of a rule test where SQL can be asked of
// them; done takes them away again.
type Stage func(ctx context.Context, sites []telemetry.Site, devices []telemetry.Device, readings *telemetry.Batch) (ask RawQuery, done func() error, err error)

// testCase is a small fleet, its readings, and what must be found in them.
type testCase struct {
	name    string
	line    int
	zone    *time.Location
	start   time.Time
	from    time.Time // the rules begin behind it
	step    time.Duration
	sites   []telemetry.Site
	devices []telemetry.Device
	batch   telemetry.Batch
	checks  []testCheck
}

// testCheck is an instant and what must have been said by then.
type testCheck struct {
	line     int
	at       time.Time
	findings []wantedFinding // said since the check before; nil: not asked
	firing   []wantedFinding // what fires at that instant; nil: not asked
}

// wantedFinding is a finding as a test describes it; zero fields are not asked.
type wantedFinding struct {
	rule, scope string
	is          telemetry.Condition
	reason      string
	value       *float64
	late        bool
}

// LoadCases reads a file of rule tests. read brings the rule files that it names
// under `rules`, which it takes relative to the test file. Every fault of the
// test file is listed, as Faults; those of a rule file come by themselves.
func LoadCases(f File, read func(name string) ([]File, error)) (*Cases, error) {
	l := &caseLoader{loader: loader{names: map[string]string{}}, cases: &Cases{File: f.Name}}
	l.src = newSource(f)
	tree, err := parseYAML(f.Data)
	switch what := l.src.refuse(); {
	case what != "":
		l.add(1, 1, what, fmt.Sprintf("want at most %d bytes of UTF-8, %d levels, and %d keys in one item", maxFile, maxNesting, maxKeys))
	case err != nil:
		l.syntax(err)
	default:
		for _, doc := range tree.Docs {
			if doc.Body != nil && doc.Body.Type() != ast.CommentType && doc.Body.Type() != ast.NullType {
				l.document(doc.Body)
			}
		}
	}
	if len(l.faults) == 0 && (len(l.files) == 0 || len(l.cases.cases) == 0) {
		l.add(1, 1, "the file holds no tests, or names no rules", "want rules: [FILE] and a list under tests:")
	}
	if len(l.faults) > 0 {
		l.faults.sort()
		return nil, l.faults
	}
	return l.cases, l.readRules(read)
}

type caseLoader struct {
	loader
	files []string
	cases *Cases
	c     *testCase
}

func (l *caseLoader) readRules(read func(name string) ([]File, error)) error {
	var files []File
	for _, name := range l.files {
		some, err := read(name)
		if err != nil {
			return fmt.Errorf("rules of %s: %w", l.cases.File, err)
		}
		files = append(files, some...)
	}
	rules, err := Load(files...)
	l.cases.Rules = rules
	return err
}

func (l *caseLoader) document(body ast.Node) {
	for _, e := range l.mapping(body, "the file") {
		switch e.key {
		case "rules":
			l.files = append(l.files, l.texts(e)...)
		case "tests":
			for _, item := range l.items(e) {
				l.test(item)
			}
		default:
			l.fault(e.at, fmt.Sprintf("unknown key %q", e.key), wantOneOf(e.key, []string{"rules", "tests"}))
		}
	}
}

func (l *caseLoader) items(e entry) []ast.Node {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		l.fault(e.value, e.key+" is not a list", "want a list")
		return nil
	}
	return list.Values
}

func (l *caseLoader) texts(e entry) []string {
	var all []string
	for _, item := range l.items(e) {
		if s, ok := l.text(entry{e.key, e.at, item}); ok {
			all = append(all, s)
		}
	}
	return all
}

// keysOf sorts a mapping's entries by name and complains of unknown ones.
func (l *caseLoader) keysOf(n ast.Node, what string, known ...string) map[string]entry {
	all := map[string]entry{}
	for _, e := range l.mapping(n, what) {
		if !slices.Contains(known, e.key) {
			l.fault(e.at, fmt.Sprintf("unknown key %q", e.key), wantOneOf(e.key, known))
			continue
		}
		all[e.key] = e
	}
	return all
}

// test reads one test. The zone and the start come first, since the other times
// are read by them.
func (l *caseLoader) test(n ast.Node) {
	keys := l.keysOf(n, "a test", "name", "zone", "start", "from", "step", "sites", "devices", "series", "expect")
	l.c = &testCase{zone: time.UTC, step: time.Hour}
	l.c.line, _ = l.src.position(tokenOf(n))
	if e, ok := keys["name"]; ok {
		l.c.name, _ = l.text(e)
	}
	if e, ok := keys["zone"]; ok {
		l.zone(e)
	}
	if e, ok := keys["start"]; ok {
		l.c.start = l.time(e)
	} else {
		l.fault(n, "the test has no start", "want start: a time such as 2026-03-27 08:00")
	}
	l.c.from = l.c.start
	if e, ok := keys["from"]; ok {
		l.c.from = l.time(e)
	}
	if e, ok := keys["step"]; ok {
		l.c.step = l.duration(e)
	}
	l.registry(keys)
	for _, key := range []string{"series", "expect"} {
		e, ok := keys[key]
		if !ok {
			l.fault(n, "the test has no "+key, "want a list under "+key+":")
			continue
		}
		for _, item := range l.items(e) {
			map[string]func(ast.Node){"series": l.series, "expect": l.expect}[key](item)
		}
	}
	l.cases.cases = append(l.cases.cases, l.c)
}

func (l *caseLoader) zone(e entry) {
	name, _ := l.text(e)
	zone, err := time.LoadLocation(name)
	if err != nil || name == "" {
		l.fault(e.value, fmt.Sprintf("no time zone %q", name), "want an IANA name such as Europe/Paris")
		return
	}
	l.c.zone = zone
}

// time reads an instant: with an offset as it stands, else in the test's zone.
func (l *caseLoader) time(e entry) time.Time {
	text, ok := l.text(e)
	if !ok {
		return time.Time{}
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, l.c.zone); err == nil {
			return at
		}
	}
	l.fault(e.value, fmt.Sprintf("%s: %q is no time", e.key, text), "want a form like 2026-03-27 08:00, or with an offset 2026-03-27T08:00:00+01:00")
	return time.Time{}
}

func (l *caseLoader) duration(e entry) time.Duration {
	text, _ := l.text(e)
	d, err := parseDuration(text)
	if err != nil || d < time.Second {
		l.fault(e.value, fmt.Sprintf("%s: %q is not a duration that fits", e.key, text), "want a number with s, m, h or d, at least 1s")
		return time.Hour
	}
	return d
}

// registry reads sites and devices, in the form of the registry's own files. A
// site that says no zone has the test's.
func (l *caseLoader) registry(keys map[string]entry) {
	if e, ok := keys["sites"]; ok {
		for _, item := range l.items(e) {
			site := telemetry.Site{Zone: l.c.zone.String()}
			if l.decode(item, &site) {
				l.checked(item, site.Check())
				l.c.sites = append(l.c.sites, site)
			}
		}
	}
	if len(l.c.sites) == 0 {
		l.c.sites = []telemetry.Site{{ID: "site", Name: "site", Zone: l.c.zone.String(), Status: telemetry.SiteOpen}}
	}
	if e, ok := keys["devices"]; ok {
		for _, item := range l.items(e) {
			device := telemetry.Device{Site: l.c.sites[0].ID, ReadingEvery: int(l.c.step / time.Second)}
			if l.decode(item, &device) {
				l.checked(item, device.Check())
				l.c.devices = append(l.c.devices, device)
			}
		}
	}
}

func (l *caseLoader) decode(n ast.Node, into any) bool {
	if err := yaml.NodeToValue(n, into, yaml.Strict()); err != nil {
		what, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		if i := strings.Index(what, "] "); what[0] == '[' && i > 0 {
			what = what[i+2:] // a position within the part that was decoded
		}
		l.fault(n, what, "want the fields of the registry")
		return false
	}
	return true
}

func (l *caseLoader) checked(n ast.Node, err error) {
	if err != nil {
		l.fault(n, err.Error(), "want it as in the registry")
	}
}

// device returns the test's device of that name, made when there is none.
func (l *caseLoader) device(name string) *telemetry.Device {
	i := slices.IndexFunc(l.c.devices, func(d telemetry.Device) bool { return d.Name == name })
	if i < 0 {
		i = len(l.c.devices)
		l.c.devices = append(l.c.devices, telemetry.Device{Name: name, Site: l.c.sites[0].ID, Status: telemetry.DeviceActive,
			ReadingEvery: int(l.c.step / time.Second)})
	}
	return &l.c.devices[i]
}

// value of a series at a step, missing behind its end.
func at(values []float64, i int) float64 {
	if i < len(values) {
		return values[i]
	}
	return math.NaN()
}
