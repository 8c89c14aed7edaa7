// Package door serves ClickHouse's HTTP interface over the engine inside the
// process, so that tools made for ClickHouse work on it: drivers, Grafana, curl.
//
// In come requests with a statement, a user and a password; out go results in
// the format asked for, or errors in ClickHouse's form with its codes. What a
// statement may do is decided by the Backend that the user's password opens:
// for tenants that is a Reader, which reads one database and nothing else (see
// DESIGN.md). The package promises that no result is held in memory unless its
// format has an end of its own, that a client which goes away ends its
// statement, and that a wrong password costs time. It knows no table.
package door

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/warehouse/chdb"
)

// Statement is what a client asks.
type Statement struct {
	SQL      string
	Format   string            // unless the statement names another
	Params   map[string]string // of the placeholders {name:Type}
	Settings map[string]string // of the request; not yet looked at
}

// Result takes what a statement answers, chunk by chunk. Each chunk is a
// document of the format by itself, with so many rows, and is the backend's again
// after the call; a result without rows is one chunk, possibly of no bytes.
type Result func(format string, rows int, chunk []byte) error

// Backend runs statements. A refusal is a *chdb.Error.
type Backend interface {
	Run(ctx context.Context, s Statement, result Result) error
}

// ErrDenied is what Options.Users answers for a wrong name or password.
var ErrDenied = errors.New("wrong name or password")

// ErrLater is what Options.Users answers for the right ones of a user that the
// engine has no role for until it boots again.
var ErrLater = errors.New("the engine has no role for this user yet")

// Options are what a Door needs.
type Options struct {
	// Users returns what a user may ask, or ErrDenied or ErrLater.
	Users func(ctx context.Context, user, password string) (Backend, error)

	Penalty time.Duration         // how long a wrong password takes; default 1 s
	Log     *slog.Logger          // nil: discard
	Metrics prometheus.Registerer // nil: none
}

// Door is an http.Handler that speaks ClickHouse's HTTP interface.
type Door struct {
	users   func(ctx context.Context, user, password string) (Backend, error)
	penalty penalty
	log     *slog.Logger
	metrics *metrics
}

// New makes a Door.
func New(o Options) *Door {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Penalty == 0 {
		o.Penalty = time.Second
	}
	return &Door{users: o.Users, penalty: newPenalty(o.Penalty), log: o.Log, metrics: newMetrics(o.Metrics)}
}

// ServeHTTP answers a request.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-ClickHouse-Server-Display-Name", "belfry")
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		_, _ = w.Write([]byte("Ok.\n"))
	case "/", "/query":
		d.serve(w, r)
	default:
		http.Error(w, "There is no handle "+r.URL.Path, http.StatusNotFound)
	}
}

// serve answers a statement.
func (d *Door) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	a := newAnswer(w, r)
	err := d.ask(r, a)
	if err == nil {
		err = a.close()
	}
	d.metrics.observe(r.Context(), err, time.Since(start))
	if err == nil {
		return
	}
	if r.Context().Err() != nil {
		d.log.Debug("a client went away", "query", a.id)
		panic(http.ErrAbortHandler)
	}
	var refused *chdb.Error
	if !errors.As(err, &refused) {
		d.log.Error("a statement failed", "query", a.id, "error", err)
		refused = refusal(codeUnknown, "belfry could not run the statement; its log says why")
	}
	a.fail(refused)
}

// ask finds out who asks and runs the statement.
func (d *Door) ask(r *http.Request, a *answer) error {
	user, password := credentials(r)
	backend, err := d.users(r.Context(), user, password)
	if errors.Is(err, ErrDenied) {
		d.metrics.wrong.Inc()
		if !d.penalty.wait(r.Context()) {
			return refusal(codeTooMany, "Too many wrong passwords at once; try again later")
		}
		return refusal(codeDenied, "%s: Authentication failed: password is incorrect, or there is no user with such name", user)
	}
	if errors.Is(err, ErrLater) {
		return refusal(codeAccess, "Not enough privileges: the door opens for %s when belfry is started again", user)
	}
	if err != nil {
		return err
	}
	s, err := statement(r)
	if err != nil {
		return err
	}
	d.metrics.running.Inc()
	defer d.metrics.running.Dec()
	return backend.Run(r.Context(), s, a.chunk)
}
