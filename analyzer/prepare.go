package analyzer

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// lessons are what is learned: the baselines of flows, with that of the total also peaks,
// habits and runs; and which days may be copies.
type lessons [copies + 1]bool

const copies = flowTotal + 1

// lessons are what a signal looks at of what is learned.
func (u use) lessons() (l lessons) {
	for _, word := range u.sig.learns {
		if word == "" {
			word = u.word
		}
		l[flowOf(word)] = true
	}
	l[flowTotal] = l[flowTotal] || l[flowIn] || l[flowOut]
	return l
}

func (r *Rule) lessons() (l lessons) {
	for _, u := range r.read() {
		l = l.and(u.lessons())
	}
	return l
}

func (l lessons) and(others lessons) lessons {
	for i, is := range others {
		l[i] = l[i] || is
	}
	return l
}

func (l lessons) any() bool { return l != lessons{} }

// learnt is how far the devices of some calendars were gone over, to learn what is known
// of them as of the midnight that their local day began with. It is learned once a day, as
// of then, so that it does not matter when in the day the analyzer was started, nor in how
// many pieces. The calendars of a fleet share one knowledge, each in the rows of its
// devices, where what was known of the day before is overwritten: whoever needs that once
// more learns it anew.
type learnt struct {
	since time.Time
	faces []*clockface // by calendar: of those gone over; nil when all is learned
	done  int          // rows of the fleet, from the first
	*knowledge
}

// pieceOfLearning is how many devices are learned of at once: a fraction of a second.
const pieceOfLearning = 2000

// begin returns what is left to be learned for the local days of some calendars.
func (p *pass) begin(calendars []int32, need lessons) (rest []*learnt) {
	need = need.and(p.lessons)
	if p.known == nil || need.and(p.known.asked) != p.known.asked {
		p.Analyzer.known, p.Analyzer.learnt = newKnowledge(len(p.fleet.Devices), need), map[int32]*learnt{}
	}
	fresh := map[int64]*learnt{}
	for _, c := range calendars {
		l, since := p.learnt[c], p.midnightOf(c)
		if l == nil || !l.since.Equal(since) {
			if l != nil && l.faces != nil {
				l.faces[c] = nil // they part
			}
			if l = fresh[since.UnixMilli()]; l == nil {
				l = &learnt{since: since, faces: make([]*clockface, len(p.fleet.calendars)), knowledge: p.known}
				fresh[since.UnixMilli()] = l
			}
			l.faces[c] = newClockface(p.fleet.calendars[c], since.Add(-learnBack), int(learnBack/binStep))
			p.learnt[c], p.Analyzer.ahead = l, time.Time{}
		}
		if l.faces != nil && !slices.Contains(rest, l) {
			rest = append(rest, l)
		}
	}
	return rest
}

