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

// level adds "column = level" unless the level is 0.
func (f *filter) level(column string, level int) {
	if level > 0 {
		f.add(column+" = ?", level)
	}
}

// ofLevel asks for incidents of a level by the column with their sort; 0 for any.
func (f *filter) ofLevel(sort string, level int) {
	if level > 0 {
		f.add(sort+" IN (SELECT id FROM sorts WHERE level = ?)", level)
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

// Incidents implements incidents.Store. It goes by whatever lets the fewest through
// as far as that is known; the databases' planners don't know that a site has few
// incidents and a state many.
func (t *Tickets) Incidents(ctx context.Context, q incidents.Query) ([]incidents.Incident, error) {
	if q.Q != "" {
		return t.withWords(ctx, q)
	}
	sorts := t.sorted(q)
	var n int64
	if len(sorts.terms) > 0 {
		var err error
		if n, err = t.tallied(ctx, sorts); err != nil || n == 0 {
			return nil, err
		}
	}
	switch {
	case q.Device != "" || q.Reporter != "" || q.Parent != "":
		return t.listed(ctx, t.conditions(q, 0), q.Limit)
	case !q.UpdatedSince.IsZero():
		return t.changed(ctx, q, n)
	case q.Site != "" || q.Assignee != "" || q.Supplier != "":
		if n > 0 && n <= fewOfSort {
			return t.listed(ctx, t.conditions(q, bySort), q.Limit)
		}
		return t.listed(ctx, t.conditions(q, 0), q.Limit)
	case n > 0:
		query, args := t.merged(q)
		return t.page(ctx, query, args)
	}
	return t.listed(ctx, t.conditions(q, 0), q.Limit)
}

// What is looked through row by row takes 2 to 4 µs for each where the row has to be
// read, and 0.4 µs where the index says enough.
const (
	fewOfSort    = 1_000  // rows read rather than all of a site's or an assignee's in the index
	fewChanged   = 5_000  // rows that have changed lately: in the index, or read
	newestLooked = 2_000  // newest rows that are read before something else is tried
	fewWalked    = 50_000 // entries of a sort in the index
)

// changed lists what has changed since a time, of n incidents of the right sort (0
// when any is right). Mostly that is little, and else the newest ones have.
func (t *Tickets) changed(ctx context.Context, q incidents.Query, n int64) ([]incidents.Incident, error) {
	few, err := t.littleChanged(ctx, q)
	if err != nil {
		return nil, err
	}
	switch {
	case few:
		return t.listed(ctx, t.conditions(q, byChange), q.Limit)
	case q.Site != "" || q.Assignee != "" || q.Supplier != "":
		return t.listed(ctx, t.conditions(q, 0), q.Limit)
	}
	last, ok := idOf(q.Before)
	if !ok {
		if err := t.read.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM incidents").Scan(&last); err != nil {
			return nil, fmt.Errorf("read the newest incident's number: %w", err)
		}
	}
	newest := t.conditions(q, 0)
	newest.add("id > ?", last-newestLooked)
	list, err := t.listed(ctx, newest, q.Limit)
	if err != nil || len(list) == q.Limit || last <= newestLooked {
		return list, err
	}
	if n > 0 && n <= fewWalked {
		return t.listed(ctx, t.conditions(q, bySort), q.Limit)
	}
	return t.listed(ctx, t.conditions(q, byChange), q.Limit)
}

// littleChanged reports whether little has changed since the time that is asked for.
func (t *Tickets) littleChanged(ctx context.Context, q incidents.Query) (bool, error) {
	var n int
	err := t.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM incidents WHERE updated_at >= ? LIMIT ?) x", q.UpdatedSince.UnixMilli(), fewChanged).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("count what has changed: %w", err)
	}
	return n < fewChanged, nil
}

// listed returns the newest incidents that a filter lets through.
func (t *Tickets) listed(ctx context.Context, f incidentFilter, limit int) ([]incidents.Incident, error) {
	return t.page(ctx, "SELECT id FROM incidents"+f.where()+" ORDER BY "+f.id+" DESC LIMIT ?", append(f.args, limit))
}

// page returns the incidents with the numbers that a query finds by indexes: only
// the page's rows, which are long, are then read.
func (t *Tickets) page(ctx context.Context, numbers string, args []any) ([]incidents.Incident, error) {
	list, err := rowsOf(ctx, t.read, "WHERE id IN ("+numbers+") ORDER BY id DESC", args...)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return list, nil
}

// way says which index a list goes by; 0 leaves it to the rarest column that is asked
// for, or else to the order of the list.
type way int

const (
	bySort way = iota + 1
	byChange
)

// conditions turns a query into SQL, and says by a plus sign which indexes would
// be the wrong choice.
func (d *dialect) conditions(q incidents.Query, by way) incidentFilter {
	f := incidentFilter{filter: filter{dialect: d}, id: "id"}
	hint := func(right bool) string {
		if right {
			return ""
		}
		return d.hint
	}
	if q.Reporter != "" {
		f.add("reporter = ? AND reporter <> ''", q.Reporter)
	}
	if q.Assignee != "" {
		f.add(hint(by == 0)+"assignee = ? AND assignee <> ''", q.Assignee)
	}
	if q.Supplier != "" {
		f.add(hint(by == 0)+"supplier = ? AND supplier <> ''", q.Supplier)
	}
	f.text(hint(by == 0)+"site", q.Site)
	f.text("device", q.Device)
	f.text("parent", q.Parent)
	if sorts := d.sorted(q); len(sorts.terms) > 0 {
		f.add(hint(by == bySort)+"sort IN (SELECT id FROM sorts"+sorts.where()+")", sorts.args...)
	}
	if !q.UpdatedSince.IsZero() {
		f.add(hint(by == byChange)+"updated_at >= ?", q.UpdatedSince.UnixMilli())
	}
	if by != 0 {
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
	rows, err := t.read.QueryContext(ctx, `SELECT seq, at, actor, source, request, kind, before, after, text, internal, shared, supplier, evidence
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
	var texts [3][]byte // before, after, evidence
	err = rows.Scan(&e.Seq, &at, &e.Actor, &e.Source, &e.Request, &e.Kind, &texts[0], &texts[1], &e.Text, &e.Internal, &e.Shared, &e.Supplier, &texts[2])
	if err != nil {
		return e, err
	}
	for i := range texts {
		if texts[i], err = Unpack(texts[i]); err != nil {
			return e, err
		}
	}
	e.At, e.Before, e.After = timeOf(at), texts[0], texts[1]
	if texts[2] != nil {
		err = json.Unmarshal(texts[2], &e.Evidence)
	}
	return e, err
}
