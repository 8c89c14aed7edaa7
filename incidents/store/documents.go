package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"belfry/incidents"
	"belfry/telemetry"
)

// Documents implements incidents.Store.
func (t *Tickets) Documents(ctx context.Context, kinds ...incidents.DocumentKind) ([]incidents.Document, int64, error) {
	tx, err := t.read.begin(ctx, &sql.TxOptions{ReadOnly: true}) // both from the same instant
	if err != nil {
		return nil, 0, fmt.Errorf("read documents: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	inside := &ticketTx{ctx: ctx, tx: tx}
	list, err := inside.Documents(kinds...)
	if err != nil {
		return nil, 0, err
	}
	revision, err := inside.Revision()
	return list, revision, err
}

// ClosedSites implements incidents.Tx.
func (t *ticketTx) ClosedSites() (map[string]telemetry.SiteStatus, error) {
	rows, err := t.tx.QueryContext(t.ctx, "SELECT id, status FROM sites WHERE status <> 'open'")
	if err != nil {
		return nil, fmt.Errorf("read which sites are closed: %w", err)
	}
	defer rows.Close()
	closed := map[string]telemetry.SiteStatus{}
	for rows.Next() {
		var id string
		var status telemetry.SiteStatus
		if err := rows.Scan(&id, &status); err != nil {
			return nil, fmt.Errorf("read which sites are closed: %w", err)
		}
		closed[id] = status
	}
	return closed, rows.Err()
}

// Firing implements incidents.Tx.
func (t *ticketTx) Firing(rule, site string) ([]incidents.Incident, error) {
	list, err := rowsOf(t.ctx, t.tx, `WHERE site = ? AND open = 1
		AND sort IN (SELECT id FROM sorts WHERE rule = ? AND state IN ('new', 'in_progress', 'pending')) ORDER BY id`, site, rule)
	if err != nil {
		return nil, fmt.Errorf("read what fires at %s: %w", site, err)
	}
	return list, nil
}

// Children implements incidents.Tx.
func (t *ticketTx) Children(ref string) ([]incidents.Incident, error) {
	list, err := rowsOf(t.ctx, t.tx, `WHERE parent = ?
		AND sort IN (SELECT id FROM sorts WHERE state IN ('new', 'in_progress', 'pending')) ORDER BY id`, ref)
	if err != nil {
		return nil, fmt.Errorf("read what %s stands for: %w", ref, err)
	}
	return list, nil
}

// Revision implements incidents.Tx.
func (t *ticketTx) Revision() (revision int64, err error) {
	err = t.tx.QueryRowContext(t.ctx, "SELECT value FROM counters WHERE name = 'documents'").Scan(&revision)
	if err != nil {
		return 0, fmt.Errorf("read the documents' revision: %w", err)
	}
	return revision, nil
}

// Documents implements incidents.Tx.
func (t *ticketTx) Documents(kinds ...incidents.DocumentKind) (list []incidents.Document, err error) {
	args := make([]any, len(kinds))
	for i, k := range kinds {
		args[i] = string(k)
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(kinds)), ",")
	rows, err := t.tx.QueryContext(t.ctx, `SELECT kind, id, version, at, actor, retired, data FROM documents
		WHERE kind IN (`+marks+`) ORDER BY kind, id, version`, args...)
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d incidents.Document
		var at sql.NullInt64
		var data string
		if err := rows.Scan(&d.Kind, &d.ID, &d.Version, &at, &d.Actor, &d.Retired, &data); err != nil {
			return nil, fmt.Errorf("read documents: %w", err)
		}
		d.At, d.Data = timeOf(at), json.RawMessage(data)
		list = append(list, d)
	}
	return list, rows.Err()
}

// PutDocument implements incidents.Tx.
func (t *ticketTx) PutDocument(d incidents.Document) error {
	_, err := t.tx.ExecContext(t.ctx, "INSERT INTO documents (kind, id, version, at, actor, retired, data) VALUES (?,?,?,?,?,?,?)",
		string(d.Kind), d.ID, d.Version, d.At.UnixMilli(), d.Actor, d.Retired, string(d.Data))
	if err != nil {
		return fmt.Errorf("write the %s %s: %w", d.Kind, d.ID, err)
	}
	_, err = draw(t.ctx, t.tx, "documents", 1)
	return err
}
