package ingest

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// shapes remembers how the last objects were written: a device writes its
// members in the same order with the same spaces each time, and so does the
// rest of its fleet. What lies between the values is then compared in one go,
// and only the values are read. An object that is written otherwise costs a
// failed comparison. Whatever match says yes to it reads as scan does
// (FuzzShapes).
type shapes struct {
	known [2]shape // the one that fitted last, and one more: counts and heartbeats take turns
	first int      // which one fitted last
	off   bool     // for tests
	clock clock

	// Where objects are written in many ways, learning each of them would cost more
	// than it saves: so the pauses between two lessons grow.
	pause, wait int // objects
}

// shape is how an object is written.
type shape struct {
	members []member
	tail    literalText // from behind the last value to the brace
	plain   steps       // for usual
}

// member is one of them: what stands before its value, and where the value goes.
type member struct {
	before literalText // with the quote that opens a string
	to     target
	name   []byte
	word   string // the name of a measure
}

// target is the place of a value.
type target uint8

const (
	toDevice target = iota
	toTime          // as text
	toMillis
	toKind
	toFirmware
	toIgnored // text that means nothing to us
	toIn
	toOut
	toInterval
	toMeasure
	toEnd // of the object, for steps
)

const maxPause = 1024

// match reads the object at i when it is written in a known shape. After false
// the fields hold anything.
func (s *shapes) match(b []byte, i int, f *fields) (end int, ok bool) {
	if end, ok = s.known[s.first].match(b, i, f, &s.clock); ok {
		return end, true
	}
	other := 1 - s.first
	if len(s.known[other].members) == 0 {
		return 0, false
	}
	f.reset()
	if end, ok = s.known[other].match(b, i, f, &s.clock); ok {
		s.first = other
	}
	return end, ok
}

func (s *shape) match(b []byte, i int, f *fields, c *clock) (end int, ok bool) {
	if len(s.members) == 0 {
		return 0, false
	}
	for k := range s.members {
		p := &s.members[k]
		if !p.before.at(b, i) {
			return 0, false
		}
		i += len(p.before.text)
		if p.to == toTime && len(b)-i > usualTime && b[i+usualTime] == '"' {
			if f.ts, ok = c.parse(b[i : i+usualTime]); ok { // it has only the bytes that a time has
				f.tsState = good
				i += usualTime
				continue
			}
		}
		if p.to < toIn && p.to != toMillis {
			end := plainString(b, i)
			if end < 0 {
				return 0, false
			}
			p.text(b[i:end], f, c)
			i = end
			continue
		}
		if i, ok = p.number(b, i, f); !ok {
			return 0, false
		}
	}
	return i + len(s.tail.text), s.tail.at(b, i)
}

// literalText is text that is compared with what stands in a record: two words at
// once, where both have them.
type literalText struct {
	text        []byte
	words, mask [2]uint64 // of text of at most 16 bytes; else the mask is 0
}

func literalOf(text []byte) (l literalText) {
	l.text = text
	if len(text) > 16 {
		return l
	}
	var padded, used [16]byte
	copy(padded[:], text)
	for i := range text {
		used[i] = 0xFF
	}
	for i := range l.words {
		l.words[i], l.mask[i] = binary.LittleEndian.Uint64(padded[8*i:]), binary.LittleEndian.Uint64(used[8*i:])
	}
	return l
}

// at reports whether the text stands at i.
func (l *literalText) at(b []byte, i int) bool {
	switch {
	case l.mask[0] != 0 && len(b)-i >= 16:
		low, high := binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[i+8:])
		return (low^l.words[0])&l.mask[0]|(high^l.words[1])&l.mask[1] == 0
	case len(l.text) == 1:
		return i < len(b) && b[i] == l.text[0]
	}
	return len(b)-i >= len(l.text) && string(b[i:i+len(l.text)]) == string(l.text)
}

// text puts a string where it belongs.
func (p *member) text(text []byte, f *fields, c *clock) {
	switch p.to {
	case toDevice:
		f.device, f.deviceState = text, good
	case toTime:
		f.tsState = bad
		var ok bool
		if f.ts, ok = c.parse(text); ok {
			f.tsState = good
		}
	case toKind:
		f.kind, f.kindState = text, good
	case toFirmware:
		f.fw, f.fwState = text, good
	}
}

