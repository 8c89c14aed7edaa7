package analyzer

import (
	"math"
	"sync"
	"time"
)

// A cursor remembers a trailing column for each device, and until when it stays as
// it is: a backtest moves on in steps of minutes through readings that come by the
// hour, so that nearly every value is that of the step before. Without it a quarter of a
// year's backtest went into looking the same values up.
type cursor struct {
	mu           sync.Mutex
	value        []float64 // by device
	since, until []int64   // valid for since <= AsOf < until, milliseconds
}

// trail is a column whose window follows the instant; equal trails share a cursor.
type trail struct {
	fn      Fn
	kind    uint8
	measure string
	length  time.Duration // 0: arrivals, which have no window
}

// trailOf returns the trail of a column; false when its window stands still.
func trailOf(c Column, asOf time.Time) (trail, bool) {
	t := trail{fn: c.Fn, kind: uint8(c.Kind), measure: c.Measure}
	if c.Fn == LastArrival || c.Fn == FirstArrival {
		return t, true
	}
	if c.From.IsZero() || !c.To.Equal(asOf) || c.Fn.OnArrivals() || c.OfTotals() {
		return t, false
	}
	t.length = c.To.Sub(c.From)
	return t, true
}

// cursor returns the cursor of a trail.
func (r *Reel) cursor(t trail) *cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.cursors[t]
	if c == nil {
		n := len(r.ids)
		c = &cursor{value: make([]float64, n), since: make([]int64, n), until: make([]int64, n)}
		if r.cursors == nil {
			r.cursors = map[trail]*cursor{}
		}
		r.cursors[t] = c
	}
	return c
}

// at returns a column's value for a device. The caller holds the mutex.
func (c *cursor) at(i int, a *aggregate, d *reelDevice) float64 {
	if c.since[i] <= a.asOf && a.asOf < c.until[i] {
		return c.value[i]
	}
	c.value[i], c.since[i], c.until[i] = a.of(d), a.asOf, a.staysUntil(d)
	return c.value[i]
}

// staysUntil returns the next instant at which the column may be another one.
func (a *aggregate) staysUntil(d *reelDevice) int64 {
	until := int64(math.MaxInt64)
	next := func(values []int64, limit int64, near *int32, ahead int64) {
		if n := after(values, limit, near); n < len(values) {
			until = min(until, values[n]+ahead)
		}
	}
	for _, s := range a.series(d) {
		next(s.arrivals, a.asOf, &s.near, 0)
		if a.Fn == LastArrival || a.Fn == FirstArrival {
			continue
		}
		next(s.ts, a.from, &s.nearFrom, a.to-a.from)
		next(s.ts, a.to, &s.nearTo, 0)
	}
	return until
}
