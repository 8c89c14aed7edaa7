package analyzer

import "math"

// A program is a rule's conditions as straight-line code over registers, each a
// block of blockRows values. Conditions are numbers too: 1 true, 0 false, NaN
// missing, so that Kleene's and, or, not are arithmetic. Blocks stay in the
// processor's cache, and a register is filled once for a block however many
// conditions name it.
type program struct {
	steps   []step
	loads   []load // registers that show a column
	fixed   []fixed
	size    int // registers
	memo    map[string]int
	uses    []use
	when    int
	recover int // -1: none
	unless  int // -1: none
	leaves  []leaf
}

// blockRows is how many rows a program handles at a time.
const blockRows = 1024

// opcode is what a step does.
type opcode uint8

const (
	opAdd opcode = iota + 1
	opSub
	opMul
	opDiv
	opNeg
	opAbs
	opMin
	opMax
	opSqrt
	opLn
	opLess
	opLessEqual
	opEqual
	opNotEqual
	opAnd
	opOr
	opNot
)

// step computes register to from registers a and b.
type step struct {
	op       opcode
	to, a, b int
}

// load shows rows of a column in a register: of a signal, or of a parameter
// that overrides change (column counts on behind the signals).
type load struct{ to, column int }

// fixed is a register with one value throughout.
type fixed struct {
	to    int
	value float64
}

// leaf is a comparison of `when`, in reading order: what a finding shows.
type leaf struct {
	lhs, rhs, holds int
	op              string
	unit            Unit
	text            string // of what is compared
	hint            func(float64) string
	about           string // of the one signal in it
}

// of notes what the signal in a comparison means, when there is one alone.
func (l leaf) of(n *node) leaf {
	if uses := usesOf(n); len(uses) == 1 {
		l.hint, l.about = uses[0].sig.hint, uses[0].sig.about
	}
	return l
}

// compile turns a rule into a program. varies says which parameters have a
// column of their own; the others are fixed.
func compile(r *Rule, varies []bool) *program {
	p := &program{memo: map[string]int{}, uses: r.uses(), recover: -1, unless: -1}
	c := compiler{p, r, varies}
	p.when = c.register(r.when)
	if r.recover != nil {
		p.recover = c.register(r.recover)
	}
	if r.unless != nil {
		p.unless = c.register(r.unless)
	}
	r.when.walkOutside(func(n *node) {
		if n.kind == nodeCompare {
			unit, _ := join(n.args[0].unit, n.args[1].unit)
			p.leaves = append(p.leaves, leaf{c.register(n.args[0]), c.register(n.args[1]), c.register(n), n.op, unit, n.args[0].String(), nil, ""}.of(n.args[0]))
		}
	})
	return p
}

// compileCondition turns the condition of a share into a program over devices.
func compileCondition(r *Rule, cond *node) *program {
	p := &program{memo: map[string]int{}, uses: usesOf(cond), recover: -1, unless: -1}
	p.when = compiler{p, r, make([]bool, len(r.Params))}.register(cond)
	return p
}

type compiler struct {
	p      *program
	rule   *Rule
	varies []bool
}

// register returns the register that holds the node; equal nodes share one.
func (c compiler) register(n *node) int {
	key := n.String()
	if r, ok := c.p.memo[key]; ok {
		return r
	}
	r := c.emit(n)
	c.p.memo[key] = r
	return r
}

func (c compiler) emit(n *node) int {
	switch n.kind {
	case nodeNumber:
		return c.fixed(n.value)
	case nodeName:
		if c.varies[n.param] {
			return c.load(len(c.p.uses) + n.param)
		}
		return c.fixed(c.rule.Params[n.param].Value)
	case nodeCall:
		if n.signal != nil {
			return c.load(indexOf(c.p.uses, n.use))
		}
		f := findFunction(n.name)
		r := c.register(n.args[0])
		if f.least == 1 {
			return c.step(f.op, r, r)
		}
		for _, a := range n.args[1:] {
			r = c.step(f.op, r, c.register(a))
		}
		return r
	case nodeNegate, nodeNot:
		a := c.register(n.args[0])
		return c.step(opcodes[n.kind][n.op], a, a)
	}
	a, b := c.register(n.args[0]), c.register(n.args[1])
	if n.op == ">" || n.op == ">=" {
		return c.step(opcodes[nodeCompare][flipped[n.op]], b, a)
	}
	return c.step(opcodes[n.kind][n.op], a, b)
}

