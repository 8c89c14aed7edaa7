package ingest

import (
	"encoding/binary"
	"math/bits"
)

// scan reads the usual shape of an object, in any order of its members: no
// escapes, no bytes beyond ASCII in strings, no nesting, numbers of at most 15
// digits without an exponent. It returns where the object ends, or false when
// it met anything else; the general scanner then starts again from the front.
// It must never say true to what the general scanner reads differently
// (FuzzScanners).
func scan(b []byte, i int, f *fields) (end int, ok bool) {
	i = skipSpace(b, i+1)
	for i < len(b) && b[i] == '"' {
		keyStart := i + 1
		keyEnd := plainString(b, keyStart)
		if keyEnd < 0 {
			return 0, false
		}
		key := b[keyStart:keyEnd]
		i = keyEnd + 1
		if i < len(b) && b[i] != ':' {
			i = skipSpace(b, i)
		}
		if i >= len(b) || b[i] != ':' {
			return 0, false
		}
		if i = skipSpace(b, i+1); i >= len(b) {
			return 0, false
		}
		switch c := b[i]; {
		case c == '"':
			stringEnd := plainString(b, i+1)
			if stringEnd < 0 {
				return 0, false
			}
			f.setPlain(key, b[i+1:stringEnd])
			i = stringEnd + 1
		case c == '-' || c >= '0' && c <= '9':
			var n number
			if n, i = plainNumber(b, i); n.bad || !f.setNumber(key, n) {
				return 0, false
			}
		default:
			if i, ok = literal(b, i); !ok {
				return 0, false
			}
			kind := isOther
			if c == 'n' {
				kind = isNull
			}
			f.set(key, value{kind: kind})
		}
		if i = skipSpace(b, i); i >= len(b) {
			return 0, false
		}
		if b[i] == '}' {
			return i + 1, true
		}
		if b[i] != ',' {
			return 0, false
		}
		i = skipSpace(b, i+1)
	}
	return 0, false
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// Bits of a word of eight bytes: the lowest and the highest of each byte.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// asIs marks the bytes that a string holds as they are.
var asIs = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// plainString returns the position of the closing quote, or -1.
func plainString(b []byte, i int) int {
	for ; len(b)-i >= 8; i += 8 {
		if marks := notPlain(binary.LittleEndian.Uint64(b[i:])); marks != 0 {
			if i += bits.TrailingZeros64(marks) / 8; b[i] == '"' {
				return i
			}
			return -1
		}
	}
	for i < len(b) && asIs[b[i]] {
		i++
	}
	if i < len(b) && b[i] == '"' {
		return i
	}
	return -1
}

// number is a decimal number: mantissa / 10^places.
type number struct {
	mantissa int64
	places   int
	bad      bool // not this simple
}

var powers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// plainNumber reads a number of at most 15 digits. As mantissa and power of ten
// are then exact float64s, their quotient is the nearest float64 (Clinger 1990).
func plainNumber(b []byte, i int) (n number, end int) {
	negative := b[i] == '-'
	if negative {
		i++
	}
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		n.mantissa = n.mantissa*10 + int64(b[i]-'0')
		if i++; i-start > 15 {
			return number{bad: true}, i
		}
	}
	if i == start || b[start] == '0' && i > start+1 {
		return number{bad: true}, i
	}
	if i < len(b) && b[i] == '.' {
		point := i
		for i++; i < len(b) && b[i]-'0' <= 9; i++ {
			if n.mantissa = n.mantissa*10 + int64(b[i]-'0'); i-start > 15 {
				return number{bad: true}, i
			}
		}
		if n.places = i - point - 1; n.places == 0 {
			return number{bad: true}, i
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') || negative && n.mantissa == 0 {
		return number{bad: true}, i
	}
	if negative {
		n.mantissa = -n.mantissa
	}
	return n, i
}

// literal skips true, false or null.
func literal(b []byte, i int) (end int, ok bool) {
	for _, word := range [...]string{"true", "false", "null"} {
		if end := i + len(word); end <= len(b) && string(b[i:end]) == word {
			return end, true
		}
	}
	return i, false
}

// setPlain is set for a string.
func (f *fields) setPlain(key, text []byte) {
	switch string(key) {
	case "device":
		f.device, f.deviceState = text, good
	case "ts":
		if t, ok := parseTime(text); ok {
			f.ts, f.tsState = t, good
		} else {
			f.ts, f.tsState = 0, bad
		}
	default:
		f.set(key, value{kind: isString, text: text})
	}
}

// setNumber is set for a number; false when it is not whole and has to be.
func (f *fields) setNumber(key []byte, n number) bool {
	switch string(key) {
	case "in":
		f.in, f.inState = n.uint32()
	case "out":
		f.out, f.outState = n.uint32()
	case "interval":
		f.interval, f.intervalState = n.uint32()
	case "ts":
		f.ts, f.tsState = n.mantissa, good
	case "device", "kind":
		f.set(key, value{kind: isNumber})
		return true
	default:
		if string(key) == "fw" {
			f.fw, f.fwState = nil, absent
		}
		f.setMeasure(key, float64(n.mantissa)/powers[n.places])
		return true
	}
	return n.places == 0
}

func (n number) uint32() (uint32, state) {
	if n.mantissa < 0 || n.mantissa > 1<<32-1 {
		return 0, bad
	}
	return uint32(n.mantissa), good
}
