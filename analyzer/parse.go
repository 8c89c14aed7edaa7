package analyzer

import (
	"fmt"
	"strconv"
	"strings"
)

// nodeKind says what a node of an expression is.
type nodeKind uint8

const (
	nodeNumber nodeKind = iota + 1
	nodeName            // a bare name: a parameter, or an argument such as `in` or `day`
	nodeText            // a quoted name, as an argument
	nodeCall            // name(args): a function or a signal
	nodeNegate
	nodeArith   // op is + - * /
	nodeCompare // op is a comparison
	nodeAnd
	nodeOr
	nodeNot
)

// node is a node of an expression's tree. The parser sets the first group of
// fields and the checker the second.
type node struct {
	kind  nodeKind
	op    string // operator
	name  string // of a name, a text or a call
	value float64
	text  string // of a number, as written
	args  []*node
	pos   int // byte offset in the expression

	unit   Unit
	param  int     // of a name: index of the rule's parameter
	signal *signal // of a call, when it is a signal
	use    use     // of that signal
}

// String writes the node in one canonical form, so that equal nodes have equal strings.
func (n *node) String() string {
	switch n.kind {
	case nodeNumber:
		return n.text
	case nodeName:
		return n.name
	case nodeText:
		if strings.Contains(n.name, `"`) {
			return "'" + n.name + "'" // it was written so
		}
		return `"` + n.name + `"`
	case nodeCall:
		args := make([]string, len(n.args))
		for i, a := range n.args {
			args[i] = a.String()
		}
		return n.name + "(" + strings.Join(args, ", ") + ")"
	case nodeNegate:
		return "-" + n.args[0].inner()
	case nodeNot:
		return "not " + n.args[0].inner()
	}
	return n.args[0].inner() + " " + n.op + " " + n.args[1].inner()
}

// inner is String with parentheses around what has an operator.
func (n *node) inner() string {
	if n.kind >= nodeNegate {
		return "(" + n.String() + ")"
	}
	return n.String()
}

// maxDepth bounds how deep an expression may nest.
const maxDepth = 100

// exprParser reads expressions by precedence climbing. The first fault ends it:
// what follows a misread token would only confuse.
type exprParser struct {
	lex   lexer
	tok   token
	depth int
}

// exprFault is a fault at a byte offset of an expression.
type exprFault struct {
	pos        int
	what, want string
}

// parseExpr reads a whole expression.
func parseExpr(text string) (n *node, fault *exprFault) {
	p := &exprParser{lex: lexer{text: text}}
	defer func() {
		switch f := recover().(type) {
		case nil:
		case *exprFault: // fail's way out of the recursion
			n, fault = nil, f
		default:
			panic(f)
		}
	}()
	p.advance()
	if p.tok.kind == tokenEnd {
		p.fail(p.tok.pos, "the expression is empty", "want a condition such as silence() > 72h")
	}
	n = p.expr(0)
	if p.tok.kind != tokenEnd {
		p.fail(p.tok.pos, p.found()+" is left over", "want an operator, or the end")
	}
	return n, nil
}

func (p *exprParser) fail(pos int, what, want string) { panic(&exprFault{pos, what, want}) }

func (p *exprParser) advance() {
	p.tok = p.lex.next()
	if p.tok.kind == tokenBad {
		p.fail(p.tok.pos, p.tok.what, p.tok.want)
	}
}

// found names the current token in messages.
func (p *exprParser) found() string {
	if p.tok.kind == tokenEnd {
		return "the end"
	}
	return strconv.Quote(p.tok.text)
}

// How tightly operators bind, from the loosest.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
	bindCompare
	bindAdd
	bindMultiply
	bindNegate
)

func binding(t token) (power int, kind nodeKind) {
	switch t.text {
	case "or":
		return bindOr, nodeOr
	case "and":
		return bindAnd, nodeAnd
	case "<", ">", "<=", ">=", "==", "!=":
		return bindCompare, nodeCompare
	case "+", "-":
		return bindAdd, nodeArith
	case "*", "/":
		return bindMultiply, nodeArith
	}
	return 0, 0
}

// expr reads an expression whose operators bind tighter than floor.
func (p *exprParser) expr(floor int) *node {
	if p.depth++; p.depth > maxDepth {
		p.fail(p.tok.pos, "the expression nests too deep", fmt.Sprintf("want at most %d levels", maxDepth))
	}
	defer func() { p.depth-- }()
	left := p.operand()
	for length := 0; p.tok.kind == tokenSign || p.tok.kind == tokenName; length++ {
		power, kind := binding(p.tok)
		if power <= floor {
			break
		}
		if length == maxDepth {
			p.fail(p.tok.pos, "the expression is too long", fmt.Sprintf("want at most %d operators in a row", maxDepth))
		}
		op := p.tok
		p.advance()
		right := p.expr(power)
		if kind == nodeCompare && (left.kind == nodeCompare || right.kind == nodeCompare) {
			p.fail(op.pos, "comparisons don't chain", "want two comparisons joined by and")
		}
		left = &node{kind: kind, op: op.text, args: []*node{left, right}, pos: op.pos}
	}
	return left
}

func (p *exprParser) operand() *node {
	t := p.tok
	switch {
	case t.kind == tokenNumber:
		p.advance()
		return &node{kind: nodeNumber, value: t.value, unit: t.unit, text: t.text, pos: t.pos}
	case t.kind == tokenText:
		p.advance()
		return &node{kind: nodeText, name: t.text, pos: t.pos}
	case t.kind == tokenName && t.text == "not":
		p.advance()
		return &node{kind: nodeNot, op: "not", args: []*node{p.expr(bindNot)}, pos: t.pos}
	case t.kind == tokenName && t.text != "and" && t.text != "or":
		p.advance()
		if p.tok.kind == tokenSign && p.tok.text == "(" {
			return &node{kind: nodeCall, name: t.text, args: p.arguments(), pos: t.pos}
		}
		return &node{kind: nodeName, name: t.text, pos: t.pos}
	case t.kind == tokenSign && t.text == "-":
		p.advance()
		return &node{kind: nodeNegate, op: "-", args: []*node{p.expr(bindNegate)}, pos: t.pos}
	case t.kind == tokenSign && t.text == "(":
		p.advance()
		inside := p.expr(0)
		p.expect(")", t.pos)
		return inside
	}
	p.fail(t.pos, p.found()+" stands where a value should", "want a number, a signal, a parameter or a parenthesis")
	return nil
}

func (p *exprParser) arguments() []*node {
	open := p.tok.pos
	p.advance()
	var args []*node
	if p.tok.kind == tokenSign && p.tok.text == ")" {
		p.advance()
		return nil
	}
	for {
		args = append(args, p.expr(0))
		if p.tok.kind != tokenSign || p.tok.text != "," {
			p.expect(")", open)
			return args
		}
		p.advance()
	}
}

func (p *exprParser) expect(sign string, open int) {
	if p.tok.kind != tokenSign || p.tok.text != sign {
		p.fail(p.tok.pos, p.found()+" stands where a parenthesis should close", fmt.Sprintf("want %q for the one opened at character %d", sign, open+1))
	}
	p.advance()
}
