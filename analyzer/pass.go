package analyzer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"belfry/telemetry"
)

// task is one rule at one instant.
type task struct {
	at    time.Time
	index int // of the rule
	bound *bound
	days  map[int32]telemetry.Day // by calendar, of a daily rule: who is due, and the day judged; nil: everyone
	left  bool                    // until what it needs is learned
}

// pass evaluates the tasks of one instant: what they need from the warehouse,
// merged; the device columns made of it; and the buffers behind them.
type pass struct {
	*Analyzer
	at      time.Time
	scans   []*scanPlan
	columns map[columnKey]*deviceColumn
	binned  []*deviceColumn // those that are made of bins
	asking  []*task         // those whose rules have a query
	raw     map[*task]*rawAnswer
	untrue  map[*bound]map[int]bool      // rows that fire for what late readings say was not so
	counts  map[*task]map[string]counted // by condition
}

// columnKey tells device columns apart: the same signal over the same windows.
type columnKey struct {
	use      use
	schedule Schedule // zero when the windows don't depend on it
	audience string
	rule     string // of a column for the devices of one rule
}

// deviceColumn is a signal for each device of the fleet.
type deviceColumn struct {
	use    use
	rules  []string // that read it
	parts  []part
	value  []float64
	expect []float64 // readings expected, for completeness
	err    error

	closing bool                 // it is known of some devices only, and missing for the others
	only    []telemetry.DeviceID // these
	divides *task                // it matters to this task alone, and where others are not zero; see bound.divisors

	calendars []bool      // of a column made of bins: whose devices; nil: all
	recent    [][]float64 // of a column made of several bins: one for each, the last first
	begins    []float64   // of such a column: when what it tells began, seconds since 1970; NaN: not known
}

// part is a signal over devices that share their windows.
type part struct {
	scan      *scanPlan
	columns   []int // of the scan: one for each span
	calendars []bool
	spans     []stretch
}

// scanPlan is a scan and how its rows lie in the fleet.
type scanPlan struct {
	Scan
	calendars []bool               // whose devices; nil: all
	only      []telemetry.DeviceID // some of them, ascending; nil: all
	rules     []string
	table     *table
	err       error
}

// plan collects what the tasks need. Equal columns over the same devices are
// one, whichever rule asks.
func (p *pass) plan(tasks []*task) {
	for _, t := range tasks {
		for _, u := range t.bound.read {
			if u.cond != nil || u.sig.raw || slices.Contains(t.bound.closing, u) || slices.Contains(t.bound.dividing, u) {
				continue // made of the others, for each scope; asked in SQL; or asked for some devices only
			}
			key := p.key(t, u)
			if c := p.columns[key]; c != nil {
				c.reads(t.bound.rule.Name)
				continue
			}
			c := &deviceColumn{use: u, rules: []string{t.bound.rule.Name}}
			if u.sig.bins != nil {
				c.calendars = p.due(t)
				p.binned = append(p.binned, c)
				p.columns[key] = c
				continue
			}
			if u.sig.fill != nil || p.usual(key, c) {
				p.columns[key] = c
				continue
			}
			for _, g := range p.audiences(t, u) {
				c.parts = append(c.parts, p.part(u, g))
			}
			c.reads(t.bound.rule.Name)
			p.columns[key] = c
		}
	}
	for _, t := range tasks {
		if t.bound.rule.Query != "" {
			p.asking = append(p.asking, t)
		}
		for _, u := range t.bound.closing {
			p.planClosing(t, u)
		}
		for _, u := range t.bound.dividing {
			p.planDivisor(t, u)
		}
	}
}

// planClosing plans a signal that only `recover` looks at. Of a calm fleet nobody has
// anything to recover from, and then nothing is asked; else those who have are.
func (p *pass) planClosing(t *task, u use) {
	if c := p.columns[p.key(t, u)]; c != nil {
		c.reads(t.bound.rule.Name) // another rule asks it of everyone
		return
	}
	c := &deviceColumn{use: u, closing: true, only: t.bound.unsettled(p.fleet)}
	if len(c.only) > 0 {
		for _, g := range p.audiences(t, u) {
			c.parts = append(c.parts, p.partOf(u, g, c.only))
		}
	}
	c.reads(t.bound.rule.Name)
	p.columns[p.closingKey(t, u)] = c
}

// closingKey is the key of a column for the devices of one rule.
func (p *pass) closingKey(t *task, u use) columnKey {
	k := p.key(t, u)
	k.rule = t.bound.rule.Name
	return k
}

