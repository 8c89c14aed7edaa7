package ingest

import (
	"fmt"
	"math"
	"time"
	"unicode"
	"unicode/utf8"
)

// isCount reports whether the object is a count: it says so, or it says nothing
// and has people in it.
func (f *fields) isCount() bool {
	if f.kindState == good {
		return string(f.kind) == "count"
	}
	return f.inState != absent || f.outState != absent || f.hasTotals()
}

// check returns why the object is refused; no reason when it is not. The
// device's name is left to the caller, who may know it already.
func (w *walk) check(f *fields) (reason, detail string) {
	switch {
	case f.deep:
		return TooDeep, fmt.Sprintf("nested deeper than %d levels", MaxDepth)
	case f.deviceState == absent:
		return BadDevice, "device is missing"
	case f.deviceState == bad:
		return BadDevice, "device is no string"
	}
	if reason, detail = w.checkTime(f); reason != "" {
		return reason, detail
	}
	if f.kindState == bad || f.kindState == good && string(f.kind) != "count" && string(f.kind) != "heartbeat" {
		return BadKind, `kind is "count" or "heartbeat"; got ` + quote(f.kind)
	}
	if !f.isCount() {
		return f.checkHeartbeat()
	}
	if f.isTotal() {
		return f.checkTotals()
	}
	return f.checkCount()
}

func (w *walk) checkTime(f *fields) (reason, detail string) {
	switch {
	case f.tsState == absent:
		return BadTS, "ts is missing"
	case f.tsState == bad:
		return BadTS, "ts is neither RFC 3339 nor epoch milliseconds"
	case f.ts < oldest:
		if s := f.ts * 1000; f.ts > 0 && s >= oldest && s < beyond {
			return TSTooOld, fmt.Sprintf("ts %d is before 2000; epoch milliseconds are wanted, this looks like seconds", f.ts)
		}
		return TSTooOld, fmt.Sprintf("ts %s is before 2000", instant(f.ts))
	case w.arrival < 0:
		return BadTS, "the record has no timestamp in the log, so that ts can't be judged"
	case f.ts >= beyond:
		return TSTooNew, fmt.Sprintf("ts %d is not before 2100; epoch milliseconds are wanted", f.ts)
	case f.ts > w.arrival+aheadLimit:
		return TSTooNew, fmt.Sprintf("ts %s is more than 24 h after its arrival at %s", instant(f.ts), instant(w.arrival))
	}
	return "", ""
}

func instant(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.999Z07:00")
}

func (f *fields) checkCount() (reason, detail string) {
	switch {
	case f.inState == bad:
		return BadIn, "in is a whole number from 0 to 4294967295"
	case f.outState == bad:
		return BadOut, "out is a whole number from 0 to 4294967295"
	case f.inState == absent && f.outState == absent:
		return BadIn, "a count has in, or out, or both, or the totals in_total, out_total"
	case f.intervalState == bad || f.intervalState == good && f.interval == 0:
		return BadInterval, "interval is a whole number of seconds from 1 to 4294967295"
	}
	return "", ""
}

func (f *fields) checkHeartbeat() (reason, detail string) {
	switch {
	case f.inState != absent || f.outState != absent:
		return BadKind, "a heartbeat has neither in nor out; send the count as an object of its own"
	case len(f.fw) > MaxFirmware || !printable(f.fw):
		return BadMember, fmt.Sprintf("fw is at most %d bytes of UTF-8 without control characters", MaxFirmware)
	case f.crowded:
		return BadMember, fmt.Sprintf("a heartbeat has at most %d measurements", MaxMeasures)
	}
	for i := range f.measures {
		m := &f.measures[i]
		if len(m.name) == 0 || len(m.name) > MaxMeasureName || !printable(m.name) {
			return BadMember, fmt.Sprintf("the name %s of a measurement; want 1 to %d bytes of UTF-8 without control characters", quote(m.name), MaxMeasureName)
		}
		if math.IsInf(m.value, 0) {
			return BadMember, fmt.Sprintf("the measurement %s is too large a number", quote(m.name))
		}
	}
	return "", ""
}

// printable reports whether the text is UTF-8 without control characters.
func printable(b []byte) bool {
	for i := 0; i < len(b); {
		r, n := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			if r, n = utf8.DecodeRune(b[i:]); r == utf8.RuneError && n == 1 {
				return false
			}
		}
		if unicode.IsControl(r) {
			return false
		}
		i += n
	}
	return true
}
