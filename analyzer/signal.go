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
	anyone  bool // evaluated for devices out of service too
	daily   bool // as of the last midnight of UTC, over the time of reach before; made once a day

	column func(word string) Column // what is asked of the warehouse, without its window
	merge  merge                    // how spans of opening hours, and devices of a scope, become one
	empty  float64                  // the value without any reading
	finish finish

	fill        func(p *pass, c *deviceColumn)                     // computes it from the registry and the calendars alone
	share       func(yes, known int, habit float64) float64        // computes it of how many devices of a scope fulfil a condition
	bins        func(h *history, u use) (value float64, began int) // computes it from bins; began is the bin where it begins, or never
	reach       time.Duration                                      // how far back the bins must go
	days        int                                                // and over how many whole local days
	recent      int                                                // computed from so many bins, each held against the same bin of the peers
	learns      []string                                           // flows whose baselines it looks at, "" is its own argument; or copies
	closer      func(h *history, u use) (value float64, began int) // where bins is unsure, it is this, and needs bins
	closerReach time.Duration                                      // that go so far back
	peers       func(values []float64) (middle, width float64)     // then holds it against the peers
	hint        func(value float64) string                         // what such a value points to; "" for nothing
	raw         bool                                               // what the rule's query says
	rare        bool                                               // never missing, and 0 for nearly every device
}

// argument is one place in a signal's parentheses.
type argument struct {
	words    []string // the words it may be; nil for a measure or a window
	cond     bool     // a condition on a device
	ratio    bool     // a ratio such as 2%
	calls    []string // the calls it may be, each with one of the words inside; see wrapped
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
	mergeMedian // of devices only
)

// finish says what is done to the column before it is a signal.
type finish uint8

const (
	finishNone      finish = iota
	finishSilence          // last arrival to seconds since then
	finishUnheard          // last arrival to 0, its absence to time in service
	finishComplete         // rows to rows over rows expected
	finishUninvited        // last arrival to time since the registry stopped expecting the device, or never did
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
	word   string  // the word or measure, "" for none
	cond   *node   // the condition of share and surprise
	habit  float64 // the ratio beside it
	test   string  // the call that it stands in, such as the zero of run(zero(in)); "" for none
	among  string  // label of the devices that it is held against; "": those of its site
	window window
}

// compares reports whether the signal holds a device against its peers.
func (s *signal) compares() bool { return s.peers != nil || s.recent > 0 }

