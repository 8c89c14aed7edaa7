package analyzer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sort"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"golang.org/x/sync/errgroup"

	"belfry/telemetry"
)

// learnt is what is known of the devices of one calendar, as of the midnight that
// its local day began with. It is learned once a day, as of then, so that it does
// not matter when in the day the analyzer was started. The calendars of a fleet
// share one knowledge, each in the rows of its devices.
type learnt struct {
	since time.Time
	flows [3]bool
	*knowledge
}

// binsAtOnce bounds how many bins a series may bring, hence the memory it takes.
const binsAtOnce = 4 << 20

// errNoSeries says that an analyzer was made without a source of bins.
var errNoSeries = errors.New("there is no source of bins")

// fillBinned makes the columns that are made of bins: for the calendars whose bins
// begin at the same instants one series, in pieces of the fleet.
func (p *pass) fillBinned(ctx context.Context) {
	if len(p.binned) == 0 {
		return
	}
	for _, c := range p.binned {
		c.value, c.begins = p.take(len(p.fleet.Devices)), p.take(len(p.fleet.Devices))
		fillWith(c.value, missing)
		fillWith(c.begins, missing)
		for range c.use.sig.recent {
			c.recent = append(c.recent, p.take(len(p.fleet.Devices)))
			fillWith(c.recent[len(c.recent)-1], missing)
		}
	}
	err := errNoSeries
	if p.cfg.Series != nil {
		err = p.binGroups(ctx)
	}
	for _, c := range p.binned {
		switch c.err = err; {
		case err != nil:
		case c.use.sig.peers != nil:
			p.holdAgainstPeers(c.value, nil, c.use.sig.peers)
		case c.recent != nil:
			p.findOutliers(c)
		}
	}
}

// binGroups goes over the sets of calendars that share the end of their last bin.
func (p *pass) binGroups(ctx context.Context) error {
	groups := map[int64][]int32{}
	for c := range p.fleet.calendars {
		if slices.ContainsFunc(p.binned, func(d *deviceColumn) bool { return d.calendars == nil || d.calendars[c] }) {
			end := lastBin(p.fleet.calendars[c].site.Location(), p.at).UnixMilli()
			groups[end] = append(groups[end], int32(c))
		}
	}
	for end, calendars := range groups {
		if err := p.binGroup(ctx, time.UnixMilli(end).UTC(), calendars); err != nil {
			return err
		}
	}
	return nil
}

func (p *pass) binGroup(ctx context.Context, end time.Time, calendars []int32) error {
	reach, flows := binStep, [3]bool{}
	for _, d := range p.binned {
		reach = max(reach, d.use.sig.reach)
		for _, word := range d.use.sig.learns {
			flows[flowTotal] = true
			if word == "" {
				word = d.use.word
			}
			flows[flowOf(word)] = true
		}
	}
	if flows[flowTotal] {
		if err := p.learnAll(ctx, calendars, flows); err != nil {
			return err
		}
	}
	from := end.Add(-reach)
	if flows[flowTotal] {
		for _, c := range calendars { // to the midnight up to which runs are carried
			if since := p.learnt[c].since.UTC(); since.Before(from) {
				from = since
			}
		}
	}
	return p.eachHistory(ctx, Series{AsOf: p.at, From: from, To: end, Step: binStep}, calendars, func(w *worker, calendar int32) {
		h := &w.past
		h.known, h.today = nil, 0
		if l := p.learnt[calendar]; l != nil {
			h.known, h.today = l.knowledge, int(l.since.Sub(from)/binStep)
		}
		for _, d := range p.binned {
			if d.calendars != nil && !d.calendars[calendar] {
				continue
			}
			if d.recent != nil {
				for k, column := range d.recent {
					column[h.row] = h.logRatio(flowTotal, h.bins()-1-k)
				}
				continue
			}
			value, began := d.use.sig.bins(h, d.use)
			d.value[h.row] = value
			if began != never {
				d.begins[h.row] = h.begin(began)
			}
		}
	})
}

// learnAll learns what is not yet known of some calendars' local days.
func (p *pass) learnAll(ctx context.Context, calendars []int32, flows [3]bool) error {
	due := map[int64][]int32{}
	for _, c := range calendars {
		since := p.fleet.calendars[c].day(p.at.Add(-settle)).Start
		if l := p.learnt[c]; l == nil || !l.since.Equal(since) || !covers(l.flows, flows) {
			due[since.UnixMilli()] = append(due[since.UnixMilli()], c)
		}
	}
	if len(due) == 0 {
		return nil
	}
	k, flows := p.knowledgeFor(flows)
	for ms, those := range due {
		since := time.UnixMilli(ms).UTC()
		s := Series{AsOf: since, From: since.Add(-learnBack), To: since, Step: binStep}
		err := p.eachHistory(ctx, s, those, func(w *worker, _ int32) {
			w.past.known, w.past.today = k, 0
			w.study.hidden = p.hidden(w.past.row, since, w.study.hidden[:0])
			w.study.learn(&w.past, k)
		})
		if err != nil {
			return fmt.Errorf("learn as of %s: %w", since.Format(time.RFC3339), err)
		}
		for _, c := range those {
			p.learnt[c] = &learnt{since, flows, k}
		}
	}
	return nil
}

