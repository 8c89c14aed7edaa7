package door

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
)

var clickHouseError = regexp.MustCompile(`^Code: \d+\. DB::Exception: `)

// FuzzRequest sends what a stranger with a password may send: parameters, headers
// and a body. Whatever comes is answered, in ClickHouse's form when it is refused.
func FuzzRequest(f *testing.F) {
	f.Add("query=SELECT+1&max_result_rows=5&param_a=b", "CSV", "", []byte(nil))
	f.Add("compress=1&decompress=1&wait_end_of_query=1", "RowBinaryWithNamesAndTypes", "gzip", []byte(zipped("SELECT 1")))
	f.Add("client_protocol_version=54460&network_compression_method=zstd", "Native", "", []byte("SELECT 1 AS a, [toLowCardinality('x')] AS b WHERE 0"))
	f.Add("session_timezone=Nowhere&output_format_json_quote_64bit_integers=maybe", "JSON", "identity", []byte("SELECT {a:UInt8}, `b` FROM t SETTINGS final = 1"))
	f.Add("database=mine&query_id=%0d%0aX:%201&%zz", "Hats", "br", []byte("\x00"))
	d := New(Options{Penalty: time.Millisecond, Users: users})
	f.Fuzz(func(t *testing.T, query, format, encoding string, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		r.URL.RawQuery = "user=default&password=secret&max_execution_time=1&" + query
		r.Header.Set("X-ClickHouse-Format", format)
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		cut := served(d, w, r)
		text := w.Body.Bytes()
		if unpacked, _ := io.ReadAll(compress.NewReader(w.Body)); len(unpacked) > 0 { // its end is an error of its own
			text = unpacked
		}
		if !cut && w.Code != http.StatusOK && !clickHouseError.Match(text) {
			t.Errorf("status %d with %q", w.Code, text)
		}
		if rows := list(t, "SELECT count(), sum(a) FROM mine.t"); rows[0] != "3" || rows[1] != "3" {
			t.Fatalf("the table holds %v", rows)
		}
	})
}

// served reports whether the connection was cut in the middle of an answer.
func served(d *Door, w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			cut = true
		} else if p != nil {
			panic(p)
		}
	}()
	d.ServeHTTP(w, r)
	return false
}

// FuzzNative walks over blocks that end anywhere and lie about their lengths: the
// walk ends, and what it passes on without a version is what it was given.
func FuzzNative(f *testing.F) {
	for _, sql := range []string{"SELECT 1 AS a, 'x' AS b", "SELECT [toLowCardinality('a')] AS l, map('k', toNullable(2)) AS m, (1, 'b') AS t FROM numbers(3)", "SELECT toFixedString('a', 3), toDecimal64(1, 2), [[1], []]"} {
		block, err := engine.Query(f.Context(), sql, "Native", nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(block, uint64(0))
		f.Add(block, uint64(versionSerialization))
	}
	f.Fuzz(func(t *testing.T, data []byte, version uint64) {
		var out []byte
		err := eachBlock(data, version, func(b []byte) error {
			if len(out) > 1<<20 {
				return errors.New("enough")
			}
			out = append(out, b...)
			return nil
		})
		if version == 0 && err == nil && !bytes.Equal(out, data) {
			t.Errorf("got %x of %x", out, data)
		}
	})
}
