package chdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var engine *Engine // one a process: the tests share it

// readers are as many databases as a provider with a thousand tenants has; the last
// is that of the tests.
func readers() (names []string) {
	for i := range 1024 {
		names = append(names, fmt.Sprintf("tenant_%d", i))
	}
	return append(names, "mine")
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if os.Getenv(fullDiskEnv) != "" {
			return m.Run() // this process opens an engine itself
		}
		dir, err := os.MkdirTemp("", "chdb")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if engine, err = Open(Options{Path: dir, Conns: 3, Readers: readers()}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer engine.Close()
		return m.Run()
	}())
}

func mustQuery(t *testing.T, sql string, params map[string]string) string {
	t.Helper()
	out, err := engine.Query(t.Context(), sql, "TSV", params)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return string(out)
}

func TestQueryBindsValuesAsTheyAre(t *testing.T) {
	for _, value := range []string{"", "plain", "it's", `back\slash`, "two\nlines", "tab\there", "nul\x00byte", `\N`, "é€😀"} {
		got := mustQuery(t, "SELECT hex({v:String})", map[string]string{"v": value})
		want := strings.ToUpper(fmt.Sprintf("%x", value)) + "\n"
		if got != want {
			t.Errorf("value %q: got %s, want %s", value, got, want)
		}
	}
}

func TestErrorsCarryClickHousesCode(t *testing.T) {
	_, err := engine.Query(t.Context(), "SELECT * FROM nowhere", "TSV", nil)
	var e *Error
	if !errors.As(err, &e) || e.Code != 60 || !strings.Contains(e.Message, "nowhere") {
		t.Errorf("got %v, want code 60 naming the table", err)
	}
	if got := mustQuery(t, "SELECT 1", nil); got != "1\n" {
		t.Errorf("after an error the connection answers %q, want 1", got)
	}
}

func TestInsertTakesChunksThatCutRows(t *testing.T) {
	mustQuery(t, "CREATE TABLE chunks (a UInt32, b String) ENGINE = MergeTree ORDER BY a", nil)
	err := engine.Insert(t.Context(), "INSERT INTO chunks (a, b)", "CSV", []byte("1,\"o"), []byte("ne\"\n2,two\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := mustQuery(t, "SELECT a, b FROM chunks ORDER BY a", nil); got != "1\tone\n2\ttwo\n" {
		t.Errorf("got %q", got)
	}
	if err := engine.Insert(t.Context(), "INSERT INTO chunks (a, b)", "CSV", []byte("x,y\n")); err == nil {
		t.Error("a row that is no number went in")
	}
	if got := mustQuery(t, "SELECT count() FROM chunks", nil); got != "2\n" {
		t.Errorf("after a refused insert: %q rows, want 2", got)
	}
}

func TestAStatementEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := engine.Query(ctx, "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", "TSV", nil)
		ended <- err
	}()
	waitFor(t, "the query to run", func() bool {
		return mustQuery(t, "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%processes%'", nil) == "1\n"
	})
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the query runs on ten seconds after its context ended")
	}
	waitFor(t, "the engine to be rid of the query", func() bool {
		return mustQuery(t, "SELECT count() FROM system.processes WHERE query LIKE '%1000000000000%' AND query NOT LIKE '%processes%'", nil) == "0\n"
	})
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited ten seconds for %s", what)
		}
	}
}

func TestStreamHandsOverEveryByteOnce(t *testing.T) {
	var rows, chunks int
	err := engine.Stream(t.Context(), "SELECT number FROM numbers({n:UInt64})", "TSV", map[string]string{"n": "500000"}, func(b []byte) error {
		chunks++
		rows += bytes.Count(b, []byte("\n"))
		return nil
	})
	if err != nil || rows != 500000 || chunks < 2 {
		t.Errorf("got %d rows in %d chunks, %v; want 500000 in several", rows, chunks, err)
	}
	enough := errors.New("enough")
	err = engine.Stream(t.Context(), "SELECT number FROM numbers(100000000)", "TSV", nil, func([]byte) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("got %v, want the callback's own error", err)
	}
	if got := mustQuery(t, "SELECT 1", nil); got != "1\n" {
		t.Errorf("after a cut stream the engine answers %q", got)
	}
}

func TestASecondEngineIsRefused(t *testing.T) {
	if _, err := Open(Options{Path: t.TempDir()}); !errors.Is(err, ErrOpen) {
		t.Errorf("got %v, want ErrOpen", err)
	}
}

func TestAMissingLibraryIsToldWithPlacesAndCommand(t *testing.T) {
	_, err := Find(t.TempDir() + "/none.so")
	if err == nil || !strings.Contains(err.Error(), "none.so") || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("got %v, want the place tried and the command", err)
	}
}
