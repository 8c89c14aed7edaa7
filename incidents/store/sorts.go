package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"belfry/incidents"
)

// sort is what has few values of an incident. Each sort has a number, which lies
// in the incident's row and in the indexes, and a count.
type sort struct {
	category        string
	state           incidents.State
	level, priority int
	clock           string
	kind            incidents.Kind
	condition       string
	rule            string
}

func sortOf(inc *incidents.Incident) sort {
	return sort{inc.Category, inc.State, inc.Level, inc.Priority, inc.ClockState(), inc.Kind, string(inc.Condition), inc.Rule}
}

// saveSorts counts what steps change, and returns the numbers of the sorts.
func (t *ticketTx) saveSorts(steps []incidents.Step) (map[sort]int64, error) {
	changes := map[sort]int64{}
	for i := range steps {
		if steps[i].Before.State != incidents.Absent {
			changes[sortOf(&steps[i].Before)]--
		}
		changes[sortOf(&steps[i].After)]++
	}
	numbers := make(map[sort]int64, len(changes))
	for s, n := range changes {
		id, err := t.countSort(s, n)
		if err != nil {
			return nil, fmt.Errorf("count incidents: %w", err)
		}
		numbers[s] = id
	}
	return numbers, nil
}

// countSort adds to the count of a sort, and returns its number. Most changes leave an
// incident in its sort, whose row then need not be written.
func (t *ticketTx) countSort(s sort, n int64) (id int64, err error) {
	args := []any{s.category, string(s.state), s.level, s.priority, s.clock, string(s.kind), s.condition, s.rule}
	if n == 0 {
		err = t.tx.QueryRowContext(t.ctx, `SELECT id FROM sorts WHERE category = ? AND state = ? AND level = ? AND priority = ?
			AND clock = ? AND kind = ? AND condition = ? AND rule = ?`, args...).Scan(&id)
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	err = t.tx.QueryRowContext(t.ctx, `INSERT INTO sorts VALUES ((SELECT coalesce(max(id), 0) + 1 FROM sorts),?,?,?,?,?,?,?,?,?)
		ON CONFLICT (category, state, level, priority, clock, kind, condition, rule) DO UPDATE SET count = sorts.count + excluded.count RETURNING id`,
		append(args, n)...).Scan(&id)
	return id, err
}

// sorted is the part of a query that asks for sorts.
func (d *dialect) sorted(q incidents.Query) filter {
	f := filter{dialect: d}
	f.text("category", q.Category)
	f.text("state", string(q.State))
	f.level("level", q.Level)
	if q.Priority > 0 {
		f.add("priority = ?", q.Priority)
	}
	f.text("clock", q.Clock)
	f.text("kind", string(q.Kind))
	f.text("condition", string(q.Condition))
	f.text("rule", q.Rule)
	return f
}

// tallied counts the incidents of some sorts.
func (t *Tickets) tallied(ctx context.Context, f filter) (n int64, err error) {
	err = t.read.QueryRowContext(ctx, "SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM sorts"+f.where(), f.args...).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count what a filter lets through: %w", err)
	}
	return n, nil
}

// merged finds the newest incidents of some sorts. Of each sort the newest one is
// looked up; a page holds none of a sort whose newest is older than the newest of
// as many other sorts as there are places on the page.
func (d *dialect) merged(q incidents.Query) (query string, args []any) {
	before := filter{}
	if id, ok := idOf(q.Before); ok {
		before.add(" AND i.id < ?", id)
	}
	newest := func(sort, limit string) string {
		return "SELECT i.id AS value FROM incidents i WHERE i.sort = " + sort + strings.Join(before.terms, "") + " ORDER BY i.id DESC LIMIT " + limit
	}
	sorts := d.sorted(q)
	sorts.add("count > 0")
	for _, list := range [][]any{before.args, sorts.args, {q.Limit}, before.args, {q.Limit}, {q.Limit}} {
		args = append(args, list...)
	}
	return "SELECT e.value FROM (SELECT s.id AS sort, (" + newest("s.id", "1") + ") AS top FROM sorts s" + sorts.where() +
		" ORDER BY top DESC NULLS LAST LIMIT ?) n CROSS JOIN " + d.forEach(newest("n.sort", "?")) + " e WHERE n.top IS NOT NULL ORDER BY e.value DESC LIMIT ?", args
}

// Tally implements incidents.Store.
func (t *Tickets) Tally(ctx context.Context) ([]incidents.Tally, error) {
	rows, err := t.read.QueryContext(ctx, `SELECT category, state, level, priority, CAST(sum(count) AS BIGINT) FROM sorts
		WHERE count > 0 GROUP BY category, state, level, priority`)
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
