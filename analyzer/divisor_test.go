package analyzer

import (
	"fmt"
	"testing"
	"time"

	"belfry/telemetry"
)

const againRule = `
rules:
  - name: again
    scope: device
    when: resent(changed, 2h) > 0 or resent(same, 2h) / count(count, 2h) > 20%
    every: 1h
    category: duplicate_data
`

// TestWhatIsRareIsDividedWhereThereIsSomething lets one device of three send again: what
// it is divided by is asked of that one, until it is calm again, and the findings are those
// of a rule that asks it of everyone.
func TestWhatIsRareIsDividedWhereThereIsSomething(t *testing.T) {
	devices := []telemetry.Device{{Name: "again"}, {Name: "calm"}, {Name: "few"}, {Name: "mute"}}
	lazy := newWorld(t, againRule, nil, devices)
	all := newWorld(t, againRule+"  - { name: counts, scope: device, when: 'count(count, 2h) > 99', every: 1h, category: c }\n", nil, devices)
	for i := range 36 {
		ts := monday.Add(time.Duration(i) * 10 * time.Minute)
		for _, w := range []*world{lazy, all} {
			for _, name := range []string{"again", "calm", "few"} {
				addCount(w.batch, name, ts, ts, 5, 5)
			}
			if i < 6 && i%2 == 0 {
				addCount(w.batch, "again", ts, ts.Add(time.Minute), 5, 5)
			}
			if i == 4 {
				addCount(w.batch, "few", ts, ts.Add(time.Minute), 5, 5)
			}
		}
	}
	for hour, want := range map[int]string{1: "[again few]", 2: "[again few]", 3: "", 4: ""} {
		lazy.scans = nil
		at := monday.Add(time.Duration(hour) * time.Hour)
		if err := newFrom(t, lazy, at.Add(-time.Hour)).Evaluate(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, s := range lazy.scans {
			for _, c := range s.Columns {
				if c.Fn == Rows {
					got = fmt.Sprint(namesOf(s.Devices, devices))
				}
			}
		}
		if got != want {
			t.Errorf("after %d hours counts are asked of %s; want %s", hour, got, want)
		}
	}
	lazy.said, lazy.scans = nil, nil
	lazy.restart()
	for hour := 1; hour <= 6; hour++ {
		at := monday.Add(time.Duration(hour) * time.Hour)
		for _, w := range []*world{lazy, all} {
			if err := w.analyzer.Evaluate(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(lazy.said) != 2 || fmt.Sprint(plain(lazy.said)) != fmt.Sprint(plain(all.said)) {
		t.Errorf("asked where it matters: %v; asked of everyone: %v; want the same two", plain(lazy.said), plain(all.said))
	}
}

// newFrom is an analyzer without states that is done up to an instant.
func newFrom(t *testing.T, w *world, done time.Time) *Analyzer {
	t.Helper()
	config := w.config
	config.States, config.Start = nil, done
	a, err := New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func namesOf(ids []telemetry.DeviceID, devices []telemetry.Device) (names []string) {
	for _, d := range devices {
		for _, id := range ids {
			if telemetry.IDOf(d.Name) == id {
				names = append(names, d.Name)
			}
		}
	}
	return names
}

// plain writes findings out, with what is behind their pointers.
func plain(findings []telemetry.Finding) (lines []string) {
	for _, f := range findings {
		line := fmt.Sprint(f.Condition, f.Scope, f.At, f.Since, f.Summary)
		for _, e := range f.Evidence {
			line += fmt.Sprint(" ", e.What, e.Note)
			if e.Value != nil {
				line += fmt.Sprint(*e.Value)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// TestWhatADivisorMustBe lists rules that ask of everyone, since of a calm device they
// might say something else.
func TestWhatADivisorMustBe(t *testing.T) {
	rule := func(scope, when, more string) string {
		return fmt.Sprintf("rules:\n  - { name: r, scope: %s, when: '%s', every: 1h, category: c%s }\n", scope, when, more)
	}
	const part = "resent(same, 2h) / count(count, 2h)"
	for _, c := range []struct {
		name, text string
		want       int
	}{
		{"a part of what is rare", rule("device", part+" > 1%", ""), 1},
		{"with a sum on its other side", rule("device", part+" > 1% or sum(in, 2h) > 5", ""), 0},
		{"of a site, whose devices are added up", rule("site", part+" > 1%", ""), 0},
		{"looked at by itself too", rule("device", part+" > 1% or count(count, 2h) < 3", ""), 0},
		{"true where nothing came again", rule("device", part+" < 1%", ""), 0},
		{"a quotient that is missing counts", rule("device", part+" > 1%", ", on_missing: fire"), 0},
		{"excluded by something", rule("device", part+" > 1%", ", unless: 'sum(in, 2h) < 5'"), 0},
	} {
		b := bind(mustLoad(t, c.text).Rules[0], mustFleet(t, nil, []telemetry.Device{{Name: "d"}}))
		if got := len(b.dividing); got != c.want {
			t.Errorf("%s: %d signals are asked where they matter; want %d", c.name, got, c.want)
		}
	}
}
