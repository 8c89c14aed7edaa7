package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/incidents/alerts"
	"belfry/incidents/mailbox"
	"belfry/incidents/notices"
	"belfry/incidents/store"
	"belfry/ingest"
	"belfry/warehouse"
	"belfry/warehouse/door"
)

// watch is what belfry keeps for one tenant: a topic, a warehouse and tickets of
// its own, and the parts that work on them, wired together. The parts know of no
// other tenant; what all share is the process's.
type watch struct {
	*process
	tenant   string
	number   int64 // of the tenant, never given again
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  prometheus.Registerer // puts the tenant on what it registers

	tickets   *store.Tickets
	warehouse *warehouse.Warehouse // nil when it is not needed
	sql       *ruleSQL             // answers the queries of rules; nil without a warehouse
	intake    *ingest.Intake
	dead      *ingest.DeadLetters
	consumer  *ingest.Consumer
	desk      *incidents.Desk
	notices   *notices.Worker
	mailbox   *mailbox.Mailbox // nil when no e-mail comes in
	fleet     *fleetKeeper
	mirror    *mirror // nil when another process copies the incidents
	rules     *ruleBook
	arrived   *ingest.Consumer   // says how far ingestion is; nil when nobody evaluates here
	analyzer  *analyzer.Analyzer // nil when another process evaluates
	ticked    prometheus.Gauge   // when the desk's timers last ran
	alerts    *alerts.Sender     // nil when no Alertmanager is told
	app       *fiber.App
	handler   fasthttp.RequestHandler // of app
	reader    *door.Reader            // nil when the door is shut

	stop  func()        // ends run; nil before it began
	ended chan struct{} // closed when run has ended

	requests sync.RWMutex // held for reading by each request
	retired  bool

	closers closers
}

// openWatch opens a tenant's parts.
func (p *process) openWatch(ctx context.Context, t store.Tenant) (*watch, error) {
	w := &watch{process: p, tenant: t.Name, number: t.Number, log: p.log, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	if t.Name != store.DefaultTenant {
		w.log = p.log.With("tenant", t.Name)
	}
	w.metrics = prometheus.WrapRegistererWith(prometheus.Labels{"tenant": t.Name}, w.registry)
	for _, open := range []func(context.Context) error{
		w.openDesk, w.openMailbox, w.openLog, w.openWarehouse, w.openIngest, w.openAnalyzer, w.openAlerts, w.openReader, w.openAPI,
	} {
		if err := open(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("tenant %s: %w", t.Name, err), w.close())
		}
	}
	return w, nil
}

func (w *watch) closeLater(f func() error) { w.closers = append(w.closers, f) }

// close gives the tenant's parts back, the last opened first.
func (w *watch) close() error { return w.closers.close() }

// openDesk opens the tickets and those who work on them.
func (w *watch) openDesk(ctx context.Context) (err error) {
	if w.tickets, err = w.openTickets(ctx); err != nil {
		return err
	}
	w.closeLater(w.tickets.Close)
	w.measureDesk()
	w.desk = incidents.NewDesk(incidents.WithNotices(w.tickets, w.config.Mail.Server != "", time.Now), incidents.Config{GroupWait: w.config.Incidents.GroupWait, StormLimit: w.config.Incidents.StormLimit}, w.metrics, w.log)
	w.notices = notices.New(notices.Options{Outbox: w.tickets, URL: w.config.URL, Kept: w.config.Mail.Kept, Tenant: w.tenant, AllowPrivate: w.config.Webhooks.AllowPrivate, Now: time.Now, Office: w.desk.Office,
		Mail: notices.Mail{Server: w.config.Mail.Server, User: w.config.Mail.User, Password: w.config.Mail.Password, From: w.config.Mail.From},
		Log:  w.log, Registerer: w.metrics})
	return nil
}

// openTickets opens the tenant's database: on the configured server, or in the folder.
func (w *watch) openTickets(ctx context.Context) (*store.Tickets, error) {
	if source := w.config.Tickets.Postgres; source != "" {
		return store.OpenPostgresSchema(ctx, source, schemaOf(w.tenant))
	}
	dir := w.folder.file("tenants", w.tenant)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create the tenant's folder: %w", err)
	}
	return store.Open(ctx, filepath.Join(dir, "tickets.db"))
}

// schemaOf returns the name of a tenant's schema in PostgreSQL; the default tenant
// lives in that which the server gives.
func schemaOf(tenant string) string {
	if tenant == store.DefaultTenant {
		return ""
	}
	return "belfry_tenant_" + tenant
}

// databaseOf returns the name of a tenant's database in ClickHouse. It has the
// tenant's number: see spareReaders.
func databaseOf(t store.Tenant) string {
	if t.Name == store.DefaultTenant {
		return "belfry_default"
	}
	return fmt.Sprintf("belfry_tenant_%d", t.Number)
}

// database is that of this tenant.
func (w *watch) database() string { return databaseOf(store.Tenant{Name: w.tenant, Number: w.number}) }

// openWarehouse opens the tenant's database in ClickHouse.
func (w *watch) openWarehouse(ctx context.Context) (err error) {
	if w.server == nil {
		return nil
	}
	if w.warehouse, err = w.server.Database(ctx, w.database()); err != nil {
		return err
	}
	w.warehouse.Measure(w.metrics)
	w.sql = w.newRuleSQL()
	w.closeLater(w.sql.close)
	if !w.options.private && w.has("api") {
		w.mirror = newMirror(w.tickets, w.warehouse, w.log, w.metrics)
	}
	return nil
}

// run lets the parts work until the context ends or one of them fails; then all
// of them drain and stop.
func (w *watch) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if w.consumer != nil {
		group.Go(func() error { return w.consumer.Run(ctx) })
		group.Go(func() error { return w.warehouse.Keep(ctx) })
		if w.broker != nil && w.config.Log.Retention > 0 {
			group.Go(func() error { return w.trimLog(ctx) })
		}
	}
	if w.warehouse != nil {
		group.Go(func() error { return w.fleet.run(ctx) })
	}
	if w.mirror != nil {
		group.Go(func() error { return w.mirror.run(ctx) })
		known := &firmware{tickets: w.tickets, warehouse: w.warehouse, log: w.log}
		group.Go(func() error { return known.run(ctx) })
	}
	if w.analyzer != nil {
		group.Go(func() error { return w.runAnalyzer(ctx) })
		if w.arrived != w.consumer {
			group.Go(func() error { return w.arrived.Watch(ctx) })
		}
	}
	if w.alerts != nil {
		group.Go(func() error { return w.alerts.Run(ctx) })
	}
	if !w.options.private {
		group.Go(func() error { return w.notices.Run(ctx) })
	}
	group.Go(func() error { return w.tick(ctx) })
	return group.Wait()
}

// tick lets the desk do what it does by itself.
func (w *watch) tick(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case at := <-tick.C:
			if _, err := w.desk.Tick(ctx, at); err != nil && ctx.Err() == nil {
				w.log.Warn("the desk's timers did not run", "error", err)
			} else if err == nil {
				w.ticked.SetToCurrentTime()
			}
		}
	}
}
