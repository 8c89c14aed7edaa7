package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
)

// group lets writers that come at the same time share a transaction, and so one
// wait for the disk. Whoever comes first does the work of all that wait, in the
// order of their coming; each is a step of its own, of which nothing remains when it
// fails. Nobody is told that it is done before it is on disk.
type group struct {
	mu      sync.Mutex
	waiting []*deed
	busy    bool // somebody does the work
}

// deed is what one writer wants done.
type deed struct {
	ctx   context.Context
	fn    func(*txn) error
	err   error
	panic any
	lead  chan struct{} // closed when it is this one's turn to do the work
	done  chan struct{} // closed when it is done
}

// together is how many deeds share a transaction at the most.
const together = 64

// do runs fn in a transaction on the writing connection.
func (db *database) do(ctx context.Context, fn func(*txn) error) error {
	d := &deed{ctx: ctx, fn: fn, lead: make(chan struct{}), done: make(chan struct{})}
	g := &db.group
	g.mu.Lock()
	g.waiting = append(g.waiting, d)
	first := !g.busy
	g.busy = true
	g.mu.Unlock()
	if !first {
		select {
		case <-d.done:
		case <-d.lead:
			first = true
		}
	}
	if first {
		db.work()
		<-d.done
	}
	if d.panic != nil {
		panic(d.panic)
	}
	return d.err
}

// work does what waits, the caller's own deed first, and hands over to the next.
func (db *database) work() {
	g := &db.group
	g.mu.Lock()
	n := min(len(g.waiting), together)
	now := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.mu.Unlock()
	if len(now) == 1 || !db.shared(now) {
		for _, d := range now {
			d.err = db.alone(d)
		}
	}
	for _, d := range now {
		close(d.done)
	}
	db.learn()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy = len(g.waiting) > 0; g.busy {
		close(g.waiting[0].lead)
	}
}

// alone does one deed in a transaction of its own.
func (db *database) alone(d *deed) error {
	tx, err := db.beginAlone(d.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	if err := d.run(tx); errors.Is(err, driver.ErrBadConn) {
		return fmt.Errorf("the %s went away, and nothing of this was done: %w", db.path, err)
	} else if err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// shared does many deeds in one transaction. It reports false when none of them is
// done: then each has to be done alone, so that who fails does not fail the others.
func (db *database) shared(deeds []*deed) bool {
	ctx := context.WithoutCancel(deeds[0].ctx) // nobody's leaving ends the others' transaction
	tx, err := db.beginAlone(ctx)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback() }()
	for _, d := range deeds {
		if d.err = context.Cause(d.ctx); d.err != nil {
			continue
		}
		if _, err := tx.ExecContext(ctx, "SAVEPOINT deed"); err != nil {
			return false
		}
		if d.err = d.run(tx); d.err != nil {
			if _, err := tx.ExecContext(ctx, "ROLLBACK TO SAVEPOINT deed"); err != nil {
				return false // the database has ended the transaction by itself
			}
		}
		if _, err := tx.ExecContext(ctx, "RELEASE SAVEPOINT deed"); err != nil {
			return false
		}
	}
	return tx.Commit() == nil
}

// run does the deed in a transaction. A panic is for its owner.
func (d *deed) run(tx *txn) (err error) {
	defer func() {
		if r := recover(); r != nil {
			d.panic, err = r, errors.New("it panicked")
		}
	}()
	return d.fn(tx)
}
