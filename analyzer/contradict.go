package analyzer

import (
	"fmt"
	"math"
	"slices"
)

// contradiction returns what is wrong when `when` and `recover` could hold at
// once, or "". It sees the usual form, both comparing the same expression with
// numbers, under every override, and conditions that are word for word the same.
func contradiction(r *Rule) string {
	if r.when.String() == r.recover.String() {
		return "recover is the same condition as when"
	}
	sets := [][]Param{r.Params}
	for _, o := range r.Overrides {
		sets = append(sets, overlay(r.Params, o.Params))
	}
	for _, params := range sets {
		a, okA := rangeOf(r.when, params)
		b, okB := rangeOf(r.recover, params)
		if okA && okB && a.of == b.of && a.meets(b) {
			return fmt.Sprintf("%s can be in the range of when (%s) and of recover (%s) at once", a.of, r.When, r.Recover)
		}
	}
	return ""
}

// overlay returns params with the values of more in their place.
func overlay(params, more []Param) []Param {
	out := slices.Clone(params)
	for i := range out {
		for _, p := range more {
			if p.Name == out[i].Name {
				out[i].Value = p.Value
			}
		}
	}
	return out
}

// valueRange is the set of values for which a comparison holds.
type valueRange struct {
	of            string // the expression that is compared
	low, high     float64
	lowIn, highIn bool // whether the ends belong to it
}

func (a valueRange) meets(b valueRange) bool {
	low, lowIn := a.low, a.lowIn
	if b.low > low || b.low == low && !b.lowIn {
		low, lowIn = b.low, b.lowIn
	}
	high, highIn := a.high, a.highIn
	if b.high < high || b.high == high && !b.highIn {
		high, highIn = b.high, b.highIn
	}
	return low < high || low == high && lowIn && highIn
}

// rangeOf reads a comparison of an expression with a number.
func rangeOf(n *node, params []Param) (valueRange, bool) {
	if n.kind != nodeCompare {
		return valueRange{}, false
	}
	op, left, right := n.op, n.args[0], n.args[1]
	limit, ok := constant(right, params)
	if !ok {
		op, left, right = flipped[op], right, left
		if limit, ok = constant(right, params); !ok {
			return valueRange{}, false
		}
	}
	r := valueRange{of: left.String(), low: math.Inf(-1), high: math.Inf(1), lowIn: op == ">=" || op == "==", highIn: op == "<=" || op == "=="}
	if op == ">" || op == ">=" || op == "==" {
		r.low = limit
	}
	if op == "<" || op == "<=" || op == "==" {
		r.high = limit
	}
	return r, op != "!="
}

// flipped gives the comparison read from the right.
var flipped = map[string]string{"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}

// constant returns the value of an expression of numbers and parameters.
func constant(n *node, params []Param) (float64, bool) {
	switch n.kind {
	case nodeNumber:
		return n.value, true
	case nodeName:
		return params[n.param].Value, true
	case nodeNegate:
		v, ok := constant(n.args[0], params)
		return -v, ok
	case nodeArith:
		a, okA := constant(n.args[0], params)
		b, okB := constant(n.args[1], params)
		return arith(n.op, a, b), okA && okB
	}
	return 0, false
}

// arith is one operator on two numbers; a division by zero gives no value.
func arith(op string, a, b float64) float64 {
	switch op {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	}
	if b == 0 {
		return missing
	}
	return a / b
}
