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
			p.holdAgainstPeers(c.use, c.value, nil, c.use.sig.peers)
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
	reach, days, need := binStep, 0, lessons{}
	for _, d := range p.binned {
		reach, days = max(reach, d.use.sig.reach), max(days, d.use.sig.days)
		need = need.and(d.use.lessons())
	}
	if need.any() {
		if err := p.learnAll(ctx, calendars, need); err != nil {
			return err
		}
	}
	from := end.Add(-reach)
	for _, c := range calendars {
		if need[flowTotal] { // to the midnight up to which runs are carried
			from = minTime(from, p.learnt[c].since)
		}
		if days > 0 {
			bins := math.Ceil(float64(end.Sub(p.fleet.calendars[c].daysBefore(end, days))) / float64(binStep))
			from = minTime(from, end.Add(-time.Duration(bins)*binStep))
		}
	}
	err := p.eachHistory(ctx, Series{AsOf: p.at, From: from, To: end, Step: binStep}, calendars, func(w *worker, calendar int32) {
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
	for _, d := range p.binned {
		if err == nil && d.use.sig.closer != nil {
			err = p.lookCloser(ctx, d, end, calendars)
		}
	}
	return err
}

// unsure is what a signal says of bins that do not tell: others are looked at closer.
var unsure = math.Inf(1)

// lookCloser makes a column anew for the devices that it is unsure of.
func (p *pass) lookCloser(ctx context.Context, d *deviceColumn, end time.Time, calendars []int32) error {
	var list []int
	for row, v := range d.value {
		if v == unsure {
			list = append(list, row)
		}
	}
	if len(list) == 0 {
		return nil
	}
	s := Series{AsOf: p.at, From: end.Add(-d.use.sig.closerReach), To: end, Step: binStep}
	faces := p.faces(s, calendars)
	for some := range slices.Chunk(list, listedAtOnce) {
		err := p.pieceOf(ctx, s, listed(some), faces, func(w *worker, _ int32) {
			h := &w.past
			h.known, h.today = nil, 0
			value, began := d.use.sig.closer(h, d.use)
			d.value[h.row], d.begins[h.row] = value, missing
			if began != never {
				d.begins[h.row] = h.begin(began)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachHistory reads a series in pieces of the fleet and visits each device of some
// calendars that the registry knows, with its bins. The history is valid for the
// visit only.
func (p *pass) eachHistory(ctx context.Context, s Series, calendars []int32, visit func(w *worker, calendar int32)) error {
	faces := p.faces(s, calendars)
	n := len(p.fleet.ids)
	piece := max(1000, binsAtOnce/s.Bins())
	for lo := 0; lo < n; lo += piece {
		if err := p.pieceOf(ctx, s, rowList{lo: lo, n: min(piece, n-lo)}, faces, visit); err != nil {
			return err
		}
	}
	return nil
}

// faces lays the bins of a series on some calendars.
func (p *pass) faces(s Series, calendars []int32) []*clockface {
	faces := make([]*clockface, len(p.fleet.calendars))
	for _, c := range calendars {
		faces[c] = newClockface(p.fleet.calendars[c], s.From, s.Bins())
	}
	return faces
}

// pieceOf reads a series of some devices, and visits those whose calendars have a face.
func (p *pass) pieceOf(ctx context.Context, s Series, some rowList, faces []*clockface, visit func(w *worker, calendar int32)) error {
	s.First, s.Last = p.fleet.ids[some.at(0)], p.fleet.ids[some.at(some.n-1)]
	for _, row := range some.list {
		s.Devices = append(s.Devices, p.fleet.ids[row])
	}
	begin := p.now()
	record, err := p.cfg.Series(ctx, s)
	p.scanned(p.explainedSeries(s, record), begin, err)
	if err != nil {
		return fmt.Errorf("read %d bins as of %s: %w", s.Bins(), s.AsOf.Format(time.RFC3339), err)
	}
	defer record.Release()
	if !sameTypes(record.Schema().Fields()) {
		return fmt.Errorf("the record has the columns %v; want %v", record.Schema(), seriesSchema)
	}
	t := tableOf(record)
	return p.share(some.n, func(w *worker, from, to int) error {
		return p.visitRows(w, &t, some, from, to, s.Bins(), faces, visit)
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

// visitRows visits the devices from a place of some rowList up to another with their bins.
func (p *pass) visitRows(w *worker, t *binTable, some rowList, lo, hi, bins int, faces []*clockface, visit func(w *worker, calendar int32)) (err error) {
	h := &w.past
	at := sort.Search(len(t.device), func(i int) bool { return t.device[i] >= uint64(p.fleet.ids[some.at(lo)]) })
	for i := lo; i < hi; i++ {
		row := some.at(i)
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
