package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"belfry/telemetry"
)

// ErrOccupied says that a database that is to be written anew holds something.
var ErrOccupied = errors.New("holds something already")

// Progress is told how many rows of a table are copied so far.
type Progress func(table string, rows int64)

// CopyTo writes everything there is in these tickets into others, which must hold
// no incidents and no devices, in one transaction. Either may be in SQLite or in
// PostgreSQL. Nobody may be writing here meanwhile, if nothing is to be missed.
func (t *Tickets) CopyTo(ctx context.Context, to *Tickets, progress Progress) error {
	return copyAll(ctx, t.database, to.database, []string{"incidents", "devices"}, progress)
}

// CopyTo writes every tenant and token into another control database, which must
// hold no tokens.
func (c *Control) CopyTo(ctx context.Context, to *Control, progress Progress) error {
	return copyAll(ctx, c.database, to.database, []string{"tokens"}, progress)
}

// Snapshot writes the tickets into a SQLite file that must not be there yet, as of
// one instant.
func (t *Tickets) Snapshot(ctx context.Context, file string) (err error) {
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("write %s: %w", file, os.ErrExist)
	}
	if !t.numbered {
		return t.vacuumInto(ctx, file)
	}
	to, err := Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return t.CopyTo(ctx, to, func(string, int64) {})
}

// vacuumInto has a connection of its own: the writer must not wait for it, and the
// readers may not write.
func (db *database) vacuumInto(ctx context.Context, file string) error {
	own, err := sql.Open("sqlite", db.source(url.Values{}))
	if err == nil {
		_, err = own.ExecContext(ctx, "VACUUM INTO ?", file)
		err = errors.Join(err, own.Close())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

func copyAll(ctx context.Context, from, to *database, empty []string, progress Progress) error {
	tables, err := from.commonTables(ctx, to)
	if err != nil {
		return err
	}
	tx, err := from.read.begin(ctx, nil) // everything as of one instant
	if err != nil {
		return fmt.Errorf("read %s: %w", from.path, err)
	}
	defer func() { _ = tx.Rollback() }()
	if from.numbered {
		if _, err := tx.ExecContext(ctx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"); err != nil {
			return fmt.Errorf("read %s: %w", from.path, err)
		}
	}
	return to.update(ctx, func(into *txn) error {
		for _, table := range empty {
			var n int64
			if err := into.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
				return fmt.Errorf("look into %s: %w", to.path, err)
			}
			if n > 0 {
				return fmt.Errorf("write %s anew: it %w: %d rows in %s", to.path, ErrOccupied, n, table)
			}
		}
		for _, table := range slices.Backward(tables) { // what a new database has by itself
			if _, err := into.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return fmt.Errorf("empty %s: %w", table, err)
			}
		}
		for _, table := range tables {
			c := copying{table: table, progress: progress}
			if c.columns, err = to.columnsOf(ctx, into, table); err != nil {
				return err
			}
			if err := c.run(ctx, tx, into); err != nil {
				return fmt.Errorf("copy %s: %w", table, err)
			}
		}
		if slices.Contains(tables, "entries") {
			return emptyIndex(ctx, into)
		}
		return nil
	})
}