// column returns the column of a signal that the task planned.
func (p *pass) column(t *task, u use) *deviceColumn {
	if c := p.columns[p.key(t, u)]; c != nil {
		return c
	}
	return p.columns[p.closingKey(t, u)]
}

// reads notes a rule that reads the column.
func (c *deviceColumn) reads(rule string) {
	c.rules = addOnce(c.rules, rule)
	for i := range c.parts {
		if s := c.parts[i].scan; s != nil {
			s.rules = addOnce(s.rules, rule)
		}
	}
}

func (p *pass) key(t *task, u use) columnKey {
	k := columnKey{use: u, audience: audienceKey(p.due(t))}
	if u.window.kind == windowDay || u.window.kind == windowOpen {
		k.schedule = t.bound.rule.Schedule
		if k.schedule.Anchor == "" {
			k.schedule = Schedule{Every: 1} // all grids mean the same day
		}
	}
	return k
}

func audienceKey(calendars []bool) string {
	if calendars == nil {
		return ""
	}
	key := make([]byte, len(calendars))
	for i, in := range calendars {
		key[i] = '0'
		if in {
			key[i] = '1'
		}
	}
	return string(key)
}

// due returns the calendars that a task is for; nil means all of them.
func (p *pass) due(t *task) []bool {
	if t.days == nil || len(t.days) == len(p.fleet.calendars) {
		return nil
	}
	mask := make([]bool, len(p.fleet.calendars))
	for c := range t.days {
		mask[c] = true
	}
	return mask
}

// audience is a set of calendars whose windows are the same stretches.
type audience struct {
	calendars []bool
	spans     []stretch
}

func (p *pass) audiences(t *task, u use) []audience {
	if u.window.kind != windowDay && u.window.kind != windowOpen {
		return []audience{{p.due(t), p.spans(t, u, -1)}}
	}
	var groups []audience
	for c := range p.fleet.calendars {
		if _, due := t.days[int32(c)]; t.days != nil && !due {
			continue
		}
		spans := p.spans(t, u, int32(c))
		i := slices.IndexFunc(groups, func(g audience) bool { return slices.Equal(g.spans, spans) })
		if i < 0 {
			i = len(groups)
			groups = append(groups, audience{make([]bool, len(p.fleet.calendars)), spans})
		}
		groups[i].calendars[c] = true
	}
	if len(groups) == 1 {
		groups[0].calendars = p.due(t)
	}
	return groups
}

// spans resolves a signal's window for a calendar. What does not add up over
// several opening spans takes them as one, from the first opening to the last
// closing.
func (p *pass) spans(t *task, u use, calendar int32) []stretch {
	switch {
	case u.sig.daily:
		return []stretch{{p.midnight().Add(-u.sig.reach), p.midnight()}}
	case u.window.kind == windowNone && u.sig.column(u.word).Fn.OnArrivals():
		return []stretch{{t.at.Add(-p.fleet.ten), t.at}}
	case u.window.kind == windowNone && u.sig.finish == finishNone:
		return []stretch{{to: t.at}} // last(M): no lower bound
	}
	var day telemetry.Day
	if calendar >= 0 {
		if t.days != nil {
			day = t.days[calendar]
		} else {
			day = p.fleet.calendars[calendar].complete(t.at)
		}
	}
	spans := t.bound.rule.Schedule.stretches(u.window, t.at, day)
	if c := u.sig.column(u.word); u.window.kind == windowTrailing && c.Kind == telemetry.Count && !c.Fn.OnArrivals() {
		// A count that is stamped with the instant itself can't have come by then: [a, b), by RULES, 5.
		spans = []stretch{{spans[0].from.Add(-time.Millisecond), spans[0].to.Add(-time.Millisecond)}}
	}
	if u.sig.merge == mergeNone && len(spans) > 1 {
		spans = []stretch{{spans[0].from, spans[len(spans)-1].to}}
	}
	return spans
}

// part enters the columns of a signal into the scan for its devices.
func (p *pass) part(u use, g audience) part { return p.partOf(u, g, nil) }

