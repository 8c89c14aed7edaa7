package ingest

import (
	"fmt"
	"math"

	"belfry/telemetry"
)

// Devices with cumulative counters send in_total and out_total instead of in and
// out. What is said of them here is what stands in the object alone; the counts
// between two of them are the warehouse's to find. The scanners keep them with
// the measurements, which they are in a heartbeat.

// totalName is a set of the members that such a reading has.
type totalName uint8

const (
	inTotal totalName = 1 << iota
	outTotal
	modulus
)

func totalNamed(name []byte) totalName {
	switch string(name) {
	case "in_total":
		return inTotal
	case "out_total":
		return outTotal
	case "modulus":
		return modulus
	}
	return 0
}

// spoil notes whether the last member of that name was something other than a
// number, for which a count must be refused and not read as a heartbeat.
func (f *fields) spoil(name []byte, is bool) {
	switch {
	case is:
		f.badTotals |= totalNamed(name)
	case f.badTotals != 0:
		f.badTotals &^= totalNamed(name)
	}
}

// hasTotals reports whether the object shows a cumulative counter.
func (f *fields) hasTotals() bool {
	if f.badTotals&(inTotal|outTotal) != 0 {
		return true
	}
	for i := range f.measures {
		if totalNamed(f.measures[i].name)&(inTotal|outTotal) != 0 {
			return true
		}
	}
	return false
}

// isTotal reports whether a count says what its counters show instead of what
// they counted.
func (f *fields) isTotal() bool {
	return f.inState == absent && f.outState == absent && f.hasTotals()
}

// maxTotal is the largest whole number up to which a float64 has them all.
const maxTotal = 1<<53 - 1

// total returns a member's value, or otherwise when it is not there; false when
// it is no whole number within the bounds.
func (f *fields) total(name totalName, least, otherwise int64) (v int64, ok bool) {
	if f.badTotals&name != 0 {
		return 0, false
	}
	for i := range f.measures {
		if x := f.measures[i].value; totalNamed(f.measures[i].name) == name {
			return int64(x), x >= float64(least) && x <= maxTotal && x == math.Trunc(x)
		}
	}
	return otherwise, true
}

// totals are the members of a count by totals.
type totals struct{ in, out, modulus int64 }

func (f *fields) totals() (t totals, reason, detail string) {
	var okIn, okOut, okModulus bool
	t.in, okIn = f.total(inTotal, 0, telemetry.NoTotal)
	t.out, okOut = f.total(outTotal, 0, telemetry.NoTotal)
	t.modulus, okModulus = f.total(modulus, 2, 0)
	switch {
	case f.crowded:
		return t, BadMember, fmt.Sprintf("an object has at most %d numbers beside those that belfry knows", MaxMeasures)
	case !okModulus:
		return t, BadMember, fmt.Sprintf("modulus is a whole number from 2 to %d", maxTotal)
	case !okIn, t.modulus > 0 && t.in >= t.modulus:
		return t, BadIn, fmt.Sprintf("in_total is a whole number from 0 to %d, and less than modulus", maxTotal)
	case !okOut, t.modulus > 0 && t.out >= t.modulus:
		return t, BadOut, fmt.Sprintf("out_total is a whole number from 0 to %d, and less than modulus", maxTotal)
	}
	return t, "", ""
}

func (f *fields) checkTotals() (reason, detail string) {
	_, reason, detail = f.totals()
	return reason, detail
}

func (w *walk) total(f *fields, id telemetry.DeviceID) {
	shown, _, _ := f.totals()
	t := &w.into.Totals
	t.Device = append(t.Device, id)
	t.TS = append(t.TS, f.ts)
	t.Arrival = append(t.Arrival, w.arrival)
	t.Offset = append(t.Offset, w.offset)
	t.In = append(t.In, shown.in)
	t.Out = append(t.Out, shown.out)
	t.Modulus = append(t.Modulus, shown.modulus)
}
