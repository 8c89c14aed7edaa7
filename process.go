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
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp/fasthttputil"
	"golang.org/x/sync/errgroup"

	"belfry/api"
	"belfry/api/oidc"
	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/warehouse"
)

// process is a belfry at work over a data folder: what all tenants share (the
// folder, the database of tokens, the broker, the engine, the listeners), and a
// watch for each tenant. newProcess opens them, run lets them work until the
// context ends, close gives them back.
type process struct {
	config  Config
	options processOptions
	log     *slog.Logger
	metrics *prometheus.Registry // of what is no tenant's

	folder   *folder
	token    string // the administrator's; "" when it cannot be read
	newToken string // the same, when this process made it
	control  *store.Control
	provider *oidc.Provider    // of identities; nil when there is none
	broker   *broker.Broker    // nil when the log is elsewhere, or not needed
	server   *warehouse.Server // nil when it is not needed
	watches  *watches
	gate     *fiber.App
	listener net.Listener
	door     *doorServer // nil when it is shut

	closers closers
}

// closers give back what was opened, the last opened first.
type closers []func() error

func (c *closers) close() error {
	var errs []error
	for _, f := range slices.Backward(*c) {
		errs = append(errs, f())
	}
	*c = nil
	return errors.Join(errs...)
}

// processOptions are what a command says beside the configuration.
type processOptions struct {
	log     *slog.Logger
	private bool            // serve the API in memory, and take free ports
	rules   ruleFiles       // run these instead of the configured rules
	begin   <-chan struct{} // the analyzer waits for it to close; nil: it does not wait
	since   time.Time       // where rules without progress begin; zero: see analyzer.Config.Start
}

// newProcess opens the parts. What was opened is closed again when one of them
// can't be.
func newProcess(ctx context.Context, config Config, options processOptions) (*process, error) {
	p := &process{config: config, options: options, log: options.log, metrics: prometheus.NewRegistry()}
	p.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, open := range []func(context.Context) error{
		p.openFolder, p.openProvider, p.openControl, p.openBroker, p.openServer, p.openWatches, p.openDoor, p.openGate,
	} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	return p, nil
}

func (p *process) has(role string) bool { return slices.Contains(p.config.Roles, role) }

func (p *process) closeLater(f func() error) { p.closers = append(p.closers, f) }

// close gives the parts back, the last opened first.
func (p *process) close() error { return p.closers.close() }

func (p *process) openFolder(context.Context) (err error) {
	if p.folder, err = openFolder(p.config.Data); err != nil {
		return err
	}
	p.closeLater(p.folder.close)
	p.measureDisk()
	return nil
}

func (p *process) openToken(ctx context.Context) error {
	tokens, err := p.control.Tokens(ctx, store.DefaultTenant)
	if err != nil {
		return err
	}
	if len(tokens) > 0 {
		// Whoever took the file away wants to keep the token elsewhere.
		p.token, _ = readToken(p.folder.path)
		return nil
	}
	_, secret, err := p.control.CreateToken(ctx, incidents.Token{Name: "admin", Role: incidents.Admin, Tenant: store.DefaultTenant, Provider: true}, time.Now())
	if err != nil {
		return fmt.Errorf("make the administrator's token: %w", err)
	}
	p.token, p.newToken = secret, secret
	return p.folder.writeToken(secret)
}

// warehouseless reports whether the process only asks about sites, devices and
// tokens, for which neither the log nor the engine need start.
func (p *process) warehouseless() bool {
	return p.options.private && len(p.config.Roles) == 1
}

// openBroker starts the broker inside the process, unless the configuration
// names brokers.
func (p *process) openBroker(context.Context) (err error) {
	if p.warehouseless() || len(p.config.Log.Brokers) > 0 {
		return nil
	}
	address := p.config.Log.Listen
	if p.options.private {
		address = "127.0.0.1:0"
	}
	options := broker.Options{Dir: p.folder.file("log"), Addr: address, Sync: p.config.Log.Sync, Log: p.log}
	if p.config.Log.Retention > 0 {
		options.File = trimmedFile
	}
	p.broker, err = broker.Start(options)
	if err != nil {
		return fmt.Errorf("start the log: %w; choose another address with the configuration key log.listen", err)
	}
	p.closeLater(p.broker.Close)
	p.measureLog()
	return nil
}

