package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"belfry/incidents"
)

// Record appends an audit record. Its ID is ignored.
func (t *Tickets) Record(ctx context.Context, r incidents.AuditRecord) error {
	err := t.update(ctx, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO audit (at, name, token, role, site, method, route, path, status, request, origin, unrecorded)
			VALUES (?,?,?,?,?,?,?,?,?,?,?,?)`, r.At.UnixMilli(), r.Name, r.Token, string(r.Role), r.Site, r.Method, r.Route, r.Path,
			r.Status, r.Request, r.From, r.Unrecorded)
		return err
	})
	if err != nil {
		return fmt.Errorf("record %s %s by %s: %w", r.Method, r.Route, r.Name, err)
	}
	return nil
}

// AuditRecords returns a page of audit records, the newest first.
func (t *Tickets) AuditRecords(ctx context.Context, q incidents.AuditQuery) ([]incidents.AuditRecord, error) {
	f := filter{}
	f.text("name", q.Name)
	f.text("token", q.Token)
	f.text("method", q.Method)
	for term, n := range map[string]int64{"status = ?": int64(q.Status), "id < ?": q.Before} {
		if n > 0 {
			f.add(term, n)
		}
	}
	if !q.Since.IsZero() {
		f.add("at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		f.add("at < ?", q.Until.UnixMilli())
	}
	rows, err := t.read.QueryContext(ctx, `SELECT id, at, name, token, role, site, method, route, path, status, request, origin, unrecorded
		FROM audit`+f.where()+" ORDER BY id DESC LIMIT ?", append(f.args, q.Limit)...)
	if err != nil {
		return nil, fmt.Errorf("read audit records: %w", err)
	}
	defer rows.Close()
	var list []incidents.AuditRecord
	for rows.Next() {
		var r incidents.AuditRecord
		var at sql.NullInt64
		if err := rows.Scan(&r.ID, &at, &r.Name, &r.Token, &r.Role, &r.Site, &r.Method, &r.Route, &r.Path, &r.Status,
			&r.Request, &r.From, &r.Unrecorded); err != nil {
			return nil, fmt.Errorf("read audit records: %w", err)
		}
		r.At = timeOf(at)
		list = append(list, r)
	}
	return list, rows.Err()
}

// ForgetRecords drops the audit records from before that time.
func (t *Tickets) ForgetRecords(ctx context.Context, before time.Time) error {
	err := t.update(ctx, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM audit WHERE at < ?", before.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget old audit records: %w", err)
	}
	return nil
}
