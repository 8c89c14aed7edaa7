package analyzer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// readingsIn picks the evidence that is readings.
func readingsIn(f telemetry.Finding) (all []telemetry.Evidence) {
	for _, e := range f.Evidence {
		if strings.HasPrefix(e.What, "readings") {
			all = append(all, e)
		}
	}
	return all
}

// TestAFindingCarriesItsReadings lets a device die on a Monday: the finding has the
// hours before, with what is usual, and says why and since when.
func TestAFindingCarriesItsReadings(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: quiet, scope: device, every: 1h, when: quiet() >= 1, category: x }
  - { name: lost, scope: device, every: 1h, when: silence() > 72h, category: x }
`, []telemetry.Site{{ID: "shop"}}, []telemetry.Device{{Name: "d", Site: "shop", ReadingEvery: 3600}})
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for i := range 5*168 + 12 {
		n := uint32(100 + i*i%101%7)
		if i >= 5*168+6 {
			n = 0 // since Monday 06:00
		}
		ts := start.Add(time.Duration(i+1) * time.Hour)
		addCount(w.batch, "d", ts, ts, n, 0)
	}
	zero := start.Add((5*168 + 6) * time.Hour)
	w.config.Start = zero.Add(-time.Hour)
	w.restart()
	if err := w.analyzer.Evaluate(t.Context(), zero.Add(5*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if len(w.said) != 1 {
		t.Fatalf("heard %v; want the quiet door", w.said)
	}
	f := w.said[0]
	if !f.Began.Equal(zero) || f.Evidence[0].What != "why" || !strings.Contains(f.Evidence[0].Note, "a run of zero in complete opening hours") {
		t.Errorf("it began %s, and says %+v", f.Began, f.Evidence[0])
	}
	hours := readingsIn(f)
	if len(hours) != 24 {
		t.Fatalf("%d hours are kept; want 24: %+v", len(hours), hours)
	}
	last := hours[len(hours)-1]
	if *last.Value != 0 || last.Low == nil || *last.Low < 80 || *last.High > 120 || *hours[0].Value < 100 {
		t.Errorf("the last hour is %+v and the first %v", last, *hours[0].Value)
	}
	w.said = nil
	if err := w.analyzer.Evaluate(t.Context(), start.Add((5*168+12+74)*time.Hour)); err != nil {
		t.Fatal(err)
	}
	f = w.said[len(w.said)-1]
	if f.Rule != "lost" || !f.Began.Equal(start.Add((5*168+12)*time.Hour)) {
		t.Fatalf("heard %+v; want the lost door, gone since its last reading", f)
	}
	if steps := readingsIn(f); len(steps) != 3 || steps[0].Note != "2 readings" { // 79 hours in steps of two: the six before it went
		t.Errorf("of the hours before the silence are kept %+v", steps)
	}
}

// TestEvidenceIsBoundedAndHoldsNothingUp fails many devices at once, and then the source
// of readings.
func TestEvidenceIsBoundedAndHoldsNothingUp(t *testing.T) {
	var devices []telemetry.Device
	for i := range 1000 {
		devices = append(devices, telemetry.Device{Name: fmt.Sprint("d", i), Site: "shop", ReadingEvery: 60})
	}
	w := newWorld(t, `
rules:
  - { name: low, scope: device, every: 1h, when: "sum(total, 1h) < 5", category: x }
  - { name: site, scope: site, every: 1h, when: "sum(total, 1h) < 5000", category: x }
`, []telemetry.Site{{ID: "shop"}}, devices)
	for i := range devices {
		for h := range 30 {
			ts := monday.Add(time.Duration(h) * time.Hour)
			addCount(w.batch, devices[i].Name, ts, ts, 1, 0)
		}
	}
	reel := NewReel(w.batch)
	w.config.Query, w.config.Series = reel.Query, reel.Series
	w.config.Start = monday.Add(28 * time.Hour)
	w.restart()
	if err := w.analyzer.Evaluate(t.Context(), monday.Add(29*time.Hour)); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range w.said {
		its := readingsIn(f)
		total += len(its)
		if most := witnessAtOnce / len(w.said); len(its) == 0 || len(its) > most+1 {
			t.Fatalf("%s keeps %d readings of at most %d", f.Scope, len(its), most)
		}
	}
	if len(w.said) != 1001 || total > witnessAtOnce+1 {
		t.Errorf("%d findings keep %d readings", len(w.said), total)
	}
	site := readingsIn(w.said[len(w.said)-1])
	if w.said[len(w.said)-1].Scope.Level != telemetry.LevelSite || site[0].What == "readings" || !strings.Contains(site[len(site)-1].Note, "more devices") {
		t.Errorf("the site shows %+v", site)
	}
	w.config.Series = func(context.Context, Series) (arrow.Record, error) { return nil, errors.New("down") }
	w.states, w.said = &kept{states: map[string]State{}}, nil
	w.config.States = w.states
	w.restart()
	if err := w.analyzer.Evaluate(t.Context(), monday.Add(29*time.Hour)); err != nil || len(w.said) != 1001 {
		t.Errorf("without its readings: %v, %d findings; want 1001", err, len(w.said))
	}
}
