package analyzer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// checker gives the nodes of a rule's expressions their meaning and units. It
// goes on after a fault; what depends on a faulty node has unit 0 and is not
// complained about again.
type checker struct {
	params []Param
	varies []bool // by parameter: an override changes it
	level  telemetry.Level
	query  bool   // the rule has one, which gives value()
	among  string // the rule's peers
	fault  func(pos int, what, want string)
}

// condition checks an expression that must say yes or no.
func (c *checker) condition(n *node) {
	u := c.check(n)
	if u == 0 {
		return
	}
	if u != Truth {
		c.fault(n.pos, fmt.Sprintf("the expression gives %s, not a condition", u), "want a comparison, such as silence() > 72h")
		return
	}
	if len(usesOf(n)) == 0 {
		c.fault(n.pos, "the condition holds no signal, so it says the same of every scope", "want a signal such as silence()")
	}
}

// check returns the unit of the node, or 0 after a fault.
func (c *checker) check(n *node) Unit {
	n.unit = c.unitOf(n)
	return n.unit
}

func (c *checker) unitOf(n *node) Unit {
	switch n.kind {
	case nodeNumber:
		return n.unit
	case nodeName:
		return c.name(n)
	case nodeText:
		return c.wrong(n, fmt.Sprintf("%q is text", n.name), "want text only as the name of a measurement, such as last(\"core temp\")")
	case nodeCall:
		return c.call(n)
	case nodeNegate:
		if u := c.check(n.args[0]); u != Truth {
			return u
		}
		return c.wrong(n, "a condition has no sign", "want not instead of -")
	case nodeArith:
		return c.arith(n)
	case nodeCompare:
		a, b := c.check(n.args[0]), c.check(n.args[1])
		if a == 0 || b == 0 {
			return 0
		}
		if _, ok := join(a, b); !ok {
			return c.wrong(n, fmt.Sprintf("%s is compared with %s", a, b), unitHint(a, b))
		}
		return Truth
	}
	return c.logic(n)
}

func (c *checker) wrong(n *node, what, want string) Unit {
	c.fault(n.pos, what, want)
	return 0
}

// unitHint says what fits beside a.
func unitHint(a, b Unit) string {
	for _, u := range [...]Unit{a, b} {
		switch u {
		case Duration:
			return "want a duration such as 15m or 72h on both sides"
		case Truth:
			return "want and, or, not between conditions"
		case Ratio:
			return "want a ratio such as 10% on both sides"
		}
	}
	return "want the same unit on both sides"
}

func (c *checker) name(n *node) Unit {
	i := slices.IndexFunc(c.params, func(p Param) bool { return p.Name == n.name })
	if i >= 0 {
		n.param = i
		return c.params[i].Unit
	}
	if findSignal(n.name) != nil || findFunction(n.name) != nil {
		return c.wrong(n, fmt.Sprintf("%q is called without parentheses", n.name), fmt.Sprintf("want %s(...)", n.name))
	}
	known := callNames()
	for _, p := range c.params {
		known = append(known, p.Name)
	}
	want := nearest(n.name, known)
	if want == "" {
		want = "want a signal, a function, or a name that stands under params"
	}
	return c.wrong(n, fmt.Sprintf("no parameter %q", n.name), want)
}

func (c *checker) arith(n *node) Unit {
	a, b := c.check(n.args[0]), c.check(n.args[1])
	if a == 0 || b == 0 {
		return 0
	}
	if by := n.args[1]; n.op == "/" && c.isZero(by) {
		return c.wrong(by, "it is divided by zero", "want a divisor that can be something else")
	}
	scale := func(u Unit) bool { return u == Number || u == Ratio }
	u, ok := join(a, b)
	switch {
	case a == Truth || b == Truth:
		ok = false
	case n.op == "*" && (a == Quantity && b == Quantity):
		return Number
	case n.op == "*" && scale(b):
		return a
	case n.op == "*" && scale(a):
		return b
	case n.op == "*":
		ok = ok && u == Measured
	case n.op == "/" && scale(b) && b != a:
		return a
	case n.op == "/" && ok && u != Measured:
		return Ratio
	}
	if !ok {
		verb := map[string]string{"+": "added to", "-": "subtracted from", "*": "multiplied with", "/": "divided into"}[n.op]
		return c.wrong(n, fmt.Sprintf("%s is %s %s", b, verb, a), unitHint(a, b))
	}
	return u
}

// isZero reports whether a node is zero for every scope.
func (c *checker) isZero(n *node) bool {
	return n.kind == nodeNumber && n.value == 0 || n.kind == nodeName && c.params[n.param].Value == 0 && !c.varies[n.param]
}

func (c *checker) logic(n *node) Unit {
	unit := Truth
	for _, arg := range n.args {
		switch u := c.check(arg); u {
		case Truth:
		case 0:
			unit = 0
		default:
			unit = c.wrong(arg, fmt.Sprintf("%q joins conditions, and %s is %s", n.op, arg, u), "want a comparison on each side")
		}
	}
	return unit
}