// learnAll learns what is not yet known for some calendars' local days.
func (p *pass) learnAll(ctx context.Context, calendars []int32, need lessons) error {
	for _, l := range p.begin(calendars, need) {
		for l.faces != nil {
			if err := p.learnPiece(ctx, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// learnPiece learns of the next devices, but for those that are for other analyzers to
// evaluate.
func (p *pass) learnPiece(ctx context.Context, l *learnt) error {
	f, row := p.fleet, l.done
	var rows []int
	for ; row < len(f.ids) && len(rows) < p.cfg.piece; row++ {
		if l.faces[f.calendarOfDevice(row)] != nil && (p.theirs == nil || !p.theirs[f.siteOf[row]]) {
			rows = append(rows, row)
		}
	}
	if len(rows) > 0 {
		s := Series{AsOf: l.since, From: l.since.Add(-learnBack), To: l.since, Step: binStep}
		err := p.pieceOf(ctx, s, listed(rows), l.faces, func(w *worker, _ int32) {
			w.past.known, w.past.today = l.knowledge, 0
			w.study.hidden = p.hidden(w.past.row, l.since, w.study.hidden[:0])
			w.study.learn(&w.past, l.knowledge)
		})
		if err != nil {
			return fmt.Errorf("learn as of %s: %w", l.since.Format(time.RFC3339), err)
		}
	}
	if l.done = row; l.done == len(f.ids) {
		l.faces = nil
	}
	return nil
}

// rowList is devices by their rows in the fleet: n that lie next to each other, or those
// that are listed, ascending.
type rowList struct {
	lo, n int
	list  []int
}

func (r rowList) at(i int) int {
	if r.list != nil {
		return r.list[i]
	}
	return r.lo + i
}

// listed makes rows of an ascending list.
func listed(list []int) rowList {
	switch n := len(list); {
	case n == 0:
		return rowList{}
	case list[n-1]-list[0] == n-1:
		return rowList{lo: list[0], n: n}
	}
	return rowList{n: len(list), list: list}
}

// Prepare learns ahead, one piece of the fleet at each call, what the next instants need:
// of a local day as soon as everything that belongs to the day before has been evaluated.
// more says that another piece may be left. It is for the time in which no instant is due,
// and what it has not come to by then is learned by the instant that needs it.
//
// What it learns, and when, follows from how far the evaluation is and from nothing else.
// An error changes nothing of what was found; it is tried again after a minute, and
// returned once.
func (a *Analyzer) Prepare(ctx context.Context) (more bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.evaluated || a.cfg.Series == nil || !a.lessons.any() || a.progress.At.Before(a.ahead) {
		return false, nil
	}
	p := &pass{Analyzer: a, at: a.progress.At}
	next := p.prepares()
	if len(next) == 0 {
		return false, nil
	}
	if err = p.learnPiece(ctx, next[0]); err == nil {
		a.unprepared = false
		return true, nil
	}
	if a.ahead = a.progress.At.Add(prepareAgain); a.unprepared && ctx.Err() == nil {
		err = nil
	}
	a.unprepared = true
	return false, err
}

// prepareAgain is how long after an error it is tried again to learn ahead.
const prepareAgain = time.Minute

// prepares returns what is to be learned next: for the first of the tasks that are left,
// or else for the next instants.
func (p *pass) prepares() []*learnt {
	if len(p.left) > 0 {
		t := p.left[0]
		return (&pass{Analyzer: p.Analyzer, at: t.at}).begin(p.calendarsOf(t), lessons{})
	}
	var calendars []int32
	until := time.Time{}
	for c, calendar := range p.fleet.calendars {
		day := calendar.day(p.at.Add(-settle))
		if end := day.End.Add(settle); until.IsZero() || end.Before(until) {
			until = end
		}
		if l := p.learnt[int32(c)]; l != nil && l.faces == nil && l.since.Equal(day.Start) {
			continue
		}
		if slices.ContainsFunc(p.bounds, func(b *bound) bool { return b.lessons.any() && b.dueBefore(calendar, p.at, day.End.Add(settle)) }) {
			calendars = append(calendars, int32(c))
		}
	}
	if len(calendars) == 0 {
		p.Analyzer.ahead = until
		return nil
	}
	return p.begin(calendars, lessons{})
}

// calendarsOf lists the calendars that a task is for.
func (p *pass) calendarsOf(t *task) (all []int32) {
	for c := range p.fleet.calendars {
		if _, due := t.days[int32(c)]; due || t.days == nil {
			all = append(all, int32(c))
		}
	}
	return all
}

// dueBefore reports whether a rule has an instant for a calendar after one and before
// another.
func (b *bound) dueBefore(c *calendar, after, before time.Time) bool {
	if s := b.rule.Schedule; s.Anchor == "" {
		return alignDown(after, s.Every).Add(s.Every).Before(before)
	}
	return len(b.rule.Schedule.daily(c, after, before.Add(-time.Millisecond))) > 0
}

// patience is how long rules wait for what they need to be learned piece by piece, before
// their instant learns it and the others wait.
const patience = 10 * time.Minute

// leave takes the tasks out that need more learned than a piece: while Prepare learns it,
// the other rules go on. They are as far behind as after an error, and then judged at their
// newest instant.
func (p *pass) leave(tasks []*task, failed map[int]bool) []*task {
	if !p.patient || !p.waiting.IsZero() && p.upto.Sub(p.waiting) > patience {
		return tasks
	}
	return slices.DeleteFunc(tasks, func(t *task) bool {
		if t.left = t.bound.lessons.any() && p.unlearned(t) > p.cfg.piece; t.left {
			p.Analyzer.left, failed[t.index] = append(p.left, t), true
		}
		return t.left
	})
}

// unlearned returns of how many devices, at most, a task needs something learned yet.
func (p *pass) unlearned(t *task) (n int) {
	for _, c := range p.calendarsOf(t) {
		l := p.learnt[c]
		switch {
		case l == nil || !l.since.Equal(p.midnightOf(c)):
			return len(p.fleet.ids)
		case l.faces != nil:
			n = max(n, len(p.fleet.ids)-l.done)
		}
	}
	return n
}

// midnightOf returns the midnight as of which an instant needs a calendar learned.
func (p *pass) midnightOf(c int32) time.Time {
	return p.fleet.calendars[c].day(p.at.Add(-settle)).Start.UTC()
}
