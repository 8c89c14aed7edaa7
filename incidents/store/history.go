package store

import (
	"context"
	"fmt"

	"belfry/incidents"
)

// History implements incidents.Archive.
func (t *Tickets) History(ctx context.Context, q incidents.HistoryQuery) ([]incidents.FeedEvent, error) {
	f := filter{dialect: t.dialect}
	f.text("i.device", q.Device)
	f.text("i.reporter", q.Requester)
	if q.Requester != "" {
		f.add("i.reporter <> ''") // as the index has it
	}
	f.text("i.site", q.Site)
	f.ofLevel("i.sort", q.Level)
	f.text("i.supplier", q.Supplier)
	if q.Before > 0 {
		f.add("e.id < ?", q.Before)
	}
	rows, err := t.read.QueryContext(ctx, `SELECT e.id, i.site, e.incident, e.seq, e.at, e.actor, e.source, e.request, e.kind,
		e.before, e.after, e.text, e.internal, e.shared, e.supplier, NULL FROM incidents i CROSS JOIN events e`+f.where()+` AND e.incident = i.id ORDER BY e.id DESC LIMIT ?`,
		append(f.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read a history: %w", err)
	}
	defer rows.Close()
	var list []incidents.FeedEvent
	for rows.Next() {
		e, err := scanFeed(rows)
		if err != nil {
			return nil, fmt.Errorf("read a history: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}