func (c *checker) call(n *node) Unit {
	s, f := findSignal(n.name), findFunction(n.name)
	switch {
	case s == nil && f == nil:
		return c.wrong(n, fmt.Sprintf("no signal or function %q", n.name), wantCall(n.name))
	case s == nil, f != nil && !c.measured(n):
		return c.function(n, f)
	case s.raw && !c.query:
		return c.wrong(n, "value() is what the query of a rule says", "want query: SELECT ... AS scope, ... AS value FROM ... beside it, and value() outside of other signals")
	case s.merge == mergeNone && !s.raw && c.level != telemetry.LevelDevice:
		return c.wrong(n, fmt.Sprintf("%s() is a device's, and the rule is about a %s", s.name, c.level), "want scope: device")
	}
	return c.signal(n, s)
}

// measured reports whether a call of min or max means the signal: its first
// argument names a measurement.
func (c *checker) measured(n *node) bool {
	if len(n.args) == 0 {
		return false
	}
	first := n.args[0]
	isParam := slices.ContainsFunc(c.params, func(p Param) bool { return p.Name == first.name })
	return first.kind == nodeText || first.kind == nodeName && !isParam
}

// wantCall suggests a name like it, or lists what there is.
func wantCall(name string) string {
	if s := nearest(name, callNames()); s != "" {
		return s
	}
	return "want one of " + strings.Join(callNames(), ", ")
}

func (c *checker) function(n *node, f *function) Unit {
	if len(n.args) < f.least || len(n.args) > f.most {
		return c.wrong(n, fmt.Sprintf("%s() has %d arguments", f.name, len(n.args)), fmt.Sprintf("want %d to %d", f.least, f.most))
	}
	unit := c.check(n.args[0])
	for _, arg := range n.args[1:] {
		u := c.check(arg)
		if unit == 0 || u == 0 {
			return 0
		}
		both, ok := join(unit, u)
		if !ok {
			return c.wrong(arg, fmt.Sprintf("%s() is given %s beside %s", f.name, u, unit), "want the same unit throughout")
		}
		unit = both
	}
	if unit == 0 {
		return 0
	}
	result := f.unit(unit)
	if unit == Truth || result == 0 {
		return c.wrong(n.args[0], fmt.Sprintf("%s() is given %s", f.name, unit), "want a number, a count or a ratio")
	}
	return result
}

func (c *checker) signal(n *node, s *signal) Unit {
	least := 0
	for _, a := range s.args {
		if !a.optional {
			least++
		}
	}
	if len(n.args) < least || len(n.args) > len(s.args) {
		return c.wrong(n, fmt.Sprintf("%s() has %d arguments", s.name, len(n.args)), "want "+s.form())
	}
	if s.share != nil && c.level == telemetry.LevelDevice {
		return c.wrong(n, fmt.Sprintf("%s() is about the devices of a scope, and the rule is about one", s.name), "want scope: site, group(LABEL) or tenant")
	}
	u := use{sig: s}
	for i, arg := range n.args {
		if !c.argument(&u, s, s.args[i], arg) {
			return 0
		}
	}
	if s.compares() {
		u.among = c.among
	}
	n.signal, n.use = s, u
	return s.unit
}

// form shows how the signal is written.
func (s *signal) form() string {
	var parts []string
	for _, a := range s.args {
		switch {
		case a.window:
			parts = append(parts, "W")
		case a.measure:
			parts = append(parts, "M")
		case a.cond:
			parts = append(parts, "COND")
		case a.ratio:
			parts = append(parts, "SHARE")
		case a.calls != nil && a.calls[0] == "sum":
			parts = append(parts, "sum("+strings.Join(a.words, "|")+", 1h)")
		case a.calls != nil:
			parts = append(parts, strings.Join(a.calls, "|")+"("+strings.Join(a.words, "|")+")")
		default:
			parts = append(parts, strings.Join(a.words, "|"))
		}
	}
	text := fmt.Sprintf("%s(%s)", s.name, strings.Join(parts, ", "))
	if strings.Contains(text, "W") {
		text += ", where W is a duration such as 1h, or day, or open"
	}
	return text
}

func (c *checker) argument(u *use, s *signal, spec argument, arg *node) bool {
	switch {
	case spec.cond:
		return c.deviceCondition(u, arg)
	case spec.ratio:
		return c.habit(u, s, arg)
	case spec.calls != nil:
		return c.wrapped(u, s, spec, arg)
	case spec.window:
		return c.window(u, s, arg)
	case spec.measure:
		if arg.kind != nodeName && arg.kind != nodeText || arg.name == "" {
			c.fault(arg.pos, fmt.Sprintf("%s is not the name of a measurement", arg), "want "+s.form())
			return false
		}
	case arg.kind != nodeName || !slices.Contains(spec.words, arg.name):
		want := "want " + s.form()
		if arg.kind == nodeName && nearest(arg.name, spec.words) != "" {
			want = nearest(arg.name, spec.words)
		}
		c.fault(arg.pos, fmt.Sprintf("%s is not what %s() takes here", arg, s.name), want)
		return false
	}
	u.word = arg.name
	return true
}

