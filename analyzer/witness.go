package analyzer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"belfry/telemetry"
)

// What a finding carries of readings, frozen when it is made, so that it can be
// understood when the warehouse has let them go. It is bounded: so many for a finding,
// and so many for all that begin at one instant, since in a storm they are alike.
const (
	witnessMost   = 48
	witnessFew    = 3
	witnessAtOnce = 20_000
	witnessBefore = 6 * time.Hour // shown before what the finding is about began
	witnessSpan   = 24 * time.Hour
	witnessBack   = 14 * 24 * time.Hour
)

// witness adds to the findings that begin to fire the readings that show them. Nothing
// else of the fleet is read for it: one series for all that look at bins of one length.
// What can't be read is said, and holds nothing up.
func (p *pass) witness(ctx context.Context, findings []telemetry.Finding) {
	var firing []*telemetry.Finding
	for i := range findings {
		if f := &findings[i]; f.Condition == telemetry.Firing && f.Reason == "" && p.cfg.Series != nil {
			firing = append(firing, f)
			p.date(f)
		}
	}
	w := &witness{pass: p, most: witnessMost, groups: map[binsOf][]exhibit{}}
	if len(firing) > 0 {
		w.most = min(witnessMost, max(witnessFew, witnessAtOnce/len(firing)))
	}
	for i, f := range firing {
		if i*w.most >= witnessAtOnce {
			f.Evidence = append(f.Evidence, telemetry.Evidence{At: p.at, What: "readings", Note: fmt.Sprintf("not kept: %d findings began at once", len(firing))})
			continue
		}
		switch f.Scope.Level {
		case telemetry.LevelDevice:
			if row, ok := p.fleet.deviceRow(f.Scope.Name); ok {
				w.device(f, row)
			}
		case telemetry.LevelSite:
			w.site(f)
		}
	}
	for bins, group := range w.groups {
		if err := w.read(ctx, bins, group); err != nil {
			p.log.Warn("findings go on without their readings", "findings", len(group), "at", p.at, "error", err)
		}
	}
}

// witness is what the findings of an instant are to show.
type witness struct {
	*pass
	most   int // bins of a finding
	groups map[binsOf][]exhibit
	rows   map[int32][]int // of sites: the rows of their devices in service
}

// binsOf tells bins apart that can be read together.
type binsOf struct{ to, step int64 } // milliseconds

// exhibit is the last bins of a device that a finding shows.
type exhibit struct {
	finding *telemetry.Finding
	row     int
	bins    int
	sum     int // of a site: the place in its evidence that the one bin goes to; -1: each bin is evidence
}

// device shows a device hour by hour, or in longer steps when what the finding is about
// is longer, with what is usual where that is known.
func (w *witness) device(f *telemetry.Finding, row int) {
	zone := w.fleet.calendars[w.fleet.calendarOfDevice(row)].site.Location()
	to := lastBin(zone, w.at.Add(settle))
	if to.Before(w.at) {
		to = to.Add(binStep) // the hour that is under way
	}
	span := min(max(witnessSpan, to.Sub(beginning(f))+witnessBefore), witnessBack)
	step := binStep * time.Duration(math.Ceil(float64(span)/float64(binStep)/float64(w.most)))
	if w.most < int(witnessSpan/binStep) {
		step = binStep // few are kept: the last hours
	}
	key := binsOf{to.UnixMilli(), step.Milliseconds()}
	w.groups[key] = append(w.groups[key], exhibit{f, row, min(int((span+step-1)/step), w.most), -1})
}

// site shows what each device of a site counted in the day before.
func (w *witness) site(f *telemetry.Finding) {
	from := w.at.Add(-witnessSpan)
	if f.Since.Before(w.at) && f.Since.After(w.at.Add(-witnessBack)) {
		from = minTime(from, f.Since)
	}
	key := binsOf{w.at.UnixMilli(), w.at.Sub(from).Truncate(time.Second).Milliseconds()}
	for n, row := range w.devicesAt(int32(w.fleet.siteRow(f.Scope.Name))) {
		if n == w.most {
			f.Evidence = append(f.Evidence, telemetry.Evidence{At: w.at, What: "readings", Note: fmt.Sprintf("the site has more devices than these %d", w.most)})
			return
		}
		w.groups[key] = append(w.groups[key], exhibit{f, row, 1, len(f.Evidence)})
		f.Evidence = append(f.Evidence, telemetry.Evidence{At: w.at, What: "readings of " + w.fleet.Devices[row].Name, Note: "no readings"})
	}
}

// devicesAt lists the rows of a site's devices in service.
func (w *witness) devicesAt(site int32) []int {
	if w.rows == nil {
		w.rows = map[int32][]int{}
		for row, of := range w.fleet.siteOf {
			if w.alive[row] {
				w.rows[of] = append(w.rows[of], row)
			}
		}
	}
	return w.rows[site]
}

