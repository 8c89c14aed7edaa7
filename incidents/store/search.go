package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"belfry/incidents"
)

// mostRanked is how many of what holds the words, the newest, are put in order.
const mostRanked = 2000

// Search implements incidents.Archive: what holds all words first, then what
// holds some of them.
func (t *Tickets) Search(ctx context.Context, q incidents.SearchQuery) ([]incidents.Hit, error) {
	list := phrases(q.Q)
	if len(list) == 0 {
		return nil, nil
	}
	var out []incidents.Hit
	for _, any := range []bool{false, true} {
		if any && (len(list) == 1 || len(out) >= q.Limit) {
			break
		}
		hits, err := t.ranked(ctx, t.question(list, asking{any: any}), q)
		if err != nil {
			return nil, fmt.Errorf("search for %q: %w", q.Q, err)
		}
		out = appendNew(out, hits, q.Limit)
	}
	return out, nil
}

func appendNew(out, hits []incidents.Hit, limit int) []incidents.Hit {
	have := map[string]bool{}
	for _, h := range out {
		have[h.Kind+h.Ref] = true
	}
	for _, h := range hits {
		if !have[h.Kind+h.Ref] && len(out) < limit {
			out = append(out, h)
		}
	}
	return out
}

// ranked asks the index. What weighs more: a title over a body, and a short text
// over a long one.
func (t *Tickets) ranked(ctx context.Context, question string, q incidents.SearchQuery) ([]incidents.Hit, error) {
	f := filter{dialect: t.dialect}
	id, from := "search.rowid", "search LEFT JOIN entries e ON e.id = search.rowid LEFT JOIN incidents i ON i.id = search.rowid LEFT JOIN sorts o ON o.id = i.sort"
	score := "-bm25(search, 4.0, 1.0)"
	if t.numbered {
		id, from = "search.id", "search LEFT JOIN entries e ON e.id = search.id LEFT JOIN incidents i ON i.id = search.id LEFT JOIN sorts o ON o.id = i.sort"
		score = "ts_rank('{0.25, 0.25, 0.25, 1.0}', vector, CAST(? AS tsquery), 1)"
		f.args = append(f.args, question)
		f.add("vector @@ CAST(? AS tsquery)", question)
	} else {
		f.add("search MATCH ?", question)
	}
	f.readable(q)
	rows, err := t.read.QueryContext(ctx, `SELECT id, kind, ref, score FROM (SELECT `+id+` AS id, coalesce(e.kind, '') AS kind,
		coalesce(e.ref, '') AS ref, `+score+` AS score FROM `+from+f.where()+` ORDER BY `+id+` DESC LIMIT ?) x
		ORDER BY score DESC, id DESC LIMIT ?`, append(f.args, mostRanked, q.Limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []incidents.Hit
	for rows.Next() {
		var number int64
		h := incidents.Hit{}
		if err := rows.Scan(&number, &h.Kind, &h.Ref, &h.Score); err != nil {
			return nil, err
		}
		if h.Kind == "" {
			h.Kind, h.Ref = incidents.IncidentHit, refOf(number)
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

// readable keeps to what may be read: entries, unless they are for the desk alone
// or of another site, and incidents that have ended.
func (f *filter) readable(q incidents.SearchQuery) {
	entry, ended := "e.id IS NOT NULL", "o.state IN ('resolved', 'closed')"
	if !q.Internal {
		entry += " AND NOT e.internal"
		if !f.numbered {
			entry = "e.internal = 0"
		}
	}
	var args []any
	if q.Site != "" {
		entry += " AND e.site IN ('', ?)"
		args = append(args, q.Site)
	}
	if q.Kind == incidents.IncidentHit {
		entry, args = "1 = 0", nil
	} else if q.Kind != "" {
		entry, ended = entry+" AND e.kind = ?", "1 = 0"
		args = append(args, q.Kind)
	}
	if q.Site != "" && ended != "1 = 0" {
		ended += " AND i.site = ?"
		args = append(args, q.Site)
	}
	if q.Level > 0 && ended != "1 = 0" {
		ended += " AND o.level = ?"
		args = append(args, q.Level)
	}
	if q.Supplier != "" && ended != "1 = 0" {
		ended += " AND i.supplier = ?"
		args = append(args, q.Supplier)
	}
	f.add("("+entry+" OR "+ended+")", args...)
}

// PutEntry implements incidents.Shelf.
func (t *ticketTx) PutEntry(e incidents.Entry) error {
	var id int64
	err := t.tx.QueryRowContext(t.ctx, "SELECT id FROM entries WHERE kind = ? AND ref = ?", e.Kind, e.Ref).Scan(&id)
	known := err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("look for %s %s in the index: %w", e.Kind, e.Ref, err)
	}
	switch {
	case e.Title == "" && !known:
		return nil
	case e.Title == "":
		if _, err := t.tx.ExecContext(t.ctx, "DELETE FROM entries WHERE id = ?", id); err != nil {
			return fmt.Errorf("take %s out of the index: %w", e.Ref, err)
		}
		return dropTexts(t.ctx, t.tx, id-1, id)
	case !known:
		if id, err = draw(t.ctx, t.tx, "entry", 1); err != nil {
			return err
		}
	}
	_, err = t.tx.ExecContext(t.ctx, `INSERT INTO entries (id, kind, ref, site, internal) VALUES (?,?,?,?,?)
		ON CONFLICT (id) DO UPDATE SET site = excluded.site, internal = excluded.internal`, id, e.Kind, e.Ref, e.Site, e.Internal)
	if err != nil {
		return fmt.Errorf("put %s into the index: %w", e.Ref, err)
	}
	return putText(t.ctx, t.tx, id, e.Title, e.Body)
}

// bodyOf is what an incident is found by beside its summary.
func bodyOf(inc *incidents.Incident) string {
	r := &inc.Resolution
	return strings.Join([]string{inc.Description, r.Summary, r.Workaround, inc.Device, inc.Category}, "\n")
}

// indexedTo returns the number up to which incidents are in the index.
func indexedTo(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}) (to int64, err error) {
	if err := db.QueryRowContext(ctx, "SELECT value FROM counters WHERE name = 'indexed'").Scan(&to); err != nil {
		return 0, fmt.Errorf("read how far the index is: %w", err)
	}
	return to, nil
}

// Index implements incidents.Shelf. Incidents come into the index after they were
// opened and not with that, so that a storm need not wait for it; until then lists find
// them by their words in their rows. What is in it already is put there anew.
func (t *ticketTx) Index(limit int) (int, error) {
	to, err := indexedTo(t.ctx, t.tx)
	if err != nil {
		return 0, err
	}
	list, err := rowsOf(t.ctx, t.tx, "WHERE id > ? ORDER BY id LIMIT ?", to, limit)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	last, _ := idOf(list[len(list)-1].Ref)
	if err := dropTexts(t.ctx, t.tx, to, last); err != nil {
		return 0, err
	}
	_, err = t.tx.texts().insert(t.ctx, t.tx, len(list), func(args []any, i int) ([]any, error) {
		id, _ := idOf(list[i].Ref)
		return t.tx.textArgs(args, id, list[i].Summary, bodyOf(&list[i])), nil
	})
	if err != nil {
		return 0, err
	}
	if err := t.renew(to, list); err != nil {
		return 0, err
	}
	if _, err := t.tx.ExecContext(t.ctx, "UPDATE counters SET value = ? WHERE name = 'indexed'", last); err != nil {
		return 0, fmt.Errorf("write how far the index is: %w", err)
	}
	return len(list), nil
}

// renew gives incidents that an older belfry has written what they lack: their words
// as they are searched now, their endings. They are those after a number.
func (t *ticketTx) renew(after int64, list []incidents.Incident) error {
	rows, err := t.tx.QueryContext(t.ctx, "SELECT words FROM incidents WHERE id > ? ORDER BY id LIMIT ?", after, len(list))
	if err != nil {
		return fmt.Errorf("read the words of %d incidents: %w", len(list), err)
	}
	stale, i := map[int]string{}, 0
	for ; rows.Next(); i++ {
		var words string
		if err := rows.Scan(&words); err != nil {
			return errors.Join(fmt.Errorf("read the words of %d incidents: %w", len(list), err), rows.Close())
		}
		if is := spaced(list[i].Summary); is != words {
			stale[i] = is
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("read the words of %d incidents: %w", len(list), err)
	}
	for i := range list {
		id, _ := idOf(list[i].Ref)
		if words, is := stale[i]; is {
			if _, err := t.tx.ExecContext(t.ctx, "UPDATE incidents SET words = ? WHERE id = ?", words, id); err != nil {
				return fmt.Errorf("write the words of %s: %w", list[i].Ref, err)
			}
		}
		if remembered(&list[i]) {
			if err := t.saveEnding(id, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// saveMemory keeps what follows from steps beside their incidents: the index of
// texts, how they ended, and what people have still to do.
func (t *ticketTx) saveMemory(steps []incidents.Step) error {
	for i := range steps {
		s := &steps[i]
		id, _ := idOf(s.After.Ref)
		if err := t.saveText(id, s); err != nil {
			return err
		}
		if ends(s) {
			if err := t.saveEnding(id, &s.After); err != nil {
				return err
			}
		}
		if err := t.saveActions(id, s); err != nil {
			return err
		}
	}
	return nil
}

// saveText indexes anew what is in the index and says something else now. What a person
// has solved comes into it at once.
func (t *ticketTx) saveText(id int64, s *incidents.Step) error {
	if s.Before.State == incidents.Absent || s.Before.Summary == s.After.Summary && bodyOf(&s.Before) == bodyOf(&s.After) {
		return nil
	}
	to, err := indexedTo(t.ctx, t.tx)
	if err != nil {
		return err
	}
	if id > to && !s.After.EndedByPerson() {
		return nil
	}
	return putText(t.ctx, t.tx, id, s.After.Summary, bodyOf(&s.After))
}

// saveActions keeps the open actions of an incident.
func (t *ticketTx) saveActions(id int64, s *incidents.Step) error {
	if len(s.After.Actions) == 0 {
		return nil // none was ever asked for
	}
	before, err := json.Marshal(s.Before.Actions)
	if err != nil {
		return err
	}
	after, err := json.Marshal(s.After.Actions)
	if err != nil || string(before) == string(after) {
		return err
	}
	if _, err := t.tx.ExecContext(t.ctx, "DELETE FROM open_actions WHERE incident = ?", id); err != nil {
		return fmt.Errorf("write the actions of %s: %w", s.After.Ref, err)
	}
	for _, a := range s.After.Actions {
		if !a.Ended.IsZero() {
			continue
		}
		_, err := t.tx.ExecContext(t.ctx, "INSERT INTO open_actions (incident, action, assignee, due_at) VALUES (?,?,?,?)", id, a.ID, a.Assignee, a.Due.UnixMilli())
		if err != nil {
			return fmt.Errorf("write the actions of %s: %w", s.After.Ref, err)
		}
	}
	return nil
}

// emptyIndex forgets the index of texts, which is then made anew from what there is.
func emptyIndex(ctx context.Context, tx *txn) error {
	for _, statement := range []string{"DELETE FROM search", "DELETE FROM entries", "UPDATE counters SET value = 0 WHERE name = 'indexed'"} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("empty the index of texts: %w", err)
		}
	}
	return nil
}
