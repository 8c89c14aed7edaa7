package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

// RuleVersion is a rule as it was written through the API.
type RuleVersion struct {
	Name    string
	Version int64 // from 1
	Text    string
	Dropped bool // the files count again
	Actor   string
	At      time.Time
}

// RulesRevision grows with each change of a rule.
func (t *Tickets) RulesRevision(ctx context.Context) (n int64, err error) {
	if err = t.read.QueryRowContext(ctx, "SELECT count(*) FROM rule_versions").Scan(&n); err != nil {
		err = fmt.Errorf("look for changed rules: %w", err)
	}
	return n, err
}

// Rules returns the newest version of each rule that was changed, by name, those that
// were dropped left out.
func (t *Tickets) Rules(ctx context.Context) ([]RuleVersion, error) {
	return t.ruleVersions(ctx, "SELECT name, version, text, dropped, actor, at FROM rule_versions AS r"+
		" WHERE version = (SELECT max(version) FROM rule_versions WHERE name = r.name) AND NOT dropped ORDER BY name")
}

// RuleHistory returns every version of a rule, the newest first.
func (t *Tickets) RuleHistory(ctx context.Context, name string) ([]RuleVersion, error) {
	return t.ruleVersions(ctx, "SELECT name, version, text, dropped, actor, at FROM rule_versions WHERE name = ? ORDER BY version DESC", name)
}

func (t *Tickets) ruleVersions(ctx context.Context, query string, args ...any) ([]RuleVersion, error) {
	rows, err := t.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	defer rows.Close()
	var all []RuleVersion
	for rows.Next() {
		var r RuleVersion
		var at int64
		if err := rows.Scan(&r.Name, &r.Version, &r.Text, &r.Dropped, &r.Actor, &at); err != nil {
			return nil, fmt.Errorf("read the rules: %w", err)
		}
		r.At = time.UnixMilli(at).UTC()
		all = append(all, r)
	}
	return all, rows.Err()
}

// PutRule writes the next version of a rule, which has to be the one after r.Version:
// incidents.ErrStale when somebody was quicker.
func (t *Tickets) PutRule(ctx context.Context, r RuleVersion) (RuleVersion, error) {
	r.Version++
	err := t.update(ctx, func(tx *txn) error {
		var newest sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT max(version) FROM rule_versions WHERE name = ?", r.Name).Scan(&newest); err != nil {
			return err
		}
		if newest.Int64 != r.Version-1 {
			return incidents.ErrStale
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO rule_versions VALUES (?, ?, ?, ?, ?, ?)", r.Name, r.Version, r.Text, r.Dropped, r.Actor, r.At.UnixMilli())
		return err
	})
	if err != nil && !errors.Is(err, incidents.ErrStale) {
		err = fmt.Errorf("write rule %s: %w", r.Name, err)
	}
	return r, err
}
