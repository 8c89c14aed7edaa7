package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// OpenPostgres opens the ticket database of one tenant on a PostgreSQL server, and
// brings its schema up to date. The database must exist; it may be shared by many
// processes. The source is a URL or key=value pairs, as libpq has them.
func OpenPostgres(ctx context.Context, source string) (*Tickets, error) {
	config, err := pgx.ParseConfig(source)
	if err != nil {
		return nil, fmt.Errorf("read the address of the ticket database: %w", err)
	}
	name := fmt.Sprintf("postgres database %s at %s", config.Database, config.Host)
	db := &database{dialect: postgres, path: name,
		write: newPool(stdlib.OpenDB(*config), postgres, 1), read: newPool(stdlib.OpenDB(*config), postgres, readers)}
	if err := db.write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the %s: %w", name, err), db.Close())
	}
	if err := db.migrateAlone(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the schema of the %s up to date: %w", name, err), db.Close())
	}
	return prepared(ctx, db)
}

// migrateAlone migrates while other processes that start at the same time wait.
func (db *database) migrateAlone(ctx context.Context) (err error) {
	alone, err := db.read.Conn(ctx)
	if err != nil {
		return err
	}
	defer alone.Close() // ends the session's lock with it, at the latest
	if _, err := alone.ExecContext(ctx, "SELECT pg_advisory_lock(5101703)"); err != nil {
		return err
	}
	defer func() {
		_, unlocked := alone.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(5101703)")
		err = errors.Join(err, unlocked)
	}()
	return db.migrate(ctx, "tickets")
}
