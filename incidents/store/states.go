package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"belfry/analyzer"
)

// States keeps what the analyzer remembers. It is the analyzer.States of the
// tenant, in the same database as its incidents.
type States struct{ *database }

// States returns the analyzer's states in this database.
func (t *Tickets) States() States { return States{t.database} }

var stateRows = bulk{
	into:    "analyzer_states (rule, level, scope, rule_hash, phase, unknown, since, calm, at, value, began, fired, capped)",
	columns: 13,
	suffix: `ON CONFLICT (rule, level, scope) DO UPDATE SET rule_hash = excluded.rule_hash, phase = excluded.phase, unknown = excluded.unknown,
		since = excluded.since, calm = excluded.calm, at = excluded.at, value = excluded.value,
		began = excluded.began, fired = excluded.fired, capped = excluded.capped`,
}

// Save keeps the changed states and the progress, together or not at all.
func (s States) Save(ctx context.Context, changed []analyzer.State, p analyzer.Progress) error {
	var kept []*analyzer.State
	err := s.update(ctx, func(tx *txn) error {
		kept = kept[:0]
		for i := range changed {
			if changed[i].Phase != analyzer.Inactive {
				kept = append(kept, &changed[i])
			} else if err := forget(ctx, tx, &changed[i]); err != nil {
				return err
			}
		}
		if err := keepSpells(ctx, tx, changed); err != nil {
			return err
		}
		_, err := stateRows.insert(ctx, tx, len(kept), func(args []any, i int) ([]any, error) {
			c := kept[i]
			return append(args, c.Rule, string(c.Scope.Level), c.Scope.Name, c.RuleHash, string(c.Phase), c.Unknown,
				nanos(c.Since), nanos(c.Calm), nanos(c.At), c.Value, nanos(c.Began), nanos(c.Fired), c.Capped), nil
		})
		if err != nil {
			return err
		}
		return saveProgress(ctx, tx, p)
	})
	if err != nil {
		return fmt.Errorf("save %d states of the analyzer: %w", len(changed), err)
	}
	return nil
}

// saveProgress keeps the progress. That of shards goes beside that of the others, which
// other analyzers hold.
func saveProgress(ctx context.Context, tx *txn, p analyzer.Progress) error {
	if p.Shards != nil {
		kept, err := loadProgress(ctx, tx)
		if err != nil {
			return err
		}
		mine := p.Shards
		p = kept
		if p.Shards == nil {
			p.Shards = map[int]analyzer.Progress{}
		}
		maps.Copy(p.Shards, mine)
	}
	progress, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("write the analyzer's progress: %w", err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO analyzer_progress VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data", string(progress))
	return err
}

func forget(ctx context.Context, tx *txn, s *analyzer.State) error {
	_, err := tx.ExecContext(ctx, "DELETE FROM analyzer_states WHERE rule = ? AND level = ? AND scope = ?",
		s.Rule, string(s.Scope.Level), s.Scope.Name)
	return err
}

// Load returns every state kept, and the progress; both empty at first.
func (s States) Load(ctx context.Context) (list []analyzer.State, p analyzer.Progress, err error) {
	tx, err := s.read.begin(ctx, &sql.TxOptions{ReadOnly: true}) // both from the same instant
	if err != nil {
		return nil, p, fmt.Errorf("load the analyzer's states: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	if p, err = loadProgress(ctx, tx); err != nil {
		return nil, p, err
	}
	rows, err := tx.QueryContext(ctx, "SELECT rule, level, scope, rule_hash, phase, unknown, since, calm, at, value, began, fired, capped FROM analyzer_states")
	if err != nil {
		return nil, p, fmt.Errorf("load the analyzer's states: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var st analyzer.State
		var since, calm, at, began, fired sql.NullInt64
		if err := rows.Scan(&st.Rule, &st.Scope.Level, &st.Scope.Name, &st.RuleHash, &st.Phase, &st.Unknown, &since, &calm, &at, &st.Value, &began, &fired, &st.Capped); err != nil {
			return nil, p, fmt.Errorf("load the analyzer's states: %w", err)
		}
		st.Since, st.Calm, st.At = fromNanos(since), fromNanos(calm), fromNanos(at)
		st.Began, st.Fired = fromNanos(began), fromNanos(fired)
		list = append(list, st)
	}
	return list, p, rows.Err()
}

func loadProgress(ctx context.Context, tx *txn) (p analyzer.Progress, err error) {
	var data string
	err = tx.QueryRowContext(ctx, "SELECT data FROM analyzer_progress").Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(data), &p)
	}
	if err != nil {
		return p, fmt.Errorf("load the analyzer's progress: %w", err)
	}
	return p, nil
}

func nanos(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixNano()
}

func fromNanos(ns sql.NullInt64) time.Time {
	if !ns.Valid {
		return time.Time{}
	}
	return time.Unix(0, ns.Int64).UTC()
}
