package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"

	"belfry/api"
	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/ingest"
)

// watches are the tenants of a process: open, at work, and to be dropped. Tenants
// that another process adds or drops, and those that could not be opened, are
// looked after by follow.
type watches struct {
	process  *process
	changing sync.Mutex // held while tenants are opened, retired and dropped

	mu      sync.RWMutex
	home    *watch // of the default tenant, which is always there
	all     map[string]*watch
	failing map[string]error // tenants that stand still, and why
	begin   func(*watch)     // lets one work; nil while the process does not
}

// followEvery is how often the list of tenants is compared with those at work.
const followEvery = 2 * time.Second

// openWatches opens the tenants. The default one has to open; another that can't
// be is told of, and tried again. A command opens only those that it asks for.
func (p *process) openWatches(ctx context.Context) error {
	p.watches = &watches{process: p, all: map[string]*watch{}, failing: map[string]error{}}
	p.closeLater(p.watches.close)
	tenants, err := p.control.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if t.Name == store.DefaultTenant {
			if err := p.watches.open(ctx, t); err != nil {
				return err
			}
		}
	}
	if p.watches.home == nil {
		return fmt.Errorf("the control database knows no tenant %s", store.DefaultTenant)
	}
	if p.options.private {
		return nil
	}
	return p.watches.compare(ctx)
}

// list returns the tenants at work, in the order of their names.
func (ws *watches) list() []*watch {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	var list []*watch
	for _, name := range slices.Sorted(maps.Keys(ws.all)) {
		list = append(list, ws.all[name])
	}
	return list
}

// find returns a tenant at work, or nil.
func (ws *watches) find(tenant string) *watch {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	return ws.all[tenant]
}

// broken returns why tenants stand still.
func (ws *watches) broken() (err error) {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	for _, tenant := range slices.Sorted(maps.Keys(ws.failing)) {
		err = errors.Join(err, ws.failing[tenant])
	}
	return err
}

// handlerOf returns the API of the tenant whose token it is; the one at home says
// what there is to say when it is nobody's.
func (ws *watches) handlerOf(ctx context.Context, token string) fasthttp.RequestHandler {
	tenant, err := ws.process.tenantOf(ctx, token)
	if err != nil || tenant == "" {
		return ws.atHome
	}
	w := ws.find(tenant)
	if w == nil && ws.process.options.private {
		w = ws.onDemand(ctx, tenant)
	}
	if w == nil || tenant == store.DefaultTenant {
		return ws.atHome
	}
	return w.serve
}

// atHome answers a request to the default tenant. It is not waited for: what drops
// and restores tenants is such a request itself.
func (ws *watches) atHome(c *fasthttp.RequestCtx) {
	ws.mu.RLock()
	home := ws.home
	ws.mu.RUnlock()
	home.handler(c)
}

// serve answers a request, unless the tenant has been retired meanwhile.
func (w *watch) serve(c *fasthttp.RequestCtx) {
	w.requests.RLock()
	defer w.requests.RUnlock()
	if w.retired {
		w.watches.atHome(c)
		return
	}
	w.handler(c)
}

// onDemand opens a tenant for a command that asks in its name.
func (ws *watches) onDemand(ctx context.Context, tenant string) *watch {
	ws.changing.Lock()
	defer ws.changing.Unlock()
	tenants, err := ws.process.control.Tenants(ctx)
	for _, t := range tenants {
		if t.Name == tenant && !t.Dropping && ws.find(tenant) == nil {
			err = ws.open(ctx, t)
		}
	}
	if err != nil {
		ws.process.log.Error("the tenant can't be opened", "tenant", tenant, "error", err)
	}
	return ws.find(tenant)
}

