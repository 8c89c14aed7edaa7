package door

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/warehouse/chdb"
)

// Limits are what a statement of a Reader may use.
type Limits struct {
	Time     time.Duration // default 60 s
	Memory   int64         // bytes; default 2 GiB
	Rows     int64         // of a result; default 10 million
	Sessions int           // statements that run at once; default 4
	Wait     time.Duration // for a session, before the statement is refused; default 30 s
}

func (l *Limits) fill() {
	if l.Time == 0 {
		l.Time = time.Minute
	}
	if l.Memory == 0 {
		l.Memory = 2 << 30
	}
	if l.Rows == 0 {
		l.Rows = 10_000_000
	}
	if l.Sessions == 0 {
		l.Sessions = 4
	}
	if l.Wait == 0 {
		l.Wait = 30 * time.Second
	}
}

// maxWhole is the size of the largest result in a format that is made whole,
// as the engine holds it before it is written in the format.
const maxWhole = 64 << 20

// wholeMemory is what the engine may use for such a result, its text included.
func wholeMemory(limit int64) int { return int(min(limit, 8*maxWhole)) }

// settings returns what the sessions are opened with.
func (l Limits) settings() map[string]string {
	return map[string]string{
		"max_execution_time":                      strconv.FormatFloat(l.Time.Seconds(), 'f', -1, 64),
		"max_memory_usage":                        strconv.FormatInt(l.Memory, 10),
		"max_result_rows":                         strconv.FormatInt(l.Rows, 10),
		"max_result_bytes":                        "0",
		"timeout_overflow_mode":                   "throw",
		"allow_ddl":                               "0",
		"allow_introspection_functions":           "0",
		"max_query_size":                          strconv.Itoa(maxStatement),
		"timeout_before_checking_execution_speed": "0",
	}
}

// Source opens restricted sessions on a database of the engine.
type Source func(database string, sessions int, settings map[string]string) (*chdb.Reader, error)

// Reader is the Backend of a tenant: it reads one database of the engine. It is
// safe for strangers; DESIGN.md says why.
type Reader struct {
	database string
	limits   Limits
	settings map[string]string
	sessions *chdb.Reader
	guard    *guard
}

// NewReader opens a Reader on a database. The caller closes it.
func NewReader(ctx context.Context, open Source, database string, limits Limits) (*Reader, error) {
	limits.fill()
	settings := limits.settings()
	sessions, err := open(database, limits.Sessions, settings)
	if err != nil {
		return nil, err
	}
	r := &Reader{database: database, limits: limits, settings: settings, sessions: sessions}
	if r.guard, err = r.learn(ctx); err != nil {
		sessions.Close()
		return nil, fmt.Errorf("ask the engine for its functions: %w", err)
	}
	return r, nil
}

// Close waits for the statements that run and gives the sessions up.
func (r *Reader) Close() { r.sessions.Close() }

// learn makes the guard: what the engine has that an earlier one did not is
// closed unless it is known.
func (r *Reader) learn(ctx context.Context) (g *guard, err error) {
	err = r.sessions.Session(ctx, func(s *chdb.Session) error {
		tables, err := s.Query("SELECT name FROM system.table_functions", "TSV", nil)
		if err != nil {
			return err
		}
		closed, err := s.Query("SELECT name FROM system.functions WHERE categories LIKE '%AI%' OR categories LIKE '%Introspection%' OR categories LIKE '%Dictionary%' OR origin != 'System'", "TSV", nil)
		if err != nil {
			return err
		}
		others, err := s.Query("SELECT name, alias_to FROM system.functions WHERE alias_to != ''", "TSV", nil)
		if err != nil {
			return err
		}
		aliases := map[string]string{}
		for line := range strings.Lines(string(others)) {
			name, of, _ := strings.Cut(strings.TrimSpace(line), "\t")
			aliases[name] = of
		}
		g = newGuard(strings.Fields(string(tables)), strings.Fields(string(closed)), aliases)
		return nil
	})
	return g, err
}

