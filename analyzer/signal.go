package analyzer

import (
	"math"
	"time"

	"belfry/telemetry"
)

// signal is a row of the table of signals: what the language calls it, what the
// checker demands of it, and how the planner and the columns make it. A new
// signal that is an aggregate of readings is a new row and nothing else.
type signal struct {
	name    string
	args    []argument
	unit    Unit
	about   string
	absence bool // says something about what did not come; waits after an outage of our own
	later   bool // known by name, and not available in this version

	column func(word string) Column // what is asked of the warehouse, without its window
	merge  merge                    // how spans of opening hours, and devices of a scope, become one
	empty  float64                  // the value without any reading
	finish finish
}

// argument is one place in a signal's parentheses.
type argument struct {
	words    []string // the words it may be; nil for a measure or a window
	measure  bool     // the name of a heartbeat measurement
	window   bool     // a duration, `day` or `open`
	optional bool
}

// merge says how values of several spans or devices become one.
type merge uint8

const (
	mergeNone merge = iota // they don't: the signal is a device's, and a span is taken whole
	mergeSum
	mergeMin
	mergeMax
)

// finish says what is done to the column before it is a signal.
type finish uint8

const (
	finishNone     finish = iota
	finishSilence         // last arrival to seconds since then
	finishUnheard         // last arrival to 0, its absence to time in service
	finishComplete        // rows to rows over rows expected
)

// windowKind says how a window is found.
type windowKind uint8

const (
	windowNone     windowKind = iota
	windowTrailing            // the duration up to the instant
	windowDay                 // the local day that a rule's schedule names
	windowOpen                // the opening hours of that day
)

// window is the W of a signal.
type window struct {
	kind   windowKind
	length time.Duration // of a trailing window
}

// use is a signal with its arguments. Equal uses are equal columns.
type use struct {
	sig    *signal
	word   string // the word or measure, "" for none
	window window
}

var (
	missing   = math.NaN()
	direction = argument{words: []string{"in", "out", "total"}}
	kindWord  = argument{words: []string{"count", "heartbeat"}}
	anyKind   = argument{words: []string{"count", "heartbeat"}, optional: true}
	measure   = argument{measure: true}
	span      = argument{window: true}
)

func kindOf(word string) telemetry.Kind {
	switch word {
	case "count":
		return telemetry.Count
	case "heartbeat":
		return telemetry.Heartbeat
	}
	return 0
}

func sumColumn(word string) Column {
	fn := map[string]Fn{"in": SumIn, "out": SumOut, "total": SumTotal}[word]
	return Column{Fn: fn, Kind: telemetry.Count}
}

func measureColumn(fn Fn) func(string) Column {
	return func(word string) Column { return Column{Fn: fn, Kind: telemetry.Heartbeat, Measure: word} }
}

