package analyzer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"belfry/telemetry"
)

// testSeries is the readings of one device: values by name, one for each step.
type testSeries struct {
	start  time.Time
	step   time.Duration
	late   time.Duration
	arrive time.Time // when all of it arrives at once; zero: at its own time
	values map[string][]float64
}

// series reads readings in the short notation: `in` and `out` make counts, with
// the other 0 when it is missing; `heartbeat` makes as many heartbeats in a step
// as its value says; `in_total` and `out_total` are what cumulative counters show (no
// counts are made of them); any other name is a measurement of a heartbeat. The reading
// of a step is stamped with the step's end.
func (l *caseLoader) series(n ast.Node) {
	s := testSeries{start: l.c.start, step: l.c.step, values: map[string][]float64{}}
	device := ""
	for _, e := range l.mapping(n, "a series") {
		switch e.key {
		case "device":
			device, _ = l.text(e)
		case "start":
			s.start = l.time(e)
		case "step":
			s.step = l.duration(e)
		case "late":
			s.late = l.late(e)
		case "arrive":
			s.arrive = l.time(e)
		default:
			s.values[e.key] = l.notation(e)
		}
	}
	if err := telemetry.CheckDeviceName(device); err != nil {
		l.fault(n, "the series has no device: "+err.Error(), "want device: NAME")
		return
	}
	if len(s.values) == 0 {
		l.fault(n, "the series has no values", "want in, out, heartbeat or a measurement, such as in: 10x24")
		return
	}
	l.device(device)
	s.fill(&l.c.batch, telemetry.IDOf(device))
}

// late reads how long after their time readings come; one below zero means a clock
// that is ahead.
func (l *caseLoader) late(e entry) time.Duration {
	text, _ := l.text(e)
	size, ahead := strings.CutPrefix(text, "-")
	d, err := parseDuration(size)
	if err != nil || d < time.Second || d > maxLate {
		l.fault(e.value, fmt.Sprintf("%s: %q is not a duration that fits", e.key, text), "want a number with s, m, h or d, at least 1s; with a - before it for a clock that is ahead")
		return 0
	}
	if ahead {
		return -d
	}
	return d
}

// maxLate holds a clock that lost 1024 weeks.
const maxLate = 20000 * 24 * time.Hour

func (l *caseLoader) notation(e entry) []float64 {
	text, ok := l.text(e)
	if !ok {
		return nil
	}
	values, err := parseSeries(text)
	if err != nil {
		l.fault(e.value, fmt.Sprintf("%s: %v", e.key, err), "want values such as 10x24 _ 3 _x2 (0x9 8x12)x7")
		return nil
	}
	if !slices.Contains(peopleNames, e.key) && e.key != "heartbeat" {
		return values
	}
	for _, v := range values {
		if v < 0 || v > math.MaxUint32 || v != math.Trunc(v) && v == v {
			l.fault(e.value, fmt.Sprintf("%s: %s is not a number of people or readings", e.key, formatNumber(v)), "want whole numbers from 0")
			return nil
		}
	}
	return values
}

// peopleNames are the series that are numbers of people.
var peopleNames = []string{"in", "out", "in_total", "out_total"}

// fill adds the readings to a batch.
func (s *testSeries) fill(b *telemetry.Batch, id telemetry.DeviceID) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(s.values)), func(n string) bool { return slices.Contains(peopleNames, n) || n == "heartbeat" })
	steps := 0
	for _, v := range s.values {
		steps = max(steps, len(v))
	}
	for i := range steps {
		ts := s.start.Add(time.Duration(i+1) * s.step)
		in, out := at(s.values["in"], i), at(s.values["out"], i)
		if in == in || out == out {
			s.count(b, id, ts, orZero(in), orZero(out))
		}
		if in, out := at(s.values["in_total"], i), at(s.values["out_total"], i); in == in || out == out {
			s.total(b, id, ts, in, out)
		}
		measured := slices.ContainsFunc(names, func(n string) bool { v := at(s.values[n], i); return v == v })
		beats := int(orZero(at(s.values["heartbeat"], i)))
		if measured {
			beats = max(beats, 1)
		}
		for k := range beats { // spread over the step, the last at its end
			s.beat(b, id, ts.Add(-s.step*time.Duration(beats-1-k)/time.Duration(beats)), names, i)
		}
	}
}

func orZero(v float64) float64 {
	if v != v {
		return 0
	}
	return v
}

func (s *testSeries) arrival(ts time.Time) int64 {
	if !s.arrive.IsZero() {
		return s.arrive.UnixMilli()
	}
	return ts.Add(s.late).UnixMilli()
}

