package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"belfry/incidents"
	"belfry/warehouse/door"
)

// doorServer is the ClickHouse door of a process: its own HTTP server, beside
// the API's, in front of sessions of the engine that can only read.
type doorServer struct {
	server   *http.Server
	listener net.Listener
}

// openDoor opens the ClickHouse door, where the engine is inside the process; a
// cluster has doors of its own.
func (p *process) openDoor(ctx context.Context) error {
	c := p.config.Door
	if p.warehouse == nil || p.options.private || c.Listen == "" || len(p.config.Warehouse.Addresses) > 0 || !p.has("api") {
		return nil
	}
	listener, err := p.listenAt(ctx, c.Listen)
	if err != nil {
		return fmt.Errorf("listen for the ClickHouse door: %w; choose another address with the configuration key door.listen, or none with door.listen: \"\"", err)
	}
	p.closeLater(func() error { // of a process that does not come to serve; closed twice otherwise
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	reader, err := door.NewReader(ctx, p.server.Reader, database, door.Limits{Time: c.MaxTime, Memory: c.MaxMemory, Rows: c.MaxRows, Sessions: c.Sessions})
	if err != nil {
		return fmt.Errorf("open the ClickHouse door: %w", err)
	}
	p.closeLater(func() error { reader.Close(); return nil })
	users := func(ctx context.Context, user, password string) (door.Backend, error) {
		if err := p.mayAsk(ctx, user, password, time.Now()); err != nil {
			return nil, err
		}
		return reader, nil
	}
	p.door = &doorServer{listener: listener, server: &http.Server{
		Handler:           door.New(door.Options{Users: users, Log: p.log, Metrics: p.metrics}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}}
	return nil
}

// doorRoles are whose tokens are passwords of the door. It shows all of a
// tenant, so a token that sees one site is none.
var doorRoles = []incidents.Role{incidents.Admin, incidents.Manager, incidents.NOC}

// mayAsk returns nil when the user is a tenant and the password a token of it
// that may see all of its readings, and door.ErrDenied otherwise.
func (p *process) mayAsk(ctx context.Context, user, password string, at time.Time) error {
	token, err := p.control.Authenticate(ctx, password, at)
	if errors.Is(err, incidents.ErrNotFound) {
		return door.ErrDenied
	}
	if err != nil {
		return fmt.Errorf("look a token up: %w", err)
	}
	if user != tenant || token.Tenant != user || token.Site != "" || !slices.Contains(doorRoles, token.Role) {
		return door.ErrDenied
	}
	return nil
}

// listenAt listens for TCP, with TLS when there is a certificate.
func (p *process) listenAt(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil || p.config.TLS.Cert == "" {
		return l, err
	}
	pair, err := tls.LoadX509KeyPair(p.config.TLS.Cert, p.config.TLS.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the certificate: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), nil
}

// run serves until the context ends; statements that run then are ended.
func (d *doorServer) run(ctx context.Context) error {
	served := make(chan error, 1)
	base, cancel := context.WithCancel(ctx)
	defer cancel()
	d.server.BaseContext = func(net.Listener) context.Context { return base }
	go func() { served <- d.server.Serve(d.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the ClickHouse door: %w", err)
	case <-ctx.Done():
	}
	stop, done := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer done()
	if err := d.server.Shutdown(stop); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop the ClickHouse door: %w", err)
	}
	<-served
	return nil
}

// doorURL returns where the door is; "" when it is shut.
func (p *process) doorURL() string {
	if p.door == nil {
		return ""
	}
	scheme := "http://"
	if p.config.TLS.Cert != "" {
		scheme = "https://"
	}
	return scheme + p.door.listener.Addr().String()
}
