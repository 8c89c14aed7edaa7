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
	"belfry/warehouse/chdb"
	"belfry/warehouse/door"
)

// doorServer is the ClickHouse door of a process: its own HTTP server, beside
// the API's, in front of sessions of the engine that can only read.
type doorServer struct {
	server   *http.Server
	listener net.Listener
}

// hasDoor reports whether the process opens the ClickHouse door.
func (p *process) hasDoor() bool {
	return p.server != nil && !p.options.private && p.config.Door.Listen != "" && len(p.config.Warehouse.Addresses) == 0 && p.has("api")
}

// openReader opens the tenant's sessions behind the door.
func (w *watch) openReader(ctx context.Context) (err error) {
	if !w.hasDoor() {
		return nil
	}
	c := w.config.Door
	w.reader, err = door.NewReader(ctx, w.server.Reader, w.database(), door.Limits{Time: c.MaxTime, Memory: c.MaxMemory, Rows: c.MaxRows, Sessions: c.Sessions})
	if errors.Is(err, chdb.ErrNoRole) {
		w.log.Warn("the ClickHouse door opens for this tenant when belfry is started again", "tenants_between_starts", spareReaders)
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the ClickHouse door: %w", err)
	}
	w.closeLater(func() error { w.reader.Close(); return nil })
	return nil
}

// openDoor opens the ClickHouse door, where the engine is inside the process; a
// cluster has doors of its own.
func (p *process) openDoor(ctx context.Context) error {
	c := p.config.Door
	if !p.hasDoor() {
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
	users := func(ctx context.Context, user, password string) (door.Backend, error) {
		w, err := p.mayAsk(ctx, user, password, time.Now())
		if err != nil {
			return nil, err
		}
		return w.reader, nil
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

// mayAsk returns the tenant whose name the user is, when the password is a token
// of it that may see all of its readings, and door.ErrDenied otherwise.
func (p *process) mayAsk(ctx context.Context, user, password string, at time.Time) (*watch, error) {
	token, err := p.control.Authenticate(ctx, password, at)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, door.ErrDenied
	}
	if err != nil {
		return nil, fmt.Errorf("look a token up: %w", err)
	}
	w := p.watches.find(user)
	if w == nil || token.Tenant != user || token.Site != "" || !token.Covers("door", false) || !slices.Contains(doorRoles, token.Role) {
		return nil, door.ErrDenied
	}
	if w.reader == nil {
		return nil, door.ErrLater
	}
	return w, nil
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