// knowledgeFor returns the fleet's knowledge, made anew when it lacks a flow.
func (p *pass) knowledgeFor(flows [3]bool) (*knowledge, [3]bool) {
	for _, l := range p.learnt {
		if covers(l.flows, flows) {
			return l.knowledge, l.flows
		}
		for i, has := range l.flows {
			flows[i] = flows[i] || has
		}
	}
	p.Analyzer.learnt = map[int32]*learnt{}
	return newKnowledge(len(p.fleet.Devices), flows), flows
}

func covers(has, want [3]bool) bool {
	for i := range want {
		if want[i] && !has[i] {
			return false
		}
	}
	return true
}

// eachHistory reads a series in pieces of the fleet and visits each device of some
// calendars that the registry knows, with its bins. The history is valid for the
// visit only.
func (p *pass) eachHistory(ctx context.Context, s Series, calendars []int32, visit func(w *worker, calendar int32)) error {
	faces := make([]*clockface, len(p.fleet.calendars))
	for _, c := range calendars {
		faces[c] = newClockface(p.fleet.calendars[c], s.From, s.Bins())
	}
	ids := p.fleet.ids
	piece := max(1000, binsAtOnce/s.Bins())
	for lo := 0; lo < len(ids); lo += piece {
		hi := min(lo+piece, len(ids))
		s.First, s.Last = ids[lo], ids[hi-1]
		if err := p.pieceOf(ctx, s, lo, hi, faces, visit); err != nil {
			return fmt.Errorf("read %d bins as of %s: %w", s.Bins(), s.AsOf.Format(time.RFC3339), err)
		}
	}
	return nil
}

func (p *pass) pieceOf(ctx context.Context, s Series, lo, hi int, faces []*clockface, visit func(w *worker, calendar int32)) error {
	begin := p.now()
	record, err := p.cfg.Series(ctx, s)
	p.scanned(p.explainedSeries(s, record), begin, err)
	if err != nil {
		return err
	}
	defer record.Release()
	if !sameTypes(record.Schema().Fields()) {
		return fmt.Errorf("the record has the columns %v; want %v", record.Schema(), seriesSchema)
	}
	t := tableOf(record)
	return p.share(hi-lo, func(w *worker, from, to int) error {
		return p.visitRows(w, &t, lo+from, lo+to, s.Bins(), faces, visit)
	})
}

// worker has what one goroutine needs to look at devices one after the other.
type worker struct {
	past  history
	study learner
}

// shareLeast is how many devices are worth a goroutine.
const shareLeast = 64

// share divides n devices, which lie next to each other, among as many goroutines
// as there are processors. What each of them finds goes into rows of its own, so
// that the answer does not depend on how many there are.
func (p *pass) share(n int, work func(w *worker, from, to int) error) error {
	parts := max(1, min(runtime.GOMAXPROCS(0), n/shareLeast))
	for len(p.workers) < parts {
		p.Analyzer.workers = append(p.workers, &worker{})
	}
	var group errgroup.Group
	for i := range parts {
		group.Go(func() error { return work(p.workers[i], n*i/parts, n*(i+1)/parts) })
	}
	return group.Wait()
}

// visitRows visits the devices of some rows with their bins.
func (p *pass) visitRows(w *worker, t *binTable, lo, hi, bins int, faces []*clockface, visit func(w *worker, calendar int32)) (err error) {
	h := &w.past
	at := sort.Search(len(t.device), func(i int) bool { return t.device[i] >= uint64(p.fleet.ids[lo]) })
	for row := lo; row < hi; row++ {
		calendar := p.fleet.calendarOfDevice(row)
		for at < len(t.device) && t.device[at] < uint64(p.fleet.ids[row]) {
			at++
		}
		if faces[calendar] == nil {
			continue
		}
		h.clockface, h.row = faces[calendar], row
		h.need = max(1, math.Floor(binStep.Seconds()/p.fleet.reading[row]))
		if at, err = t.fill(h, at, p.fleet.ids[row], bins); err != nil {
			return err
		}
		visit(w, calendar)
	}
	return nil
}

// binTable is the columns of a series' record.
type binTable struct {
	device        []uint64
	bin           []uint32
	in, out, rows []float64
}

// tableOf shows a record of sameTypes; it is valid until the record is released.
func tableOf(record arrow.Record) binTable {
	return binTable{
		device: record.Column(0).(*array.Uint64).Uint64Values(), bin: record.Column(1).(*array.Uint32).Uint32Values(),
		in: record.Column(2).(*array.Float64).Float64Values(), out: record.Column(3).(*array.Float64).Float64Values(), rows: record.Column(4).(*array.Float64).Float64Values(),
	}
}

// fill lays a device's rows, which begin at a place of the table, into n bins.
func (t *binTable) fill(h *history, at int, id telemetry.DeviceID, n int) (int, error) {
	for _, column := range []*[]float64{&h.in, &h.out, &h.rows} {
		*column = slices.Grow((*column)[:0], n)[:n]
		clear(*column)
	}
	for ; at < len(t.device) && t.device[at] == uint64(id); at++ {
		i := int(t.bin[at])
		if i >= n {
			return at, fmt.Errorf("device %d has a bin %d of %d", id, i, n)
		}
		h.in[i], h.out[i], h.rows[i] = t.in[at], t.out[at], t.rows[at]
	}
	return at, nil
}

// sameTypes reports whether the fields have the types of seriesSchema.
func sameTypes(fields []arrow.Field) bool {
	return slices.EqualFunc(fields, seriesSchema.Fields(), func(a, b arrow.Field) bool { return arrow.TypeEqual(a.Type, b.Type) })
}
