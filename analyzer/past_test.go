package analyzer

import (
	"testing"
	"time"

	"belfry/telemetry"
)

// TestIncidentsAreNotLearned lets a door count a tenth for four weeks: what is usual
// stays what it was while the incident lasts, and follows where the rule says so.
func TestIncidentsAreNotLearned(t *testing.T) {
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for text, want := range map[string]float64{"": 100, "learned: yes, ": 10} {
		w := newWorld(t, `
rules:
  - { name: low, scope: device, every: 1h, `+text+`when: "sum(total, 1h) < 50", category: x }
`, []telemetry.Site{{ID: "shop"}}, []telemetry.Device{{Name: "d", Site: "shop", ReadingEvery: 3600}})
		for i := range 12 * 168 {
			n := uint32(100 + i*i%101%7 - 3)
			if i >= 5*168 && i < 11*168 {
				n = uint32(10 + i*i%101%3 - 1)
			}
			ts := start.Add(time.Duration(i+1) * time.Hour)
			addCount(w.batch, "d", ts, ts, n, 0)
		}
		reel := NewReel(w.batch)
		w.config.Query, w.config.Series, w.config.EachInstant = reel.Query, reel.Series, true
		w.config.Start = start.Add(5*168*time.Hour - 2*time.Hour)
		w.restart()
		at := start.Add(10*168*time.Hour + 3*time.Hour)
		if err := w.analyzer.Evaluate(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		w.restart() // and again from what is kept: as of the same midnight it is the same
		for _, is := range []string{"as it went", "after a restart"} {
			p := &pass{Analyzer: w.analyzer, at: at}
			if err := p.learnAll(t.Context(), []int32{0}, lessons{flowTotal: true}); err != nil {
				t.Fatal(err)
			}
			if got := p.learnt[0].base[flowTotal][24+10].float(); got < want*0.8 || got > want*1.2 {
				t.Errorf("%q, %s: five weeks into the incident %v is usual; want about %v", text, is, got, want)
			}
			w.restart()
		}
		if err := w.analyzer.Evaluate(t.Context(), start.Add(12*168*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if len(w.states.spells) != 1 {
			t.Fatalf("the spells kept are %+v; want the one incident", w.states.spells)
		}
		s := w.states.spells[0]
		if began, ended := start.Add((5*168+2)*time.Hour), start.Add((11*168+2)*time.Hour); !s.Began.Equal(began) || !s.Ended.Equal(ended) {
			t.Errorf("it lasted from %s to %s; want %s to %s", s.Began, s.Ended, began, ended)
		}
	}
}

func TestIncidentsThatAreAlike(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, clock string) time.Time {
		when, err := time.ParseInLocation("2006-01-02 15:04", day+" "+clock, zone)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	spell := func(day, clock string, lasted time.Duration) Spell {
		began := at(day, clock)
		return Spell{Began: began, Fired: began.Add(time.Hour), Ended: began.Add(lasted)}
	}
	now := at("2026-04-10", "12:00")
	for name, c := range map[string]struct {
		all  []Spell
		want int
	}{
		"none": {nil, 0},
		"three nights at ten, over the change to summer time": {[]Spell{spell("2026-03-20", "22:00", 2*time.Hour), spell("2026-03-29", "22:10", 5*time.Hour), spell("2026-04-08", "21:50", 9*time.Hour)}, 3},
		"before and after midnight lie near each other":       {[]Spell{spell("2026-04-01", "23:50", time.Hour), spell("2026-04-08", "00:10", 9*time.Hour)}, 2},
		"three of about six hours, at all hours":              {[]Spell{spell("2026-03-20", "02:00", 6*time.Hour), spell("2026-03-29", "12:00", 7*time.Hour), spell("2026-04-08", "18:00", 6*time.Hour)}, 3},
		"one is of last year":                                 {[]Spell{spell("2025-04-20", "18:00", 6*time.Hour), spell("2026-03-29", "18:00", 6*time.Hour), spell("2026-04-08", "18:00", 6*time.Hour)}, 2},
		"the newest is three weeks ago":                       {[]Spell{spell("2026-03-01", "18:00", 6*time.Hour), spell("2026-03-10", "18:00", 6*time.Hour), spell("2026-03-15", "18:00", 6*time.Hour)}, 0},
		"one lasts: its hour counts":                          {[]Spell{spell("2026-04-01", "18:00", 6*time.Hour), {Began: at("2026-04-09", "18:05"), Fired: at("2026-04-09", "19:00")}}, 2},
	} {
		if got := recurs(c.all, now, zone); got != c.want {
			t.Errorf("%s: %d are alike; want %d", name, got, c.want)
		}
	}
}