// run lets the tenants work until the context ends or the default one fails.
func (ws *watches) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	ws.mu.Lock()
	ws.begin = func(w *watch) {
		working, stop := context.WithCancel(ctx)
		w.stop = stop
		group.Go(func() error {
			defer close(w.ended)
			defer stop()
			err := w.run(working)
			if ctx.Err() == nil && working.Err() != nil {
				return nil // retired
			}
			return ws.settle(ctx, w, err)
		})
	}
	for _, w := range ws.all {
		ws.begin(w)
	}
	ws.mu.Unlock()
	group.Go(func() error { return ws.renew(ctx) })
	group.Go(func() error { return ws.follow(ctx) }) // holds the group open for those that come later
	return group.Wait()
}

// settle decides what the end of a tenant's work means: without the default tenant
// there is no belfry, another one is opened again by follow.
func (ws *watches) settle(ctx context.Context, w *watch, err error) error {
	if ctx.Err() != nil || w == ws.home || ws.process.options.private {
		return err
	}
	ws.process.log.Error("a tenant stands still; it is opened again", "tenant", w.tenant, "error", err)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.failing[w.tenant] = fmt.Errorf("tenant %s: %w", w.tenant, err)
	return nil
}

// follow keeps the tenants at work those that there are.
func (ws *watches) follow(ctx context.Context) error {
	defer func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		ws.begin = nil
	}()
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if ws.process.options.private {
			continue
		}
		if err := ws.compare(ctx); err != nil && ctx.Err() == nil {
			ws.process.log.Warn("the list of tenants was not read", "error", err)
		}
	}
}

// compare opens the tenants that are missing, retires those that are no more, and
// ends what a process that was killed had begun to drop.
func (ws *watches) compare(ctx context.Context) error {
	ws.changing.Lock()
	defer ws.changing.Unlock()
	return ws.compareNow(ctx)
}

// openAll opens the tenants that a command has not asked for yet.
func (ws *watches) openAll(ctx context.Context) error {
	return errors.Join(ws.compare(ctx), ws.broken())
}

// compareNow is compare for who holds changing.
func (ws *watches) compareNow(ctx context.Context) error {
	tenants, err := ws.process.control.Tenants(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, t := range tenants {
		there[t.Name] = !t.Dropping
		switch {
		case t.Dropping:
			err = ws.drop(ctx, t, false)
		case !ws.works(t):
			ws.retire(ws.find(t.Name))
			err = ws.open(ctx, t)
		}
		ws.note(t.Name, err)
		err = nil
	}
	for _, w := range ws.list() {
		if !there[w.tenant] {
			ws.retire(w)
		}
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	maps.DeleteFunc(ws.failing, func(tenant string, _ error) bool { _, is := there[tenant]; return !is })
	return nil
}

// works says whether a tenant is open here, and not one of its name that was before it.
func (ws *watches) works(t store.Tenant) bool {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	w := ws.all[t.Name]
	return w != nil && w.number == t.Number && ws.failing[t.Name] == nil
}

// note remembers how a tenant is, and tells when that changes for the worse.
func (ws *watches) note(tenant string, err error) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	was := ws.failing[tenant]
	delete(ws.failing, tenant)
	if err == nil {
		return
	}
	ws.failing[tenant] = err
	if was != nil && was.Error() == err.Error() {
		return
	}
	if held := (*incidents.ConflictError)(nil); errors.As(err, &held) {
		ws.process.log.Info("a tenant is dropped once others have let go of it", "tenant", tenant, "detail", held.Detail)
	} else {
		ws.process.log.Error("a tenant stands still; it is tried again", "tenant", tenant, "error", err)
	}
}

// open opens a tenant and lets it work, when the process does.
func (ws *watches) open(ctx context.Context, t store.Tenant) error {
	if err := ws.hold(ctx, t); err != nil {
		return err
	}
	w, err := ws.process.openWatch(ctx, t)
	if err != nil {
		ws.letGo(t.Number)
		return err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.all[t.Name] = w
	if t.Name == store.DefaultTenant {
		ws.home = w
	}
	if ws.begin != nil {
		ws.begin(w)
	}
	return nil
}

// retire lets a tenant end what it is at, and closes its parts; nil is nothing to do.
func (ws *watches) retire(w *watch) {
	if w == nil {
		return
	}
	ws.mu.Lock()
	delete(ws.all, w.tenant)
	ws.mu.Unlock()
	if w.stop != nil {
		w.stop()
		<-w.ended
	}
	w.requests.Lock()
	w.retired = true
	w.requests.Unlock()
	if err := w.close(); err != nil {
		ws.process.log.Warn("a tenant was not closed well", "tenant", w.tenant, "error", err)
	}
	ws.letGo(w.number)
}

// close closes every tenant; their work has ended.
func (ws *watches) close() error {
	var errs []error
	for _, w := range ws.list() {
		errs = append(errs, w.close())
		ws.letGo(w.number)
	}
	return errors.Join(errs...)
}

// Tenants is GET /api/v1/tenants.
func (ws *watches) Tenants(ctx context.Context) ([]api.Tenant, error) {
	tenants, err := ws.process.control.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]api.Tenant, len(tenants))
	for i, t := range tenants {
		list[i] = ws.tenant(t)
	}
	return list, nil
}

