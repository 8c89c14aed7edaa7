package door

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/warehouse/chdb"
)

// One engine a process: the tests share it, with a database that is read and one
// that must not be.
var (
	engine *chdb.Engine
	mine   *Reader
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "door")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if engine, err = chdb.Open(chdb.Options{Path: dir, Readers: []string{"mine"}}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer engine.Close()
		for _, sql := range []string{
			"CREATE DATABASE mine", "CREATE DATABASE theirs",
			"CREATE TABLE mine.t (a UInt32, s LowCardinality(String)) ENGINE = MergeTree ORDER BY a", "CREATE TABLE theirs.t (a UInt32) ENGINE = MergeTree ORDER BY a",
			"INSERT INTO mine.t SELECT number, 'n' || (number % 2) FROM numbers(3)", "INSERT INTO theirs.t SELECT 1",
			"CREATE VIEW mine.v AS SELECT a AS b FROM mine.t",
		} {
			if _, err := engine.Query(context.Background(), sql, "Null", nil); err != nil {
				fmt.Fprintln(os.Stderr, sql, err)
				return 1
			}
		}
		if mine, err = NewReader(context.Background(), engine.Reader, "mine", Limits{Sessions: 2, Rows: 3_000_000, Wait: 5 * time.Second}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer mine.Close()
		return m.Run()
	}())
}

// users lets default in with "secret", and new not yet.
func users(_ context.Context, user, password string) (Backend, error) {
	if user == "new" {
		return nil, ErrLater
	}
	if user != "default" || password != "secret" {
		return nil, ErrDenied
	}
	return mine, nil
}

// open returns the address of a door with these users.
func open(t testing.TB, o Options) string {
	t.Helper()
	o.Users = users
	if o.Penalty == 0 {
		o.Penalty = time.Millisecond
	}
	server := httptest.NewServer(New(o))
	t.Cleanup(server.Close)
	return server.URL
}

// get asks with the statement in the address, as JDBC does.
func get(t testing.TB, door, sql string, params ...string) (status int, body string, header http.Header) {
	t.Helper()
	q := url.Values{"query": {sql}, "user": {"default"}, "password": {"secret"}}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	r, err := http.Get(door + "/?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v after %q", sql, err, text)
	}
	return r.StatusCode, string(text), r.Header
}