var opcodes = map[nodeKind]map[string]opcode{
	nodeNegate:  {"-": opNeg},
	nodeNot:     {"not": opNot},
	nodeArith:   {"+": opAdd, "-": opSub, "*": opMul, "/": opDiv},
	nodeCompare: {"<": opLess, "<=": opLessEqual, "==": opEqual, "!=": opNotEqual},
	nodeAnd:     {"and": opAnd},
	nodeOr:      {"or": opOr},
}

func indexOf(uses []use, u use) int {
	for i, v := range uses {
		if v == u {
			return i
		}
	}
	return -1
}

func (c compiler) fresh() int { c.p.size++; return c.p.size - 1 }

func (c compiler) fixed(v float64) int {
	r := c.fresh()
	c.p.fixed = append(c.p.fixed, fixed{r, v})
	return r
}

func (c compiler) load(column int) int {
	r := c.fresh()
	c.p.loads = append(c.p.loads, load{r, column})
	return r
}

func (c compiler) step(op opcode, a, b int) int {
	r := c.fresh()
	c.p.steps = append(c.p.steps, step{op, r, a, b})
	return r
}

// registers are the blocks that programs run in, one after the other.
type registers struct {
	memory [][]float64
	view   [][]float64 // of the block at hand
}

// prepare makes room for a program over n rows and sets its fixed registers.
func (r *registers) prepare(p *program, n int) {
	for len(r.memory) < p.size {
		r.memory = append(r.memory, make([]float64, blockRows))
		r.view = append(r.view, nil)
	}
	for i := range p.size {
		r.view[i] = r.memory[i]
	}
	for _, f := range p.fixed {
		block := r.memory[f.to][:min(n, blockRows)]
		for i := range block {
			block[i] = f.value
		}
	}
}

// run computes the program for rows lo up to hi of the columns.
func (r *registers) run(p *program, columns [][]float64, lo, hi int) {
	for _, l := range p.loads {
		r.view[l.to] = columns[l.column][lo:hi]
	}
	n := hi - lo
	for _, s := range p.steps {
		kernel(s.op, r.view[s.to][:n], r.view[s.a][:n], r.view[s.b][:n])
	}
}

// kernel computes one step over a block; to, a and b have the same length.
func kernel(op opcode, to, a, b []float64) {
	a, b = a[:len(to)], b[:len(to)]
	switch op {
	case opAdd:
		for i := range to {
			to[i] = a[i] + b[i]
		}
	case opSub:
		for i := range to {
			to[i] = a[i] - b[i]
		}
	case opMul:
		for i := range to {
			to[i] = a[i] * b[i]
		}
	case opDiv:
		for i := range to {
			to[i] = missing
			if b[i] != 0 {
				to[i] = a[i] / b[i]
			}
		}
	case opNeg:
		for i := range to {
			to[i] = -a[i]
		}
	case opAbs:
		for i := range to {
			to[i] = math.Abs(a[i])
		}
	case opMin:
		for i := range to {
			to[i] = min(a[i], b[i])
		}
	case opMax:
		for i := range to {
			to[i] = max(a[i], b[i])
		}
	case opSqrt:
		for i := range to {
			to[i] = math.Sqrt(a[i])
		}
	case opLn:
		for i := range to {
			to[i] = missing
			if a[i] > 0 {
				to[i] = math.Log(a[i])
			}
		}
	default:
		logicKernel(op, to, a, b)
	}
}

// logicKernel computes comparisons and Kleene's and, or, not.
func logicKernel(op opcode, to, a, b []float64) {
	switch op {
	case opLess:
		for i := range to {
			to[i] = truth(a[i] < b[i], a[i], b[i])
		}
	case opLessEqual:
		for i := range to {
			to[i] = truth(a[i] <= b[i], a[i], b[i])
		}
	case opEqual:
		for i := range to {
			to[i] = truth(a[i] == b[i], a[i], b[i])
		}
	case opNotEqual:
		for i := range to {
			to[i] = truth(a[i] != b[i], a[i], b[i])
		}
	case opAnd: // false wins over missing
		for i := range to {
			if to[i] = a[i] * b[i]; a[i] == 0 || b[i] == 0 {
				to[i] = 0
			}
		}
	case opOr: // true wins over missing
		for i := range to {
			if to[i] = max(a[i], b[i]); a[i] == 1 || b[i] == 1 {
				to[i] = 1
			}
		}
	case opNot:
		for i := range to {
			to[i] = 1 - a[i]
		}
	}
}

// truth is 1 or 0, or NaN when either side is missing.
func truth(yes bool, a, b float64) float64 {
	switch {
	case a != a || b != b:
		return missing
	case yes:
		return 1
	}
	return 0
}
