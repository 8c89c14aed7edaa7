package analyzer

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

// kept keeps states as a store would.
type kept struct {
	spells   []Spell
	states   map[string]State
	progress Progress
	saves    int
	fail     error
}

func (m *kept) Load(context.Context) ([]State, Progress, error) {
	var all []State
	for _, s := range m.states {
		all = append(all, s)
	}
	return all, m.progress, nil
}

func (m *kept) Spells(_ context.Context, since time.Time) ([]Spell, error) {
	return slices.DeleteFunc(slices.Clone(m.spells), func(s Spell) bool { return s.Ended.Before(since) }), nil
}

func (m *kept) Save(_ context.Context, changed []State, p Progress) error {
	if m.fail != nil {
		return m.fail
	}
	m.saves++
	for _, s := range changed {
		key := s.Rule + " " + s.Scope.String()
		if delete(m.states, key); s.Phase != Inactive {
			m.states[key] = s
		} else if spell, fired := s.Spell(); fired {
			m.spells = append(m.spells, spell)
		}
	}
	rules := map[string]time.Time{}
	for name, at := range p.Rules {
		rules[name] = at
	}
	p.Rules = rules
	m.progress = p
	return nil
}

// world is an analyzer over readings in memory, with what it says.
type world struct {
	t        *testing.T
	config   Config
	batch    *telemetry.Batch
	states   *kept
	analyzer *Analyzer
	said     []telemetry.Finding
	emitFail error
	scanFail func(Scan) error
	scans    []Scan
}

func newWorld(t *testing.T, rules string, sites []telemetry.Site, devices []telemetry.Device) *world {
	t.Helper()
	w := &world{t: t, batch: &telemetry.Batch{}, states: &kept{states: map[string]State{}}}
	w.config = Config{Rules: mustLoad(t, rules), Fleet: mustFleet(t, sites, devices), States: w.states,
		Query: func(ctx context.Context, s Scan) (arrow.Record, error) {
			w.scans = append(w.scans, s)
			if w.scanFail != nil {
				if err := w.scanFail(s); err != nil {
					return nil, err
				}
			}
			return NewReel(w.batch).Query(ctx, s)
		},
		Series: func(ctx context.Context, s Series) (arrow.Record, error) { return NewReel(w.batch).Series(ctx, s) },
		Emit: func(_ context.Context, f []telemetry.Finding) error {
			if w.emitFail != nil {
				return w.emitFail
			}
			w.said = append(w.said, f...)
			return nil
		},
	}
	w.restart()
	return w
}

// restart makes the analyzer anew from what was saved.
func (w *world) restart() {
	w.t.Helper()
	a, err := New(w.t.Context(), w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	w.analyzer = a
}

// expect evaluates up to an instant and compares what is said, as "condition
// scope" or "condition scope (reason)".
func (w *world) expect(at time.Time, want ...string) {
	w.t.Helper()
	if err := w.analyzer.Evaluate(w.t.Context(), at); err != nil {
		w.t.Fatal(err)
	}
	w.heard(at, want...)
}

func (w *world) heard(at time.Time, want ...string) {
	w.t.Helper()
	got := []string{}
	for _, f := range w.said {
		text := fmt.Sprintf("%s %s", f.Condition, f.Scope.Name)
		if f.Reason != "" {
			text += " (" + f.Reason + ")"
		}
		got = append(got, text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.t.Errorf("at %s: heard %q; want %q", at.Format("01-02 15:04"), got, want)
	}
	w.said = nil
}
