package analyzer

import (
	"context"
	"fmt"
	"time"

	"belfry/telemetry"
)

// Picture shows a finding about a device: what it counted hour by hour around it,
// what was usual then, and the span in which the condition held.
type Picture struct {
	Finding telemetry.Finding
	Cleared time.Time // zero: it still held at the end
	Zone    string
	Hours   []PictureHour
}

// PictureHour is one hour of a Picture.
type PictureHour struct {
	End     time.Time
	Known   bool    // there are readings
	In, Out float64 // people
	// Base and Spread are those of In + Out, as learned when the finding was made;
	// NaN where they are not known.
	Base, Spread float64
}

// How much a picture shows around the instant of the finding.
const (
	pictureBefore = 6 * 24 * time.Hour
	pictureAfter  = 24 * time.Hour
)

// PictureSpan returns the span of readings that a picture of a finding needs.
func PictureSpan(f telemetry.Finding) (from, to time.Time) {
	return f.At.Add(-learnBack - pictureBefore - 48*time.Hour), f.At.Add(pictureAfter)
}

// NewPicture draws a finding about a device from its counts of PictureSpan, in hours
// or finer.
func NewPicture(ctx context.Context, f telemetry.Finding, site telemetry.Site, device telemetry.Device, counts *telemetry.Batch) (*Picture, error) {
	fleet, err := NewFleet([]telemetry.Site{site}, []telemetry.Device{device})
	if err != nil {
		return nil, fmt.Errorf("picture of %s: %w", f.Scope, err)
	}
	reel := NewReel(counts)
	a, err := New(ctx, Config{Rules: &RuleSet{}, Fleet: fleet, Query: reel.Query, Series: reel.Series})
	if err != nil {
		return nil, fmt.Errorf("picture of %s: %w", f.Scope, err)
	}
	p := &pass{Analyzer: a, at: f.At}
	calendar := []int32{fleet.calendarOfDevice(0)}
	if err := p.learnAll(ctx, calendar, lessons{flowTotal: true}); err != nil {
		return nil, err
	}
	picture := &Picture{Finding: f, Zone: site.Zone}
	end := lastBin(site.Location(), f.At)
	from, to := end.Add(-pictureBefore), end.Add(pictureAfter)
	s := Series{AsOf: to.Add(maxWindow), From: from, To: to, Step: binStep} // what came later is shown too
	err = p.eachHistory(ctx, s, calendar, func(w *worker, c int32) {
		h := &w.past
		h.known = p.learnt[c].knowledge
		for i := range h.bins() {
			picture.Hours = append(picture.Hours, PictureHour{End: from.Add(time.Duration(i+1) * binStep), Known: h.rows[i] > 0,
				In: h.in[i], Out: h.out[i], Base: h.baseline(flowTotal, i), Spread: h.spread(flowTotal, i)})
		}
	})
	return picture, err
}