// trimmedFile is the size of the files of a log that is trimmed, in bytes: of each
// partition at most about one of them holds what could go. Smaller ones are more to
// keep open.
const trimmedFile = 8 << 20

// connection returns the way to the log.
func (p *process) connection() ingest.Connection {
	c := logConnection(p.config.Log)
	if p.broker != nil {
		c.Brokers = []string{p.broker.Addr()}
	}
	return c
}

// openServer opens ClickHouse for the parts that read or write readings.
func (p *process) openServer(ctx context.Context) error {
	if p.warehouseless() {
		return nil
	}
	c := p.config.Warehouse
	secured, err := c.TLS.clientConfig()
	if err != nil {
		return err
	}
	readers, err := p.readers(ctx)
	if err != nil {
		return err
	}
	p.server, err = warehouse.Open(warehouse.Options{Path: p.folder.file("warehouse"), Library: c.Library, Readers: readers, Addresses: c.Addresses,
		User: c.User, Password: c.Password, TLS: secured, Log: p.log, Retention: warehouse.Retention(c.Retention)})
	if err != nil {
		return err
	}
	p.closeLater(func() error { p.server.Close(); return nil })
	return nil
}

// spareReaders is how many tenants may be added before the ClickHouse door needs a
// restart to open for the next: the engine takes its roles when it boots, and the
// numbers of the tenants to come are known by then. A thousand cost the start a
// tenth of a second.
const spareReaders = 1024

// readers returns the databases that the ClickHouse door is to open for.
func (p *process) readers(ctx context.Context) (names []string, err error) {
	tenants, err := p.control.Tenants(ctx)
	next := int64(1)
	for _, t := range tenants {
		names = append(names, databaseOf(t))
		next = max(next, t.Number+1)
	}
	for i := range int64(spareReaders) {
		names = append(names, databaseOf(store.Tenant{Number: next + i}))
	}
	return names, err
}

// run lets the parts work until the context ends or one of them fails; then all
// of them drain and stop.
func (p *process) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.serveAPI(ctx) })
	group.Go(func() error { return p.takeMail(ctx) })
	if p.door != nil {
		group.Go(func() error { return p.door.run(ctx) })
	}
	group.Go(func() error { return p.watches.run(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// openGate opens the API's listener, puts the gate to the tenants' APIs behind it
// and says in the lock file where it is.
func (p *process) openGate(ctx context.Context) (err error) {
	p.gate = api.NewGate(p.watches.home.app, p.watches.handlerOf)
	if p.listener, err = p.listen(ctx); err != nil {
		return err
	}
	return p.folder.announce(holder{API: p.url(), Door: p.doorURL(), Brokers: p.connection().Brokers, Topic: p.config.Log.Topic})
}

// showMetrics is GET /metrics: what is measured of the process and of each tenant.
func (p *process) showMetrics(w http.ResponseWriter, r *http.Request) {
	all := prometheus.Gatherers{p.metrics}
	for _, watch := range p.watches.list() {
		all = append(all, watch.registry)
	}
	promhttp.HandlerFor(all, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// memoryListener serves the API to this process alone.
type memoryListener struct{ *fasthttputil.InmemoryListener }

// dial connects to the API of a private process.
func (p *process) dial() (net.Conn, error) { return p.listener.(memoryListener).Dial() }

// listen opens the API's listener.
func (p *process) listen(ctx context.Context) (net.Listener, error) {
	if p.options.private {
		return memoryListener{fasthttputil.NewInmemoryListener()}, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", p.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w; choose another address with the configuration key listen", err)
	}
	if p.config.TLS.Cert == "" {
		return l, nil
	}
	own, err := openCertificate(p.config.TLS, time.Now, p.log)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, own.config()), nil
}

// serveAPI answers requests until the context ends, and then those that run.
func (p *process) serveAPI(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- p.gate.Listener(p.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	if err := p.gate.ShutdownWithTimeout(5 * time.Second); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop the API: %w", err)
	}
	<-served
	return nil
}

// url returns where the API is.
func (p *process) url() string {
	if p.options.private {
		return ""
	}
	scheme := "http://"
	if p.config.TLS.Cert != "" {
		scheme = "https://"
	}
	return scheme + strings.Replace(p.listener.Addr().String(), "[::]", "127.0.0.1", 1)
}
