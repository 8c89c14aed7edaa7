package chdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Reader is a pool of sessions that read one database and can do nothing else:
// the engine itself holds them to the database's role, to read-only statements
// and to the settings that they were opened with. Its methods may be called
// from many goroutines.
//
// What the role does not cover is what the engine lets everybody do: choose
// another role (SET ROLE), write a file (INTO OUTFILE), read one with the
// function file. So whoever passes on a stranger's statements looks at them
// first; see package door.
type Reader struct {
	engine   *Engine
	settings map[string]string
	idle     chan *conn
	all      []*conn
}

// ErrNoRole is returned for a database that Options.Readers did not name.
var ErrNoRole = errors.New("the engine was opened without a role for it")

// Reader opens so many sessions on a database that Options.Readers names, with
// these settings. The caller closes it, before the Engine.
func (e *Engine) Reader(database string, sessions int, settings map[string]string) (*Reader, error) {
	if !slices.Contains(e.readers, database) {
		return nil, fmt.Errorf("read database %s: %w", database, ErrNoRole)
	}
	r := &Reader{engine: e, settings: settings, idle: make(chan *conn, sessions)}
	for i := range sessions {
		c, err := e.connect(e.path, fmt.Sprintf("belfry-%s-%d", database, i))
		if err == nil {
			r.all = append(r.all, c)
			err = e.restrict(c, database, settings)
		}
		if err != nil {
			r.closeAll()
			return nil, fmt.Errorf("read database %s: %w", database, err)
		}
		r.idle <- c
	}
	return r, nil
}

// restrict gives up what the session could do. The order matters: once it is
// read-only the engine refuses to let it be anything else.
func (e *Engine) restrict(c *conn, database string, settings map[string]string) error {
	for _, sql := range []string{"SET ROLE " + readerRole(database), "USE " + database, set(settings), "SET readonly = 2"} {
		if sql == "" {
			continue
		}
		if _, err := e.run(c, sql, "Null", nil); err != nil {
			return err
		}
	}
	return nil
}

// set writes a SET statement; "" for no settings.
func set(settings map[string]string) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		list = append(list, "`"+name+"` = '"+literal.Replace(settings[name])+"'")
	}
	if len(list) == 0 {
		return ""
	}
	return "SET " + strings.Join(list, ", ")
}

var literal = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// Close waits for the statements that run and disconnects.
func (r *Reader) Close() {
	for range r.all {
		<-r.idle
	}
	r.closeAll()
}

func (r *Reader) closeAll() {
	for _, c := range r.all {
		r.engine.lib.closeConn(c.handle)
	}
	r.all = nil
}

// Session is a restricted session while it is lent; see Reader.Session.
type Session struct {
	ctx    context.Context
	reader *Reader
	conn   *conn
}

// Session waits for a session and lends it to use. Its statements end when the
// context does.
func (r *Reader) Session(ctx context.Context, use func(*Session) error) error {
	return r.engine.withOneOf(ctx, r.idle, func(c *conn) error { return use(&Session{ctx, r, c}) })
}

// Query runs a statement; see Engine.Query.
func (s *Session) Query(sql, format string, params map[string]string) ([]byte, error) {
	out, _, err := s.QueryRows(sql, format, params)
	return out, err
}

// QueryRows is Query, and also returns how many rows the result has.
func (s *Session) QueryRows(sql, format string, params map[string]string) (out []byte, rows int, err error) {
	if s.ctx.Err() != nil {
		return nil, 0, context.Cause(s.ctx)
	}
	return s.reader.engine.runRows(s.conn, sql, format, params)
}

// Stream runs a query; see Engine.Stream. With each chunk comes how many rows it has.
func (s *Session) Stream(sql, format string, params map[string]string, chunk func(rows int, b []byte) error) error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.reader.engine.rinsed(s.conn, s.reader.engine.stream(s.ctx, s.conn, sql, format, params, chunk))
}

// With runs use under other settings, and then puts back the reader's own. The
// names must be known to be settings: they are written into a statement.
func (s *Session) With(settings map[string]string, use func() error) error {
	if len(settings) == 0 {
		return use()
	}
	back := map[string]string{}
	var defaults []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if value, ok := s.reader.settings[name]; ok {
			back[name] = value
		} else {
			defaults = append(defaults, "`"+name+"` = DEFAULT")
		}
	}
	_, err := s.Query(set(settings), "Null", nil)
	if err == nil {
		err = use()
	}
	undo := []string{set(back)}
	if len(defaults) > 0 {
		undo = append(undo, "SET "+strings.Join(defaults, ", "))
	}
	for _, sql := range undo {
		if sql == "" {
			continue
		}
		if failed := s.undo(sql); failed != nil && err == nil {
			err = fmt.Errorf("put the session's settings back: %w", failed)
		}
	}
	return err
}

// undo runs a statement also after the context has ended, while a kill may be on
// its way: the next user of the session must not meet this one's settings.
func (s *Session) undo(sql string) (err error) {
	for range 100 {
		if _, err = s.reader.engine.run(s.conn, sql, "Null", nil); err == nil {
			return nil
		}
	}
	return err
}
