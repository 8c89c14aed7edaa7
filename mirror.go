package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/warehouse"
)

// mirror copies incidents and their events into the tenant's warehouse, where
// dashboards join them with readings. It follows the order in which events were
// committed, and goes on behind the newest that the warehouse has.
type mirror struct {
	tickets   *store.Tickets
	warehouse *warehouse.Warehouse
	log       *slog.Logger

	copied int64 // ID of the newest event that was copied; -1 before it was asked for
	behind prometheus.Gauge
	lag    prometheus.Gauge
}

// mirrorPage is how many events are copied at once. Each page makes a part of its own
// in the warehouse, which costs as much as some thousands of rows in one.
const mirrorPage = 5000

func newMirror(tickets *store.Tickets, w *warehouse.Warehouse, log *slog.Logger, r prometheus.Registerer) *mirror {
	m := &mirror{tickets: tickets, warehouse: w, log: log, copied: -1,
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "belfry_warehouse_mirror_lag_events", Help: "Events of incidents that the warehouse does not have yet."}),
		lag:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "belfry_warehouse_mirror_lag_seconds", Help: "Age of the oldest of them."})}
	if r != nil {
		r.MustRegister(m.behind, m.lag)
	}
	return m
}

// run copies what happens within a second until the context ends.
func (m *mirror) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if err := m.copyAll(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("incidents were not copied into the warehouse", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// copyAll copies all that there is by now.
func (m *mirror) copyAll(ctx context.Context) error {
	last, err := m.tickets.LastEvent(ctx)
	if err != nil {
		return err
	}
	if last, err = m.begin(ctx, last); err != nil {
		return err
	}
	if err := m.copyTo(ctx, last); err != nil {
		return err
	}
	m.behind.Set(0)
	m.lag.Set(0)
	return nil
}

// begin finds out how far the warehouse is, and returns the newest event. Tickets that
// are older than what it has were put back from a backup: they are copied anew. They are
// asked again after the warehouse is, for another process may have copied meanwhile what
// happened since.
func (m *mirror) begin(ctx context.Context, last int64) (int64, error) {
	if m.copied >= 0 && m.copied <= last {
		return last, nil
	}
	copied, err := m.warehouse.MirroredTo(ctx)
	if err != nil {
		return 0, err
	}
	if last, err = m.tickets.LastEvent(ctx); err != nil {
		return 0, err
	}
	if copied > last {
		m.log.Warn("the tickets are older than their copy in the warehouse, which is made anew", "events", last, "copied", copied)
		if err := m.warehouse.ForgetIncidents(ctx); err != nil {
			return 0, err
		}
		copied = 0
	}
	m.copied = copied
	return last, nil
}

// mirrored is a page of events, with the incidents that they are of as they were when
// it was read.
type mirrored struct {
	to        int64
	oldest    time.Time
	incidents []warehouse.Incident
	events    []warehouse.IncidentEvent
}

// copyTo copies the events up to an ID. While a page is written the next one is read.
func (m *mirror) copyTo(ctx context.Context, last int64) error {
	group, ctx := errgroup.WithContext(ctx)
	pages, from := make(chan mirrored), m.copied
	group.Go(func() error {
		defer close(pages)
		for from < last {
			page, err := m.read(ctx, from, min(from+mirrorPage, last))
			if err != nil {
				return err
			}
			select {
			case pages <- page:
			case <-ctx.Done():
				return ctx.Err()
			}
			from = page.to
		}
		return nil
	})
	group.Go(func() error {
		for page := range pages {
			m.behind.Set(float64(last - m.copied))
			m.lag.Set(max(0, time.Since(page.oldest).Seconds()))
			if err := m.warehouse.PutIncidents(ctx, page.incidents, page.events); err != nil {
				return err
			}
			m.copied = page.to
		}
		return nil
	})
	return group.Wait()
}

func (m *mirror) read(ctx context.Context, from, to int64) (mirrored, error) {
	page := mirrored{to: to, oldest: time.Now()}
	events, err := m.tickets.Feed(ctx, incidents.FeedQuery{After: from, To: to})
	if err != nil || len(events) == 0 {
		return page, err
	}
	changed, err := m.tickets.Changed(ctx, events)
	if err != nil {
		return page, err
	}
	page.oldest = events[0].At
	for i := range changed {
		page.incidents = append(page.incidents, mirroredIncident(&changed[i]))
	}
	for _, e := range events {
		row, err := mirroredEvent(e)
		if err != nil {
			return page, err
		}
		page.events = append(page.events, row)
	}
	return page, nil
}

func mirroredIncident(i *incidents.Incident) warehouse.Incident {
	at := func(t time.Time) warehouse.Moment { return warehouse.Moment{Time: t} }
	due := func(name string) warehouse.Moment {
		for _, c := range i.Clocks {
			if c.Name == name {
				return at(c.Due)
			}
		}
		return warehouse.Moment{}
	}
	scope := ""
	if i.Scope.Name != "" {
		scope = i.Scope.String()
	}
	return warehouse.Incident{
		Ref: i.Ref, Version: i.Version, State: string(i.State), Condition: string(i.Condition), Origin: string(i.Origin), Kind: string(i.Kind),
		Category: i.Category, Rule: i.Rule, Scope: scope, Site: i.Site, Device: i.Device, Priority: i.Priority, Level: i.Level,
		Impact: string(i.Impact), Urgency: string(i.Urgency), Summary: i.Summary, Assignee: i.Assignee, Parent: i.Parent, Major: i.Major,
		Flapping: i.Flapping, HeldBy: i.Held.By, Occurrences: i.Occurrences, Reopened: i.Reopened, Value: i.Value, Threshold: i.Threshold,
		Since: at(i.Since), OpenedAt: at(i.OpenedAt), UpdatedAt: at(i.UpdatedAt), FirstResponse: at(i.FirstResponse), ResolvedAt: at(i.ResolvedAt),
		ClosedAt: at(i.ClosedAt), RespondDue: due("respond"), ResolveDue: due("resolve"), Resolution: i.Resolution.Code, Cause: i.Resolution.Cause,
		Satisfaction: i.Satisfaction.Points,
	}
}

// mirroredEvent leaves out what was said for the desk's eyes only: whoever may
// ask the warehouse need not be of the desk.
func mirroredEvent(e incidents.FeedEvent) (warehouse.IncidentEvent, error) {
	row := warehouse.IncidentEvent{Ref: e.Ref, Seq: e.Seq, ID: e.ID, At: warehouse.Moment{Time: e.At}, Kind: string(e.Kind), Source: string(e.Source),
		Actor: e.Actor, Changes: string(e.After), Internal: e.Internal}
	if !e.Internal {
		row.Text = e.Text
	}
	var changed struct {
		Condition, State        string
		Value, Threshold, Score *float64
		Since                   *time.Time
	}
	if err := json.Unmarshal(e.After, &changed); err != nil {
		return row, fmt.Errorf("read what event %d of %s changed: %w", e.Seq, e.Ref, err)
	}
	row.Condition, row.State = changed.Condition, changed.State
	row.Value, row.Threshold, row.Score = changed.Value, changed.Threshold, changed.Score
	if changed.Since != nil {
		row.Since = &warehouse.Moment{Time: *changed.Since}
	}
	return row, nil
}
