package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
	"belfry/warehouse"
	"belfry/warehouse/cluster"
	"belfry/warehouse/door"
)

// ruleSQL answers the queries of rules in SQL. They run as a stranger's statement does
// behind the ClickHouse door: in sessions of the engine that read one database and can
// do nothing else, looked at first, and within limits; on ClickHouse servers as a user
// of theirs that they hold to the same. The sessions are opened when the first rule asks.
type ruleSQL struct {
	open func(ctx context.Context) (sqlReader, error)

	mu     sync.Mutex
	reader sqlReader
}

type sqlReader interface {
	door.Backend
	Close()
}

// ruleLimits are what one query may use. Rules are evaluated one after the other, so a
// slow query is a late one for all.
var ruleLimits = door.Limits{Time: 10 * time.Second, Memory: 1 << 30, Rows: 2_000_000, Sessions: 2}

// newRuleSQL answers from the tenant's database.
func (w *watch) newRuleSQL() *ruleSQL {
	if len(w.config.Warehouse.Addresses) == 0 {
		return engineSQL(w.server, w.database())
	}
	return serversSQL(w.server, w.config.Warehouse, w.tenant, w.database())
}

// engineSQL answers from a database of the engine inside the process.
func engineSQL(server *warehouse.Server, database string) *ruleSQL {
	return &ruleSQL{open: func(ctx context.Context) (sqlReader, error) {
		return door.NewReader(ctx, server.Reader, database, ruleLimits)
	}}
}

// serversSQL answers from a database of ClickHouse servers.
func serversSQL(server *warehouse.Server, c WarehouseConfig, tenant, database string) *ruleSQL {
	return &ruleSQL{open: func(ctx context.Context) (sqlReader, error) {
		user := strings.ReplaceAll(c.Reader.User, "{database}", database)
		if user == "" || user == c.Reader.User && tenant != store.DefaultTenant {
			return nil, fmt.Errorf("they ask as a user of your ClickHouse that can only read %s; make one and name it in warehouse.reader, see docs/sql-rules.md", database)
		}
		guest, err := server.Guest(ctx, database, user, c.Reader.Password, map[string]string{
			"max_execution_time": strconv.FormatFloat(ruleLimits.Time.Seconds(), 'f', -1, 64),
			"max_memory_usage":   strconv.FormatInt(ruleLimits.Memory, 10),
			"max_result_rows":    strconv.FormatInt(ruleLimits.Rows, 10),
			"session_timezone":   "UTC",
		})
		if err != nil {
			return nil, err
		}
		return serversReader{guest}, nil
	}}
}

// serversReader lets the servers look at a statement: they know what its user may do.
type serversReader struct{ *cluster.Servers }

// Run is that of door.Backend. The settings are those of the user's connection.
func (r serversReader) Run(ctx context.Context, st door.Statement, result door.Result) error {
	out, err := r.Query(ctx, st.SQL, st.Format, st.Params)
	if err != nil {
		return err
	}
	return result(st.Format, 0, out)
}

func (s *ruleSQL) sessions(ctx context.Context) (r sqlReader, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader == nil {
		if r, err = s.open(ctx); err != nil {
			return nil, fmt.Errorf("open sessions for rules in SQL: %w", err)
		}
		s.reader = r
	}
	return s.reader, nil
}

// close gives the sessions up; nobody may be asking.
func (s *ruleSQL) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reader != nil {
		s.reader.Close()
		s.reader = nil
	}
	return nil
}