// number reads a number and puts it where it belongs.
func (p *member) number(b []byte, i int, f *fields) (end int, ok bool) {
	if i == len(b) {
		return 0, false
	}
	if p.to == toMeasure {
		if b[i] != '-' && b[i]-'0' > 9 {
			return 0, false
		}
		n, end := plainNumber(b, i)
		if n.bad {
			return 0, false
		}
		f.measures = append(f.measures, measure{p.name, float64(n.mantissa) / powers[n.places], p.word})
		return end, true
	}
	start, v := i, int64(0)
	for i < len(b) && b[i]-'0' <= 9 {
		v = v*10 + int64(b[i]-'0')
		i++
	}
	if i == start || i-start > 15 || b[start] == '0' && i > start+1 {
		return 0, false
	}
	n := number{mantissa: v}
	switch p.to {
	case toMillis:
		f.ts, f.tsState = v, good
	case toIn:
		f.in, f.inState = n.uint32()
	case toOut:
		f.out, f.outState = n.uint32()
	case toInterval:
		f.interval, f.intervalState = n.uint32()
	}
	return i, true
}

// missed takes note of an object that scan could read and no shape fitted.
func (s *shapes) missed(object []byte) {
	if s.off {
		return
	}
	if s.wait > 0 {
		s.wait--
		return
	}
	s.pause = min(max(2*s.pause, 1), maxPause)
	s.wait = s.pause - 1
	other := 1 - s.first
	if s.known[other].learn(object) {
		s.first = other
	}
}

// learn takes the shape of an object that scan has read; false when it has none
// that can be relied on.
func (s *shape) learn(object []byte) bool {
	object = bytes.Clone(object)
	s.members, s.tail, s.plain = s.members[:0], literalText{}, steps{}
	from := 0
	for i := skipSpace(object, 1); object[i] == '"'; {
		name := object[i+1 : plainString(object, i+1)]
		i = skipSpace(object, i+len(name)+2)
		i = skipSpace(object, i+1) // behind the colon
		text := object[i] == '"'
		if text {
			i++
		}
		to, ok := targetOf(name, text)
		if !ok || !text && object[i] != '-' && object[i]-'0' > 9 || s.has(name) || len(s.members) >= MaxMeasures {
			s.members = s.members[:0]
			return false
		}
		s.members = append(s.members, member{literalOf(object[from:i]), to, name, string(name)})
		if text {
			i = plainString(object, i)
			from = i
			i++
		} else {
			_, i = plainNumber(object, i)
			from = i
		}
		if i = skipSpace(object, i); object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
	s.tail = literalOf(object[from:])
	s.plain = s.asSteps()
	return len(s.members) > 0
}

// has reports whether a member is there already; the last of several would win.
func (s *shape) has(name []byte) bool {
	return slices.ContainsFunc(s.members, func(m member) bool { return bytes.Equal(m.name, name) })
}

func targetOf(name []byte, text bool) (to target, ok bool) {
	if !text {
		switch string(name) {
		case "in":
			return toIn, true
		case "out":
			return toOut, true
		case "interval":
			return toInterval, true
		case "ts":
			return toMillis, true
		case "device", "kind", "fw":
			return 0, false
		}
		return toMeasure, true
	}
	switch string(name) {
	case "device":
		return toDevice, true
	case "ts":
		return toTime, true
	case "kind":
		return toKind, true
	case "fw":
		return toFirmware, true
	case "in", "out", "interval", "in_total", "out_total", "modulus":
		return 0, false
	}
	return toIgnored, true
}

// usualTime is the length of 2026-03-27T11:00:00Z.
const usualTime = 20

// clock is parseTime with a memory for the date, which is the same for long.
type clock struct {
	date     [2]uint64 // "2026-03-27T": its first eight bytes, and its last eight
	midnight int64     // of the date, milliseconds since 1970; 0: there is none
}

func (c *clock) parse(b []byte) (millis int64, ok bool) {
	if len(b) != usualTime || b[19] != 'Z' {
		return parseTime(b)
	}
	if binary.LittleEndian.Uint64(b) == c.date[0] && binary.LittleEndian.Uint64(b[3:]) == c.date[1] && c.midnight > 0 {
		millis, ok = ofDay(binary.LittleEndian.Uint64(b[11:]))
		return c.midnight + millis, ok
	}
	if millis, ok = parseTime(b); ok {
		c.date = [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[3:])}
		c.midnight = millis - millis%dayMillis
	}
	return millis, ok
}

const dayMillis = 24 * 3600 * 1000

// ofDay reads 11:00:00, a word, in milliseconds; false when there is no such time.
func ofDay(x uint64) (millis int64, ok bool) {
	x ^= '0' | '0'<<8 | ':'<<16 | '0'<<24 | '0'<<32 | ':'<<40 | '0'<<48 | '0'<<56
	// What a byte lacks of the first value that it must not have: 3 or 6 tens, 10 ones,
	// a colon that is none.
	const lacks = 0x80*lows - (3 | 10<<8 | 1<<16 | 6<<24 | 10<<32 | 1<<40 | 6<<48 | 10<<56)
	pairs := x*10 + x>>8
	hours, minutes, seconds := pairs&0xFF, pairs>>24&0xFF, pairs>>48&0xFF
	return int64(hours*3600+minutes*60+seconds) * 1000, (x+lacks|x)&highs == 0 && hours < 24
}