// deviceCondition reads the condition of share: it is asked of each device, so its
// parameters can't differ by scope.
func (c *checker) deviceCondition(u *use, arg *node) bool {
	inner := checker{params: c.params, varies: make([]bool, len(c.params)), level: telemetry.LevelDevice, among: c.among}
	faults := 0
	inner.fault = func(pos int, what, want string) {
		faults++
		c.fault(pos, what, want)
	}
	inner.condition(arg)
	arg.walk(func(m *node) {
		if m.kind == nodeName && m.signal == nil && m.param < len(c.varies) && len(c.params) > 0 && c.params[m.param].Name == m.name && c.varies[m.param] {
			inner.fault(m.pos, fmt.Sprintf("the parameter %q is overridden", m.name), "want one that is the same for all")
		}
	})
	u.cond = arg
	return faults == 0
}

// habit reads a share of devices, as a number or a parameter.
func (c *checker) habit(u *use, s *signal, arg *node) bool {
	value := missing
	if i := slices.IndexFunc(c.params, func(p Param) bool { return p.Name == arg.name }); arg.kind == nodeNumber && arg.unit == Ratio {
		value = arg.value
	} else if arg.kind == nodeName && i >= 0 && c.params[i].Unit == Ratio && !c.varies[i] {
		value = c.params[i].Value
	}
	if !(value > 0 && value < 1) {
		c.fault(arg.pos, fmt.Sprintf("%s is not a share", arg), "want "+s.form()+", with a ratio such as 2%, or a parameter that no override changes")
		return false
	}
	u.habit = value
	return true
}

// wrapped reads an argument that is a call itself: sum(total, 1h), an hour's
// count, or zero(in).
func (c *checker) wrapped(u *use, s *signal, spec argument, arg *node) bool {
	hourly := spec.calls[0] == "sum"
	fits := arg.kind == nodeCall && slices.Contains(spec.calls, arg.name) && (len(arg.args) == 1 || hourly && len(arg.args) == 2) &&
		arg.args[0].kind == nodeName && slices.Contains(spec.words, arg.args[0].name)
	if fits && hourly {
		last := arg.args[len(arg.args)-1]
		fits = len(arg.args) == 2 && last.kind == nodeNumber && last.unit == Duration && last.value == binStep.Seconds()
	}
	if !fits {
		c.fault(arg.pos, fmt.Sprintf("%s is not what %s() takes", arg, s.name), "want "+s.form())
		return false
	}
	u.word, u.test = arg.args[0].name, arg.name
	return true
}

// maxWindow is the longest trailing window.
const maxWindow = 400 * 24 * time.Hour

func (c *checker) window(u *use, s *signal, arg *node) bool {
	length, seconds := time.Duration(0), 0.0
	switch i := slices.IndexFunc(c.params, func(p Param) bool { return p.Name == arg.name }); {
	case arg.kind == nodeName && arg.name == "day":
		u.window.kind = windowDay
		return true
	case arg.kind == nodeName && arg.name == "open":
		u.window.kind = windowOpen
		return true
	case arg.kind == nodeNumber && arg.unit == Duration:
		seconds = arg.value
	case arg.kind == nodeName && i >= 0 && c.params[i].Unit == Duration && !c.varies[i]:
		seconds = c.params[i].Value
	case arg.kind == nodeName && i >= 0 && c.varies[i]:
		c.fault(arg.pos, fmt.Sprintf("the window %q is overridden", arg.name), "want a parameter that no override changes, so that one scan serves all")
		return false
	default:
		want := nearest(arg.name, []string{"day", "open"})
		if want == "" || arg.kind != nodeName {
			want = "want " + s.form()
		}
		c.fault(arg.pos, fmt.Sprintf("%s is not a window", arg), want)
		return false
	}
	length = time.Duration(seconds*1e3) * time.Millisecond
	if length < time.Second || length > maxWindow {
		c.fault(arg.pos, fmt.Sprintf("the window %s is out of range", arg), "want from 1s to 400d")
		return false
	}
	u.window = window{windowTrailing, length}
	return true
}

// usesOf lists the signals of an expression, each once, in reading order.
func usesOf(n *node) []use {
	var uses []use
	n.walkOutside(func(m *node) {
		if m.signal != nil && !slices.Contains(uses, m.use) {
			uses = append(uses, m.use)
		}
	})
	return uses
}

// walkOutside visits the node and what is under it, but not what stands inside a
// signal: that is the signal's own.
func (n *node) walkOutside(visit func(*node)) {
	visit(n)
	if n.signal == nil {
		for _, a := range n.args {
			a.walkOutside(visit)
		}
	}
}

// walk visits the node and what is under it, in reading order.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, a := range n.args {
		a.walk(visit)
	}
}
