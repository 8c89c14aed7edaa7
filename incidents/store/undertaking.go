package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"belfry/incidents"
)

// undertaking is one request with everything that it writes, on whichever
// databases: one transaction on each, begun when it is first written to. What
// goes through the context reads and writes there.
type undertaking struct {
	ctx  context.Context
	mu   sync.Mutex // one writer at a time, as everywhere
	open map[*database]*txn
}

type undertakingKey struct{}

// under returns the undertaking's transaction on a database; nil when it has
// written nothing there, or there is no undertaking.
func (db *database) under(ctx context.Context) *txn {
	if u, ok := ctx.Value(undertakingKey{}).(*undertaking); ok {
		return u.open[db]
	}
	return nil
}

// update runs fn as a step of the undertaking: when it fails nothing of it remains,
// and what came before does.
func (u *undertaking) update(db *database, fn func(*txn) error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	tx := u.open[db]
	if tx == nil {
		var err error
		if tx, err = db.beginAlone(u.ctx); err != nil {
			return err
		}
		u.open[db] = tx
	}
	if _, err := tx.ExecContext(u.ctx, "SAVEPOINT step"); err != nil {
		return fmt.Errorf("begin a step: %w", err)
	}
	if err := fn(tx); err != nil {
		_, undone := tx.ExecContext(u.ctx, "ROLLBACK TO SAVEPOINT step")
		return errors.Join(err, undone)
	}
	if _, err := tx.ExecContext(u.ctx, "RELEASE SAVEPOINT step"); err != nil {
		return fmt.Errorf("end a step: %w", err)
	}
	return nil
}

// rollBack leaves nothing of it. After a commit it does nothing.
func (u *undertaking) rollBack() {
	for _, tx := range u.open {
		_ = tx.Rollback()
	}
}

// Answers keeps what was answered to requests that may come again, each in the
// database that it changed, and in its transaction.
type Answers struct{ databases []*database }

// NewAnswers returns the answers to what changes the tickets or who may use them.
func NewAnswers(t *Tickets, c *Control) *Answers {
	return &Answers{[]*database{t.database, c.database}}
}

// answersKept is how long a request may come again.
const answersKept = 24 * time.Hour

// Recall returns what was answered under a key; nil when nothing was.
func (a *Answers) Recall(ctx context.Context, key string) (*incidents.Answer, error) {
	for _, db := range a.databases {
		var known incidents.Answer
		var at sql.NullInt64
		err := db.read.QueryRowContext(ctx, "SELECT hash, body, at FROM answers WHERE key = ?", key).Scan(&known.Hash, &known.Body, &at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("look for the answer to a repeated request: %w", err)
		}
		known.At = timeOf(at)
		return &known, nil
	}
	return nil, nil
}

// Together runs do. What it writes with the context that it is given is on disk
// together with the answer that it returns, or not at all: when it returns none or
// an error, and with ErrExists when another process has answered meanwhile.
func (a *Answers) Together(ctx context.Context, key string, do func(ctx context.Context) (*incidents.Answer, error)) error {
	u := &undertaking{ctx: ctx, open: map[*database]*txn{}}
	defer u.rollBack()
	answer, err := do(context.WithValue(ctx, undertakingKey{}, u))
	if err != nil || answer == nil {
		return err
	}
	if len(u.open) == 0 {
		return a.databases[0].update(ctx, func(tx *txn) error { return keep(ctx, tx, key, answer) })
	}
	for _, tx := range u.open {
		if err := keep(ctx, tx, key, answer); err != nil {
			return err
		}
	}
	for _, tx := range u.open {
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

// keep writes an answer, and forgets those that are too old.
func keep(ctx context.Context, tx *txn, key string, a *incidents.Answer) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM answers WHERE at < ?", a.At.Add(-answersKept).UnixMilli()); err != nil {
		return fmt.Errorf("forget old answers: %w", err)
	}
	result, err := tx.ExecContext(ctx, "INSERT INTO answers (key, hash, body, at) VALUES (?,?,?,?) ON CONFLICT (key) DO NOTHING",
		key, a.Hash, a.Body, a.At.UnixMilli())
	if err != nil {
		return fmt.Errorf("keep the answer for a repeated request: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, incidents.ErrExists)
	}
	return nil
}

// together runs do as an undertaking of its own.
func (db *database) together(ctx context.Context, do func(ctx context.Context) error) error {
	u := &undertaking{ctx: ctx, open: map[*database]*txn{}}
	defer u.rollBack()
	if err := do(context.WithValue(ctx, undertakingKey{}, u)); err != nil {
		return err
	}
	for _, tx := range u.open {
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}
