package door

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"

	"belfry/warehouse/chdb"
)

// answer writes one response. Until the first bytes are on their way an error
// has a status of its own; after that it comes in ClickHouse's frame at the end
// of the body, and the connection is cut, so that nobody takes half for all. A
// client that asks for it (wait_end_of_query) gets a small result when it is
// whole, with the number of its rows in front: JDBC takes one without for empty.
type answer struct {
	w        http.ResponseWriter
	id, tag  string
	revision uint64 // of the Native format, as the client asks for; 0 is a file's
	gzip     *gzip.Writer
	blocks   *compress.Writer // ClickHouse's own compression; nil for none

	join  joiner
	start time.Time
	rows  int    // so far
	waits bool   // the client would rather wait for the end
	held  []byte // of its result, meanwhile
	began bool   // the first bytes are on their way
}

// maxHeld is how much of a result waits for its end.
const maxHeld = 1 << 20

// newAnswer reads how the client wants its answer.
func newAnswer(w http.ResponseWriter, r *http.Request) *answer {
	q := r.URL.Query()
	a := &answer{w: w, id: q.Get("query_id"), tag: rand.Text()[:16], start: time.Now(), waits: on(r, "wait_end_of_query")}
	if a.id == "" {
		a.id = rand.Text()
	}
	a.revision, _ = strconv.ParseUint(q.Get("client_protocol_version"), 10, 32)
	w.Header().Set("X-ClickHouse-Query-Id", strings.Map(printable, a.id))
	w.Header().Set("X-ClickHouse-Timezone", "UTC")
	if on(r, "compress") {
		a.blocks = compress.NewWriter(compress.LevelZero, method(q.Get("network_compression_method")))
	} else if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && q.Get("enable_http_compression") != "0" {
		a.gzip = gzip.NewWriter(w)
	}
	return a
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return '_'
	}
	return r
}

func method(name string) compress.Method {
	if strings.EqualFold(name, "ZSTD") {
		return compress.ZSTD
	}
	return compress.LZ4
}

// chunk is the Result of the statement.
func (a *answer) chunk(format string, rows int, chunk []byte) error {
	if a.join.format == "" {
		a.join = joiner{format: format, revision: a.revision}
	}
	a.rows += rows
	return a.join.next(chunk, a.write)
}

func (a *answer) write(b []byte) error {
	if a.waits && !a.began && len(a.held)+len(b) <= maxHeld {
		a.held = append(a.held, b...)
		return nil
	}
	return errors.Join(a.begin(), a.send(b))
}

// begin sends the headers and what was held.
func (a *answer) begin() error {
	if a.began {
		return nil
	}
	a.began = true
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.join.format))
	h.Set("X-ClickHouse-Format", a.join.format)
	h.Set("X-ClickHouse-Exception-Tag", a.tag)
	h.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"result_rows":"%d","elapsed_ns":"%d"}`, a.rows, time.Since(a.start).Nanoseconds()))
	if a.gzip != nil {
		h.Set("Content-Encoding", "gzip")
	}
	held := a.held
	a.held = nil
	return a.send(held)
}

func (a *answer) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if a.blocks != nil {
		return a.writeBlocks(b)
	}
	var out io.Writer = a.w
	if a.gzip != nil {
		out = a.gzip
	}
	_, err := out.Write(b)
	return err
}

// maxBlock is the size of a block of ClickHouse's own compression, before.
const maxBlock = 1 << 20

func (a *answer) writeBlocks(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxBlock)
		if err := a.blocks.Compress(b[:n]); err != nil {
			return err
		}
		if _, err := a.w.Write(a.blocks.Data); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// close ends the response of a statement that succeeded.
func (a *answer) close() error {
	err := a.begin()
	if a.gzip != nil {
		err = errors.Join(err, a.gzip.Close())
	}
	return err
}

// fail ends the response of a statement that did not.
func (a *answer) fail(refused *chdb.Error) {
	text := plain(refused) + "\n"
	if a.began {
		_ = a.send(frame(text, a.tag))
		if a.gzip != nil {
			_ = a.gzip.Flush()
		}
		_ = http.NewResponseController(a.w).Flush()
		panic(http.ErrAbortHandler)
	}
	h := a.w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(refused.Code))
	a.w.WriteHeader(status(refused.Code))
	if a.blocks != nil { // as the result would have been
		_ = a.writeBlocks([]byte(text))
		return
	}
	_, _ = io.WriteString(a.w, text)
}

// plain returns the message of an error that was passed on within the engine,
// which then says its code each time.
func plain(refused *chdb.Error) string {
	text, prefix := strings.TrimSpace(refused.Message), fmt.Sprintf("Code: %d. DB::Exception: ", refused.Code)
	for strings.HasPrefix(text, prefix+prefix) {
		text = text[len(prefix):]
	}
	return text
}

// frame writes an error the way that ClickHouse does behind a part of a result.
func frame(text, tag string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n", tag, text, len(text), tag)
	return b.Bytes()
}
