package ingest

import (
	"encoding/json"
	"fmt"
)

// general reads one object by the whole grammar of RFC 8259, strictly. It is
// for what scan leaves: escapes, text beyond ASCII, nesting, long numbers,
// faults. It never recurses, so that depth costs memory by the byte.
type general struct {
	b     []byte
	i     int
	stack []byte // of '{' and '[' that are open inside a member's value
}

// syntaxError says where the text stops being JSON.
type syntaxError struct {
	at   int // position in the record
	what string
}

func (e *syntaxError) Error() string { return fmt.Sprintf("byte %d: %s", e.at, e.what) }

func (g *general) fail(what string) error { return &syntaxError{g.i, what} }

// object reads the object that begins at g.i and leaves g.i behind it.
func (g *general) object(f *fields) error {
	g.i++
	if g.space(); g.peek() == '}' {
		g.i++
		return nil
	}
	for {
		key, err := g.key()
		if err != nil {
			return err
		}
		v, err := g.value(f)
		if err != nil {
			return err
		}
		f.set(key, v)
		g.space()
		switch g.peek() {
		case ',':
			g.i++
			g.space()
		case '}':
			g.i++
			return nil
		default:
			return g.fail("want a comma or the object's end")
		}
	}
}

// key reads a member's name and the colon behind it.
func (g *general) key() ([]byte, error) {
	if g.peek() != '"' {
		return nil, g.fail(`want a member's name, such as "device"`)
	}
	key, err := g.text()
	if err != nil {
		return nil, err
	}
	if g.space(); g.peek() != ':' {
		return nil, g.fail("want a colon")
	}
	g.i++
	g.space()
	return key, nil
}

// value reads a member's value. What is nested is checked and left out.
func (g *general) value(f *fields) (value, error) {
	switch c := g.peek(); c {
	case '"':
		text, err := g.text()
		return value{isString, text}, err
	case '{', '[':
		return value{kind: isOther}, g.nested(f)
	default:
		return g.scalar()
	}
}

// scalar reads a number, true, false or null.
func (g *general) scalar() (value, error) {
	start := g.i
	if c := g.peek(); c == '-' || c >= '0' && c <= '9' {
		err := g.number()
		return value{isNumber, g.b[start:g.i]}, err
	}
	end, ok := literal(g.b, g.i)
	if !ok {
		return value{}, g.fail("want a value")
	}
	g.i = end
	if g.b[start] == 'n' {
		return value{kind: isNull}, nil
	}
	return value{kind: isOther}, nil
}

// nested walks over an object or array inside the reading's object.
func (g *general) nested(f *fields) error {
	g.stack = g.stack[:0]
	for {
		if c := g.peek(); c == '{' || c == '[' {
			g.stack = append(g.stack, c)
			if len(g.stack)+1 > MaxDepth {
				f.deep = true
			}
			g.i++
			if g.space(); g.peek() != closing(c) {
				if err := g.nestedKey(); err != nil {
					return err
				}
				continue
			}
		} else if err := g.leaf(); err != nil {
			return err
		}
		more, err := g.closeNested()
		if err != nil || !more {
			return err
		}
	}
}

// leaf reads a string or scalar and forgets it.
func (g *general) leaf() (err error) {
	if g.peek() == '"' {
		_, err = g.rawText()
	} else {
		_, err = g.scalar()
	}
	return err
}

// closeNested goes past what ends here; more is false when everything has.
func (g *general) closeNested() (more bool, err error) {
	for len(g.stack) > 0 {
		g.space()
		top := g.stack[len(g.stack)-1]
		switch g.peek() {
		case ',':
			g.i++
			g.space()
			return true, g.nestedKey()
		case closing(top):
			g.i++
			g.stack = g.stack[:len(g.stack)-1]
		default:
			return false, g.fail(fmt.Sprintf("want a comma or %q", closing(top)))
		}
	}
	return false, nil
}

// nestedKey reads a member's name when the innermost container is an object.
func (g *general) nestedKey() error {
	if g.stack[len(g.stack)-1] == '[' {
		return nil
	}
	if g.peek() != '"' {
		return g.fail("want a member's name")
	}
	if _, err := g.rawText(); err != nil {
		return err
	}
	if g.space(); g.peek() != ':' {
		return g.fail("want a colon")
	}
	g.i++
	g.space()
	return nil
}

func closing(open byte) byte { return open + 2 } // in ASCII: [ ], { }

// text reads a string and returns its contents, unescaped.
func (g *general) text() ([]byte, error) {
	start := g.i
	escaped, err := g.rawText()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return g.b[start+1 : g.i-1], nil
	}
	var s string
	if err := json.Unmarshal(g.b[start:g.i], &s); err != nil {
		return nil, g.fail(err.Error())
	}
	return []byte(s), nil
}

// rawText goes past a string, checking its escapes.
func (g *general) rawText() (escaped bool, err error) {
	for g.i++; ; g.i++ {
		switch c := g.peek(); {
		case c == '"':
			g.i++
			return escaped, nil
		case c == '\\':
			escaped = true
			if !g.escape() {
				return escaped, g.fail("bad escape in a string")
			}
		case c < 0x20:
			if g.i >= len(g.b) {
				return escaped, g.fail("a string without its end")
			}
			return escaped, g.fail("control character in a string")
		}
	}
}

// escape goes to the last byte of an escape sequence.
func (g *general) escape() bool {
	g.i++
	switch g.peek() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			g.i++
			c := g.peek() | 0x20
			if !(g.peek() >= '0' && g.peek() <= '9' || c >= 'a' && c <= 'f') {
				return false
			}
		}
		return true
	}
	return false
}

// number goes past a number.
func (g *general) number() error {
	if g.peek() == '-' {
		g.i++
	}
	if g.peek() == '0' {
		g.i++
	} else if !g.digits() {
		return g.fail("want a digit")
	}
	if g.peek() == '.' {
		if g.i++; !g.digits() {
			return g.fail("want a digit")
		}
	}
	if c := g.peek(); c == 'e' || c == 'E' {
		g.i++
		if c := g.peek(); c == '+' || c == '-' {
			g.i++
		}
		if !g.digits() {
			return g.fail("want a digit")
		}
	}
	return nil
}

func (g *general) digits() bool {
	start := g.i
	for c := g.peek(); c >= '0' && c <= '9'; c = g.peek() {
		g.i++
	}
	return g.i > start
}

func (g *general) space() { g.i = skipSpace(g.b, g.i) }

// peek returns the next byte, or 0 at the end, which is no byte of JSON text.
func (g *general) peek() byte {
	if g.i < len(g.b) {
		return g.b[g.i]
	}
	return 0
}
