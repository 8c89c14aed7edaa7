package analyzer

import (
	"context"
	"fmt"
	"math"
	"time"

	"belfry/telemetry"
)

// Spell is a stretch in which a rule fired for a scope: an incident, as the analyzer
// knows it.
type Spell struct {
	Rule  string          `json:"rule"`
	Scope telemetry.Scope `json:"scope"`
	Began time.Time       `json:"began"` // when what it is about began, at the earliest
	Fired time.Time       `json:"fired"` // when that was found
	Ended time.Time       `json:"ended"` // zero: it fires still
	Known time.Time       `json:"-"`     // when that it ended was found; zero: that is not kept
}

// spellsKept is how long a spell that has ended matters.
const spellsKept = 180 * 24 * time.Hour

// ledger is the spells of devices that have ended, by rule and device.
type ledger map[string]map[string][]Spell

// add enters a spell, and lets go of the device's that are too long ago.
func (l ledger) add(s Spell) {
	if l[s.Rule] == nil {
		l[s.Rule] = map[string][]Spell{}
	}
	its := l[s.Rule][s.Scope.Name]
	for len(its) > 0 && s.Ended.Sub(its[0].Ended) > spellsKept {
		its = its[1:]
	}
	l[s.Rule][s.Scope.Name] = append(its, s)
}

// recall enters the spells that are kept.
func (a *Analyzer) recall(ctx context.Context) error {
	all, err := a.cfg.States.Spells(ctx, a.progress.At.Add(-spellsKept))
	if err != nil {
		return fmt.Errorf("load the spells of the last months: %w", err)
	}
	for _, s := range all {
		a.ledger.add(s)
	}
	return nil
}

// Spell returns what a state amounts to; false when it never fired. One that is
// inactive has ended when recovery began.
func (s *State) Spell() (Spell, bool) {
	out := Spell{Rule: s.Rule, Scope: s.Scope, Began: s.Since, Fired: s.Fired}
	if !s.Began.IsZero() && s.Began.Before(out.Began) {
		out.Began = s.Began
	}
	if s.Phase == Inactive {
		out.Known = s.At
		if out.Ended = s.At; !s.Calm.IsZero() {
			out.Ended = s.Calm
		}
	}
	return out, !s.Fired.IsZero()
}

// fired notes when a state began to fire, and when what it is about began: where its
// detectors say, and with the silence that it tells of.
func (j *judgement) fired(s *State, row int) {
	s.Fired, s.Began = j.at, s.Since
	if j.bound.scopeOf != nil {
		return
	}
	at := float64(j.at.UnixMilli()) / 1e3
	for i, u := range j.bound.program.uses {
		began := missing
		switch {
		case u.sig.finish == finishSilence:
			began = at - j.columns[i][row]
		case j.begins[i] != nil:
			began = j.begins[i][row]
		}
		if since := time.UnixMilli(int64(began * 1e3)).UTC(); began == began && since.Before(s.Began) {
			s.Began = since
		}
	}
}

// spells lists a rule's spells on a device, the one that lasts at the end.
func (a *Analyzer) spells(b *bound, row int) []Spell {
	its := a.ledger[b.rule.Name][a.fleet.Devices[row].Name]
	if b.slot[row] == 0 {
		return its
	}
	if s, fired := b.states[b.slot[row]-1].Spell(); fired {
		return append(its[:len(its):len(its)], s)
	}
	return its
}

// hideAtMost is how long of one incident is left out of what is learned: what has
// lasted for eight weeks is what is usual now.
const hideAtMost = 8 * 7 * 24 * time.Hour

// hidden lists the incidents of a device that were found before an instant, and are
// not to be learned from. What has been found to have ended since then fired still.
func (a *Analyzer) hidden(row int, before time.Time, into []Spell) []Spell {
	for _, b := range a.bounds {
		if b.rule.Scope != telemetry.LevelDevice || b.rule.Learned {
			continue
		}
		for _, s := range a.spells(b, row) {
			if !s.Fired.Before(before) {
				continue
			}
			if !s.Known.Before(before) {
				s.Ended = time.Time{}
			}
			into = append(into, s)
		}
	}
	return into
}

// What makes incidents alike (RULES, rule 27).
const (
	alikeWithin  = 14 * 24 * time.Hour // of its newest one a rule's recurrence is told
	alikeLength  = 0.25
	alikeOfDay   = 30 * time.Minute
	dayOfSeconds = 24 * 3600
)

// fillRecurs counts for each device the incidents of a rule that are alike with the
// newest.
func fillRecurs(p *pass, c *deviceColumn) {
	fillWith(c.value, 0)
	for _, b := range p.bounds {
		if b.rule.Name != c.use.word || b.rule.Scope != telemetry.LevelDevice {
			continue
		}
		for name := range p.ledger[b.rule.Name] {
			if row, ok := p.fleet.deviceRow(name); ok {
				zone := p.fleet.calendars[p.fleet.calendarOfDevice(row)].site.Location()
				c.value[row] = float64(recurs(p.spells(b, row), p.at, zone))
			}
		}
	}
}

// recurs counts the spells of the last 180 days that are as long as the newest, or
// began at the same time of day, itself included; the greater of both.
func recurs(all []Spell, at time.Time, zone *time.Location) int {
	if len(all) == 0 {
		return 0
	}
	newest := all[len(all)-1]
	if at.Sub(newest.Fired) > alikeWithin {
		return 0
	}
	lengths, times := 0, 0
	for _, s := range all {
		if at.Sub(s.Began) > spellsKept {
			continue
		}
		if !s.Ended.IsZero() && !newest.Ended.IsZero() {
			a, b := s.Ended.Sub(s.Began), newest.Ended.Sub(newest.Began)
			if math.Abs(float64(a-b)) <= alikeLength*float64(max(a, b)) {
				lengths++
			}
		}
		if apart(s.Began.In(zone), newest.Began.In(zone)) <= alikeOfDay {
			times++
		}
	}
	return max(lengths, times)
}

// apart is how far two times of day lie apart, over midnight if that is nearer.
func apart(a, b time.Time) time.Duration {
	of := func(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }
	d := of(a) - of(b)
	if d < 0 {
		d = -d
	}
	return time.Duration(min(d, dayOfSeconds-d)) * time.Second
}
