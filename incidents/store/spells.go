package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// spellsKept is how long a spell is kept after its end.
const spellsKept = 200 * 24 * time.Hour

var spellRows = bulk{into: "analyzer_spells (rule, level, scope, fired, began, ended)", columns: 6, suffix: "ON CONFLICT DO NOTHING"}

// keepSpells keeps what of the states fired for a device and has ended, and drops what
// ended long before.
func keepSpells(ctx context.Context, tx *txn, changed []analyzer.State) error {
	var ended []analyzer.Spell
	for i := range changed {
		if s, fired := changed[i].Spell(); fired && !s.Ended.IsZero() && s.Scope.Level == telemetry.LevelDevice {
			ended = append(ended, s)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	_, err := spellRows.insert(ctx, tx, len(ended), func(args []any, i int) ([]any, error) {
		s := ended[i]
		return append(args, s.Rule, string(s.Scope.Level), s.Scope.Name, nanos(s.Fired), nanos(s.Began), nanos(s.Ended)), nil
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM analyzer_spells WHERE ended < ?", ended[0].Ended.Add(-spellsKept).UnixNano())
	return err
}

// Spells returns the spells that ended at or after an instant, by their ends.
func (s States) Spells(ctx context.Context, since time.Time) (all []analyzer.Spell, err error) {
	tx, err := s.read.begin(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("load the analyzer's spells: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	rows, err := tx.QueryContext(ctx, "SELECT rule, level, scope, fired, began, ended FROM analyzer_spells WHERE ended >= ? ORDER BY ended, rule, level, scope", spellBound(since))
	if err != nil {
		return nil, fmt.Errorf("load the analyzer's spells: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var one analyzer.Spell
		var fired, began, ended sql.NullInt64
		if err := rows.Scan(&one.Rule, &one.Scope.Level, &one.Scope.Name, &fired, &began, &ended); err != nil {
			return nil, fmt.Errorf("load the analyzer's spells: %w", err)
		}
		one.Fired, one.Began, one.Ended = fromNanos(fired), fromNanos(began), fromNanos(ended)
		all = append(all, one)
	}
	return all, rows.Err()
}

// spellBound is an instant in nanoseconds; one before 1970 has the least.
func spellBound(t time.Time) int64 {
	if t.Before(time.Unix(0, 0)) {
		return 0
	}
	return t.UnixNano()
}
