package ingest

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"belfry/telemetry"
)

// usual reads the object at i and appends its row when it is a count of a known
// device, written in a known shape of nothing but the members that a count has,
// with values of the usual size. All of it is done word by word, without fields in
// between, which is twice as fast as match and take. To whatever else there is it
// says false and has done nothing: they read it then, and refuse it where it is to
// be refused. What it takes, they would take in the same way (FuzzShapes, FuzzUsualValues).
func (w *walk) usual(i int) (end int, ok bool) {
	s := &w.d.shapes
	first, other := &s.known[s.first], &s.known[1-s.first]
	if first.plain[0].size > 0 {
		if end, ok = w.usualAs(&first.plain, i); ok {
			return end, true
		}
	}
	if other.plain[0].size > 0 {
		if end, ok = w.usualAs(&other.plain, i); ok && first.plain[0].size > 0 {
			s.first = 1 - s.first
		}
	}
	return end, ok
}

// steps are the members of a shape, as usual goes through them, and behind them the
// tail, with toEnd; all 0 when it can't.
type steps [8]step

// step is a text, two words of it, and where what follows it goes.
type step struct {
	words, mask [2]uint64
	size        int // of the text, in bytes
	to          target
}

func (w *walk) usualAs(s *steps, from int) (end int, ok bool) {
	b, i, c := w.b, from, &w.d.shapes.clock
	if len(b) < 8 {
		return 0, false
	}
	var name, nameEnd int
	var ts int64
	people := [4]uint64{toInterval - toIn: telemetry.DefaultInterval}
	for k := 0; ; k++ {
		p := &s[k%len(s)]
		if (word(b, i)^p.words[0])&p.mask[0] != 0 || p.mask[1] != 0 && (word(b, i+8)^p.words[1])&p.mask[1] != 0 {
			return 0, false
		}
		i += p.size
		if p.to <= toInterval && p.to >= toIn {
			x := word(b, i) ^ zeros
			digits := uint(bits.TrailingZeros64(notDigits(x))) &^ 7 // in bits
			if digits-8 > 48 || x&0xFF == 0 && digits > 8 {         // none, more than seven, or a zero before others
				return 0, false
			}
			people[(p.to-toIn)%4] = eightDigits(x << ((64 - digits) & 63))
			i += int(digits / 8)
			continue
		}
		if p.to == toDevice {
			name = i
			marks := notPlain(word(b, i))
			for ; marks == 0; marks = notPlain(word(b, i)) {
				i += 8
			}
			i += bits.TrailingZeros64(marks) / 8
			nameEnd = i // by a quote, with which the next text begins
			continue
		}
		if p.to == toEnd {
			break
		}
		if p.to == toMillis { // thirteen digits, as they are from 2001 to 2286
			x, y := word(b, i)^zeros, word(b, i+8)^zeros
			if notDigits(x) != 0 || bits.TrailingZeros64(notDigits(y))&^7 != 5*8 || x&0xFF == 0 {
				return 0, false
			}
			ts = int64(eightDigits(x)*100_000 + eightDigits(y<<24))
			i += 13
			continue
		}
		if len(b)-i < usualTime || b[i+usualTime-1] != 'Z' {
			return 0, false
		}
		if word(b, i) != c.date[0] || word(b, i+3) != c.date[1] {
			ts, ok = c.parse(b[i : i+usualTime])
		} else {
			ts, ok = ofDay(word(b, i+11))
			ts += c.midnight
		}
		if !ok {
			return 0, false
		}
		i += usualTime
	}
	if ts < oldest || ts >= beyond || ts > w.arrival+aheadLimit || people[toInterval-toIn] == 0 {
		return 0, false
	}
	id, known := w.d.names.id(b[name:nameEnd])
	if !known {
		return 0, false
	}
	w.count(id, ts, uint32(people[0]), uint32(people[1]), uint32(people[2]))
	w.took(from, i, b[name:nameEnd])
	return i, true
}

// asSteps returns the steps through objects of that shape, when usual can read them.
func (s *shape) asSteps() (list steps) {
	var has [toEnd]bool
	n := 0
	add := func(l *literalText, to target) bool {
		if n == len(list) || len(l.text) > 16 {
			return false
		}
		list[n] = step{l.words, l.mask, len(l.text), to}
		n++
		return true
	}
	for i := range s.members {
		m := &s.members[i]
		switch m.to {
		case toDevice, toTime, toMillis, toIn, toOut, toInterval:
		default:
			return steps{}
		}
		if !add(&m.before, m.to) {
			return steps{}
		}
		has[m.to] = true
	}
	if !has[toDevice] || has[toTime] == has[toMillis] || !has[toIn] && !has[toOut] || !add(&s.tail, toEnd) {
		return steps{}
	}
	return list
}

// word returns the eight bytes from i on, the first of them lowest, with zeros for
// those behind the end. b has at least eight. The pointers save the three
// instructions that b[i:] takes beside the comparison.
func word(b []byte, i int) uint64 {
	p, left := unsafe.Pointer(unsafe.SliceData(b)), len(b)-i
	if left < 8 {
		return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, len(b)-8))[:]) >> (8 * uint(8-left))
	}
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, i))[:])
}

const zeros = '0' * lows

// notDigits marks the bytes of a word that are no digits; the word was combined
// with zeros. Bytes above a marked one may be marked wrongly.
func notDigits(x uint64) uint64 { return (x + (0x80-10)*lows | x) & highs }

// notPlain marks the bytes that end a plain string: the quote, and what such a
// string can't have. A borrow may mark bytes above a marked one, and never the
// first.
func notPlain(x uint64) uint64 {
	quote, slash := x^'"'*lows, x^'\\'*lows
	return ((x-0x20*lows)&^x | (quote-lows)&^quote | (slash-lows)&^slash | x) & highs
}

// eightDigits returns the number of eight digits, of values 0 to 9, the first of
// them in the lowest byte: pairs, then fours, then all, as in "Number Parsing at a
// Gigabyte per Second" (Lemire 2021).
func eightDigits(x uint64) uint64 {
	x = x*10 + x>>8
	return (x&0x000000FF000000FF*0x000F424000000064 + x>>16&0x000000FF000000FF*0x0000271000000001) >> 32
}
