package door

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// credentials returns who asks, from the places that ClickHouse takes it from.
func credentials(r *http.Request) (user, password string) {
	if u, p, ok := r.BasicAuth(); ok {
		return u, p
	}
	if u := r.Header.Get("X-ClickHouse-User"); u != "" {
		return u, r.Header.Get("X-ClickHouse-Key")
	}
	q := r.URL.Query()
	if user = q.Get("user"); user == "" {
		user = "default"
	}
	return user, q.Get("password")
}

// maxStatement is the size of the longest statement that is read.
const maxStatement = 1 << 20

// statement reads the statement of a request: the parameter query, the body, or
// one after the other. A GET may not write, which here nothing may.
func statement(r *http.Request) (Statement, error) {
	s := Statement{Format: "TabSeparated", Params: map[string]string{}, Settings: map[string]string{}}
	if f := r.Header.Get("X-ClickHouse-Format"); f != "" {
		s.Format = f
	}
	q := r.URL.Query()
	for name, values := range q {
		if param, ok := strings.CutPrefix(name, "param_"); ok {
			s.Params[param] = values[0]
		} else if name == "default_format" {
			s.Format = values[0]
		} else if name != "query" {
			s.Settings[name] = values[0]
		}
	}
	if db := r.Header.Get("X-ClickHouse-Database"); db != "" && s.Settings["database"] == "" {
		s.Settings["database"] = db
	}
	body, err := readBody(r)
	if err != nil {
		return s, err
	}
	s.SQL = strings.TrimSpace(strings.TrimSpace(q.Get("query")) + "\n" + body)
	if s.SQL == "" {
		return s, refusal(codeSyntax, "Syntax error: Empty query")
	}
	return s, nil
}

// readBody returns the body, unpacked.
func readBody(r *http.Request) (string, error) {
	if r.Method != http.MethodPost {
		return "", nil
	}
	var in io.Reader = r.Body
	switch e := r.Header.Get("Content-Encoding"); e {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return "", refusal(codeBadArguments, "the body is not gzip: %v", err)
		}
		in = z
	default:
		return "", refusal(codeNotImplemented, "Content-Encoding %s; want gzip or none", e)
	}
	if on(r, "decompress") {
		in = compress.NewReader(in)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxStatement+1))
	if err != nil && !errors.Is(err, io.EOF) {
		return "", refusal(codeBadArguments, "read the body: %v", err)
	}
	if len(text) > maxStatement {
		return "", refusal(codeSyntax, "the statement is longer than %d bytes", maxStatement)
	}
	return string(text), nil
}

// on reports whether a flag of the request is set.
func on(r *http.Request, flag string) bool {
	v := r.URL.Query().Get(flag)
	return v == "1" || v == "true"
}