// partOf is part for some devices only.
func (p *pass) partOf(u use, g audience, only []telemetry.DeviceID) part {
	part := part{calendars: g.calendars, spans: g.spans}
	if len(g.spans) == 0 {
		return part // closed all day: nothing to ask for
	}
	asOf := p.at
	if u.sig.daily {
		asOf = p.midnight()
	}
	i := slices.IndexFunc(p.scans, func(s *scanPlan) bool {
		return s.AsOf.Equal(asOf) && slices.Equal(s.calendars, g.calendars) && slices.Equal(s.only, only)
	})
	if i < 0 {
		i = len(p.scans)
		p.scans = append(p.scans, &scanPlan{Scan: Scan{AsOf: asOf}, calendars: g.calendars, only: only})
	}
	part.scan = p.scans[i]
	for _, s := range g.spans {
		c := u.sig.column(u.word)
		c.From, c.To, c.Share = s.from, s.to, u.habit
		j := slices.Index(part.scan.Columns, c)
		if j < 0 {
			j = len(part.scan.Columns)
			part.scan.Columns = append(part.scan.Columns, c)
		}
		part.columns = append(part.columns, j)
	}
	return part
}

// read runs the scans and makes the device columns. A scan that fails takes
// down its own columns only.
func (p *pass) read(ctx context.Context) {
	p.scan(ctx, p.scans)
	for _, t := range p.asking {
		p.raw[t] = p.ask(ctx, t)
	}
	begin, asked := p.now(), p.scanSeconds()
	for key, c := range p.columns {
		switch {
		case c.value != nil: // of this day, and there already
		case c.divides != nil: // when the others are there
		case c.use.sig.fill != nil:
			c.value = p.take(len(p.fleet.Devices))
			c.use.sig.fill(p, c)
		case c.use.sig.bins == nil:
			p.fillColumn(c)
			p.keepUsual(key, c)
		}
	}
	p.readDivisors(ctx)
	p.fillBinned(ctx)
	if p.cfg.explain != nil {
		p.cfg.explain.ColumnSeconds += p.since(begin) - (p.scanSeconds() - asked)
	}
	for _, s := range p.scans {
		if s.table != nil {
			p.giveTable(s.table)
		}
	}
}

// scan runs scans.
func (p *pass) scan(ctx context.Context, scans []*scanPlan) {
	for _, s := range scans {
		if s.Devices = s.only; s.only == nil {
			s.Devices = p.devices(s.calendars)
		}
		begin := p.now()
		s.table, s.err = p.query(ctx, s.Scan)
		p.scanned(s.explained(), begin, s.err)
	}
}

// devices lists the devices of some calendars, ascending; nil for all.
func (p *pass) devices(calendars []bool) []telemetry.DeviceID {
	if calendars == nil {
		return nil
	}
	ids := []telemetry.DeviceID{}
	for row, id := range p.fleet.ids {
		if calendars[p.fleet.calendarOfDevice(row)] {
			ids = append(ids, id)
		}
	}
	return ids
}

// fillColumn makes a device column of the scans' columns.
func (p *pass) fillColumn(c *deviceColumn) {
	c.value = p.take(len(p.fleet.Devices))
	fillWith(c.value, c.use.sig.empty)
	if c.closing {
		p.emptyFor(c)
	}
	for i := range c.parts {
		part := &c.parts[i]
		if part.scan != nil && part.scan.err != nil {
			c.err = part.scan.err
			return
		}
		for n, column := range part.columns {
			m := c.use.sig.merge
			if n == 0 {
				m = mergeNone
			}
			p.scatter(c.value, part, column, m)
		}
	}
	switch c.use.sig.finish {
	case finishSilence:
		p.finishSilence(c.value)
	case finishUnheard:
		p.finishUnheard(c.value)
	case finishComplete:
		p.finishComplete(c)
	case finishUninvited:
		p.finishUninvited(c.value)
	}
}

// emptyFor makes a column missing but for its devices.
func (p *pass) emptyFor(c *deviceColumn) {
	fillWith(c.value, missing)
	for _, id := range c.only {
		if row, ok := slices.BinarySearch(p.fleet.ids, id); ok {
			c.value[row] = c.use.sig.empty
		}
	}
}

// scatter lays a column of a scan into the fleet's rows.
func (p *pass) scatter(value []float64, part *part, column int, m merge) {
	t := part.scan.table
	source, nulls := t.values[column], t.valid[column]
	if t.rows == nil && nulls == nil && part.calendars == nil && m == mergeNone {
		copy(value, source)
		return
	}
	for i, v := range source {
		if v != v || nulls != nil && !nulls.IsValid(i) {
			continue
		}
		row := i
		if t.rows != nil {
			if row = int(t.rows[i]); row < 0 {
				continue
			}
		}
		if part.calendars != nil && !part.calendars[p.fleet.calendarOfDevice(row)] {
			continue
		}
		value[row] = m.join(value[row], v)
	}
}

