package analyzer

import (
	"slices"
	"time"
)

// usual is a column that is made once a day: what was usual in the weeks before.
type usual struct {
	since time.Time
	value []float64
}

// midnight is the last one of UTC: what is made once a day is as of then, so that it
// does not matter when in the day it is asked for.
func (p *pass) midnight() time.Time { return p.at.UTC().Truncate(24 * time.Hour) }

// usual takes a daily column from what is kept, and reports whether it was there.
func (p *pass) usual(key columnKey, c *deviceColumn) bool {
	kept := p.Analyzer.usuals[key]
	if !key.use.sig.daily || !kept.since.Equal(p.midnight()) {
		return false
	}
	c.value = kept.value
	return true
}

// keepUsual keeps a daily column until the next midnight.
func (p *pass) keepUsual(key columnKey, c *deviceColumn) {
	if !key.use.sig.daily || c.err != nil {
		return
	}
	if p.usuals == nil {
		p.usuals = map[columnKey]usual{}
	}
	p.usuals[key] = usual{p.midnight(), slices.Clone(c.value)}
}
