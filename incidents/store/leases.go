package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Lease is the shards that an analyzer holds, each with the epoch at which it was
// taken.
type Lease struct {
	Holder string
	Shards map[int]int64
}

// List returns the shards, ascending.
func (l Lease) List() []int { return slices.Sorted(maps.Keys(l.Shards)) }

// ErrLeaseLost says that a shard has another holder now: what was found for it is the
// other's to find.
var ErrLeaseLost = errors.New("the lease was lost")

// leaseTime is how long a lease lasts that is not renewed. Who dies is followed after
// that time and one renewal; clocks of different machines may differ by a part of it.
const leaseTime = 30 * time.Second

// RenewLease prolongs what the holder has and divides n shards evenly among the
// analyzers at work: it gives up what is more than its share, and takes up to its share
// of what is free or was not renewed. A shard that it held in an earlier life, of which
// l knows nothing, is its own at once, with a new epoch.
func (t *Tickets) RenewLease(ctx context.Context, l Lease, n int, at time.Time) (Lease, error) {
	mine := Lease{Holder: l.Holder, Shards: map[int]int64{}}
	err := t.update(ctx, func(tx *txn) error {
		clear(mine.Shards)
		until := at.Add(leaseTime).UnixNano()
		for _, s := range []struct {
			query string
			args  []any
		}{
			{"DELETE FROM analyzer_members WHERE until < ?", []any{at.UnixNano()}},
			{"INSERT INTO analyzer_members VALUES (?, ?) ON CONFLICT (holder) DO UPDATE SET until = excluded.until", []any{l.Holder, until}},
		} {
			if _, err := tx.ExecContext(ctx, s.query, s.args...); err != nil {
				return err
			}
		}
		var members int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM analyzer_members").Scan(&members); err != nil {
			return err
		}
		rows, err := leaseRows(ctx, tx, n)
		if err != nil {
			return err
		}
		for _, r := range divide(rows, l, (n+members-1)/members, at.UnixNano()) {
			if r.holder == l.Holder {
				mine.Shards[r.shard], r.until = r.epoch, until
			}
			if err := r.save(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return l, fmt.Errorf("renew the lease of %s: %w", l.Holder, err)
	}
	return mine, nil
}

// leaseRow is a shard's row.
type leaseRow struct {
	shard        int
	holder       string
	epoch, until int64
}

func (r leaseRow) save(ctx context.Context, tx *txn) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO analyzer_leases VALUES (?, ?, ?, ?) ON CONFLICT (shard) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch, until = excluded.until",
		r.shard, r.holder, r.epoch, r.until)
	return err
}

// leaseRows reads the rows of n shards; one that is missing is free.
func leaseRows(ctx context.Context, tx *txn, n int) ([]leaseRow, error) {
	all := make([]leaseRow, n)
	for i := range all {
		all[i].shard = i
	}
	rows, err := tx.QueryContext(ctx, "SELECT shard, holder, epoch, until FROM analyzer_leases")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r leaseRow
		if err := rows.Scan(&r.shard, &r.holder, &r.epoch, &r.until); err != nil {
			return nil, err
		}
		if r.shard >= 0 && r.shard < n {
			all[r.shard] = r
		}
	}
	return all, rows.Err()
}

// divide returns the rows that change: those that the holder keeps, gives up or takes.
func divide(rows []leaseRow, l Lease, share int, at int64) []leaseRow {
	var changed []leaseRow
	held := 0
	for _, r := range rows {
		if r.holder != l.Holder {
			continue
		}
		switch epoch, known := l.Shards[r.shard]; {
		case held >= share:
			r.holder, r.until = "", 0
		case !known || epoch != r.epoch:
			r.epoch++
			held++
		default:
			held++
		}
		changed = append(changed, r)
	}
	for _, r := range rows {
		if r.holder != l.Holder && r.until < at && held < share {
			held++
			changed = append(changed, leaseRow{r.shard, l.Holder, r.epoch + 1, 0})
		}
	}
	return changed
}

// ReleaseLease gives up what the holder has, so that others need not wait.
func (t *Tickets) ReleaseLease(ctx context.Context, holder string) error {
	err := t.update(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM analyzer_members WHERE holder = ?", holder); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE analyzer_leases SET holder = '', until = 0 WHERE holder = ?", holder)
		return err
	})
	if err != nil {
		return fmt.Errorf("release the lease of %s: %w", holder, err)
	}
	return nil
}

type leaseKey struct{}

// Under returns a context in which nothing is written once one of the lease's shards
// has another holder: each transaction begins with the question. So an analyzer that
// stood still, and was followed, can neither open an incident nor save a state.
func (l Lease) Under(ctx context.Context) context.Context {
	return context.WithValue(ctx, leaseKey{}, l)
}

// heldBy returns ErrLeaseLost when the context's lease is no longer held.
func (tx *txn) heldBy(ctx context.Context) error {
	l, ok := ctx.Value(leaseKey{}).(Lease)
	if !ok {
		return nil
	}
	rows, err := tx.QueryContext(ctx, "SELECT shard, epoch FROM analyzer_leases WHERE holder = ?", l.Holder)
	if err != nil {
		return fmt.Errorf("look at the lease: %w", err)
	}
	defer rows.Close()
	found := 0
	for rows.Next() {
		var shard int
		var epoch int64
		if err := rows.Scan(&shard, &epoch); err != nil {
			return fmt.Errorf("look at the lease: %w", err)
		}
		if held, ok := l.Shards[shard]; ok && held == epoch {
			found++
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look at the lease: %w", err)
	}
	if found < len(l.Shards) {
		return ErrLeaseLost
	}
	return nil
}
