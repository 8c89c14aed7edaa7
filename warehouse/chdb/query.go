package chdb

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"
)

// Error is a refusal by the engine.
type Error struct {
	Code    int    // ClickHouse's code, such as 60 for a table that does not exist; 0 when it gave none
	Message string // ClickHouse's message
}

// Error returns ClickHouse's message, which names the code.
func (e *Error) Error() string { return e.Message }

var codePattern = regexp.MustCompile(`^Code: (\d+)\.`)

func newError(message string) error {
	message = strings.TrimSpace(message)
	e := &Error{Message: message}
	if m := codePattern.FindStringSubmatch(message); m != nil {
		e.Code, _ = strconv.Atoi(m[1])
	}
	return e
}

// escaper writes a value the way the engine reads a bound one: as a field of
// its TSV format.
var escaper = strings.NewReplacer("\\", `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`, "\x00", `\0`, "\b", `\b`, "\f", `\f`)

func split(params map[string]string) (names, values []string) {
	names = slices.Sorted(maps.Keys(params))
	for _, n := range names {
		values = append(values, escaper.Replace(params[n]))
	}
	return names, values
}

// Query runs a statement and returns its result in the format, as bytes that
// the caller owns. Statements without a result return no bytes. The params are
// the values of the placeholders {name:Type} in the statement, as plain text.
func (e *Engine) Query(ctx context.Context, sql, format string, params map[string]string) ([]byte, error) {
	var out []byte
	err := e.with(ctx, func(c *conn) error {
		var err error
		out, err = e.run(c, sql, format, params)
		return err
	})
	return out, err
}

func (e *Engine) run(c *conn, sql, format string, params map[string]string) ([]byte, error) {
	out, _, err := e.runRows(c, sql, format, params)
	return out, err
}

// runRows runs a statement and also returns how many rows its result has.
func (e *Engine) runRows(c *conn, sql, format string, params map[string]string) (out []byte, rows int, err error) {
	result := e.call(e.lib.queryWithParams, c, sql, format, params)
	defer e.lib.resultDestroy(result)
	if err := e.failure(result); err != nil {
		return nil, 0, e.rinsed(c, err)
	}
	return append([]byte(nil), e.bytes(result)...), int(e.lib.resultRows(result)), nil
}

type startFunc func(conn unsafe.Pointer, sql *byte, sqlLen uintptr, format *byte, formatLen uintptr, names **byte, nameLens *uintptr, values **byte, valueLens *uintptr, n uintptr) unsafe.Pointer

func (e *Engine) call(start startFunc, c *conn, sql, format string, params map[string]string) unsafe.Pointer {
	var pin pinned
	defer pin.Unpin()
	names, values := split(params)
	namePtrs, nameLens := pin.strings(names)
	valuePtrs, valueLens := pin.strings(values)
	s, f := append([]byte(sql), 0), append([]byte(format), 0)
	return start(c.raw(), &s[0], uintptr(len(sql)), &f[0], uintptr(len(format)),
		namePtrs, nameLens, valuePtrs, valueLens, uintptr(len(names)))
}

// failure returns the error that a result carries, or nil.
func (e *Engine) failure(result unsafe.Pointer) error {
	if result == nil {
		return &Error{Message: "the engine gave no result"}
	}
	if message := e.lib.resultError(result); message != "" {
		return newError(message)
	}
	return nil
}

// bytes returns the engine's own memory: valid until the result is destroyed.
func (e *Engine) bytes(result unsafe.Pointer) []byte {
	return unsafe.Slice(e.lib.resultBuffer(result), e.lib.resultLength(result))
}

// Stream runs a query and hands its result over chunk by chunk, so that a large
// one is never held in memory. Each chunk is a document of the format by itself,
// with its own header and end where the format has them. A chunk is the
// engine's: it is valid only during the call. An error of the callback ends the
// query and is returned.
func (e *Engine) Stream(ctx context.Context, sql, format string, params map[string]string, chunk func([]byte) error) error {
	return e.with(ctx, func(c *conn) error {
		return e.stream(ctx, c, sql, format, params, func(_ int, b []byte) error { return chunk(b) })
	})
}

func (e *Engine) stream(ctx context.Context, c *conn, sql, format string, params map[string]string, chunk func(rows int, b []byte) error) error {
	stream := e.call(e.lib.streamQueryWithParams, c, sql, format, params)
	defer e.lib.resultDestroy(stream)
	if err := e.failure(stream); err != nil {
		return err
	}
	for {
		more, err := e.fetch(c, stream, chunk)
		if err != nil {
			e.lib.streamCancel(c.raw(), stream)
			return err
		}
		if !more {
			return nil
		}
		if ctx.Err() != nil {
			e.lib.streamCancel(c.raw(), stream)
			return context.Cause(ctx)
		}
	}
}

func (e *Engine) fetch(c *conn, stream unsafe.Pointer, chunk func(rows int, b []byte) error) (more bool, err error) {
	result := e.lib.streamFetch(c.raw(), stream)
	defer e.lib.resultDestroy(result)
	if err := e.failure(result); err != nil {
		return false, err
	}
	b := e.bytes(result)
	if len(b) == 0 {
		return false, nil
	}
	return true, chunk(int(e.lib.resultRows(result)), b)
}

// Insert runs an INSERT statement that has neither a FORMAT nor values, and
// feeds it the data, whose chunks together are in the format. It returns once
// the engine has committed the data; after an error none of a small insert is
// in the table, and of a large one whole blocks may be.
func (e *Engine) Insert(ctx context.Context, sql, format string, data ...[]byte) error {
	return e.with(ctx, func(c *conn) error {
		s, f := append([]byte(sql), 0), append([]byte(format), 0)
		stream := e.lib.insert(c.raw(), &s[0], uintptr(len(sql)), &f[0], uintptr(len(format)))
		defer e.lib.insertDestroy(stream)
		if message := e.lib.insertError(stream); message != "" {
			return newError(message)
		}
		for _, chunk := range data {
			if len(chunk) > 0 && e.lib.insertAppend(stream, &chunk[0], uintptr(len(chunk))) != 0 {
				break // insertDone has the reason
			}
		}
		result := e.lib.insertDone(stream)
		defer e.lib.resultDestroy(result)
		return e.failure(result)
	})
}

// killEvery is the time between two attempts to end a statement.
const killEvery = 5 * time.Millisecond

// kill ends the statement that runs on the connection. It repeats until done is
// closed, since a statement that is still being parsed is not listed yet.
func (e *Engine) kill(c *conn, done <-chan struct{}) {
	e.killMu.Lock()
	defer e.killMu.Unlock()
	sql := fmt.Sprintf("KILL QUERY WHERE Settings['log_comment'] = '%s' ASYNC", c.mark)
	for {
		select {
		case <-done:
			return
		case <-time.After(killEvery):
			// The answer is of no interest: the statement's own says whether it ended.
			_, _ = e.run(e.killer, sql, "Null", nil)
		}
	}
}
