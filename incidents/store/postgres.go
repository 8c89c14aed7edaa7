package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// OpenPostgres opens a ticket database on a PostgreSQL server, and brings its
// schema up to date. The database must exist; it may be shared by many processes.
// The source is a URL or key=value pairs, as libpq has them.
func OpenPostgres(ctx context.Context, source string) (*Tickets, error) {
	return OpenPostgresSchema(ctx, source, "")
}

// OpenPostgresSchema is OpenPostgres in a schema of its own, which is made when it
// is missing: several tenants share a server's database so, and nothing else.
func OpenPostgresSchema(ctx context.Context, source, schema string) (*Tickets, error) {
	db, err := openPostgres(ctx, source, schema, "tickets")
	if err != nil {
		return nil, err
	}
	return prepared(ctx, db)
}

// OpenControlPostgres opens the control database, in a schema of its own.
func OpenControlPostgres(ctx context.Context, source string) (*Control, error) {
	db, err := openPostgres(ctx, source, "belfry_control", "control")
	if err != nil {
		return nil, err
	}
	return &Control{db}, nil
}

// DropPostgresSchema deletes a schema with all that is in it.
func DropPostgresSchema(ctx context.Context, source, schema string) error {
	conn, err := pgx.Connect(ctx, source)
	if err != nil {
		return fmt.Errorf("open the ticket database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+pgx.Identifier{schema}.Sanitize()+" CASCADE"); err != nil {
		return fmt.Errorf("drop schema %s: %w", schema, err)
	}
	return nil
}

func openPostgres(ctx context.Context, source, schema, kind string) (*database, error) {
	config, err := pgx.ParseConfig(source)
	if err != nil {
		return nil, fmt.Errorf("read the address of the ticket database: %w", err)
	}
	name := fmt.Sprintf("postgres database %s at %s", config.Database, config.Host)
	if schema != "" {
		config.RuntimeParams["search_path"] = schema
		name = "schema " + schema + " of the " + name
	}
	db := &database{dialect: postgres, path: name}
	db.write, db.read = newPool(stdlib.OpenDB(*config), db, 1), newPool(stdlib.OpenDB(*config), db, readers)
	if err := db.write.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the %s: %w", name, err), db.Close())
	}
	if err := db.migrateAlone(ctx, schema, kind); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the schema of the %s up to date: %w", name, err), db.Close())
	}
	return db, nil
}

// migrateAlone migrates while other processes that start at the same time wait.
func (db *database) migrateAlone(ctx context.Context, schema, kind string) error {
	_, err := db.underLock(ctx, "true FROM pg_advisory_lock(5101703)", func(alone *sql.Conn) error {
		if schema != "" {
			if _, err := alone.ExecContext(ctx, "CREATE SCHEMA IF NOT EXISTS "+pgx.Identifier{schema}.Sanitize()); err != nil {
				return err
			}
		}
		return db.migrate(ctx, kind)
	})
	return err
}

// underLock runs do in a session that has a lock of the server's, and says whether it
// got it. A process that dies, or loses its connection, gives the lock back.
func (db *database) underLock(ctx context.Context, lock string, do func(*sql.Conn) error) (locked bool, err error) {
	session, err := db.read.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer session.Close()
	if err := session.QueryRowContext(ctx, "SELECT "+lock).Scan(&locked); err != nil || !locked {
		return false, err
	}
	defer func() {
		_, unlocked := session.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock_all()")
		err = errors.Join(err, unlocked)
	}()
	return true, do(session)
}
