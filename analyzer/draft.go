package analyzer

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"belfry/telemetry"
)

// params reads named numbers.
func (d *draft) params(e entry) []Param {
	var params []Param
	for _, p := range d.mapping(e.value, e.key) {
		if !isIdentifier(p.key, "_") || slices.Contains([]string{"day", "open", "and", "or", "not"}, p.key) || findSignal(p.key) != nil || findFunction(p.key) != nil {
			d.fault(p.at, fmt.Sprintf("%q can't name a parameter", p.key), "want small letters, digits and _, and no word of the language")
			continue
		}
		text, ok := d.text(p)
		if !ok {
			continue
		}
		n, fault := parseExpr(text)
		sign := 1.0
		if fault == nil && n.kind == nodeNegate {
			sign, n = -1, n.args[0]
		}
		if fault != nil || n.kind != nodeNumber {
			d.fault(p.value, fmt.Sprintf("the parameter %q is not a number", p.key), "want a number with its unit, such as 72h, 10% or 200")
			continue
		}
		params = append(params, Param{p.key, sign * n.value, n.unit})
	}
	return params
}

// filter reads a where.
func (d *draft) filter(e entry, level telemetry.Level) Filter {
	var f Filter
	for _, m := range d.mapping(e.value, e.key) {
		if what, want := checkField(m.key, level); what != "" {
			d.fault(m.at, what, want)
			continue
		}
		match, value := Match{Field: m.key}, m.value
		switch value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			forms := d.mapping(value, m.key)
			if len(forms) != 1 || forms[0].key != "not" {
				d.fault(value, fmt.Sprintf("%s has other keys than not", m.key), wantWhereForm())
				continue
			}
			match.Not, value = true, forms[0].value
		}
		values := []ast.Node{value}
		if list, ok := value.(*ast.SequenceNode); ok {
			values = list.Values
		}
		for _, v := range values {
			text, ok := d.text(entry{m.key, m.at, v})
			if !ok {
				continue
			}
			if what, want := checkValue(m.key, text); what != "" {
				d.fault(v, what, want)
			}
			match.Values = append(match.Values, text)
		}
		f = append(f, match)
	}
	return f
}

// overrides reads the list of overrides against the rule's params.
func (d *draft) overrides(e entry) {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		d.fault(e.value, "override is not a list", "want - where: {...} and params: {...}")
		return
	}
	if d.rule.Scope != telemetry.LevelDevice && d.rule.Scope != telemetry.LevelSite {
		d.fault(e.at, fmt.Sprintf("a %s can't be told apart by an override", d.rule.Scope), "want scope: device or site")
		return
	}
	for _, item := range list.Values {
		var o Override
		for _, part := range d.mapping(item, "an override") {
			switch part.key {
			case "where":
				o.Where = d.filter(part, d.rule.Scope)
			case "params":
				o.Params = d.overrideParams(part)
			default:
				d.fault(part.at, fmt.Sprintf("unknown key %q", part.key), wantOneOf(part.key, []string{"where", "params"}))
			}
		}
		if len(o.Where) == 0 || len(o.Params) == 0 {
			d.fault(item, "an override lacks where or params", "want both")
		}
		d.rule.Overrides = append(d.rule.Overrides, o)
	}
}

// overrideParams reads an override's params, each of which the rule must have.
func (d *draft) overrideParams(e entry) []Param {
	params := d.params(e)
	var names []string
	for _, p := range d.rule.Params {
		names = append(names, p.Name)
	}
	for _, p := range params {
		i := slices.Index(names, p.Name)
		switch {
		case i < 0:
			d.fault(e.value, fmt.Sprintf("override of a parameter %q that the rule does not have", p.Name), wantOneOf(p.Name, names))
		case d.rule.Params[i].Unit != p.Unit:
			d.fault(e.value, fmt.Sprintf("the parameter %q is %s here and %s in the rule", p.Name, p.Unit, d.rule.Params[i].Unit), "want the same unit")
		}
	}
	return params
}

func (d *draft) readExpr(e entry) {
	if text, ok := d.text(e); ok {
		d.exprs[e.key] = text
	}
}

// checkExprs parses and checks the conditions, once params and scope are known.
func (d *draft) checkExprs() {
	r := d.rule
	_, query := d.at["query"]
	c := &checker{params: r.Params, varies: make([]bool, len(r.Params)), level: r.Scope, query: query, among: r.Peers}
	for i, p := range r.Params {
		for _, o := range r.Overrides {
			c.varies[i] = c.varies[i] || slices.ContainsFunc(o.Params, func(q Param) bool { return q.Name == p.Name })
		}
	}
	before := len(d.faults)
	d.checkQuery(c.varies)
	r.when, r.When = d.checkExpr(c, "when")
	r.recover, r.Recover = d.checkExpr(c, "recover")
	r.unless, r.Unless = d.checkExpr(c, "unless")
	if len(d.faults) == before {
		d.unusedParams()
		if e, ok := d.at["peers"]; ok && !slices.ContainsFunc(r.read(), func(u use) bool { return u.sig.compares() }) {
			d.fault(e.at, "no expression holds a device against its peers", "want outlier(), peers(...) or zpeers(...), or peers left out")
		}
	}
	if len(d.faults) == before && r.when != nil && r.recover != nil {
		if what := contradiction(r); what != "" {
			d.fault(d.at["recover"].value, what, "want a recover that can't hold while `when` does")
		}
	}
}

func (d *draft) checkExpr(c *checker, key string) (*node, string) {
	text, ok := d.exprs[key]
	if !ok {
		return nil, ""
	}
	c.fault = func(pos int, what, want string) {
		line, col := d.src.locate(tokenOf(d.at[key].value), text, pos)
		d.add(line, col, what, want)
	}
	n, fault := parseExpr(text)
	if fault != nil {
		c.fault(fault.pos, fault.what, fault.want)
		return nil, text
	}
	c.condition(n)
	return n, text
}

// unusedParams complains of parameters that no expression names, and of a query that
// none looks at. It is asked only
// when the expressions are in order: a misspelt name is reported once.
func (d *draft) unusedParams() {
	used := map[string]bool{}
	for _, n := range d.rule.exprs() {
		n.walk(func(m *node) {
			if m.kind == nodeName {
				used[m.name] = true
			}
		})
	}
	names, _ := placeholders(d.rule.Query)
	for _, name := range names {
		used[name] = true
	}
	if d.rule.Query != "" && !slices.ContainsFunc(d.rule.uses(), func(u use) bool { return u.sig.raw }) {
		d.fault(d.at["query"].at, "no expression looks at what the query says", "want value() in when, such as when: value() > 10%")
	}
	for _, p := range d.rule.Params {
		if !used[p.Name] {
			d.fault(d.at["params"].value, fmt.Sprintf("no expression uses the parameter %q", p.Name), "want it used, or left out")
		}
	}
}
