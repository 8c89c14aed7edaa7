package analyzer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Unit is what a value of the language measures. Units are checked when a rule
// is loaded; a column holds plain float64 in the unit's base.
type Unit uint8

// The units.
const (
	Number   Unit = iota + 1 // a plain number; goes with counts, ratios and measurements
	Quantity                 // how many: people, readings
	Duration                 // seconds
	Ratio                    // 1 is 100 %
	Measured                 // a measurement of heartbeats, whose unit only the device knows
	Truth                    // a condition: 1 true, 0 false, NaN missing
)

// String returns the unit with its article, as messages use it.
func (u Unit) String() string {
	switch u {
	case Number:
		return "a number"
	case Quantity:
		return "a count"
	case Duration:
		return "a duration"
	case Ratio:
		return "a ratio"
	case Measured:
		return "a measurement"
	case Truth:
		return "a condition"
	}
	return fmt.Sprintf("Unit(%d)", uint8(u))
}

// MarshalText writes the unit as one word, such as "duration".
func (u Unit) MarshalText() ([]byte, error) {
	return []byte(strings.TrimPrefix(u.String(), "a ")), nil
}

// join returns the unit of values of a and b put side by side (added, compared,
// the larger of both), and whether they go together.
func join(a, b Unit) (Unit, bool) {
	switch {
	case a == b:
		return a, a != Truth
	case a == Truth || b == Truth:
		return 0, false
	case a == Measured || b == Measured:
		return Measured, true
	case a == Number && b != Duration:
		return b, true
	case b == Number && a != Duration:
		return a, true
	}
	return 0, false
}

// secondsOf are the units of time in a number, such as the h of 72h.
var secondsOf = map[string]float64{"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

// parseDuration reads a duration of the language, such as 15m, 1h30m or 3d.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration", text)
	rest, total := strings.TrimSpace(text), 0.0
	if rest == "" {
		return 0, wrong
	}
	for rest != "" {
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if n <= 0 {
			return 0, wrong
		}
		value, err := strconv.ParseFloat(rest[:n], 64)
		if err != nil {
			return 0, wrong
		}
		rest = rest[n:]
		n = strings.IndexFunc(rest, func(r rune) bool { return r < 'a' || r > 'z' })
		if n < 0 {
			n = len(rest)
		}
		seconds, ok := secondsOf[rest[:n]]
		if !ok {
			return 0, wrong
		}
		total += value * seconds
		rest = rest[n:]
	}
	if total > maxSeconds {
		return 0, wrong
	}
	return time.Duration(math.Round(total*1e3)) * time.Millisecond, nil
}

// maxSeconds is the longest duration that the language takes: a hundred years.
const maxSeconds = 100 * 366 * 86400

// formatSeconds writes a duration for people: "3d 4h", "15m", "1.5s"; at most
// two units, rounded to the second of them.
func formatSeconds(s float64) string {
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return "unknown"
	}
	if s < 0 {
		return "-" + formatSeconds(-s)
	}
	if s < 60 {
		return formatNumber(s) + "s"
	}
	for _, u := range [...]struct {
		big, small   string
		size, second float64
	}{{"d", "h", 86400, 3600}, {"h", "m", 3600, 60}, {"m", "s", 60, 1}} {
		if whole := math.Round(s/u.second) * u.second; whole >= u.size {
			n := math.Floor(whole / u.size)
			text := strconv.FormatFloat(n, 'f', 0, 64) + u.big
			if rest := math.Round((whole - n*u.size) / u.second); rest > 0 {
				text += " " + strconv.FormatFloat(rest, 'f', 0, 64) + u.small
			}
			return text
		}
	}
	return formatNumber(s) + "s"
}

// formatNumber writes a number with at most two decimals.
func formatNumber(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	text := strconv.FormatFloat(v, 'f', 2, 64)
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

// formatPercent writes a ratio with at most one decimal: "12.5 %".
func formatPercent(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	return formatNumber(math.Round(v*1000)/10) + " %"
}

// format writes a value in its unit.
func (u Unit) format(v float64) string {
	switch u {
	case Duration:
		return formatSeconds(v)
	case Ratio:
		return formatPercent(v)
	}
	return formatNumber(v)
}