// tenant says how a tenant is.
func (ws *watches) tenant(t store.Tenant) api.Tenant {
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	out := api.Tenant{Name: t.Name, CreatedAt: t.CreatedAt, State: "at_work"}
	if err := ws.failing[t.Name]; err != nil {
		out.State, out.Wrong = "standing", err.Error()
	}
	if t.Dropping {
		out.State = "dropping"
	}
	return out
}

// AddTenant makes a tenant and lets it work.
func (ws *watches) AddTenant(ctx context.Context, name string, at time.Time) (api.Tenant, error) {
	ws.changing.Lock()
	defer ws.changing.Unlock()
	t, err := ws.process.control.CreateTenant(ctx, name, at)
	if err != nil {
		return api.Tenant{}, err
	}
	// Once it is in the list it stays there: what can't be opened now is tried again.
	ws.note(name, ws.open(context.WithoutCancel(ctx), t))
	return ws.tenant(t), nil
}

// DropTenant drops a tenant with all its data. Unless it is forced, it waits for the
// other processes to close it; when they don't, the error is a ConflictError, and follow
// drops it once they have.
func (ws *watches) DropTenant(ctx context.Context, name string, force bool, at time.Time) error {
	if name == store.DefaultTenant {
		return &incidents.ForbiddenError{Code: "forbidden", Detail: "the tenant " + name + " is always there"}
	}
	t, err := ws.process.control.BeginDrop(ctx, name, at)
	if err != nil {
		return err
	}
	var held *incidents.ConflictError
	waiting, cancel := context.WithTimeout(ctx, dropWaits)
	defer cancel()
	_ = poll(waiting, followEvery/4, func() (bool, error) {
		ws.changing.Lock()
		defer ws.changing.Unlock()
		err = ws.drop(context.WithoutCancel(ctx), t, force)
		return !errors.As(err, &held), nil
	})
	return err
}

// drop deletes what there is of a tenant that has been marked so. Each step does
// nothing when it was done before, so a drop that was cut off is begun again.
func (ws *watches) drop(ctx context.Context, t store.Tenant, force bool) error {
	if w := ws.find(t.Name); w != nil && w.number == t.Number {
		ws.retire(w)
	}
	if !force {
		if err := ws.alone(ctx, t); err != nil {
			return err
		}
	}
	return ws.process.control.EndDrop(ctx, t, func() error { return ws.deleteData(ctx, t) })
}

func (ws *watches) deleteData(ctx context.Context, t store.Tenant) error {
	p := ws.process
	if !p.warehouseless() {
		if err := ingest.DeleteTopic(ctx, p.connection(), p.topicOf(t.Name)); err != nil {
			return err
		}
		if err := p.server.Drop(ctx, databaseOf(t)); err != nil {
			return err
		}
	}
	if source := p.config.Tickets.Postgres; source != "" {
		if err := store.DropPostgresSchema(ctx, source, schemaOf(t.Name)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(p.folder.file("tenants", t.Name)); err != nil {
		return fmt.Errorf("delete the tenant's folder: %w", err)
	}
	return nil
}
