package chdb

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// reader returns sessions on a database with a table and a neighbour.
func reader(t *testing.T, sessions int) *Reader {
	t.Helper()
	for _, sql := range []string{
		"CREATE DATABASE IF NOT EXISTS mine", "CREATE DATABASE IF NOT EXISTS theirs",
		"CREATE OR REPLACE TABLE mine.t (a UInt32) ENGINE = MergeTree ORDER BY a", "CREATE OR REPLACE TABLE theirs.t (a UInt32) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO mine.t SELECT number FROM numbers(3)",
	} {
		mustQuery(t, sql, nil)
	}
	r, err := engine.Reader("mine", sessions, map[string]string{"max_result_rows": "1000", "max_threads": "1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func ask(t *testing.T, r *Reader, sql string) (out string, err error) {
	t.Helper()
	err = r.Session(t.Context(), func(s *Session) error {
		b, err := s.Query(sql, "TSV", nil)
		out = strings.TrimSpace(string(b))
		return err
	})
	return out, err
}

func TestAReaderReadsItsDatabaseAndNothingElse(t *testing.T) {
	r := reader(t, 1)
	if got, err := ask(t, r, "SELECT count() FROM t"); got != "3" || err != nil {
		t.Errorf("its own table, unqualified: %q, %v", got, err)
	}
	for _, sql := range []string{
		"SELECT count() FROM theirs.t", "INSERT INTO t VALUES (1)", "DROP TABLE t", "TRUNCATE TABLE t", "CREATE TABLE u (a Int8) ENGINE = Memory",
		"CREATE TEMPORARY TABLE u (a Int8)", "SELECT * FROM file('/etc/hostname', 'LineAsString')", "SELECT * FROM url('http://127.0.0.1:1', 'TSV', 'a Int8')",
		"SYSTEM FLUSH LOGS", "SET readonly = 0", "SET readonly = 1", "CREATE USER u", "GRANT SELECT ON theirs.* TO default", "BACKUP DATABASE mine TO Disk('default', 'x')",
	} {
		if got, err := ask(t, r, sql); err == nil {
			t.Errorf("%s: got %q, want a refusal", sql, got)
		}
	}
	if got, err := ask(t, r, "SELECT groupArray(name) FROM system.databases"); got != "['mine']" || err != nil {
		t.Errorf("databases: %q, %v; want its own alone", got, err)
	}
	if _, err := engine.Reader("theirs", 1, nil); err == nil {
		t.Error("a database without a role got a reader")
	}
}

func TestSettingsAreForOneStatement(t *testing.T) {
	r := reader(t, 1)
	read := "SELECT getSetting('max_result_rows'), getSetting('max_threads'), getSetting('join_use_nulls')"
	err := r.Session(t.Context(), func(s *Session) error {
		return s.With(map[string]string{"max_result_rows": "5", "join_use_nulls": "1"}, func() error {
			if out, err := s.Query(read, "TSV", nil); string(out) != "5\t1\ttrue\n" {
				t.Errorf("under other settings: %q, %v", out, err)
			}
			_, err := s.Query("SELECT * FROM nowhere", "TSV", nil)
			return err
		})
	})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != 60 {
		t.Errorf("got %v, want the statement's own error", err)
	}
	if got, err := ask(t, r, read); got != "1000\t1\tfalse" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestAReadersStatementEndsWithItsContextAndLeavesNoSetting(t *testing.T) {
	r := reader(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	err := r.Session(ctx, func(s *Session) error {
		return s.With(map[string]string{"max_result_rows": "0", "max_block_size": "1000"}, func() error {
			return s.Stream("SELECT number FROM system.numbers", "TSV", nil, func(int, []byte) error { cancel(); return nil })
		})
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if got, err := ask(t, r, "SELECT getSetting('max_result_rows')"); got != "1000" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}
