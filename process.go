package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/valyala/fasthttp/fasthttputil"
	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/incidents/notices"
	"belfry/incidents/store"
	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/warehouse"
)

// The tenant there is without any configuration, and its database.
const (
	tenant   = "default"
	database = "belfry_default"
)

// process is a belfry at work over a data folder: the parts that its roles name,
// wired together. newProcess opens them, run lets them work until the context
// ends, close gives them back.
type process struct {
	config  Config
	options processOptions
	log     *slog.Logger
	metrics *prometheus.Registry

	folder    *folder
	token     string // the administrator's; "" when it cannot be read
	newToken  string // the same, when this process made it
	control   *store.Control
	tickets   *store.Tickets
	broker    *broker.Broker // nil when the log is elsewhere
	server    *warehouse.Server
	warehouse *warehouse.Warehouse
	intake    *ingest.Intake
	dead      *ingest.DeadLetters
	consumer  *ingest.Consumer
	desk      *incidents.Desk
	notices   *notices.Worker
	fleet     *fleetKeeper
	ruleFiles ruleFiles
	rules     *analyzer.RuleSet
	analyzer  *analyzer.Analyzer // nil when another process evaluates
	app       *fiber.App
	listener  net.Listener
	door      *doorServer // nil when it is shut

	closers []func() error // in the order of opening
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
		p.openFolder, p.openStores, p.openLog, p.openWarehouse, p.openIngest, p.openAnalyzer, p.openDoor, p.openAPI,
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
func (p *process) close() error {
	var errs []error
	for _, f := range slices.Backward(p.closers) {
		errs = append(errs, f())
	}
	p.closers = nil
	return errors.Join(errs...)
}

func (p *process) openFolder(context.Context) (err error) {
	if p.folder, err = openFolder(p.config.Data); err != nil {
		return err
	}
	p.closeLater(p.folder.close)
	return nil
}

// openStores opens the databases of tokens and of tickets, and makes the
// administrator's token at the first start.
func (p *process) openStores(ctx context.Context) (err error) {
	if p.control, err = store.OpenControl(ctx, p.folder.file("control.db")); err != nil {
		return err
	}
	p.closeLater(p.control.Close)
	if p.tickets, err = p.openTickets(ctx); err != nil {
		return err
	}
	p.closeLater(p.tickets.Close)
	p.desk = incidents.NewDesk(incidents.WithNotices(p.tickets, p.config.Mail.Server != "", time.Now), incidents.Config{}, p.metrics, p.log)
	p.notices = notices.New(notices.Options{Outbox: p.tickets, Tenant: tenant, AllowPrivate: p.config.Webhooks.AllowPrivate, Now: time.Now,
		Mail: notices.Mail{Server: p.config.Mail.Server, User: p.config.Mail.User, Password: p.config.Mail.Password, From: p.config.Mail.From},
		Log:  p.log, Registerer: p.metrics})
	return p.openToken(ctx)
}

// openTickets opens the tenant's database: on the configured server, or in the folder.
func (p *process) openTickets(ctx context.Context) (*store.Tickets, error) {
	if source := p.config.Tickets.Postgres; source != "" {
		return store.OpenPostgres(ctx, source)
	}
	dir := p.folder.file("tenants", tenant)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the tenant's folder: %w", err)
	}
	return store.Open(ctx, filepath.Join(dir, "tickets.db"))
}

func (p *process) openToken(ctx context.Context) error {
	tokens, err := p.control.Tokens(ctx, tenant)
	if err != nil {
		return err
	}
	if len(tokens) > 0 {
		// Whoever took the file away wants to keep the token elsewhere.
		p.token, _ = readToken(p.folder.path)
		return nil
	}
	_, secret, err := p.control.CreateToken(ctx, incidents.Token{Name: "admin", Role: incidents.Admin, Tenant: tenant}, time.Now())
	if err != nil {
		return fmt.Errorf("make the administrator's token: %w", err)
	}
	p.token, p.newToken = secret, secret
	return p.folder.writeToken(secret)
}

// openWarehouse opens ClickHouse for the parts that read or write readings.
func (p *process) openWarehouse(ctx context.Context) (err error) {
	if p.options.private && len(p.config.Roles) == 1 {
		return nil // a command that asks about sites, devices or tokens
	}
	c := p.config.Warehouse
	secured, err := c.TLS.clientConfig()
	if err != nil {
		return err
	}
	p.server, err = warehouse.Open(warehouse.Options{Path: p.folder.file("warehouse"), Library: c.Library, Readers: []string{database}, Addresses: c.Addresses,
		User: c.User, Password: c.Password, TLS: secured, Log: p.log, Metrics: p.metrics})
	if err != nil {
		return err
	}
	p.closeLater(func() error { p.server.Close(); return nil })
	p.warehouse, err = p.server.Database(ctx, database)
	return err
}

// run lets the parts work until the context ends or one of them fails; then all
// of them drain and stop.
func (p *process) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.serveAPI(ctx) })
	if p.door != nil {
		group.Go(func() error { return p.door.run(ctx) })
	}
	if p.consumer != nil {
		group.Go(func() error { return p.consumer.Run(ctx) })
	}
	if p.warehouse != nil {
		group.Go(func() error { return p.fleet.run(ctx) })
	}
	if p.analyzer != nil {
		group.Go(func() error { return p.runAnalyzer(ctx) })
	}
	if !p.options.private {
		group.Go(func() error { return p.notices.Run(ctx) })
	}
	group.Go(func() error { return p.tick(ctx) })
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// tick lets the desk do what it does by itself.
func (p *process) tick(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-tick.C:
			if _, err := p.desk.Tick(ctx, at); err != nil && ctx.Err() == nil {
				p.log.Warn("the desk's timers did not run", "error", err)
			}
		}
	}
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
	go func() { served <- p.app.Listener(p.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve the API: %w", err)
	case <-ctx.Done():
	}
	if err := p.app.ShutdownWithTimeout(5 * time.Second); err != nil && !errors.Is(err, context.DeadlineExceeded) {
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
