// Package chdb runs the ClickHouse engine inside the process: it loads the
// shared library libchdb without cgo, keeps a pool of connections to one data
// folder, and passes statements in and bytes out.
//
// In go SQL, a ClickHouse format name and bytes in that format; out come bytes
// in the format asked for, or an Error with ClickHouse's code and message. A
// statement ends when its context does. The package promises that nothing the
// engine owns outlives a call, and refuses to know what the tables mean.
package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Options say where the engine and its data are.
type Options struct {
	Library string // path of the shared library; "" looks in the usual places (see Find)
	Path    string // data folder; created when missing; absolute or relative to the working folder
	Conns   int    // statements that run at once; default 4

	Log *slog.Logger // nil: discard

	// Readers are the databases that Engine.Reader can be asked for; each gets a
	// role with the right to read it and nothing else. They are fixed when the
	// engine boots, which takes its users and roles from a file.
	Readers []string
}

// Engine is the ClickHouse engine over one data folder. A process can have one
// at a time. Its methods may be called from many goroutines.
type Engine struct {
	lib     *library
	path    string
	readers []string
	idle    chan *conn
	all     []*conn

	killMu  sync.Mutex // guards killer, which runs one statement at a time
	killer  *conn
	keeper  *conn // of the guard
	closing sync.Once
	guarded chan struct{} // closed when the guard is to end
	guards  sync.WaitGroup
}

// conn is one connection: it runs one statement at a time.
type conn struct {
	handle unsafe.Pointer // the chdb_connection *
	mark   string         // the log_comment of its statements, by which they can be ended
}

// MinFree is how many bytes of the disk inserts leave free: with less they are
// refused, and merges stop (see guard).
const MinFree = 128 << 20

// open is true while an Engine is open: the library boots one engine a process.
var open atomic.Bool

// ErrOpen is returned when the process has an open engine already.
var ErrOpen = errors.New("the process has a ClickHouse engine open already; it can have one at a time")

// Open loads the library, boots the engine over the folder and connects to it.
// The caller closes the Engine; the folder must not be in use by another
// process, which the library does not tell apart from other faults.
func Open(o Options) (*Engine, error) {
	path, err := Find(o.Library)
	if err != nil {
		return nil, err
	}
	if !open.CompareAndSwap(false, true) {
		return nil, ErrOpen
	}
	e, err := boot(path, o)
	if err != nil {
		open.Store(false)
		return nil, err
	}
	return e, nil
}

func boot(path string, o Options) (*Engine, error) {
	lib, err := load(path)
	if err != nil {
		return nil, err
	}
	if o.Conns <= 0 {
		o.Conns = 4
	}
	e := &Engine{lib: lib, path: o.Path, readers: o.Readers, idle: make(chan *conn, o.Conns)}
	access, remove, err := accessFile(o.Readers)
	if err != nil {
		return nil, err
	}
	defer remove()
	for i := range o.Conns + 2 {
		c, err := e.connect(o.Path, fmt.Sprintf("belfry-%d", i), access...)
		if err != nil {
			e.closeAll()
			return nil, fmt.Errorf("open the ClickHouse data in %s: %w", o.Path, err)
		}
		switch i {
		case o.Conns:
			e.killer = c
		case o.Conns + 1:
			e.keeper = c
		default:
			e.all = append(e.all, c)
			e.idle <- c
		}
	}
	e.watch(o.Log)
	return e, nil
}

func (e *Engine) connect(path, mark string, more ...string) (*conn, error) {
	args := append([]string{"clickhouse", "--path=" + path, "--log_comment=" + mark,
		"--min_free_disk_bytes_to_perform_insert=" + strconv.Itoa(MinFree)}, more...)
	argv, keep := cStrings(args)
	handle := e.lib.connect(int32(len(args)), &argv[0])
	runtime.KeepAlive(keep)
	if handle == nil {
		return nil, errors.New("the engine refused the connection; is another process using the folder, or the disk full?")
	}
	return &conn{handle: handle, mark: mark}, nil
}

// watch starts the guard, which ends when the engine is closed.
func (e *Engine) watch(log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	g := &guard{engine: e, log: log, roomy: time.Now(), absent: map[string]bool{}}
	e.guarded = make(chan struct{})
	e.guards.Go(func() { g.run(e.guarded) })
}

// raw returns the chdb_connection that the statements take.
func (c *conn) raw() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

// Close waits for the statements that run, disconnects and shuts the engine down.
func (e *Engine) Close() {
	e.closing.Do(func() {
		close(e.guarded)
		e.guards.Wait()
		for range e.all {
			<-e.idle
		}
		e.closeAll()
		open.Store(false)
	})
}

func (e *Engine) closeAll() {
	for _, c := range e.all {
		e.lib.closeConn(c.handle)
	}
	for _, c := range []*conn{e.killer, e.keeper} {
		if c != nil {
			e.lib.closeConn(c.handle)
		}
	}
}

// Version returns the version of the library, such as "26.7.3".
func (e *Engine) Version() string { return e.lib.version() }

// borrow waits for an idle connection.
func borrow(ctx context.Context, idle <-chan *conn) (*conn, error) {
	select {
	case c := <-idle:
		return c, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection: %w", context.Cause(ctx))
	}
}

// with runs a statement on a connection and ends it when the context does. The
// connection is given back only once a kill that was sent has returned, so that
// a late kill never meets the next statement.
func (e *Engine) with(ctx context.Context, run func(*conn) error) error {
	return e.withOneOf(ctx, e.idle, run)
}

// rinsed makes a connection fit for the next statement after one that failed. What
// a failed statement had written of its result stays with the connection, and
// would come in front of the next statement's. A stream that was cut stays
// listed there, with its memory.
func (e *Engine) rinsed(c *conn, err error) error {
	if err != nil {
		e.lib.resultDestroy(e.call(e.lib.queryWithParams, c, "SELECT 1", "Null", nil))
	}
	return err
}

func (e *Engine) withOneOf(ctx context.Context, idle chan *conn, run func(*conn) error) error {
	c, err := borrow(ctx, idle)
	if err != nil {
		return err
	}
	defer func() { idle <- c }()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if ctx.Done() == nil {
		return e.rinsed(c, run(c))
	}
	done := make(chan struct{})
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		e.kill(c, done)
	})
	err = run(c)
	close(done)
	if !stop() {
		<-killed
	}
	err = e.rinsed(c, err)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
