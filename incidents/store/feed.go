package store

import (
	"context"
	"database/sql"
	"fmt"

	"belfry/incidents"
)

// LastEvent returns the id of the newest committed event, 0 when there is none.
func (t *Tickets) LastEvent(ctx context.Context) (id int64, err error) {
	if err := t.read.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM events").Scan(&id); err != nil {
		return 0, fmt.Errorf("read the newest event's id: %w", err)
	}
	return id, nil
}

// Feed returns the events that are asked for, without their evidence. The caller
// keeps the span short, for it is scanned whole.
func (t *Tickets) Feed(ctx context.Context, q incidents.FeedQuery) ([]incidents.FeedEvent, error) {
	f := filter{}
	f.add("e.id > ?", q.After)
	f.add("e.id <= ?", q.To)
	f.text("i.site", q.Site)
	f.ofLevel("i.sort", q.Level)
	f.text("i.supplier", q.Supplier)
	// The cross join keeps the planner from walking all incidents of the site.
	rows, err := t.read.QueryContext(ctx, `SELECT e.id, i.site, e.incident, e.seq, e.at, e.actor, e.source, e.request, e.kind,
		e.before, e.after, e.text, e.internal, e.shared, e.supplier, NULL FROM events e CROSS JOIN incidents i`+f.where()+` AND i.id = e.incident ORDER BY e.id`, f.args...)
	if err != nil {
		return nil, fmt.Errorf("read the events after %d: %w", q.After, err)
	}
	defer rows.Close()
	var list []incidents.FeedEvent
	for rows.Next() {
		e, err := scanFeed(rows)
		if err != nil {
			return nil, fmt.Errorf("read the events after %d: %w", q.After, err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

func scanFeed(rows *sql.Rows) (e incidents.FeedEvent, err error) {
	var incident int64
	e.Event, err = scanEvent(scanAfter{rows, []any{&e.ID, &e.Site, &incident}})
	e.Ref = refOf(incident)
	return e, err
}

// scanAfter scans some columns first and hands on the rest.
type scanAfter struct {
	rows  *sql.Rows
	first []any
}

// Scan implements scanner.
func (s scanAfter) Scan(rest ...any) error { return s.rows.Scan(append(s.first, rest...)...) }

// scanner is a row that can be read.
type scanner interface{ Scan(into ...any) error }