// signals is the table of signals, in the order of the reference.
var signals = []*signal{
	{name: "sum", args: []argument{direction, span}, unit: Quantity, about: "people counted over W",
		column: sumColumn, merge: mergeSum, empty: missing},
	{name: "count", args: []argument{kindWord, span}, unit: Quantity, about: "how many readings there are for W", absence: true,
		column: func(w string) Column { return Column{Fn: Rows, Kind: kindOf(w)} }, merge: mergeSum},
	{name: "silence", args: []argument{anyKind}, unit: Duration, absence: true,
		about:  "time since the last arrival, or since the device came into service when it was never heard of; 0 when the registry does not say when that was",
		column: func(w string) Column { return Column{Fn: LastArrival, Kind: kindOf(w)} }, merge: mergeMin, empty: missing, finish: finishSilence},
	{name: "completeness", args: []argument{span}, unit: Ratio, about: "count readings present over count readings expected for W",
		column: func(string) Column { return Column{Fn: Rows, Kind: telemetry.Count} }, merge: mergeSum, finish: finishComplete},
	{name: "last", args: []argument{measure}, unit: Measured, about: "the newest value of a measurement",
		column: measureColumn(Last), empty: missing},
	{name: "avg", args: []argument{measure, span}, unit: Measured, about: "mean of a measurement over W",
		column: measureColumn(Avg), empty: missing},
	{name: "min", args: []argument{measure, span}, unit: Measured, about: "least value of a measurement over W",
		column: measureColumn(Min), merge: mergeMin, empty: missing},
	{name: "max", args: []argument{measure, span}, unit: Measured, about: "greatest value of a measurement over W",
		column: measureColumn(Max), merge: mergeMax, empty: missing},

	{name: "unheard", args: []argument{anyKind}, unit: Duration, absence: true,
		about:  "time in service of a device that was never heard of; 0 when it was",
		column: func(w string) Column { return Column{Fn: LastArrival, Kind: kindOf(w)} }, merge: mergeMax, empty: missing, finish: finishUnheard},

	{name: "skew", later: true, unit: Duration, about: "median of arrival minus device time over the last ten readings"},
	{name: "baseline", later: true, unit: Quantity, about: "what a signal usually is at this local weekday and hour"},
	{name: "spread", later: true, unit: Quantity, about: "how much a signal usually varies at this local weekday and hour"},
	{name: "z", later: true, unit: Number, about: "how many spreads a signal is from its baseline"},
	{name: "peers", later: true, unit: Quantity, about: "median of a signal over the comparable devices"},
	{name: "zpeers", later: true, unit: Number, about: "robust distance of a signal from its peers"},
	{name: "run", later: true, unit: Duration, about: "length of the current run"},
	{name: "transitions", later: true, unit: Quantity, about: "how often the device went silent and came back over W"},
	{name: "share", later: true, unit: Ratio, about: "share of the scope's devices for which a condition holds"},
	{name: "dead_direction", later: true, unit: Number, about: "score of one flow being dead"},
	{name: "swapped", later: true, unit: Number, about: "score of IN and OUT being exchanged"},
	{name: "flatline", later: true, unit: Number, about: "score of a stuck value"},
	{name: "runaway", later: true, unit: Number, about: "score of a value far too high"},
	{name: "copied_day", later: true, unit: Number, about: "score of a day being a copy of another"},
	{name: "shift", later: true, unit: Number, about: "score of a change of level"},
	{name: "drift", later: true, unit: Number, about: "score of occupancy drift"},
}

// function is a row of the table of functions.
type function struct {
	name  string
	least int // arguments
	most  int
	about string
	unit  func(Unit) Unit // of the result, given that of the arguments side by side; 0 refuses
	op    opcode
}

func sameUnit(u Unit) Unit { return u }

func plainNumber(u Unit) Unit {
	if u == Duration {
		return 0
	}
	return Number
}

// functions is the table of functions. min and max are also signals, told apart
// by their arguments: a window or a measure's bare name makes a signal.
var functions = []*function{
	{"abs", 1, 1, "absolute value", sameUnit, opAbs},
	{"min", 2, 16, "the least of its arguments", sameUnit, opMin},
	{"max", 2, 16, "the greatest of its arguments", sameUnit, opMax},
	{"sqrt", 1, 1, "square root; missing below zero", plainNumber, opSqrt},
	{"ln", 1, 1, "natural logarithm; missing at zero and below", plainNumber, opLn},
}

func findSignal(name string) *signal {
	for _, s := range signals {
		if s.name == name {
			return s
		}
	}
	return nil
}

func findFunction(name string) *function {
	for _, f := range functions {
		if f.name == name {
			return f
		}
	}
	return nil
}

// callNames lists everything that can be called, for suggestions.
func callNames() []string {
	var names []string
	for _, s := range signals {
		names = append(names, s.name)
	}
	for _, f := range functions {
		if findSignal(f.name) == nil {
			names = append(names, f.name)
		}
	}
	return names
}
