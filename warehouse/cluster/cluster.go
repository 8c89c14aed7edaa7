// Package cluster reaches ClickHouse servers over HTTP through clickhouse-go.
//
// It passes the same statements, formats and bytes as package chdb does for the
// engine inside the process, so that a warehouse does not tell them apart. It
// refuses to know what the tables mean.
package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"belfry/warehouse/chdb"
)

// Options say where the servers are and who asks.
type Options struct {
	Addresses      []string // host:port of their HTTP interfaces; the first that answers is used
	User, Password string
	Database       string      // of names without one; "" is the user's
	TLS            *tls.Config // nil: plain
	Timeout        time.Duration
	Settings       map[string]string // of each statement
}

// Servers is a pool of connections. Its methods may be called from many goroutines.
type Servers struct{ conn driver.Conn }

// Open connects; it does not wait for an answer (see Ping).
func Open(o Options) (*Servers, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	settings := clickhouse.Settings{}
	for name, value := range o.Settings {
		settings[name] = value
	}
	conn, err := clickhouse.Open(&clickhouse.Options{
		Protocol:    clickhouse.HTTP,
		Addr:        o.Addresses,
		Auth:        clickhouse.Auth{Username: o.User, Password: o.Password, Database: o.Database},
		TLS:         o.TLS,
		Settings:    settings,
		DialTimeout: o.Timeout,
		ReadTimeout: 10 * time.Minute,
		Compression: &clickhouse.Compression{Method: clickhouse.CompressionNone},
	})
	if err != nil {
		return nil, fmt.Errorf("connect to ClickHouse at %v: %w", o.Addresses, err)
	}
	return &Servers{conn: conn}, nil
}

// Ping returns nil when a server answers.
func (s *Servers) Ping(ctx context.Context) error { return translate(s.conn.Ping(ctx)) }

// Close gives the connections up.
func (s *Servers) Close() { _ = s.conn.Close() }

// Query runs a statement; see chdb.Engine.Query.
func (s *Servers) Query(ctx context.Context, sql, format string, params map[string]string) ([]byte, error) {
	var out bytes.Buffer
	err := s.Stream(ctx, sql, format, params, func(b []byte) error {
		out.Write(b)
		return nil
	})
	return out.Bytes(), err
}

// Stream runs a query and hands its result over chunk by chunk; see
// chdb.Engine.Stream.
func (s *Servers) Stream(ctx context.Context, sql, format string, params map[string]string, chunk func([]byte) error) error {
	body, err := s.conn.QueryFormat(withParams(ctx, params), format, sql)
	if err != nil {
		return translate(err)
	}
	defer body.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if err := chunk(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return translate(err)
		}
	}
}

// Insert runs an INSERT statement that has neither a FORMAT nor values, and
// feeds it the data; see chdb.Engine.Insert.
func (s *Servers) Insert(ctx context.Context, sql, format string, data ...[]byte) error {
	readers := make([]io.Reader, len(data))
	for i, d := range data {
		readers[i] = bytes.NewReader(d)
	}
	return translate(s.conn.InsertFormat(ctx, format, sql, io.MultiReader(readers...)))
}

func withParams(ctx context.Context, params map[string]string) context.Context {
	if len(params) == 0 {
		return ctx
	}
	return clickhouse.Context(ctx, clickhouse.WithParameters(clickhouse.Parameters(params)))
}

// translate gives a server's refusal the form that the embedded engine's has.
func translate(err error) error {
	var refused *clickhouse.Exception
	if errors.As(err, &refused) {
		return &chdb.Error{Code: int(refused.Code), Message: refused.Error()}
	}
	return err
}