// join brings a further value to what is there; a missing one gives way.
func (m merge) join(have, v float64) float64 {
	switch {
	case have != have || m == mergeNone:
		return v
	case m == mergeSum:
		return have + v
	case m == mergeMin:
		return min(have, v)
	}
	return max(have, v)
}

// finishSilence turns last arrivals into durations. A device that was never
// heard of is silent since it came into service; where the registry does not say
// when that was, nothing is expected of it before its first message. So a fleet
// that is imported before it is connected raises no alarm.
func (p *pass) finishSilence(value []float64) {
	at := float64(p.at.UnixMilli()) / 1e3
	for i, last := range value {
		if last != last {
			last = p.fleet.since(i)
		}
		if last != last {
			last = at
		}
		value[i] = at - last
	}
}

func (p *pass) finishUnheard(value []float64) {
	at := float64(p.at.UnixMilli()) / 1e3
	for i, last := range value {
		value[i] = 0
		if last != last {
			value[i] = at - p.fleet.since(i)
		}
	}
}

// finishComplete turns rows into rows over rows expected. A device counts from
// when it came into service, and never for more than is expected of it, so that
// a talkative one does not stand in for a silent neighbour.
func (p *pass) finishComplete(c *deviceColumn) {
	c.expect = p.take(len(c.value))
	fillWith(c.expect, 0)
	for _, part := range c.parts {
		for _, s := range part.spans {
			from, to := s.from.UnixMilli(), s.to.UnixMilli()
			for row := range c.expect {
				if part.calendars == nil || part.calendars[p.fleet.calendarOfDevice(row)] {
					served := float64(to-max(from, p.fleet.from[row])) / 1e3
					c.expect[row] += max(0, math.Floor(served/p.fleet.reading[row]))
				}
			}
		}
	}
	for row, rows := range c.value {
		c.value[row] = missing
		if c.expect[row] > 0 {
			c.value[row] = min(rows, c.expect[row]) / c.expect[row]
		}
	}
}

// scopeColumn makes a signal for each scope of a rule: the device column itself,
// or its devices in service taken together.
func (p *pass) scopeColumn(b *bound, c *deviceColumn) []float64 {
	if b.scopeOf == nil {
		return c.value
	}
	out := p.take(b.scopes)
	fillWith(out, missing)
	if c.expect != nil {
		return p.scopeCompleteness(b, c, out)
	}
	m := c.use.sig.merge
	if m == mergeMedian {
		return p.scopeMedian(b, c, out)
	}
	for row, scope := range b.scopeOf {
		if v := c.value[row]; v == v && p.takesPart(b, row) {
			out[scope] = m.join(out[scope], v)
		}
	}
	return out
}

// scopeMedian is the median over the devices of each scope, at least peersLeast.
func (p *pass) scopeMedian(b *bound, c *deviceColumn, out []float64) []float64 {
	members := make([][]float64, b.scopes)
	for row, scope := range b.scopeOf {
		if v := c.value[row]; v == v && p.takesPart(b, row) {
			members[scope] = append(members[scope], v)
		}
	}
	for scope, values := range members {
		if len(values) >= peersLeast {
			out[scope] = median(values)
		}
	}
	return out
}

func (p *pass) scopeCompleteness(b *bound, c *deviceColumn, out []float64) []float64 {
	expect := p.take(b.scopes)
	fillWith(expect, 0)
	for row, scope := range b.scopeOf {
		if c.expect[row] > 0 && p.takesPart(b, row) {
			out[scope] = mergeSum.join(out[scope], c.value[row]*c.expect[row])
			expect[scope] += c.expect[row]
		}
	}
	for i := range out {
		out[i] /= expect[i] // NaN stays NaN
	}
	return out
}

// takesPart reports whether a device counts towards its scope.
func (p *pass) takesPart(b *bound, row int) bool {
	return p.alive[row] && b.scopeOf[row] >= 0 && (b.members == nil || b.members[row])
}

func fillWith(column []float64, v float64) {
	for i := range column {
		column[i] = v
	}
}

// scanError says which scan failed.
func scanError(s Scan, err error) error {
	return fmt.Errorf("scan %d columns as of %s: %w", len(s.Columns), s.AsOf.Format(time.RFC3339), err)
}
