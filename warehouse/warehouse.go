// Package warehouse keeps readings in ClickHouse and answers what the analyzer,
// the API and people ask of them.
//
// In go batches of readings and the registry; out come columns for each device
// and rows for a screen. The same schema and statements run on the engine
// inside the process and on ClickHouse servers. A batch is in the warehouse
// when Insert returns nil, and inserting it again changes no answer: a row is
// known by device, kind, time, arrival and offset, and of a reading's versions
// the one that arrived last counts. The package decides nothing about
// readings, and knows no rule and no incident.
package warehouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/warehouse/chdb"
	"belfry/warehouse/cluster"
)

// Options say which ClickHouse to use. With Addresses it is servers, without
// it is the engine inside the process.
type Options struct {
	Path    string // data folder of the engine
	Library string // file of the engine's library; "" looks in the usual places
	Conns   int    // statements that run at once in the engine; default 4

	Retention Retention // of each database; its zero value keeps everything

	// Readers are the databases that Server.Reader can be asked for.
	Readers []string

	Addresses      []string // host:port of the servers' HTTP interfaces
	User, Password string
	TLS            *tls.Config // nil: plain

	Log     *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // of a server with one database; nil: none, see Warehouse.Measure
}

// engine is a ClickHouse, wherever it runs: SQL in, bytes in a format out.
type engine interface {
	Query(ctx context.Context, sql, format string, params map[string]string) ([]byte, error)
	Stream(ctx context.Context, sql, format string, params map[string]string, chunk func([]byte) error) error
	Insert(ctx context.Context, sql, format string, data ...[]byte) error
	Close()
}

// Server is a ClickHouse. It holds a database for each tenant.
type Server struct {
	engine    engine
	options   Options
	retention Retention
	log       *slog.Logger
	registry  prometheus.Registerer
}

