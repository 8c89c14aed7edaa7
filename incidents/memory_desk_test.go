package incidents

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The desk's memory in the Store for the tests of this package.

func (m *memory) NextRecord(kind RecordKind) (string, error) {
	n := 1
	for _, r := range m.records {
		n += one(r.Kind == kind)
	}
	return fmt.Sprintf("%s-%06d", map[RecordKind]string{ProblemRecord: "PRB", AnnouncementRecord: "ANN"}[kind], n), nil
}

func (m *memory) Record(kind RecordKind, ref string) (Record, error) {
	for _, r := range m.records {
		if r.Kind == kind && r.Ref == ref {
			return r, nil
		}
	}
	return Record{}, ErrNotFound
}

func (m *memory) NewestRecord(kind RecordKind, key string) (Record, error) {
	for _, r := range slices.Backward(m.records) {
		if r.Kind == kind && r.Key == key {
			return r, nil
		}
	}
	return Record{}, ErrNotFound
}

func (m *memory) PutRecord(r Record) error {
	m.records = slices.Clone(m.records)
	if i := slices.IndexFunc(m.records, func(o Record) bool { return o.Kind == r.Kind && o.Ref == r.Ref }); i >= 0 {
		m.records[i] = r
		return nil
	}
	m.records = append(m.records, r)
	return nil
}

func (m *memory) Closings(q ClosingQuery) (refs []string, err error) {
	for _, inc := range m.sorted() {
		makes := m.makes[inc.Device]
		alike := inc.Site == q.Site || q.Site == "" && q.Model == makes[0] && q.Firmware == makes[1]
		if inc.Counts() && inc.Category == q.Category && alike && inc.ClosedAt.After(q.Since) {
			refs = append(refs, inc.Ref)
		}
	}
	return refs, nil
}

func (m *memory) Makes(devices []string) (map[string]Make, error) {
	out := map[string]Make{}
	for _, name := range devices {
		out[name] = Make{m.makes[name][0], m.makes[name][1]}
	}
	return out, nil
}

func (m *memory) Registered(name string) (bool, error) { return name != "nowhere", nil }

func (m *memory) Attached(_, name string, _ bool) (bool, error) { return name == "p.jpg", nil }

func (m *memory) PutEntry(e Entry) error { m.entries = append(slices.Clone(m.entries), e); return nil }

func (m *memory) Index(int) (int, error) { return 0, nil }

func (m *memory) Announce(a *Announcement) error {
	m.announced = append(slices.Clone(m.announced), fmt.Sprintf("%s/%d", a.Ref, len(a.Updates)))
	return nil
}

func (m *memory) Records(_ context.Context, q RecordQuery) (out []Record, err error) {
	for _, r := range slices.Backward(m.records) {
		if r.Kind == q.Kind && (q.State == "" || q.State == r.State) && (!q.Live || r.Live) && (q.Before == "" || r.Ref < q.Before) && len(out) < q.Limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) OneRecord(_ context.Context, kind RecordKind, ref string) (Record, error) {
	return m.Record(kind, ref)
}

func (m *memory) Search(_ context.Context, q SearchQuery) (out []Hit, err error) {
	for _, e := range m.entries {
		if strings.Contains(e.Title, q.Q) {
			out = append(out, Hit{Kind: e.Kind, Ref: e.Ref})
		}
	}
	return out, nil
}

func (m *memory) SolvedBefore(_ context.Context, q SolvedQuery) (out []Incident, err error) {
	for _, inc := range slices.Backward(m.sorted()) {
		alike := (q.Device == "" || q.Device == inc.Device) && (q.Site == "" || q.Site == inc.Site) && (q.Category == "" || q.Category == inc.Category)
		if alike && inc.EndedByPerson() && !slices.Contains(q.Not, inc.Ref) && len(out) < q.Limit {
			out = append(out, inc)
		}
	}
	return out, nil
}

func (m *memory) OpenActions(_ context.Context, q ActionQuery) (out []OpenAction, err error) {
	for _, inc := range m.sorted() {
		for _, a := range inc.Actions {
			if a.Ended.IsZero() && (q.Site == "" || q.Site == inc.Site) {
				out = append(out, OpenAction{Incident: inc.Ref, Site: inc.Site, Action: a})
			}
		}
	}
	return out, nil
}

func (m *memory) Opened(_ context.Context, q OpenedQuery, take func(*Incident) error) error {
	for _, inc := range m.sorted() {
		if !inc.OpenedAt.Before(q.From) && inc.OpenedAt.Before(q.To) && (q.Site == "" || q.Site == inc.Site) {
			if err := take(&inc); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) History(_ context.Context, q HistoryQuery) (out []FeedEvent, err error) {
	for _, inc := range m.sorted() {
		if (q.Site == "" || q.Site == inc.Site) && (q.Device == "" || q.Device == inc.Device) && (q.Requester == "" || q.Requester == inc.Reporter) {
			for _, e := range m.events[inc.Ref] {
				out = append(out, FeedEvent{ID: int64(len(out) + 1), Site: inc.Site, Event: e})
			}
		}
	}
	slices.Reverse(out)
	return out[:min(len(out), q.Limit)], nil
}

func (m *memory) Verdicts(_ context.Context, since time.Time) (out []Verdict, err error) {
	by := map[string]Verdict{}
	for _, inc := range m.sorted() {
		if v := by[inc.Rule]; inc.EndedByPerson() && inc.Rule != "" && !inc.UpdatedAt.Before(since) {
			v.Rule, v.Judged = inc.Rule, v.Judged+1
			v.FalsePositives += one(inc.Resolution.Code == "false_positive")
			by[inc.Rule] = v
		}
	}
	for _, v := range by {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Verdict) int { return cmp.Compare(a.Rule, b.Rule) })
	return out, nil
}
