package analyzer

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// tokenKind says what a token of an expression is.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenNumber
	tokenName
	tokenText // a quoted name
	tokenSign // an operator, a parenthesis or a comma
	tokenBad
)

// token is a word of an expression; pos is its byte offset.
type token struct {
	kind  tokenKind
	text  string
	pos   int
	value float64 // of a number, in its unit's base
	unit  Unit
	what  string // of a bad token: what is wrong
	want  string
}

// lexer cuts an expression into tokens.
type lexer struct {
	text string
	pos  int
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
}

// next returns the token at the position and moves behind it.
func (l *lexer) next() token {
	for l.pos < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.pos]) >= 0 {
		l.pos++
	}
	start := l.pos
	if start == len(l.text) {
		return token{kind: tokenEnd, pos: start}
	}
	c := l.text[start]
	switch {
	case isDigit(c) || c == '.' && start+1 < len(l.text) && isDigit(l.text[start+1]):
		return l.number()
	case isLetter(c):
		for l.pos < len(l.text) && (isLetter(l.text[l.pos]) || isDigit(l.text[l.pos])) {
			l.pos++
		}
		return token{kind: tokenName, text: l.text[start:l.pos], pos: start}
	case c == '"' || c == '\'':
		return l.quoted(c)
	}
	return l.sign()
}

func (l *lexer) number() token {
	t := token{kind: tokenNumber, pos: l.pos, unit: Number}
	for first := true; l.pos < len(l.text) && (isDigit(l.text[l.pos]) || l.text[l.pos] == '.'); first = false {
		value, ok := l.digits()
		unit := l.unitWord()
		seconds, isTime := secondsOf[unit]
		switch {
		case !ok:
			return l.bad(t.pos, "is not a number", "want digits with at most one point")
		case isTime && (first || t.unit == Duration):
			t.unit, t.value = Duration, t.value+value*seconds
			continue // 1h30m
		case unit == "%" && first:
			t.unit, t.value = Ratio, value/100
		case unit == "" && first:
			t.value = value
		default:
			return l.bad(t.pos, "has no unit that is known", "want s, m, h, d, w or % behind a number, or nothing")
		}
		break
	}
	t.text = l.text[t.pos:l.pos]
	if t.value > 1e300 || t.unit == Duration && t.value > maxSeconds {
		return l.bad(t.pos, "is too large", "want at most 1e300, or a hundred years")
	}
	return t
}

func (l *lexer) digits() (float64, bool) {
	start := l.pos
	for l.pos < len(l.text) && (isDigit(l.text[l.pos]) || l.text[l.pos] == '.') {
		l.pos++
	}
	v, err := strconv.ParseFloat(l.text[start:l.pos], 64)
	return v, err == nil
}

func (l *lexer) unitWord() string {
	start := l.pos
	if l.pos < len(l.text) && l.text[l.pos] == '%' {
		l.pos++
		return "%"
	}
	for l.pos < len(l.text) && isLetter(l.text[l.pos]) {
		l.pos++
	}
	return l.text[start:l.pos]
}

// bad returns a token that says what is wrong with the text from start on.
func (l *lexer) bad(start int, what, want string) token {
	return token{kind: tokenBad, pos: start, what: strconv.Quote(l.text[start:l.pos]) + " " + what, want: want}
}

func (l *lexer) quoted(quote byte) token {
	start := l.pos
	end := strings.IndexByte(l.text[start+1:], quote)
	if end < 0 {
		l.pos = len(l.text)
		return l.bad(start, "has no closing quote", "want "+string(quote)+" at its end")
	}
	l.pos = start + end + 2
	return token{kind: tokenText, text: l.text[start+1 : l.pos-1], pos: start}
}

func (l *lexer) sign() token {
	start := l.pos
	for _, s := range [...]string{"<=", ">=", "==", "!=", "<", ">", "+", "-", "*", "/", "(", ")", ","} {
		if strings.HasPrefix(l.text[start:], s) {
			l.pos += len(s)
			return token{kind: tokenSign, text: s, pos: start}
		}
	}
	_, size := utf8.DecodeRuneInString(l.text[start:])
	l.pos += size
	switch l.text[start:l.pos] {
	case "=":
		return l.bad(start, "is not a comparison", `want "==" for "is equal to"`)
	case "&", "|", "!":
		return l.bad(start, "has no meaning here", "want the words and, or, not")
	}
	return l.bad(start, "has no meaning here", "want a number, a signal, a parameter or an operator")
}
