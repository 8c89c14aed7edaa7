package door

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// list asks the engine itself, past the door.
func list(t testing.TB, sql string) []string {
	t.Helper()
	out, err := engine.Query(t.Context(), sql, "TSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// refused asks and wants a refusal of one of the kinds that say "you may not",
// rather than one by chance, such as a file that is not there.
func refused(t *testing.T, door, sql string, params ...string) {
	t.Helper()
	status, body, header := get(t, door, sql, params...)
	code := header.Get("X-ClickHouse-Exception-Code")
	if status == 200 || !slices.Contains([]string{"497", "164", "452", "62", "48", "81", "115"}, code) || !strings.HasPrefix(body, "Code: "+code+". DB::Exception: ") {
		t.Errorf("%s: got %d, code %q, %s; want a refusal", sql, status, code, body)
	}
}

func TestEveryTableFunctionIsRefusedUnlessItMakesItsRows(t *testing.T) {
	door := open(t, Options{})
	names := list(t, "SELECT name FROM system.table_functions")
	if len(names) < 50 {
		t.Fatalf("the engine lists %d table functions", len(names))
	}
	for _, name := range names {
		if slices.Contains(openTableFunctions, name) {
			continue
		}
		for _, sql := range []string{
			"SELECT * FROM " + name + "('/etc/hostname', 'LineAsString')",
			"SELECT count() FROM `" + name + "`('http://127.0.0.1:1/x', 'CSV', 'a Int8')",
			"SELECT 1 IN (SELECT * FROM " + strings.ToUpper(name) + "())",
			"DESCRIBE TABLE " + name + "('127.0.0.1', 'theirs', 't')",
			"INSERT INTO FUNCTION " + name + "('/tmp/x') SELECT 1",
		} {
			refused(t, door, sql)
		}
	}
}

func TestFunctionsThatReachOutAreRefusedHoweverTheyAreCalled(t *testing.T) {
	door := open(t, Options{})
	known := list(t, "SELECT name FROM system.functions")
	closed := append(list(t, "SELECT name FROM system.functions WHERE categories LIKE '%AI%' OR categories LIKE '%Introspection%' OR categories LIKE '%Dictionary%'"), closedFunctions...)
	for _, name := range closed {
		if !slices.Contains(known, name) && slices.Contains([]string{"file", "sleep", "showCertificate", "catboostEvaluate"}, name) {
			t.Errorf("the engine knows no function %s: has it another name now?", name)
		}
		for _, sql := range []string{"SELECT " + name + "('/etc/hostname')", "SELECT `" + name + "`('a')", "SELECT * APPLY(" + name + ") FROM (SELECT '/etc/hostname')",
			"SELECT * APPLY " + name + " FROM t", "SELECT arrayMap(" + name + ", ['/etc/hostname'])", "SELECT arrayMap(x -> " + name + "(x), ['a'])",
			"WITH " + name + "('a') AS x SELECT x", "EXPLAIN SELECT " + name + "('a')"} {
			refused(t, door, sql)
		}
	}
	refused(t, door, "SELECT FILE('/etc/hostname')")
	refused(t, door, "SELECT dictGet('theirs.d', 'a', 1)")
	refused(t, door, "SELECT joinGet('theirs.t', 'a', 1)")
	refused(t, door, "SELECT hasColumnInTable('theirs', 't', 'a')")
}

// Categories are the engine's word. This asks what its functions do: none that is
// open brings the text of a file, of the engine's folder or another, into a result.
func TestNoFunctionReadsAFile(t *testing.T) {
	const secret = "nobody may read this"
	path := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(path, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := engine.Query(t.Context(), "SELECT file('"+path+"')", "TSV", nil); err != nil || !strings.Contains(string(got), secret) {
		t.Fatalf("past the door: got %q, %v; want the file, or this test proves nothing", got, err)
	}
	names := list(t, "SELECT name FROM system.functions")
	for _, name := range names {
		for _, arguments := range []string{"('" + path + "')", "('" + path + "', 'LineAsString')"} {
			sql := "SELECT toString(`" + name + "`" + arguments + ")"
			err := mine.Run(t.Context(), Statement{SQL: sql, Format: "TSV"}, func(_ string, _ int, chunk []byte) error {
				if strings.Contains(string(chunk), secret) {
					t.Errorf("%s: got the file", sql)
				}
				return nil
			})
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error tells what is in the file: %v", sql, err)
			}
		}
	}
	if len(names) < 1000 {
		t.Errorf("the engine lists %d functions", len(names))
	}
}

func TestWhatIsNoQuestionIsRefused(t *testing.T) {
	door := open(t, Options{})
	out := filepath.Join(t.TempDir(), "out.tsv")
	for _, sql := range []string{
		"INSERT INTO t VALUES (9, '')", "INSERT INTO t SELECT 9, ''", "WITH 1 AS x INSERT INTO t SELECT x, ''", "ALTER TABLE t DELETE WHERE 1", "ALTER TABLE t UPDATE a = 1 WHERE 1",
		"DELETE FROM t WHERE 1", "UPDATE t SET a = 1 WHERE 1", "DROP TABLE t", "DROP DATABASE mine", "TRUNCATE TABLE t", "RENAME TABLE t TO u", "EXCHANGE TABLES t AND v", "DETACH TABLE t", "ATTACH TABLE t",
		"CREATE TABLE u (a Int8) ENGINE = Memory", "CREATE TEMPORARY TABLE u (a Int8)", "CREATE TABLE u ENGINE = File(CSV) AS SELECT 1", "CREATE VIEW u AS SELECT 1", "CREATE DATABASE u", "CREATE FUNCTION f AS x -> x",
		"CREATE DICTIONARY d (a UInt8) PRIMARY KEY a SOURCE(FILE(path '/etc/passwd' format 'TSV')) LAYOUT(FLAT()) LIFETIME(1)", "CREATE NAMED COLLECTION c AS a = 1",
		"CREATE USER u", "CREATE ROLE r", "GRANT SELECT ON theirs.* TO default", "REVOKE ALL ON *.* FROM default", "SET ROLE everything", "SET ROLE ALL", "SET DEFAULT ROLE ALL TO default", "SET readonly = 0", "SET max_execution_time = 0",
		"EXECUTE AS default SELECT 1", "USE theirs", "KILL QUERY WHERE 1", "KILL MUTATION WHERE 1", "OPTIMIZE TABLE t FINAL", "CHECK TABLE t", "BACKUP DATABASE mine TO File('x')", "RESTORE DATABASE mine FROM File('x')", "UNDROP TABLE t",
		"BEGIN TRANSACTION", "COMMIT", "MOVE USER default TO x", "WATCH t", "EXCHANGE TABLES mine.t AND theirs.t", "SHOW PROCESSLIST", "SHOW GRANTS", "SHOW USERS", "SHOW ACCESS", "SHOW CREATE USER default", "SHOW CURRENT ROLES", "SHOW CLUSTERS",
		"SELECT 1 INTO OUTFILE '" + out + "'", "SELECT 1 INTO OUTFILE '" + out + "' AND STDOUT FORMAT CSV", "SELECT 1; DROP TABLE t", "SELECT 1; SET ROLE everything", "SELECT 1 /* */ ; SELECT * FROM theirs.t",
		"SELECT * FROM t SETTINGS readonly = 0", "SELECT 1 SETTINGS max_memory_usage = 0", "SELECT 1 SETTINGS max_execution_time = 100000", "SELECT 1 SETTINGS log_comment = 'belfry-0'", "SELECT 1 FORMAT TSV SETTINGS output_format_schema = '/tmp/x'",
		"SELECT 1 SETTINGS format_schema_source = 'file'", "SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)", "SELECT 1 SETTINGS additional_table_filters = {'t': '1'}", "SELECT 1 SETTINGS allow_introspection_functions = 1",
		"SELECT * FROM {t:Identifier}", "SELECT * FROM {d:Identifier}.t", "SELECT * FROM `system`.`processes`", "SELECT * FROM system . processes", "SELECT * FROM theirs.t", "SELECT (SELECT a FROM theirs.t)", "SELECT * FROM t JOIN theirs.t AS u USING a",
		"SELECT 1 WHERE 1 IN theirs.t", "EXISTS theirs.t2", "DESCRIBE theirs.t", "SHOW CREATE TABLE theirs.t", "SELECT * FROM default.`/etc/passwd`", "EXPLAIN SELECT * FROM theirs.t",
		"EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'db', 't', 'u', 'p') PARTITION BY a",
	} {
		refused(t, door, sql, "param_t", "theirs.t", "param_d", "theirs")
	}
	for _, command := range list(t, "SELECT DISTINCT replaceAll(toString(privilege), ' ', '_') FROM system.privileges WHERE startsWith(toString(privilege), 'SYSTEM ')") {
		// The engine reads what is no SYSTEM statement as SELECT SYSTEM AS ...: code 47.
		if _, _, header := get(t, door, strings.ReplaceAll(command, "_", " ")); !slices.Contains([]string{"47", "62", "164"}, header.Get("X-ClickHouse-Exception-Code")) {
			t.Errorf("%s: got code %q", command, header.Get("X-ClickHouse-Exception-Code"))
		}
	}
	for _, command := range []string{"SHUTDOWN", "KILL", "RELOAD CONFIG", "STOP MERGES", "FLUSH LOGS", "DROP MARK CACHE", "RELOAD USERS", "DROP DNS CACHE", "SYNC FILE CACHE", "ENABLE FAILPOINT x"} {
		refused(t, door, "SYSTEM "+command)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written")
	}
	if got := list(t, "SELECT count(), sum(a) FROM mine.t"); strings.Join(got, " ") != "3 3" {
		t.Errorf("the table holds %v, want what it held", got)
	}
}

func TestSystemTablesBeyondTheListAreRefused(t *testing.T) {
	door := open(t, Options{})
	for _, name := range list(t, "SELECT name FROM system.tables WHERE database = 'system'") {
		if !slices.Contains(openSystemTables, name) {
			refused(t, door, "SELECT * FROM system."+name+" LIMIT 1")
			refused(t, door, "DESCRIBE TABLE `system`."+name)
		} else if status, body, _ := get(t, door, "SELECT * FROM system."+name+" LIMIT 1"); status != 200 {
			t.Errorf("system.%s: %s", name, body)
		}
	}
	for sql, want := range map[string]string{
		"SELECT arraySort(groupUniqArray(database)) FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')": "['mine']\n",
		"SELECT count() FROM system.columns WHERE database = 'theirs'":                                                                               "0\n",
		"SELECT count() FROM system.parts WHERE database = 'theirs'":                                                                                 "0\n",
		"SELECT count() FROM information_schema.tables WHERE table_schema = 'theirs'":                                                                "0\n",
		"SHOW DATABASES LIKE 'theirs'":                              "",
		"SHOW TABLES":                                               "t\nv\n",
		"SHOW CREATE TABLE v FORMAT Null":                           "",
		"EXISTS TABLE t":                                            "1\n",
		"DESCRIBE v FORMAT JSONCompactEachRow":                      `["b", "UInt32", "", "", "", "", ""]` + "\n",
		"SELECT countIf(b < {n:UInt8}) FROM v FORMAT CSV":           "2\n",
		"(SELECT 1) UNION ALL SELECT 1":                             "1\n1\n",
		"SELECT 'file(' AS settings, 'INTO OUTFILE' AS x, 1 AS url": "file(\tINTO OUTFILE\t1\n",
		"SELECT max(a) FROM t SETTINGS max_block_size = 10":         "2\n",
		"SELECT sum(number) FROM numbers(5)":                        "10\n",
	} {
		if status, body, _ := get(t, door, sql, "param_n", "2"); status != 200 || body != want {
			t.Errorf("%s: got %d %q, want %q", sql, status, body, want)
		}
	}
}

func TestLimitsHold(t *testing.T) {
	door := open(t, Options{})
	for _, c := range []struct {
		code, sql string
		params    []string
	}{
		{"159", "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))", []string{"max_execution_time", "0.3"}},
		{"241", "SELECT uniqExact(number) FROM numbers(100000000)", []string{"max_memory_usage", "50000000"}},
		{"396", "SELECT number FROM numbers(10)", []string{"max_result_rows", "5"}},
		{"396", "SELECT number FROM numbers(4000000) FORMAT JSON", []string{"max_result_rows", "0"}},
		{"241", "SELECT repeat('x', 1000) FROM numbers(1000000) FORMAT JSON", nil},
		{"452", "SELECT 1", []string{"max_partitions_to_read", "5"}},
		{"81", "SELECT 1", []string{"database", "theirs"}},
		{"36", "SELECT 1", []string{"max_result_rows", "many"}},
		{"115", "SELECT 1", []string{"output_format_x` = 1, max_memory_usage = 0, `join_use_nulls", "1"}},
		{"73", "SELECT 1", []string{"default_format", "TSV SETTINGS max_memory_usage = 0"}},
	} {
		if _, body, header := get(t, door, c.sql, c.params...); header.Get("X-ClickHouse-Exception-Code") != c.code && !strings.Contains(body, "Code: "+c.code) {
			t.Errorf("%s with %v: got %.200s, want code %s", c.sql, c.params, body, c.code)
		}
	}
	if status, body, _ := get(t, door, "SELECT getSetting('max_execution_time'), getSetting('max_memory_usage')", "max_execution_time", "0", "max_memory_usage", "99999999999"); body != "60\t2147483648\n" {
		t.Errorf("limits that were raised: %d %q", status, body)
	}
	if status, body, _ := get(t, door, "SELECT toDateTime(0)", "session_timezone", "Europe/Paris"); status != 200 || body != "1970-01-01 01:00:00\n" {
		t.Errorf("a setting of the request: %d %q", status, body)
	}
}

func TestTooManyAtOnceAreRefused(t *testing.T) {
	busy, err := NewReader(t.Context(), engine.Reader, "mine", Limits{Sessions: 1, Wait: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	err = busy.Run(t.Context(), Statement{SQL: "SELECT number FROM numbers(1000000)", Format: "TSV"}, func(string, int, []byte) error {
		return busy.Run(t.Context(), Statement{SQL: "SELECT 1", Format: "TSV"}, func(string, int, []byte) error { return nil })
	})
	if err == nil || !strings.Contains(err.Error(), "Code: 202.") {
		t.Errorf("got %v, want code 202", err)
	}
}

func FuzzLexKeepsEveryByte(f *testing.F) {
	for _, sql := range []string{"SELECT 'a\\'b', `c\\`d` FROM x", "'", "`", "\\", "1.5e3.x", "é'"} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		at := 0
		for _, token := range lex(sql) {
			if strings.TrimLeft(sql[at:token.at], " \n\t\r") != "" || token.end <= token.at {
				t.Fatalf("%q: %q was passed over before %q", sql, sql[at:token.at], token.text)
			}
			at = token.end
		}
		if at > len(sql) || strings.TrimLeft(sql[at:], " \n\t\r") != "" {
			t.Fatalf("%q: ends at %d", sql, at)
		}
	})
}