// Open reaches the ClickHouse that the options name. The caller closes it.
func Open(o Options) (*Server, error) {
	s := &Server{options: o, log: o.Log, registry: o.Metrics, retention: o.Retention}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if len(o.Addresses) > 0 {
		s.engine, err = cluster.Open(cluster.Options{Addresses: o.Addresses, User: o.User, Password: o.Password, TLS: o.TLS})
	} else {
		s.engine, err = chdb.Open(chdb.Options{Library: o.Library, Path: o.Path, Conns: o.Conns, Readers: o.Readers, Log: s.log})
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Reader opens sessions of the engine inside the process that read one database
// and can do nothing else; see chdb.Engine.Reader. The caller closes it before
// the Server.
func (s *Server) Reader(database string, sessions int, settings map[string]string) (*chdb.Reader, error) {
	e, ok := s.engine.(*chdb.Engine)
	if !ok {
		return nil, errors.New("the ClickHouse is elsewhere: its own users and grants are for readers")
	}
	return e.Reader(database, sessions, settings)
}

// Guest connects to the servers as a user of theirs that reads one database and can do
// nothing else, which is looked at first. The settings are those of each statement. The
// caller closes it.
func (s *Server) Guest(ctx context.Context, database, user, password string, settings map[string]string) (*cluster.Servers, error) {
	guest, err := cluster.Open(cluster.Options{Addresses: s.options.Addresses, User: user, Password: password, Database: database, TLS: s.options.TLS, Settings: settings})
	if err != nil {
		return nil, err
	}
	out, err := guest.Query(ctx, `SELECT multiIf(countIf(name = {db:String}) = 0, 'does not see the database ' || {db:String},
		countIf(name NOT IN ({db:String}, 'default', 'system', 'information_schema', 'INFORMATION_SCHEMA')) > 0, 'sees other databases than ' || {db:String},
		toUInt64OrZero(toString(getSetting('readonly'))) = 0, 'may write: it wants the setting readonly = 2', '')
		FROM system.databases`, "TSVRaw", map[string]string{"db": database})
	if wrong := strings.TrimSpace(string(out)); err == nil && wrong != "" {
		err = errors.New(wrong)
	}
	if err != nil {
		guest.Close()
		return nil, fmt.Errorf("the ClickHouse user %s: %w", user, err)
	}
	return guest, nil
}

// Close waits for the statements that run and gives the ClickHouse up.
func (s *Server) Close() { s.engine.Close() }

// Warehouse is one tenant's database.
type Warehouse struct {
	*Server
	db      string
	metrics *metrics
	insert  sync.Pool // of *encoder
	notes   notes
	latest  latest
	again   again
	bins    keptBins
	days    keptDays
}

var databaseName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Database opens a database, creates it when it is missing and brings its
// schema up to date.
func (s *Server) Database(ctx context.Context, name string) (*Warehouse, error) {
	if !databaseName.MatchString(name) {
		return nil, fmt.Errorf("database name %q; want a lower-case letter, then letters, digits and underscores, 63 at most", name)
	}
	w := s.warehouse(name)
	if err := w.migrate(ctx); err != nil {
		return nil, fmt.Errorf("bring database %s up to date: %w", name, err)
	}
	if w.alone() {
		if err := w.loadLooks(ctx); err != nil {
			return nil, fmt.Errorf("open database %s: %w", name, err)
		}
	}
	if s.registry != nil {
		w.Measure(s.registry)
	}
	return w, nil
}

func (s *Server) warehouse(name string) *Warehouse {
	return &Warehouse{Server: s, db: name, metrics: newMetrics(), notes: notes{turn: make(chan struct{}, 1)}, days: keptDays{turn: make(chan struct{}, 1), atOnce: madeAtOnce, listed: listedLeast, many: map[dayOfGrid]bool{}},
		insert: sync.Pool{New: func() any { return newEncoder() }}}
}

// Measure registers what is measured of this database. The registerer of each of
// several databases has to tell them apart, by a label of its own.
func (w *Warehouse) Measure(r prometheus.Registerer) {
	r.MustRegister(w.metrics.seconds, w.metrics.refreshed, size{w})
}

// Drop deletes a database with all that is in it; one that is not there is no
// error. Nobody may be using it.
func (s *Server) Drop(ctx context.Context, name string) error {
	if !databaseName.MatchString(name) {
		return fmt.Errorf("drop database %q: no name of a database", name)
	}
	if _, err := s.engine.Query(ctx, "DROP DATABASE IF EXISTS "+name+" SYNC", "Null", nil); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// Name returns the name of the database.
func (w *Warehouse) Name() string { return w.db }

// Ping returns nil when the ClickHouse answers.
func (w *Warehouse) Ping(ctx context.Context) error {
	_, err := w.engine.Query(ctx, "SELECT 1", "Null", nil)
	return err
}

// sql writes the database's name where a statement says {db}.
func (w *Warehouse) sql(statement string) string {
	return strings.ReplaceAll(statement, "{db}", w.db)
}

// Query runs a statement in which {db} stands for the database, and returns its
// result in a ClickHouse format. The name is the label of the metric.
func (w *Warehouse) Query(ctx context.Context, name, statement, format string, params map[string]string) ([]byte, error) {
	defer w.metrics.time(name, time.Now())
	out, err := w.engine.Query(ctx, w.sql(statement), format, params)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", name, err)
	}
	return out, nil
}

// exec runs a statement without a result.
func (w *Warehouse) exec(ctx context.Context, statement string, params map[string]string) error {
	_, err := w.engine.Query(ctx, w.sql(statement), "Null", params)
	return err
}

// Refused reports whether ClickHouse itself refused a statement, with its code:
// asking again as it stands will not help, unlike when it cannot be reached.
func Refused(err error) (code int, ok bool) {
	var e *chdb.Error
	if errors.As(err, &e) && e.Code != 0 {
		return e.Code, true
	}
	return 0, false
}
