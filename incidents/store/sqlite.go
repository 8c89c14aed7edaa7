// Package store keeps what the core decides in SQL: a tenant's incidents with
// their timelines, its registry of sites and devices and the analyzer's states
// in one database (Tickets), and who may use the API in another (Control).
//
// It translates and decides nothing: the life cycle is that of the incidents
// package. Writers follow one another on one connection, in transactions that
// are on disk when they return; readers have their own connections and see the
// last committed state. References, versions and revisions are drawn inside the
// transaction that uses them.
//
// The tickets are kept in SQLite or in PostgreSQL, by the same statements. What is
// dialect lies in the migrations' folders, in dialect.go, and in sqlite.go and
// postgres.go, which open the databases.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// database is a database, opened once for writing and several times for reading.
type database struct {
	*dialect
	path  string // of the file, or what tells a server's database from others
	write *pool  // one connection
	read  *pool

	group      group      // of those who write
	statements statements // prepared on the writing connection
}

// readers is how many queries run at once beside the writer.
const readers = 4

// open opens the file, making it when it is missing, and brings its schema up
// to date with the migrations in the folder of that name.
func open(ctx context.Context, path, schema string) (*database, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db := &database{dialect: sqlite, path: path}
	if err := db.connect(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	if err := db.migrate(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the schema of %s up to date: %w", path, err), db.Close())
	}
	return db, nil
}

// Pragmas of every connection. FULL: a commit is on disk when it returns. The log
// grows to 32 MiB before its pages go to their places: in a storm those of the
// indexes change in nearly every transaction, and are so written once for many.
var pragmas = []string{"journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(8192)", "busy_timeout(10000)", "foreign_keys(1)",
	"cache_size(-65536)", "temp_store(MEMORY)"}

// source is what the driver opens, with more than the pragmas of every connection.
func (db *database) source(extra url.Values) string {
	extra["_pragma"] = append(extra["_pragma"], pragmas...)
	return (&url.URL{Scheme: "file", Path: db.path, RawQuery: extra.Encode()}).String()
}

func (db *database) connect() (err error) {
	write, err := sql.Open("sqlite", db.source(url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return err
	}
	db.write = newPool(write, db, 1)
	read, err := sql.Open("sqlite", db.source(url.Values{"_pragma": {"query_only(1)"}}))
	if err != nil {
		return err
	}
	db.read = newPool(read, db, readers)
	return db.write.Ping()
}

func (db *database) migrate(ctx context.Context, schema string) error {
	files, err := fs.Sub(migrations, "migrations/"+db.name+"/"+schema)
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(db.goose, db.write.DB, files, goose.WithAllowOutofOrder(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Close lets the running statements end and closes the file.
func (db *database) Close() error {
	var errs []error
	for _, pool := range []*pool{db.read, db.write} {
		if pool != nil {
			errs = append(errs, pool.Close())
		}
	}
	return errors.Join(errs...)
}

// Ping reports whether the database answers.
func (db *database) Ping(ctx context.Context) error {
	var one int
	if err := db.read.QueryRowContext(ctx, "SELECT 1 FROM goose_db_version LIMIT 1").Scan(&one); err != nil {
		return fmt.Errorf("ask %s: %w", filepath.Base(db.path), err)
	}
	return nil
}

// update runs fn in a transaction on the writing connection, or as a step of the
// undertaking that the context belongs to.
func (db *database) update(ctx context.Context, fn func(*txn) error) error {
	if u, ok := ctx.Value(undertakingKey{}).(*undertaking); ok {
		return u.update(db, fn)
	}
	return db.do(ctx, func(tx *txn) error {
		if err := tx.heldBy(ctx); err != nil {
			return err
		}
		return fn(tx)
	})
}

// beginAlone begins a transaction that no other writer runs beside.
func (db *database) beginAlone(ctx context.Context) (*txn, error) {
	tx, err := db.write.begin(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	if db.lock != "" {
		if _, err := tx.ExecContext(ctx, db.lock); err != nil {
			return nil, errors.Join(fmt.Errorf("wait for other writers: %w", err), tx.Rollback())
		}
	}
	return tx, nil
}

// draw takes n running numbers and returns the first.
func draw(ctx context.Context, tx *txn, counter string, n int64) (int64, error) {
	var last int64
	err := tx.QueryRowContext(ctx, "UPDATE counters SET value = value + ? WHERE name = ? RETURNING value", n, counter).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("draw %d numbers of %s: %w", n, counter, err)
	}
	return last - n + 1, nil
}

// millis returns a time as it is stored; nil for the zero time.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func timeOf(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