var (
	missing   = math.NaN()
	direction = argument{words: []string{"in", "out", "total"}}
	kindWord  = argument{words: []string{"count", "heartbeat"}}
	anyKind   = argument{words: []string{"count", "heartbeat"}, optional: true}
	measure   = argument{measure: true}
	span      = argument{window: true}
	condition = argument{cond: true}
	habitual  = argument{ratio: true}
	sameOrNot = argument{words: []string{"same", "changed"}}
	perHour   = argument{calls: []string{"sum"}, words: direction.words}
	runOf     = argument{calls: []string{"zero", "same"}, words: direction.words}
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

func plainColumn(fn Fn) func(string) Column {
	return func(string) Column { return Column{Fn: fn} }
}

func resentColumn(word string) Column {
	if word == "same" {
		return Column{Fn: ResentSame, Kind: telemetry.Count}
	}
	return Column{Fn: ResentChanged, Kind: telemetry.Count}
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

	{name: "interval", args: []argument{anyKind}, unit: Duration, about: "how often the device should send, by the registry; missing when it sends none; without a kind the longer of both", fill: fillInterval},
	{name: "open_for", unit: Duration, about: "how long the site has been open; 0 while it is closed", fill: fillOpenFor, merge: mergeMax},
	{name: "devices", unit: Quantity, about: "how many devices in service the scope has", fill: fillDevices, merge: mergeSum},
	{name: "sites", unit: Quantity, about: "how many sites the scope's devices in service are at", fill: fillSites, merge: mergeSum},
	{name: "share", args: []argument{condition}, unit: Ratio, share: shareOf, merge: mergeSum,
		about: "share of the scope's devices for which a condition holds, of those for which it is known"},
	{name: "surprise", args: []argument{condition, habitual}, unit: Number, share: surpriseOf, merge: mergeSum,
		about: "−log10 of the chance that so many devices or more fulfil a condition that each usually fulfils with this share (binomial)"},

	{name: "baseline", args: []argument{perHour}, unit: Quantity, bins: scoreBaseline, reach: binStep, learns: []string{""},
		about: "what the last settled hour usually counts: the median of the last 8 clean values of the same local weekday and hour, at least 4"},
	{name: "spread", args: []argument{perHour}, unit: Quantity, bins: scoreSpread, reach: binStep, learns: []string{""},
		about: "how much that varies: max(1.4826·MAD, √max(B, 1), 0.10·B)"},
	{name: "z", args: []argument{perHour}, unit: Number, bins: scoreZ, reach: binStep, learns: []string{""},
		about: "how many spreads the last settled hour is from its baseline"},
	{name: "logratio", args: []argument{perHour}, unit: Number, bins: scoreLogRatio, reach: binStep, learns: []string{""}, merge: mergeMedian,
		about: "ln((x + 5)/(B + 5)) of the last settled hour; of a site or group the median of its devices"},
	{name: "peers", args: []argument{perHour}, unit: Number, bins: scoreLogRatio, reach: binStep, learns: []string{""}, peers: peerMedian,
		about: "the median of logratio over the device and its peers (see the key `peers`), at least 5 together"},
	{name: "zpeers", args: []argument{perHour}, unit: Number, bins: scoreLogRatio, reach: binStep, learns: []string{""}, peers: peerDistance,
		about: "how many robust deviations logratio is from that median"},
	{name: "run", args: []argument{runOf}, unit: Duration, bins: scoreRun, reach: 14 * 24 * binStep,
		about: "length of the run of complete hours, up to the last settled one, that are zero or all the same"},
	{name: "spike", unit: Number, bins: scoreSpike, reach: 3 * binStep, learns: []string{"total"},
		about: "2 of the last 3 hours far above their baseline: z > 6 by the slot's spread and by what the device's slots vary by, x − B ≥ 50 and x ≥ 1.5·B"},
	{name: "drop", unit: Number, bins: scoreDrop, reach: 3 * binStep, learns: []string{"total"},
		about: "the last 3 hours open, complete and far below: z < −4 by the slot's spread and by what the device's slots vary by, x ≤ 0.5·B and B ≥ 20"},
	{name: "quiet", unit: Number, bins: scoreQuiet, reach: binStep, learns: []string{"total"},
		about: "a run of zero in complete opening hours: what its local days make improbable, over 13.8; a day the lesser of ΣB/φ and of ΣB·ln(1 + w)/w, where w = (Σ√(spread² − B))²/ΣB is what its hours vary by together"},
	{name: "dead_direction", unit: Number, bins: scoreDeadDirection, reach: binStep, learns: []string{"total"}, closer: scoreDeadByHour, closerReach: learnBack,
		about: "one flow zero while the other counts N ≥ 50 in opening hours: −N·ln(1 − habitual share) over 13.8, by all hours and by those of the run"},
	{name: "swapped", unit: Number, bins: scoreSwapped, days: 2, learns: []string{"in", "out", "total"},
		about: "IN and OUT fit each other's baselines better than their own, on two whole days in a row: log likelihood ratio over 10"},
	{name: "flatline", unit: Number, bins: scoreFlatline, reach: 7 * 24 * binStep,
		about: "a run of one and the same total: Σ½·ln(2π·max(x, 1)) over 13.8"},
	{name: "runaway", unit: Number, bins: scoreRunaway, reach: 2 * binStep, learns: []string{"total"},
		about: "two hours over max(10 × 99.5th percentile of 28 days, 200)"},
	{name: "copied_day", unit: Number, bins: scoreMayBeCopied, days: 1, learns: []string{"copies"}, closer: scoreCopiedDay, closerReach: learnBack + 48*binStep,
		about: "the last whole local day equals another one of the last twelve weeks, hour by hour"},
	{name: "shift", unit: Number, bins: scoreShift, reach: learnBack + 48*binStep,
		about: "the level of the last 28 days left that of the weeks before: two-sided CUSUM of the daily log ratio, in deviations that take in how days follow each other, over 8"},
	{name: "drift", unit: Number, bins: scoreDrift, days: 1,
		about: "IN − OUT cumulated over the last whole local day falls below zero, or does not come back to it"},

	{name: "usual_day", args: []argument{direction}, unit: Quantity, bins: scoreUsualDay, reach: binStep, learns: []string{"total"}, merge: mergeSum,
		about: "people of a usual day: the median over the days of twelve weeks, IN and OUT by their habitual shares; 0 before 28 days with people"},
	{name: "usual_sway", unit: Quantity, bins: scoreUsualSway, reach: binStep, learns: []string{"total"}, merge: mergeSum,
		about: "how far IN − OUT of a usual day lies from what the habitual shares make of it: 1.4826·MAD; 0 before 28 days with people"},

	{name: "closed_activity", unit: Number, bins: scoreClosed, reach: binStep, learns: []string{"total"},
		about: "people counted since the site closed, over max(5, 99.5th percentile of the last 90 closed spans of twelve weeks)"},
	{name: "outlier", unit: Number, bins: scoreLogRatio, recent: 6, reach: 6 * binStep, learns: []string{"total"},
		about: "in 3 of the last 6 hours further from its peers (see the key `peers`) than 5 robust deviations of logratio, theirs and its own, and less than 30 % of them are: the third greatest distance over 5"},
	{name: "uninvited", args: []argument{}, unit: Duration, column: plainColumn(LastArrival), empty: missing, finish: finishUninvited, anyone: true,
		about: "how long a device has been heard that the registry does not expect: since it was retired, or since it registered itself; 0 when it is expected or silent since"},
	{name: "recurs", args: []argument{measure}, unit: Quantity, fill: fillRecurs,
		about: "how many incidents of the rule M (its name, in quotes) the device had in 180 days that are alike with its newest, of the last two weeks: of like duration (within a quarter), or begun within half an hour of the same local time of day"},
	{name: "skew", unit: Duration, column: plainColumn(Skew), empty: missing, hint: skewHint,
		about: "median of arrival minus device time over the last ten readings to come (of the last three hours, of up to a day in a fleet that sends seldom), at least 3; below zero a clock is ahead"},
	{name: "skew_spread", unit: Duration, column: plainColumn(SkewSpread), empty: missing,
		about: "median distance of those ten from their median: small where a clock is wrong, large where readings come late"},
	{name: "lag", args: []argument{habitual, span}, unit: Duration, column: plainColumn(Lag), empty: missing,
		about: "percentile of arrival minus device time of the readings that came in W, at least 20"},
	{name: "gap", args: []argument{habitual, anyKind}, unit: Duration, column: func(w string) Column { return Column{Fn: Gap, Kind: kindOf(w)} }, empty: missing, daily: true, reach: usualDays,
		about: "percentile of the gaps between arrivals in the 28 days before midnight (UTC), at least 20"},
	{name: "transitions", args: []argument{span}, unit: Quantity, column: plainColumn(Transitions),
		about: "how often the device went silent and came back over W: a gap between arrivals over max(6 × their median, 15 min) is two, one that lasts is one"},
	{name: "usual_transitions", unit: Quantity, column: plainColumn(UsualTransitions), daily: true, reach: usualDays,
		about: "the most transitions(24h) of any of the 28 days before midnight (UTC): their 99th percentile"},
	{name: "resent", args: []argument{sameOrNot, span}, unit: Quantity, column: resentColumn, merge: mergeSum, rare: true,
		about: "how many counts came in W though their reading was there already, with the same numbers or with changed ones; of a device with cumulative counters how many totals"},
	{name: "resets", args: []argument{measure, span}, unit: Quantity, column: measureColumn(Resets), empty: missing,
		about: "how often a measurement fell from one heartbeat to the next over W: of an uptime the restarts; of in_total and out_total, what cumulative counters show, their resets and rollovers"},
	{name: "slope", args: []argument{measure, span}, unit: Measured, column: measureColumn(Slope), empty: missing,
		about: "Theil–Sen slope, for each day, of the daily medians of a measurement over W, at least 7 days"},
	{name: "value", unit: Measured, raw: true, about: "what the rule's `query` says of the scope; missing where it has no row, NULL or infinity"},
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
