package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"

	"github.com/pressly/goose/v3"
)

// dialect is in what the databases differ. Statements are written once, with
// question marks for their arguments.
type dialect struct {
	name     string // of the migrations' folder
	goose    goose.Dialect
	numbered bool      // arguments are written $1, $2
	lock     string    // makes writers follow one another, where a transaction alone does not
	instr    string    // the function that finds a text in another
	siteName string    // the name in a site's JSON
	hint     string    // written before a column keeps the planner from its index
	orFail   string    // an INSERT that fails leaves its rows from before, and so need not remember what was there
	each     [2]string // around a query makes a table of it that a join runs for each row

	listTables  string // the tables that are written to, in an order that references allow
	listColumns string // of a table: name, type, and YES where the database draws the number
	override    string // behind an INSERT's columns: numbers that the database would draw are given
}

var sqlite = &dialect{name: "sqlite", goose: goose.DialectSQLite3, instr: "instr",
	siteName: "json_extract(data, '$.name')", hint: "+", orFail: "OR FAIL ",
	each:        [2]string{"json_each((SELECT json_group_array(value) FROM (", ")))"},
	listTables:  `SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
	listColumns: "SELECT name, type, 'NO' FROM pragma_table_info(?)"}

// The number of the lock is arbitrary; locks of other databases and schemas are
// others.
var postgres = &dialect{name: "postgres", goose: goose.DialectPostgres, numbered: true,
	lock: "SELECT pg_advisory_xact_lock(5101702, hashtext(current_schema()))", instr: "strpos", siteName: "data::json->>'name'",
	each:       [2]string{"LATERAL (", ")"},
	listTables: "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name",
	listColumns: `SELECT column_name, data_type, is_identity FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = ? AND is_generated = 'NEVER' ORDER BY ordinal_position`,
	override: " OVERRIDING SYSTEM VALUE"}

// forEach makes a table of a query for the column value that uses columns of the
// tables before it.
func (d *dialect) forEach(query string) string { return d.each[0] + query + d.each[1] }

var rebound sync.Map // statement with question marks to the same with numbers

// rebind writes a statement in the dialect. None of ours holds a question mark
// that is no argument.
func (d *dialect) rebind(query string) string {
	if !d.numbered {
		return query
	}
	if known, ok := rebound.Load(query); ok {
		return known.(string)
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	rebound.Store(query, b.String())
	return b.String()
}

// args mends what the database can't take: PostgreSQL has no NUL in its texts.
func (d *dialect) args(args []any) []any {
	if d.numbered {
		for i, a := range args {
			if s, ok := a.(string); ok && strings.Contains(s, "\x00") {
				args[i] = strings.ReplaceAll(s, "\x00", "\uFFFD")
			}
		}
	}
	return args
}

// pool is a sql.DB that speaks the dialect.
type pool struct {
	*sql.DB
	*dialect
	of *database
}

func newPool(db *sql.DB, of *database, connections int) *pool {
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return &pool{db, of.dialect, of}
}

// QueryContext is that of sql.DB. An undertaking sees what it has written.
func (p *pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if tx := p.of.under(ctx); tx != nil {
		return tx.QueryContext(ctx, query, args...)
	}
	return p.DB.QueryContext(ctx, p.rebind(query), p.args(args)...)
}

// QueryRowContext is that of sql.DB. An undertaking sees what it has written.
func (p *pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if tx := p.of.under(ctx); tx != nil {
		return tx.QueryRowContext(ctx, query, args...)
	}
	return p.DB.QueryRowContext(ctx, p.rebind(query), p.args(args)...)
}

func (p *pool) begin(ctx context.Context, options *sql.TxOptions) (*txn, error) {
	tx, err := p.BeginTx(ctx, options)
	return &txn{tx, p.dialect, p}, err
}

// txn is a sql.Tx that speaks the dialect.
type txn struct {
	*sql.Tx
	*dialect
	pool *pool
}

// prepared returns the statement as it is prepared; nil where it is not, or need
// not be.
func (t *txn) prepared(ctx context.Context, query string) *sql.Stmt {
	if t.numbered || t.pool != t.pool.of.write {
		return nil
	}
	if s := t.pool.of.statements.find(query); s != nil {
		return t.StmtContext(ctx, s)
	}
	return nil
}

// QueryContext is that of sql.Tx.
func (t *txn) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s := t.prepared(ctx, query); s != nil {
		return s.QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, t.rebind(query), t.args(args)...)
}

// QueryRowContext is that of sql.Tx.
func (t *txn) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if s := t.prepared(ctx, query); s != nil {
		return s.QueryRowContext(ctx, args...)
	}
	return t.Tx.QueryRowContext(ctx, t.rebind(query), t.args(args)...)
}

// ExecContext is that of sql.Tx.
func (t *txn) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if s := t.prepared(ctx, query); s != nil {
		return s.ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, t.rebind(query), t.args(args)...)
}

// PrepareContext is that of sql.Tx. The statement's arguments go through args.
func (t *txn) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := t.prepared(ctx, query); s != nil {
		return s, nil
	}
	return t.Tx.PrepareContext(ctx, t.rebind(query))
}