// errBusy is the cause of a wait for a session that took too long.
var errBusy = errors.New("no session is free")

// Run implements Backend.
func (r *Reader) Run(ctx context.Context, st Statement, result Result) error {
	settings, err := r.request(st.Settings)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := time.AfterFunc(r.limits.Wait, func() { cancel(errBusy) })
	err = r.sessions.Session(ctx, func(s *chdb.Session) error {
		if !patience.Stop() {
			return errBusy
		}
		return r.run(s, st, settings, result)
	})
	if errors.Is(err, errBusy) {
		return refusal(codeTooMany, "Too many simultaneous queries. Maximum: %d", r.limits.Sessions)
	}
	return err
}

// request looks at the parameters of a request that are no statement.
func (r *Reader) request(given map[string]string) (map[string]string, error) {
	settings := map[string]string{}
	for name, value := range given {
		if name == "database" {
			if value != "" && value != r.database && value != "default" {
				return nil, refusal(codeUnknownDB, "Database %s does not exist", value)
			}
			continue
		}
		if slices.Contains(ignored, name) {
			continue
		}
		value, err := checkSetting(name, value, r.settings)
		if err != nil {
			return nil, err
		}
		settings[name] = value
	}
	return settings, nil
}

// run lets the engine parse the statement, looks at what it understood, and runs
// exactly that.
func (r *Reader) run(s *chdb.Session, st Statement, settings map[string]string, result Result) error {
	canonical, err := s.Query("SELECT formatQuerySingleLine({q:String})", "TSVRaw", map[string]string{"q": st.SQL})
	if err != nil {
		return parseError(err)
	}
	c, err := r.guard.check(trimmed(canonical))
	if err != nil {
		return err
	}
	if c.format == "" {
		c.format = st.Format
	}
	if !formatName.MatchString(c.format) {
		return refusal(codeUnknownFormat, "Unknown format %s", c.format)
	}
	if !c.rows || !streams(c.format) {
		settings["max_result_bytes"] = strconv.Itoa(maxWhole)
		settings["max_memory_usage"], _ = lower("", settings["max_memory_usage"], strconv.Itoa(wholeMemory(r.limits.Memory)))
		return s.With(settings, func() error {
			out, rows, err := s.QueryRows(c.sql, c.format, st.Params)
			if err != nil {
				return err
			}
			return result(c.format, rows, out)
		})
	}
	return s.With(settings, func() error { return stream(s, c, st.Params, result) })
}

func stream(s *chdb.Session, c checked, params map[string]string, result Result) error {
	none := true
	err := s.Stream(c.sql, c.format, params, func(rows int, b []byte) error {
		none = false
		return result(c.format, rows, b)
	})
	if err != nil || !none {
		return err
	}
	var header []byte
	if c.format == "Native" {
		if header, err = emptyBlock(s, c.sql, params); err != nil {
			return err
		}
	}
	return result(c.format, 0, header)
}

// emptyBlock returns a Native block with the columns of the statement and no
// rows, from which a driver learns them.
func emptyBlock(s *chdb.Session, sql string, params map[string]string) ([]byte, error) {
	out, err := s.Query("SELECT * FROM ("+sql+") LIMIT 0", "JSONCompact", params)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Meta []struct{ Name, Type string }
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("read the columns of a statement: %w", err)
	}
	block := binary.AppendUvarint(nil, uint64(len(answer.Meta)))
	block = binary.AppendUvarint(block, 0)
	for _, column := range answer.Meta {
		for _, text := range []string{column.Name, column.Type} {
			block = append(binary.AppendUvarint(block, uint64(len(text))), text...)
		}
	}
	return block, nil
}

// parseError tells what is wrong with a statement without the statement around it.
func parseError(err error) error {
	var refused *chdb.Error
	if !errors.As(err, &refused) {
		return err
	}
	text, _, _ := strings.Cut(refused.Message, ": In scope SELECT formatQuerySingleLine(")
	if text != refused.Message {
		text += ". (SYNTAX_ERROR)"
	}
	return &chdb.Error{Code: refused.Code, Message: text}
}