// commonTables returns the tables that both have, so that one which refers to
// another comes after it. What a database makes by itself of others, such as an
// index of words, is in one of them alone.
func (db *database) commonTables(ctx context.Context, other *database) (tables []string, err error) {
	ours, err := db.tables(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := other.tables(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range ours {
		if name != "goose_db_version" && name != "search" && slices.Contains(theirs, name) {
			tables = append(tables, name)
		}
	}
	return tables, nil
}

func (db *database) tables(ctx context.Context) (names []string, err error) {
	rows, err := db.read.QueryContext(ctx, db.listTables)
	if err != nil {
		return nil, fmt.Errorf("list the tables of %s: %w", db.path, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list the tables of %s: %w", db.path, err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// tableColumn is a column that is written: not one that the database computes.
type tableColumn struct {
	name    string
	boolean bool // kept as a truth value, and as a number in the other dialect
	text    bool // never packed
	drawn   bool // from a running number of the database's own
}

func (db *database) columnsOf(ctx context.Context, tx *txn, table string) (columns []tableColumn, err error) {
	rows, err := tx.QueryContext(ctx, db.listColumns, table)
	if err != nil {
		return nil, fmt.Errorf("list the columns of %s: %w", table, err)
	}
	defer rows.Close()
	for rows.Next() {
		var c tableColumn
		var kind, identity string
		if err := rows.Scan(&c.name, &kind, &identity); err != nil {
			return nil, fmt.Errorf("list the columns of %s: %w", table, err)
		}
		c.text = db.numbered && strings.EqualFold(kind, "text")
		c.boolean, c.drawn = strings.EqualFold(kind, "boolean"), identity == "YES"
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// copying is the copy of one table under way.
type copying struct {
	table    string
	columns  []tableColumn
	progress Progress
}

func (c *copying) run(ctx context.Context, from, into *txn) error {
	var names []string
	for _, column := range c.columns {
		names = append(names, column.name)
	}
	list := strings.Join(names, ", ")
	rows, err := from.QueryContext(ctx, "SELECT "+list+" FROM "+c.table)
	if err != nil {
		return err
	}
	defer rows.Close()
	page := bulk{into: c.table + " (" + list + ")" + into.override, columns: len(names)}
	for done, more := int64(0), true; more; {
		var values [][]any
		for len(values) < 50*rowsAtOnce {
			if more = rows.Next(); !more {
				break
			}
			row, err := c.scan(rows, into.dialect)
			if err != nil {
				return err
			}
			values = append(values, row)
		}
		if _, err := page.insert(ctx, into, len(values), func(args []any, i int) ([]any, error) { return append(args, values[i]...), nil }); err != nil {
			return err
		}
		done += int64(len(values))
		c.progress(c.table, done)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return c.drawOn(ctx, into)
}

// scan reads a row, with truth values and packed texts as the other dialect has them.
func (c *copying) scan(rows interface{ Scan(...any) error }, to *dialect) ([]any, error) {
	row, into := make([]any, len(c.columns)), make([]any, len(c.columns))
	for i := range row {
		into[i] = &row[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	for i, column := range c.columns {
		switch v := row[i].(type) {
		case int64:
			if column.boolean {
				row[i] = v != 0
			}
		case bool:
			if !to.numbered {
				row[i] = number(v)
			}
		case []byte:
			if column.text {
				text, err := Unpack(v)
				if err != nil {
					return nil, fmt.Errorf("read %s: %w", column.name, err)
				}
				row[i] = string(text)
			}
		}
	}
	return row, nil
}

// drawOn lets the database's own running numbers go on behind the copied ones.
func (c *copying) drawOn(ctx context.Context, into *txn) error {
	for _, column := range c.columns {
		if !column.drawn {
			continue
		}
		_, err := into.ExecContext(ctx, "SELECT setval(pg_get_serial_sequence('"+c.table+"', '"+column.name+"'), (SELECT coalesce(max("+column.name+"), 0) + 1 FROM "+c.table+"), false)")
		if err != nil {
			return err
		}
	}
	return nil
}

// Occupied reports whether the tickets hold incidents, or devices or sites that
// somebody brought.
func (t *Tickets) Occupied(ctx context.Context) (bool, error) {
	var n int64
	err := t.read.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM incidents) + (SELECT COUNT(*) FROM devices) + (SELECT COUNT(*) FROM sites WHERE id <> ?)",
		telemetry.Unassigned).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look into %s: %w", t.path, err)
	}
	return n > 0, nil
}

// SameAs returns nil when other tickets hold as many incidents, events, sites and
// devices as these.
func (t *Tickets) SameAs(ctx context.Context, other *Tickets) error {
	var counts [2][4]int64
	for i, tickets := range []*Tickets{t, other} {
		c := &counts[i]
		err := tickets.read.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM incidents), (SELECT COUNT(*) FROM events),
			(SELECT COUNT(*) FROM sites), (SELECT COUNT(*) FROM devices)`).Scan(&c[0], &c[1], &c[2], &c[3])
		if err != nil {
			return fmt.Errorf("look into %s: %w", tickets.path, err)
		}
	}
	if counts[0] != counts[1] {
		return fmt.Errorf("%s %w: incidents, events, sites and devices are %v there and %v here", other.path, ErrOccupied, counts[1], counts[0])
	}
	return nil
}

// Fill reads the tickets from a file of Snapshot into these, which must hold no
// incidents and no devices.
func (t *Tickets) Fill(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("read the tickets: %w", err)
	}
	from, err := Open(ctx, file)
	if err != nil {
		return err
	}
	return errors.Join(from.CopyTo(ctx, t, func(string, int64) {}), from.Close())
}

// Snapshot writes some tenants with their tokens into a SQLite file.
func (c *Control) Snapshot(ctx context.Context, file string, tenants []string) (err error) {
	to, err := OpenControl(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if err := c.CopyTo(ctx, to, func(string, int64) {}); err != nil {
		return err
	}
	list, err := to.Tenants(ctx)
	for _, t := range list {
		if !slices.Contains(tenants, t.Name) {
			err = errors.Join(err, to.forget(ctx, t))
		}
	}
	return err
}

// TakeTokens takes a tenant's tokens over from a file of Snapshot, under the name
// that the tenant has here. A token that is here already stays as it is.
func (c *Control) TakeTokens(ctx context.Context, file, name, as string) error {
	from, err := OpenControl(ctx, file)
	if err != nil {
		return err
	}
	defer from.Close()
	tokens, hashes, err := from.tokens(ctx, "WHERE p.tenant = ? ORDER BY t.created_at, t.id", name)
	if err != nil {
		return err
	}
	return c.update(ctx, func(tx *txn) error {
		for i, t := range tokens {
			t.Tenant, t.Provider = as, t.Provider && as == DefaultTenant
			if err := insertToken(ctx, tx, t, hashes[i]); err != nil {
				return fmt.Errorf("take the token %s over: %w", t.ID, err)
			}
		}
		return nil
	})
}

// TakeFiles takes the bytes of attachments from a folder into the database, where
// several processes share it. A folder that is not there has none.
func (t *Tickets) TakeFiles(ctx context.Context, folder string) error {
	list, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, f := range list {
		if err != nil || !f.Type().IsRegular() || strings.HasPrefix(f.Name(), "new-") {
			continue
		}
		var data []byte
		if data, err = os.ReadFile(filepath.Join(folder, f.Name())); err == nil {
			err = t.update(ctx, func(tx *txn) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO attachment_bytes (hash, data) VALUES (?,?) ON CONFLICT (hash) DO NOTHING", f.Name(), data)
				return err
			})
		}
	}
	if err != nil {
		return fmt.Errorf("take the attachments of %s in: %w", folder, err)
	}
	return nil
}
