package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"belfry/incidents"
)

// recordPrefixes stand before the numbers of records.
var recordPrefixes = map[incidents.RecordKind]string{incidents.ProblemRecord: "PRB-", incidents.AnnouncementRecord: "ANN-"}

func recordRef(kind incidents.RecordKind, id int64) string {
	return fmt.Sprintf("%s%06d", recordPrefixes[kind], id)
}

// recordID returns the number of a reference; false when it is none of the kind.
func recordID(kind incidents.RecordKind, ref string) (int64, bool) {
	digits, ok := strings.CutPrefix(ref, recordPrefixes[kind])
	id, err := strconv.ParseInt(digits, 10, 64)
	return id, ok && err == nil && recordRef(kind, id) == ref
}

// NextRecord implements incidents.Shelf.
func (t *ticketTx) NextRecord(kind incidents.RecordKind) (string, error) {
	id, err := draw(t.ctx, t.tx, string(kind), 1)
	return recordRef(kind, id), err
}

// PutRecord implements incidents.Shelf.
func (t *ticketTx) PutRecord(r incidents.Record) error {
	id, ok := recordID(r.Kind, r.Ref)
	if !ok {
		return fmt.Errorf("write a %s: %q is no reference", r.Kind, r.Ref)
	}
	_, err := t.tx.ExecContext(t.ctx, `INSERT INTO records (kind, id, version, state, key, live, updated_at, data) VALUES (?,?,?,?,?,?,?,?)
		ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, state = excluded.state, key = excluded.key, live = excluded.live,
		updated_at = excluded.updated_at, data = excluded.data`,
		string(r.Kind), id, r.Version, r.State, r.Key, r.Live, r.UpdatedAt.UnixMilli(), string(r.Data))
	if err != nil {
		return fmt.Errorf("write %s: %w", r.Ref, err)
	}
	return nil
}

// Record implements incidents.Shelf.
func (t *ticketTx) Record(kind incidents.RecordKind, ref string) (incidents.Record, error) {
	return oneRecord(t.ctx, t.tx, kind, ref)
}

// OneRecord implements incidents.Archive.
func (t *Tickets) OneRecord(ctx context.Context, kind incidents.RecordKind, ref string) (incidents.Record, error) {
	return oneRecord(ctx, t.read, kind, ref)
}

func oneRecord(ctx context.Context, db querier, kind incidents.RecordKind, ref string) (incidents.Record, error) {
	id, ok := recordID(kind, ref)
	if !ok {
		return incidents.Record{}, incidents.ErrNotFound
	}
	return firstRecord(ctx, db, "WHERE kind = ? AND id = ?", string(kind), id)
}

// NewestRecord implements incidents.Shelf.
func (t *ticketTx) NewestRecord(kind incidents.RecordKind, key string) (incidents.Record, error) {
	return firstRecord(t.ctx, t.tx, "WHERE kind = ? AND key = ? AND key <> '' ORDER BY id DESC LIMIT 1", string(kind), key)
}

func firstRecord(ctx context.Context, db querier, query string, args ...any) (incidents.Record, error) {
	list, err := records(ctx, db, query, args...)
	if err == nil && len(list) == 0 {
		err = incidents.ErrNotFound
	}
	if err != nil {
		return incidents.Record{}, err
	}
	return list[0], nil
}

// Records implements incidents.Archive.
func (t *Tickets) Records(ctx context.Context, q incidents.RecordQuery) ([]incidents.Record, error) {
	f := filter{dialect: t.dialect}
	f.text("kind", string(q.Kind))
	f.text("state", q.State)
	if q.Live {
		f.add("live" + t.isTrue())
	}
	if q.Before != "" {
		id, ok := recordID(q.Kind, q.Before)
		if !ok {
			return nil, errPlace
		}
		f.add("id < ?", id)
	}
	return records(ctx, t.read, f.where()+" ORDER BY id DESC LIMIT ?", append(f.args, q.Limit)...)
}

func records(ctx context.Context, db querier, query string, args ...any) (list []incidents.Record, err error) {
	rows, err := db.QueryContext(ctx, "SELECT kind, id, version, state, key, live, updated_at, data FROM records "+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var r incidents.Record
		var id int64
		var updated sql.NullInt64
		var data string
		if err := rows.Scan(&r.Kind, &id, &r.Version, &r.State, &r.Key, &r.Live, &updated, &data); err != nil {
			return nil, fmt.Errorf("read records: %w", err)
		}
		r.Ref, r.UpdatedAt, r.Data = recordRef(r.Kind, id), timeOf(updated), json.RawMessage(data)
		list = append(list, r)
	}
	return list, rows.Err()
}

// Announce implements incidents.Shelf: without an outbox nobody is told.
func (t *ticketTx) Announce(*incidents.Announcement) error { return nil }
