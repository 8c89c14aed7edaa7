package ingest

import (
	"bytes"
	"math"
	"strconv"
)

// Limits of a message. They bound what one bad device can cost.
const (
	MaxDepth       = 16  // levels of nesting, the reading's own object included
	MaxMeasures    = 64  // named measurements of one heartbeat
	MaxMeasureName = 64  // bytes
	MaxFirmware    = 128 // bytes
)

// state says what is known of a member: the last of several with one name wins,
// wholly, as in encoding/json.
type state uint8

const (
	absent state = iota // not there, or null
	good
	bad
)

// fields is one object, as either scanner leaves it. The slices alias the
// record, or memory of the general scanner that lives as long as the fields.
type fields struct {
	deviceState, tsState, kindState, inState, outState, intervalState, fwState state

	device, kind, fw  []byte
	ts                int64
	in, out, interval uint32
	measures          []measure // numeric members with other names
	badTotals         totalName // of totals: those that are no numbers
	crowded           bool      // there were more than MaxMeasures
	deep              bool      // nested beyond MaxDepth
}

type measure struct {
	name  []byte
	value float64 // infinite when the number does not fit
	word  string  // the name, where it is at hand as a string; else ""
}

func (f *fields) reset() {
	measures := f.measures[:0]
	*f = fields{}
	f.measures = measures
}

// valueKind is what a JSON value is.
type valueKind uint8

const (
	isNull valueKind = iota
	isString
	isNumber
	isOther // true, false, an object, an array
)

// value is a JSON value: the unescaped contents of a string, or the text of a
// number.
type value struct {
	kind valueKind
	text []byte
}

// set puts in a member, replacing an earlier one of that name.
func (f *fields) set(key []byte, v value) {
	switch string(key) {
	case "device":
		f.device, f.deviceState = stringOf(v)
	case "ts":
		f.ts, f.tsState = timeOf(v)
	case "kind":
		f.kind, f.kindState = stringOf(v)
	case "in":
		f.in, f.inState = uint32Of(v)
	case "out":
		f.out, f.outState = uint32Of(v)
	case "interval":
		f.interval, f.intervalState = uint32Of(v)
	case "fw":
		f.fw, f.fwState = nil, absent
		if v.kind == isString {
			f.fw, f.fwState = v.text, good
		}
		f.setOther(key, v)
	default:
		f.setOther(key, v)
	}
}

// setOther keeps a number and forgets an earlier one when the new value is none.
func (f *fields) setOther(key []byte, v value) {
	if v.kind != isNumber {
		f.dropMeasure(key)
		f.spoil(key, v.kind != isNull)
		return
	}
	x, err := strconv.ParseFloat(string(v.text), 64)
	if err != nil {
		x = math.Inf(1)
	}
	f.setMeasure(key, x)
}

func (f *fields) setMeasure(name []byte, x float64) {
	f.spoil(name, false)
	for i := range f.measures {
		if bytes.Equal(f.measures[i].name, name) {
			f.measures[i].value = x
			return
		}
	}
	if len(f.measures) == MaxMeasures {
		f.crowded = true
		return
	}
	f.measures = append(f.measures, measure{name: name, value: x})
}

func (f *fields) dropMeasure(name []byte) {
	for i := range f.measures {
		if bytes.Equal(f.measures[i].name, name) {
			f.measures = append(f.measures[:i], f.measures[i+1:]...)
			return
		}
	}
}

func stringOf(v value) ([]byte, state) {
	switch v.kind {
	case isNull:
		return nil, absent
	case isString:
		return v.text, good
	}
	return nil, bad
}

func timeOf(v value) (int64, state) {
	switch v.kind {
	case isNull:
		return 0, absent
	case isString:
		if t, ok := parseTime(v.text); ok {
			return t, good
		}
	case isNumber:
		// Beyond 1e15 (the year 33658) a float64 is no longer exact enough to matter.
		if x, err := strconv.ParseFloat(string(v.text), 64); err == nil && math.Abs(x) < 1e15 {
			return int64(math.Floor(x)), good
		}
	}
	return 0, bad
}

func uint32Of(v value) (uint32, state) {
	switch v.kind {
	case isNull:
		return 0, absent
	case isNumber:
		x, err := strconv.ParseFloat(string(v.text), 64)
		if err == nil && x >= 0 && x <= math.MaxUint32 && x == math.Trunc(x) {
			return uint32(x), good
		}
	}
	return 0, bad
}
