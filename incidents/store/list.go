package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"belfry/incidents"
)

// filter is a WHERE clause under way.
type filter struct {
	*dialect
	terms []string
	args  []any
}

func (f *filter) add(term string, args ...any) {
	f.terms = append(f.terms, term)
	f.args = append(f.args, args...)
}

// text adds "column = value" unless the value is empty.
func (f *filter) text(column, value string) {
	if value != "" {
		f.add(column+" = ?", value)
	}
}

// words asks for every word of q in one of the columns, as it is.
func (f *filter) words(q string, columns ...string) {
	for word := range strings.FieldsSeq(q) {
		var either []string
		for _, c := range columns {
			either = append(either, f.instr+"("+c+", ?) > 0")
			f.args = append(f.args, word)
		}
		f.terms = append(f.terms, "("+strings.Join(either, " OR ")+")")
	}
}

func (f *filter) where() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// Incidents implements incidents.Store.
func (t *Tickets) Incidents(ctx context.Context, q incidents.Query) ([]incidents.Incident, error) {
	if q.Q != "" {
		return t.withWords(ctx, q)
	}
	// Of several sorts that never meet each index would be walked to its end.
	if sort := t.sort(q); len(sort.terms) > 1 {
		if n, err := t.tallied(ctx, sort); err != nil || n == 0 {
			return nil, err
		}
	}
	return t.listed(ctx, t.conditions(q), q.Limit)
}

// listed returns the newest incidents that a filter lets through.
func (t *Tickets) listed(ctx context.Context, f incidentFilter, limit int) ([]incidents.Incident, error) {
	// The inner query finds the page by its indexes; only the page's rows, which
	// are long, are then read.
	list, err := rowsOf(ctx, t.read, `SELECT data FROM incidents WHERE id IN (SELECT id FROM incidents`+f.where()+
		` ORDER BY `+f.id+` DESC LIMIT ?) ORDER BY id DESC`, append(f.args, limit)...)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return list, nil
}

// conditions turns a query into SQL, and says by a plus sign which indexes would
// be the wrong choice: without statistics the planner can't know that a site has
// few incidents and a state many, or that what changed lately is little.
func (d *dialect) conditions(q incidents.Query) incidentFilter {
	f := incidentFilter{filter: filter{dialect: d}, id: "id"}
	common := ""
	if q.Reporter != "" {
		f.add("reporter = ? AND reporter <> ''", q.Reporter)
	}
	if q.Site != "" || q.Device != "" || q.Assignee != "" || q.Reporter != "" || q.Parent != "" || !q.UpdatedSince.IsZero() {
		common = d.hint
	}
	f.text("site", q.Site)
	f.text("device", q.Device)
	f.text("assignee", q.Assignee)
	f.text(common+"category", q.Category)
	f.text(common+"state", string(q.State))
	f.text("condition", string(q.Condition))
	f.text("parent", q.Parent)
	f.text("rule", q.Rule)
	f.text("kind", string(q.Kind))
	f.text(common+"clock", q.Clock)
	if q.Level > 0 {
		f.add(common+"level = ?", q.Level)
	}
	if q.Priority > 0 {
		f.add(common+"priority = ?", q.Priority)
	}
	if !q.UpdatedSince.IsZero() {
		f.add("updated_at >= ?", q.UpdatedSince.UnixMilli())
		f.id = d.hint + "id"
	}
	if before, ok := idOf(q.Before); ok {
		f.add(f.id+" < ?", before)
	}
	return f
}

// incidentFilter is a filter with the way that the id is to be written in it.
type incidentFilter struct {
	filter
	id string
}

// Events implements incidents.Store.
func (t *Tickets) Events(ctx context.Context, ref string, after int64, limit int) ([]incidents.Event, error) {
	id, ok := idOf(ref)
	if !ok {
		return nil, incidents.ErrNotFound
	}
	rows, err := t.read.QueryContext(ctx, `SELECT seq, at, actor, source, request, kind, before, after, text, internal, shared, evidence
		FROM events WHERE incident = ? AND seq > ? ORDER BY seq LIMIT ?`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read the timeline of %s: %w", ref, err)
	}
	defer rows.Close()
	var list []incidents.Event
	for rows.Next() {
		e, err := scanEvent(rows)
		if err != nil {
			return nil, fmt.Errorf("read the timeline of %s: %w", ref, err)
		}
		e.Ref = ref
		list = append(list, e)
	}
	return list, rows.Err()
}

func scanEvent(rows scanner) (e incidents.Event, err error) {
	var at sql.NullInt64
	var before, after string
	var evidence sql.NullString
	err = rows.Scan(&e.Seq, &at, &e.Actor, &e.Source, &e.Request, &e.Kind, &before, &after, &e.Text, &e.Internal, &e.Shared, &evidence)
	if err != nil {
		return e, err
	}
	e.At, e.Before, e.After = timeOf(at), json.RawMessage(before), json.RawMessage(after)
	if evidence.Valid {
		err = json.Unmarshal([]byte(evidence.String), &e.Evidence)
	}
	return e, err
}

// Tally implements incidents.Store.
func (t *Tickets) Tally(ctx context.Context) ([]incidents.Tally, error) {
	rows, err := t.read.QueryContext(ctx, "SELECT category, state, level, priority, count FROM tallies WHERE count > 0")
	if err != nil {
		return nil, fmt.Errorf("tally incidents: %w", err)
	}
	defer rows.Close()
	var list []incidents.Tally
	for rows.Next() {
		var n incidents.Tally
		if err := rows.Scan(&n.Category, &n.State, &n.Level, &n.Priority, &n.Count); err != nil {
			return nil, fmt.Errorf("tally incidents: %w", err)
		}
		list = append(list, n)
	}
	return list, rows.Err()
}