func (s *testSeries) count(b *telemetry.Batch, id telemetry.DeviceID, ts time.Time, in, out float64) {
	c := &b.Counts
	c.Offset = append(c.Offset, int64(b.Len()))
	c.Device, c.TS, c.Arrival = append(c.Device, id), append(c.TS, ts.UnixMilli()), append(c.Arrival, s.arrival(ts))
	c.In, c.Out, c.Interval = append(c.In, uint32(in)), append(c.Out, uint32(out)), append(c.Interval, uint32(s.step/time.Second))
}

func (s *testSeries) total(b *telemetry.Batch, id telemetry.DeviceID, ts time.Time, in, out float64) {
	shown := func(v float64) int64 {
		if v != v {
			return telemetry.NoTotal
		}
		return int64(v)
	}
	t := &b.Totals
	t.Offset = append(t.Offset, int64(b.Len()))
	t.Device, t.TS, t.Arrival = append(t.Device, id), append(t.TS, ts.UnixMilli()), append(t.Arrival, s.arrival(ts))
	t.In, t.Out, t.Modulus = append(t.In, shown(in)), append(t.Out, shown(out)), append(t.Modulus, 0)
}

func (s *testSeries) beat(b *telemetry.Batch, id telemetry.DeviceID, ts time.Time, names []string, i int) {
	h := &b.Heartbeats
	h.Offset = append(h.Offset, int64(b.Len()))
	h.Device, h.TS, h.Arrival = append(h.Device, id), append(h.TS, ts.UnixMilli()), append(h.Arrival, s.arrival(ts))
	h.Firmware = append(h.Firmware, "")
	for _, n := range names {
		if v := at(s.values[n], i); v == v {
			h.Name, h.Value = append(h.Name, n), append(h.Value, v)
		}
	}
	h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
}

// expect reads an instant and the findings that must have been said by then.
func (l *caseLoader) expect(n ast.Node) {
	keys := l.keysOf(n, "an expectation", "at", "findings", "firing")
	c := testCheck{}
	c.line, _ = l.src.position(tokenOf(n))
	if e, ok := keys["at"]; ok {
		c.at = l.time(e)
	} else {
		l.fault(n, "the expectation has no time", "want at: a time such as 2026-03-27 08:00")
	}
	for key, into := range map[string]*[]wantedFinding{"findings": &c.findings, "firing": &c.firing} {
		if e, ok := keys[key]; ok {
			*into = []wantedFinding{}
			for _, item := range l.items(e) {
				*into = append(*into, l.wanted(item))
			}
		}
	}
	if c.findings == nil && c.firing == nil {
		l.fault(n, "the expectation says nothing", "want findings: or firing:, each a list; an empty one means none")
	}
	if i := len(l.c.checks); i > 0 && !c.at.IsZero() && c.at.Before(l.c.checks[i-1].at) {
		l.fault(n, "the expectations are not in the order of time", "want the earlier one first")
	}
	l.c.checks = append(l.c.checks, c)
}

// wanted reads a finding: the name of a scope that begins to fire, or a mapping.
func (l *caseLoader) wanted(n ast.Node) wantedFinding {
	w := wantedFinding{is: telemetry.Firing}
	if text, ok := scalar(n); ok {
		w.scope = text
		return w
	}
	for key, e := range l.keysOf(n, "a finding", "rule", "scope", "is", "reason", "value", "late") {
		text, _ := l.text(e)
		switch key {
		case "rule":
			w.rule = text
		case "scope":
			w.scope = text
		case "reason":
			w.reason = text
		case "late":
			w.late = text == "true"
		case "is":
			if w.is = telemetry.Condition(text); !slices.Contains([]telemetry.Condition{telemetry.Firing, telemetry.Clear, telemetry.Unknown}, w.is) {
				l.fault(e.value, fmt.Sprintf("a finding is never %q", text), wantOneOf(text, []string{"firing", "clear", "unknown"}))
			}
		case "value":
			if v, fault := parseExpr(text); fault == nil && v.kind == nodeNumber {
				w.value = &v.value
			} else {
				l.fault(e.value, fmt.Sprintf("%q is not a value", text), "want a number with its unit, such as 25% or 73h")
			}
		}
	}
	return w
}

// String writes the finding as reports do.
func (w wantedFinding) String() string {
	parts := []string{string(w.is), w.scope}
	if w.rule != "" {
		parts = append(parts, "by "+w.rule)
	}
	if w.value != nil {
		parts = append(parts, "with "+strconv.FormatFloat(*w.value, 'g', 6, 64))
	}
	if w.reason != "" {
		parts = append(parts, "("+w.reason+")")
	}
	if w.late {
		parts = append(parts, "late")
	}
	return strings.Join(parts, " ")
}
