package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// rowsAtOnce is how many rows one INSERT statement carries. The driver's cost of
// a statement is some microseconds; shared by that many rows it no longer shows.
const rowsAtOnce = 64

// bulk inserts rows many at a time.
type bulk struct {
	into    string // "t (a, b)"
	columns int
	row     string // "(?, 0)" where some columns are the same in all rows; "" where none is
	fresh   bool   // nothing of the like is there
	suffix  string // "ON CONFLICT ..."
}

func (b bulk) sql(d *dialect, rows int) string {
	insert := "INSERT "
	if b.fresh {
		insert += d.orFail
	}
	return insert + "INTO " + b.into + " VALUES " + strings.TrimSuffix(strings.Repeat(b.values()+",", rows), ",") + " " + b.suffix
}

// values are those of one row.
func (b bulk) values() string {
	if b.row != "" {
		return b.row
	}
	return "(" + marks(b.columns) + ")"
}

// insert writes n rows; row appends the values of row i, on a goroutine of its own
// while the rows before are inserted, and so asks the transaction nothing. It returns
// how many rows were inserted or changed.
func (b bulk) insert(ctx context.Context, tx *txn, n int, row func(args []any, i int) ([]any, error)) (changed int64, err error) {
	var full *sql.Stmt
	write := func(args []any, from int) (v values) {
		v.args = args[:0]
		for i := from; i < min(from+rowsAtOnce, n) && v.err == nil; i++ {
			v.args, v.err = row(v.args, i)
		}
		return v
	}
	room := func() []any { return make([]any, 0, min(n, rowsAtOnce)*strings.Count(b.values(), "?")) }
	now, spare := write(room(), 0), []any(nil)
	for from := 0; from < n; from += rowsAtOnce {
		if now.err != nil {
			return changed, now.err
		}
		if n-from < rowsAtOnce {
			return b.exec(changed, func() (sql.Result, error) { return tx.ExecContext(ctx, b.sql(tx.dialect, n-from), now.args...) })
		}
		if full == nil {
			if full, err = tx.PrepareContext(ctx, b.sql(tx.dialect, rowsAtOnce)); err != nil {
				return changed, fmt.Errorf("insert into %s: %w", b.into, err)
			}
			defer full.Close()
		}
		if spare == nil {
			spare = room()
		}
		next := make(chan values, 1)
		go func(into []any) { next <- write(into, from+rowsAtOnce) }(spare)
		changed, err = b.exec(changed, func() (sql.Result, error) { return full.ExecContext(ctx, tx.args(now.args)...) })
		spare = now.args
		if now = <-next; err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// values are those of the rows of one statement.
type values struct {
	args []any
	err  error
}

func (b bulk) exec(before int64, run func() (sql.Result, error)) (int64, error) {
	result, err := run()
	if err != nil {
		return before, fmt.Errorf("insert into %s: %w", b.into, err)
	}
	n, err := result.RowsAffected()
	return before + n, err
}