// listedAtOnce is how many devices one series names.
const listedAtOnce = 2000

// read reads a group, so many devices at a time.
func (w *witness) read(ctx context.Context, of binsOf, group []exhibit) error {
	slices.SortStableFunc(group, func(a, b exhibit) int { return cmp.Compare(a.row, b.row) })
	bins := 0
	for _, x := range group {
		bins = max(bins, x.bins)
	}
	to, step := time.UnixMilli(of.to).UTC(), time.Duration(of.step)*time.Millisecond
	s := Series{AsOf: w.at, From: to.Add(-time.Duration(bins) * step), To: to, Step: step}
	faces := map[int32]*clockface{}
	for len(group) > 0 {
		n := 0
		for s.Devices = s.Devices[:0]; n < len(group); n++ {
			if id := w.fleet.ids[group[n].row]; n == 0 || id != s.Devices[len(s.Devices)-1] {
				if len(s.Devices) == listedAtOnce {
					break
				}
				s.Devices = append(s.Devices, id)
			}
		}
		s.First, s.Last = s.Devices[0], s.Devices[len(s.Devices)-1]
		if err := w.show(ctx, s, group[:n], faces); err != nil {
			for _, x := range group {
				if x.sum >= 0 {
					x.finding.Evidence[x.sum].Note = "not read: the warehouse did not answer"
				}
			}
			return err
		}
		group = group[n:]
	}
	return nil
}

// show reads a series and lays its bins into the findings; group is in its order.
func (w *witness) show(ctx context.Context, s Series, group []exhibit, faces map[int32]*clockface) error {
	record, err := w.cfg.Series(ctx, s)
	if err != nil {
		return err
	}
	defer record.Release()
	if !sameTypes(record.Schema().Fields()) {
		return fmt.Errorf("the record has the columns %v; want %v", record.Schema(), seriesSchema)
	}
	t := tableOf(record)
	at := 0
	for _, x := range group {
		id := uint64(w.fleet.ids[x.row])
		for at < len(t.device) && t.device[at] < id {
			at++
		}
		for i := at; i < len(t.device) && t.device[i] == id; i++ { // at stays: the device may be shown by several
			if bin := int(t.bin[i]); bin >= s.Bins()-x.bins {
				w.exhibit(x, s, bin, t.evidence(i, s), faces)
			}
		}
	}
	return nil
}

// exhibit adds a bin to a finding.
func (w *witness) exhibit(x exhibit, s Series, bin int, e telemetry.Evidence, faces map[int32]*clockface) {
	if x.sum >= 0 {
		its := &x.finding.Evidence[x.sum]
		its.Value, its.In, its.Out, its.Note = e.Value, e.In, e.Out, e.Note
		return
	}
	calendar := w.fleet.calendarOfDevice(x.row)
	if l := w.learnt[calendar]; l != nil && s.Step == binStep {
		if faces[calendar] == nil {
			faces[calendar] = newClockface(w.fleet.calendars[calendar], s.From, s.Bins())
		}
		h := history{clockface: faces[calendar], known: l.knowledge, row: x.row}
		if b, spread := h.baseline(flowTotal, bin), h.spread(flowTotal, bin); b == b {
			e.Low, e.High = number(max(0, b-spread)), number(b+spread)
		}
	}
	x.finding.Evidence = append(x.finding.Evidence, e)
}

// evidence makes a bin of a series into evidence.
func (t *binTable) evidence(i int, s Series) telemetry.Evidence {
	note := fmt.Sprintf("%.0f readings", t.rows[i])
	if t.rows[i] == 1 {
		note = ""
	}
	end := minTime(s.From.Add(time.Duration(t.bin[i]+1)*s.Step), s.AsOf) // an hour may be under way
	return telemetry.Evidence{At: end.UTC(), What: "readings", Note: note,
		Value: number(t.in[i] + t.out[i]), In: number(t.in[i]), Out: number(t.out[i])}
}

// date says when what a finding is about began, where its state knows.
func (p *pass) date(f *telemetry.Finding) {
	for _, b := range p.bounds {
		if b.rule.Name != f.Rule {
			continue
		}
		if row, ok := b.row(p.fleet, f.Scope); ok && b.slot[row] > 0 {
			if s, fired := b.states[b.slot[row]-1].Spell(); fired && s.Began.Before(f.Since) {
				f.Began = s.Began
			}
		}
	}
}

// beginning is when what a finding is about began, as far as is known.
func beginning(f *telemetry.Finding) time.Time {
	if !f.Began.IsZero() {
		return f.Began
	}
	return f.Since
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
