package incidents

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"belfry/telemetry"
)

// memory is a Store for the tests of this package.
type memory struct {
	rows    map[string]Incident
	events  map[string][]Event
	answers map[string]Answer
	docs    []Document
	devices map[string]int
	closed  map[string]telemetry.SiteStatus
	last    int
	saving  error // what Save answers

	records   []Record
	entries   []Entry
	makes     map[string][2]string // model and firmware, by device
	announced []string
}

func newMemory() *memory {
	return &memory{rows: map[string]Incident{}, events: map[string][]Event{}, answers: map[string]Answer{}}
}

func (m *memory) Update(_ context.Context, fn func(Tx) error) error {
	rows, events, answers, last := maps.Clone(m.rows), maps.Clone(m.events), maps.Clone(m.answers), m.last
	err := fn(memoryTx{m})
	if err != nil {
		m.rows, m.events, m.answers, m.last = rows, events, answers, last
	}
	return err
}

func (m *memory) Refs() (func() string, error) {
	return func() string {
		m.last++
		return fmt.Sprintf("INC-%06d", m.last)
	}, nil
}

func (m *memory) Get(ref string) (Incident, error) {
	inc, ok := m.rows[ref]
	if !ok {
		return inc, ErrNotFound
	}
	return inc, nil
}

func (m *memory) Latest(keys []string) (map[string]Incident, error) {
	out := map[string]Incident{}
	for _, inc := range m.sorted() {
		if slices.Contains(keys, inc.Key) {
			out[inc.Key] = inc
		}
	}
	return out, nil
}

func (m *memory) sorted() []Incident {
	return slices.SortedFunc(maps.Values(m.rows), func(a, b Incident) int { return cmp.Compare(a.Ref, b.Ref) })
}

func (m *memory) Recovered(since time.Time, limit int) (out []Incident, err error) {
	for _, inc := range m.sorted() {
		if inc.State == New && !inc.Touched && inc.Condition == telemetry.Clear && !inc.ConditionAt.After(since) && len(out) < limit {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) Due(by time.Time, limit int) (out []Incident, err error) {
	for _, inc := range m.sorted() {
		if !inc.TimerAt.IsZero() && !inc.TimerAt.After(by) && len(out) < limit {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) ClosedSites() (map[string]telemetry.SiteStatus, error) { return m.closed, nil }

func (m *memory) Fleet(_ context.Context, devices, _ []string) (Fleet, error) {
	makes, err := m.Makes(devices)
	return Fleet{makes, m.devices}, err
}

func (m *memory) Firing(rule, site string) (out []Incident, err error) {
	for _, inc := range m.sorted() {
		if inc.OpenKey != "" && inc.Rule == rule && inc.Site == site && slices.Contains(open, inc.State) {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) Alone(from, to time.Time, limit int) (n int, err error) {
	for _, inc := range m.rows {
		if inc.Parent == "" && !inc.OpenedAt.Before(from) && inc.OpenedAt.Before(to) {
			n++
		}
	}
	return min(n, limit), nil
}

func (m *memory) Children(ref string) (out []Incident, err error) {
	for _, inc := range m.sorted() {
		if inc.Parent == ref && slices.Contains(open, inc.State) {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) Revision() (int64, error) { return int64(len(m.docs)), nil }

func (m *memory) PutDocument(d Document) error {
	m.docs = append(m.docs, d)
	slices.SortStableFunc(m.docs, func(a, b Document) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Version, b.Version))
	})
	return nil
}

func (m *memory) Save(steps []Step) error {
	for _, s := range steps {
		for _, inc := range m.rows {
			if s.After.OpenKey != "" && inc.OpenKey == s.After.OpenKey && inc.Ref != s.After.Ref {
				return fmt.Errorf("%s and %s hold the same open key", inc.Ref, s.After.Ref)
			}
		}
		m.rows[s.After.Ref] = s.After
		m.events[s.After.Ref] = append(slices.Clip(m.events[s.After.Ref]), s.Event)
	}
	return m.saving
}

func (m *memory) Recall(key string) (*Answer, error) {
	if a, ok := m.answers[key]; ok {
		return &a, nil
	}
	return nil, nil
}

func (m *memory) Remember(key string, a Answer) error { m.answers[key] = a; return nil }

func (m *memory) Forget(before time.Time) error {
	maps.DeleteFunc(m.answers, func(_ string, a Answer) bool { return a.At.Before(before) })
	return nil
}

func (m *memory) Incident(_ context.Context, ref string) (Incident, error) { return m.Get(ref) }

func (m *memory) Incidents(_ context.Context, q Query) (out []Incident, err error) {
	for _, inc := range slices.Backward(m.sorted()) {
		if q.Site == "" || q.Site == inc.Site {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) Events(_ context.Context, ref string, after int64, limit int) (out []Event, err error) {
	for _, e := range m.events[ref] {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func (m *memory) Tally(context.Context) ([]Tally, error) {
	counts := map[Tally]int64{}
	for _, inc := range m.rows {
		counts[Tally{Category: inc.Category, State: inc.State, Level: inc.Level, Priority: inc.Priority}]++
	}
	var out []Tally
	for t, n := range counts {
		t.Count = n
		out = append(out, t)
	}
	return out, nil
}

func (m *memory) Documents(_ context.Context, kinds ...DocumentKind) (out []Document, revision int64, err error) {
	for _, d := range m.docs {
		if slices.Contains(kinds, d.Kind) {
			out = append(out, d)
		}
	}
	return out, int64(len(m.docs)), nil
}

// memoryTx is a transaction of it.
type memoryTx struct{ *memory }

// Fleet is that of the store.
func (m memoryTx) Fleet(devices, sites []string) (Fleet, error) {
	return m.memory.Fleet(context.Background(), devices, sites)
}

func (m memoryTx) Documents(kinds ...DocumentKind) ([]Document, error) {
	list, _, err := m.memory.Documents(context.Background(), kinds...)
	return list, err
}
