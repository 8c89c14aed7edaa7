package analyzer

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

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
// else of the fleet is read for it. What can't be read is said, and holds nothing up.
func (p *pass) witness(ctx context.Context, findings []telemetry.Finding) {
	var firing []*telemetry.Finding
	for i := range findings {
		if f := &findings[i]; f.Condition == telemetry.Firing && f.Reason == "" && p.cfg.Series != nil {
			firing = append(firing, f)
			p.date(f)
		}
	}
	most := witnessMost
	if len(firing) > 0 {
		most = min(witnessMost, max(witnessFew, witnessAtOnce/len(firing)))
	}
	for i, f := range firing {
		if i*most >= witnessAtOnce {
			f.Evidence = append(f.Evidence, telemetry.Evidence{At: p.at, What: "readings", Note: fmt.Sprintf("not kept: %d findings began at once", len(firing))})
			continue
		}
		shown, err := p.readingsOf(ctx, f, most)
		if err != nil {
			p.log.Warn("a finding goes on without its readings", "rule", f.Rule, "scope", f.Scope, "error", err)
		}
		f.Evidence = append(f.Evidence, shown...)
	}
}

// readingsOf lists what a device counted up to a finding, or each device of a site.
func (p *pass) readingsOf(ctx context.Context, f *telemetry.Finding, most int) ([]telemetry.Evidence, error) {
	switch f.Scope.Level {
	case telemetry.LevelDevice:
		if row, ok := p.fleet.deviceRow(f.Scope.Name); ok {
			return p.deviceReadings(ctx, f, row, most)
		}
	case telemetry.LevelSite:
		return p.siteReadings(ctx, f, most)
	}
	return nil, nil
}

// deviceReadings shows a device hour by hour, or in longer steps when what the finding
// is about is longer, with what is usual where that is known.
func (p *pass) deviceReadings(ctx context.Context, f *telemetry.Finding, row, most int) ([]telemetry.Evidence, error) {
	calendar := p.fleet.calendarOfDevice(row)
	zone := p.fleet.calendars[calendar].site.Location()
	to := lastBin(zone, p.at.Add(settle))
	if to.Before(p.at) {
		to = to.Add(binStep) // the hour that is under way
	}
	span := min(max(witnessSpan, to.Sub(beginning(f))+witnessBefore), witnessBack)
	step := binStep * time.Duration(math.Ceil(float64(span)/float64(binStep)/float64(most)))
	if most < int(witnessSpan/binStep) {
		step = binStep // few are kept: the last hours
	}
	bins := min(int((span+step-1)/step), most)
	s := Series{AsOf: p.at, From: to.Add(-time.Duration(bins) * step), To: to, Step: step, First: p.fleet.ids[row], Last: p.fleet.ids[row]}
	var face *clockface
	if l := p.learnt[calendar]; l != nil && step == binStep {
		face = newClockface(p.fleet.calendars[calendar], s.From, bins)
	}
	var shown []telemetry.Evidence
	err := p.eachBin(ctx, s, func(bin int, e telemetry.Evidence) {
		if face != nil {
			h := history{clockface: face, known: p.learnt[calendar].knowledge, row: row}
			if b, spread := h.baseline(flowTotal, bin), h.spread(flowTotal, bin); b == b {
				e.Low, e.High = number(max(0, b-spread)), number(b+spread)
			}
		}
		shown = append(shown, e)
	})
	return shown, err
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

// siteReadings shows what each device of a site counted in the day before.
func (p *pass) siteReadings(ctx context.Context, f *telemetry.Finding, most int) ([]telemetry.Evidence, error) {
	var shown []telemetry.Evidence
	site := int32(p.fleet.siteRow(f.Scope.Name))
	for row, of := range p.fleet.siteOf {
		if of != site || !p.alive[row] {
			continue
		}
		if len(shown) == most {
			return append(shown, telemetry.Evidence{At: p.at, What: "readings", Note: fmt.Sprintf("the site has more devices than these %d", most)}), nil
		}
		from := p.at.Add(-witnessSpan)
		if f.Since.Before(p.at) && f.Since.After(p.at.Add(-witnessBack)) {
			from = minTime(from, f.Since)
		}
		e := telemetry.Evidence{At: p.at, What: "readings of " + p.fleet.Devices[row].Name, Note: "no readings"}
		step := p.at.Sub(from).Truncate(time.Second)
		s := Series{AsOf: p.at, From: p.at.Add(-step), To: p.at, Step: step, First: p.fleet.ids[row], Last: p.fleet.ids[row]}
		if err := p.eachBin(ctx, s, func(_ int, sum telemetry.Evidence) {
			e.Value, e.In, e.Out, e.Note = sum.Value, sum.In, sum.Out, sum.Note
		}); err != nil {
			return shown, err
		}
		shown = append(shown, e)
	}
	return shown, nil
}

func minTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// eachBin reads one device's bins and makes evidence of each that has readings.
func (p *pass) eachBin(ctx context.Context, s Series, visit func(bin int, e telemetry.Evidence)) error {
	record, err := p.cfg.Series(ctx, s)
	if err != nil {
		return err
	}
	defer record.Release()
	if !sameTypes(record.Schema().Fields()) {
		return fmt.Errorf("the record has the columns %v; want %v", record.Schema(), seriesSchema)
	}
	bins := record.Column(1).(*array.Uint32).Uint32Values()
	in, out, rows := record.Column(2).(*array.Float64).Float64Values(), record.Column(3).(*array.Float64).Float64Values(), record.Column(4).(*array.Float64).Float64Values()
	for i, bin := range bins {
		note := fmt.Sprintf("%.0f readings", rows[i])
		if rows[i] == 1 {
			note = ""
		}
		end := minTime(s.From.Add(time.Duration(bin+1)*s.Step), s.AsOf) // an hour may be under way
		visit(int(bin), telemetry.Evidence{At: end.UTC(), What: "readings", Note: note,
			Value: number(in[i] + out[i]), In: number(in[i]), Out: number(out[i])})
	}
	return nil
}