// answer is an analyzer.RawQuery.
func (s *ruleSQL) answer(ctx context.Context, q analyzer.Raw) (rows []analyzer.RawRow, err error) {
	err = s.run(ctx, "", q, func(_ string, _ int, chunk []byte) error {
		for r := bytes.NewReader(chunk); r.Len() > 0; {
			row, err := readRawRow(r)
			if err != nil {
				return fmt.Errorf("read the answer of a query: %w", err)
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// check lets the engine plan a query without running it.
func (s *ruleSQL) check(ctx context.Context, q analyzer.Raw) error {
	return s.run(ctx, "EXPLAIN ", q, func(string, int, []byte) error { return nil })
}

// run wraps the query so that its columns are the two that are wanted, of the types
// that are read. A comment at the end of the query ends with its line.
func (s *ruleSQL) run(ctx context.Context, before string, q analyzer.Raw, result door.Result) error {
	r, err := s.sessions(ctx)
	if err != nil {
		return err
	}
	format := "RowBinary"
	if before != "" {
		format = "TSV"
	}
	return r.Run(ctx, door.Statement{
		SQL:    before + "SELECT CAST(scope, 'String') AS scope, CAST(value, 'Nullable(Float64)') AS value FROM (\n" + q.SQL + "\n)",
		Format: format, Params: q.Params, Settings: map[string]string{"session_timezone": "UTC"},
	}, result)
}

// readRawRow reads a String and a Nullable(Float64) of the format RowBinary.
func readRawRow(r *bytes.Reader) (row analyzer.RawRow, err error) {
	size, err := binary.ReadUvarint(r)
	if err != nil || size > uint64(r.Len()) {
		return row, errors.Join(err, fmt.Errorf("a scope of %d bytes", size))
	}
	scope := make([]byte, size)
	if _, err := r.Read(scope); err != nil && size > 0 {
		return row, err
	}
	row.Scope, row.Value = string(scope), math.NaN()
	if null, err := r.ReadByte(); err != nil || null != 0 {
		return row, err
	}
	var bits uint64
	if err := binary.Read(r, binary.LittleEndian, &bits); err != nil {
		return row, err
	}
	row.Value = math.Float64frombits(bits)
	return row, nil
}

// checkSQL lets the engine look at the queries of rules; what it refuses are faults.
// Only an administrator (may) writes SQL, since it reads all that the tenant has.
func (s *ruleSQL) checkSQL(ctx context.Context, set *analyzer.RuleSet, may bool) error {
	var faulty api.FaultyRules
	for _, r := range set.Rules {
		if r.Query == "" {
			continue
		}
		if !may {
			return &incidents.ForbiddenError{Code: "forbidden", Detail: "the rule " + r.Name + " has a query in SQL; only an administrator of the tenant may write one or try one out"}
		}
		if s == nil {
			continue // no engine here; the analyzer's will say
		}
		now := time.Now().Truncate(time.Second) // a DateTime, as instants of rules are
		if err := s.check(ctx, r.Raw(now, now.Add(-24*time.Hour), now, now.UTC().Format(time.DateOnly))); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			faulty = append(faulty, api.FileFault{File: r.File, Line: r.QueryLine, Column: 1, Wrong: "the query can't run: " + strings.TrimSpace(err.Error())})
		}
	}
	if len(faulty) > 0 {
		return faulty
	}
	return nil
}

// testStage is where rule tests ask in SQL: an engine with nothing in it but the test's
// registry and readings.
type testStage struct {
	dir     string // a temporary folder
	library string // see warehouse.Options
	server  *warehouse.Server
}

const testDatabase = "belfry_test"

// stage is an analyzer.Stage.
func (s *testStage) stage(ctx context.Context, sites []telemetry.Site, devices []telemetry.Device, readings *telemetry.Batch) (analyzer.RawQuery, func() error, error) {
	if s.server == nil {
		server, err := warehouse.Open(warehouse.Options{Path: s.dir, Library: s.library, Readers: []string{testDatabase}})
		if err != nil {
			return nil, nil, err
		}
		s.server = server
	}
	w, err := s.server.Database(ctx, testDatabase)
	if err != nil {
		return nil, nil, err
	}
	for _, put := range []func() error{
		func() error { return w.PutSites(ctx, sites, 1) },
		func() error { return w.PutDevices(ctx, devices, 1) },
		func() error { return w.Insert(ctx, readings) },
	} {
		if err := put(); err != nil {
			return nil, nil, err
		}
	}
	sql := engineSQL(s.server, testDatabase)
	return sql.answer, func() error {
		return errors.Join(sql.close(), s.server.Drop(context.WithoutCancel(ctx), testDatabase))
	}, nil
}

// close gives the engine up.
func (s *testStage) close() {
	if s.server != nil {
		s.server.Close()
	}
}