func TestAnyFormatComesAsTheEngineWritesIt(t *testing.T) {
	door := open(t, Options{})
	const sql = "SELECT number, 'a\nb' AS `it''s` FROM numbers(70000)"
	for _, format := range []string{"TSV", "TSVWithNames", "TSVWithNamesAndTypes", "CSV", "CSVWithNames", "CSVWithNamesAndTypes", "JSONEachRow",
		"JSONCompactEachRow", "JSONCompactEachRowWithNamesAndTypes", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Values", "XML", "Pretty", "Vertical", "Markdown", "ArrowStream", "Parquet", "JSONCompact"} {
		want, err := engine.Query(t.Context(), sql, format, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, ask := range map[string][]string{"default_format": {sql, "default_format", format}, "FORMAT": {sql + " FORMAT " + format}} {
			status, got, header := get(t, door, ask[0], ask[1:]...)
			if format == "JSONCompact" || format == "XML" { // they end with the time taken
				got, want = strings.Split(got, "statistics")[0], []byte(strings.Split(string(want), "statistics")[0])
			}
			if status != 200 || got != string(want) || header.Get("X-ClickHouse-Format") != format || header.Get("Content-Type") == "" {
				t.Errorf("%s by %s: status %d, %d bytes of %s, want %d bytes", format, name, status, len(got), header.Get("X-ClickHouse-Format"), len(want))
			}
		}
	}
}

func TestAStatementComesInParts(t *testing.T) {
	door := open(t, Options{})
	for name, c := range map[string]struct {
		query, body string
		header      map[string]string
	}{
		"in the body":                   {"", "SELECT {a:UInt8} + 1", nil},
		"in the parameter":              {"SELECT {a:UInt8} + 1", "", nil},
		"one behind the other":          {"SELECT", "{a:UInt8} + 1", nil},
		"with a comment and an end":     {"", "SELECT {a:UInt8} /* ' */ + 1; -- done", nil},
		"in a body packed with gzip":    {"", zipped("SELECT {a:UInt8} + 1"), map[string]string{"Content-Encoding": "gzip"}},
		"for a user named in a header":  {"", "SELECT {a:UInt8} + 1", map[string]string{"X-ClickHouse-User": "default", "X-ClickHouse-Key": "secret", "Authorization": ""}},
		"for a database in a header":    {"", "SELECT 41 + {a:UInt8} - (SELECT count() FROM v) + (SELECT count() FROM mine.t) - 40", map[string]string{"X-ClickHouse-Database": "mine"}},
		"with a format in a header too": {"", "SELECT {a:UInt8} + 1", map[string]string{"X-ClickHouse-Format": "CSV"}},
	} {
		q := url.Values{"query": {c.query}, "param_a": {"41"}}
		r, err := http.NewRequestWithContext(t.Context(), "POST", door+"/?"+q.Encode(), strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("default", "secret")
		for k, v := range c.header {
			r.Header.Set(k, v)
			if v == "" {
				r.Header.Del(k)
			}
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if want := "42\n"; string(got) != want {
			t.Errorf("%s: got %d %q, want %q", name, answer.StatusCode, got, want)
		}
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func TestErrorsHaveClickHousesForm(t *testing.T) {
	door := open(t, Options{})
	for sql, want := range map[string]struct {
		status int
		code   string
		text   string
	}{
		"SELECT * FROM nowhere": {404, "60", "Code: 60. DB::Exception: Unknown table"},
		"SELEC 1":               {400, "62", "Code: 62. DB::Exception: Syntax error"},
		"SELECT 1; SELECT 2":    {400, "62", "Multi-statements"},
		"":                      {400, "62", "Empty query"},
		"SELECT throwIf(1)":     {500, "395", "Code: 395."},
		"SELECT 1 FORMAT Hats":  {404, "73", "Unknown format Hats"},
	} {
		status, body, header := get(t, door, sql)
		if status != want.status || header.Get("X-ClickHouse-Exception-Code") != want.code || !strings.Contains(body, want.text) {
			t.Errorf("%q: got %d, code %s, %q; want %d, %s, %q", sql, status, header.Get("X-ClickHouse-Exception-Code"), body, want.status, want.code, want.text)
		}
		if strings.Contains(body, "formatQuery") {
			t.Errorf("%q: the answer shows how it was parsed: %s", sql, body)
		}
	}
}

func TestAnErrorIsPackedAsTheResultWouldBe(t *testing.T) {
	// With what JDBC's client sends along.
	status, body, _ := get(t, open(t, Options{}), "SELECT * FROM nowhere", "compress", "1", "wait_end_of_query", "0", "async_insert", "0")
	text, err := io.ReadAll(compress.NewReader(strings.NewReader(body)))
	if status != 404 || !strings.HasPrefix(string(text), "Code: 60. DB::Exception: Unknown table") {
		t.Errorf("got %d, %q, %v", status, text, err)
	}
}

func TestAnErrorInTheMiddleIsNoEnd(t *testing.T) {
	door := open(t, Options{})
	r, err := http.Get(door + "/?" + url.Values{"query": {"SELECT number, throwIf(number = 900000) FROM numbers(1000000)"}, "user": {"default"}, "password": {"secret"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if r.StatusCode != 200 || err == nil || !bytes.Contains(body, []byte("__exception__\r\n"+r.Header.Get("X-ClickHouse-Exception-Tag")+"\r\nCode: 395.")) {
		t.Errorf("status %d, error %v, end %q; want 200, a cut connection and the framed exception", r.StatusCode, err, body[max(0, len(body)-200):])
	}
}

// JDBC's client asks so, and takes a result without a number of rows for empty.
func TestWhoWaitsForTheEndIsToldHowManyRowsThereAre(t *testing.T) {
	door := open(t, Options{})
	for _, c := range []struct {
		sql    string
		status int
		rows   string
	}{
		{"SELECT number FROM numbers(1000)", 200, `"result_rows":"1000"`},
		{"SELECT number FROM numbers(100000) WHERE number % 40000 = 1", 200, `"result_rows":"3"`}, // of several blocks
		{"SELECT 1 WHERE 0", 200, `"result_rows":"0"`},
		{"SELECT number, throwIf(number = 90000) FROM numbers(100000) FORMAT RowBinary", 500, ""}, // before the first byte
	} {
		status, _, header := get(t, door, c.sql, "wait_end_of_query", "1", "default_format", "RowBinaryWithNamesAndTypes")
		if status != c.status || !strings.Contains(header.Get("X-ClickHouse-Summary"), c.rows) {
			t.Errorf("%s: got %d, summary %s; want %d, %s", c.sql, status, header.Get("X-ClickHouse-Summary"), c.status, c.rows)
		}
	}
	status, body, _ := get(t, door, "SELECT number FROM numbers(1000000)", "wait_end_of_query", "1", "default_format", "RowBinary")
	if status != 200 || len(body) != 8_000_000 {
		t.Errorf("a large one: got %d, %d bytes; want all 8,000,000", status, len(body))
	}
}

func TestAWrongPasswordCostsTimeAndIsCounted(t *testing.T) {
	metrics := prometheus.NewRegistry()
	door := open(t, Options{Penalty: 50 * time.Millisecond, Metrics: metrics})
	for _, c := range [][2]string{{"default", "wrong"}, {"nobody", "secret"}, {"", ""}} {
		start := time.Now()
		status, body, header := get(t, door, "SELECT 1", "user", c[0], "password", c[1])
		if status != 403 || header.Get("X-ClickHouse-Exception-Code") != "516" || !strings.Contains(body, "Authentication failed") {
			t.Errorf("%v: got %d %s", c, status, body)
		}
		if took := time.Since(start); took < 50*time.Millisecond {
			t.Errorf("%v: it took %v, want at least the penalty", c, took)
		}
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "belfry_door_wrong_passwords_total" && n != 3 {
			t.Errorf("counted %v wrong passwords, want 3", n)
		}
	}
}

func TestATenantWithoutARoleIsToldWhenTheDoorOpens(t *testing.T) {
	status, body, header := get(t, open(t, Options{Penalty: time.Hour}), "SELECT 1", "user", "new")
	if status != 400 || header.Get("X-ClickHouse-Exception-Code") != "497" || !strings.Contains(body, "the door opens for new when belfry is started again") {
		t.Errorf("got %d %s", status, body)
	}
}

func TestManyWrongPasswordsAreTurnedAway(t *testing.T) {
	p := newPenalty(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	for range maxWaiting {
		go func() { done <- p.wait(ctx) }()
	}
	for len(p.waiting) < maxWaiting {
		time.Sleep(0) // yields to those that begin to wait
	}
	if p.wait(ctx) {
		t.Error("one more was let wait")
	}
	cancel()
	for range maxWaiting {
		<-done
	}
}

func TestPingAndUnknownPaths(t *testing.T) {
	door := open(t, Options{})
	for path, want := range map[string]string{"/ping": "200 Ok.\n", "/replicas_status": "200 Ok.\n", "/play": "404 There is no handle /play\n"} {
		r, err := http.Get(door + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if got := fmt.Sprintf("%d %s", r.StatusCode, body); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestAClientThatGoesAwayEndsItsStatement(t *testing.T) {
	door := open(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", door+"/?"+url.Values{"query": {"SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number), 'gone')"}, "user": {"default"}, "password": {"secret"}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		answer, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = answer.Body.Close()
		}
		ended <- err
	}()
	running := func() string {
		out, err := engine.Query(t.Context(), "SELECT count() FROM system.processes WHERE query LIKE '%''gone''%' AND query NOT LIKE '%processes%'", "TSV", nil)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	await(t, "the statement to run", func() bool { return running() == "1" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	await(t, "the engine to be rid of the statement", func() bool { return running() == "0" })
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited twenty seconds for %s", what)
		}
	}
}

func TestClickHouseGoReadsEveryType(t *testing.T) {
	door := open(t, Options{})
	const sql = `SELECT number::UInt64 AS u, toInt8(-number) AS i, toFloat64(number) / 2 AS f, toString(number) AS s, toLowCardinality('x' || (number % 3)::String) AS l,
toNullable(number) AS n, if(number % 2 = 0, NULL, 'odd') AS ns, [number, number + 1] AS a, map('k', number) AS m, (number, 'two') AS t,
toDateTime64(number, 3, 'UTC') AS d, toDate(number) AS day, toDecimal64(number, 2) AS c, toFixedString('abc', 3) AS x, toUUID('00000000-0000-0000-0000-00000000000a') AS id,
mapFromArrays([toLowCardinality('a'), toLowCardinality('b')], [1.5, 2.5]) AS lm, CAST(number % 2 AS Enum8('no' = 0, 'yes' = 1)) AS e, true AS b, [toLowCardinality('z')] AS la,
CAST((1, 'n') AS Tuple(one UInt8, two String)) AS nt, [[1], []] AS aa, toIPv4('1.2.3.4') AS ip, toLowCardinality(toNullable('q')) AS ln
FROM numbers(70000)`
	for name, compression := range map[string]clickhouse.CompressionMethod{"plain": clickhouse.CompressionNone, "lz4": clickhouse.CompressionLZ4, "zstd": clickhouse.CompressionZSTD, "gzip": clickhouse.CompressionGZIP} {
		conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{strings.TrimPrefix(door, "http://")},
			Auth: clickhouse.Auth{Database: "mine", Username: "default", Password: "secret"}, Compression: &clickhouse.Compression{Method: compression},
			Settings: clickhouse.Settings{"max_execution_time": 30}})
		if err != nil {
			t.Fatal(err)
		}
		if version, err := conn.ServerVersion(); err != nil || version.DisplayName == "" {
			t.Fatalf("%s: hello: %v, %v", name, version, err)
		}
		rows, err := conn.Query(t.Context(), "SELECT u, toString(tuple(* EXCEPT u)) FROM ("+sql+") WHERE NOT ignore(*) ORDER BY u")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		read := 0
		for rows.Next() {
			read++
		}
		if err := rows.Err(); err != nil || read != 70000 {
			t.Errorf("%s: as text: %d rows, %v", name, read, err)
		}
		typed(t, name, conn, sql)
		if rows, err = conn.Query(t.Context(), "SELECT a, s FROM t WHERE a > 100"); err != nil || rows.Next() || strings.Join(rows.Columns(), " ") != "a s" {
			t.Errorf("%s: no rows: %v, columns %v; want a and s", name, err, rows.Columns())
		}
		var refused *clickhouse.Exception
		if _, err := conn.Query(t.Context(), "SELECT * FROM nowhere"); !errors.As(err, &refused) || refused.Code != 60 {
			t.Errorf("%s: got %v, want ClickHouse's code 60", name, err)
		}
		if err := conn.Exec(t.Context(), "INSERT INTO t SELECT 1, ''"); !errors.As(err, &refused) || refused.Code != 164 {
			t.Errorf("%s: an insert: got %v, want code 164", name, err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// typed reads each column as it is and holds a few values.
func typed(t *testing.T, name string, conn clickhouse.Conn, sql string) {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer rows.Close()
	n, last := 0, make([]any, len(rows.ColumnTypes()))
	for i, c := range rows.ColumnTypes() {
		last[i] = newOf(c.ScanType())
	}
	for rows.Next() {
		if n++; n == 69_999 {
			if err := rows.Scan(last...); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	if rows.Err() != nil || n != 70_000 {
		t.Fatalf("%s: %d rows, %v", name, n, rows.Err())
	}
	var got []string
	for _, v := range last {
		got = append(got, shown(v))
	}
	want := "69998 -110 34999 69998 x2 69998 <nil> [69998 69999] map[k:69998] [69998 two] 1970-01-01 19:26:38 +0000 UTC"
	if text := strings.Join(got, " "); !strings.HasPrefix(text, want) || !strings.Contains(text, "map[a:1.5 b:2.5] no true [z] map[one:1 two:n] [[1] []] 1.2.3.4 q") {
		t.Errorf("%s: got %s\nwant %s ...", name, text, want)
	}
}
