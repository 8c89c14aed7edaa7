package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
)

// How a tenant that several processes have open is dropped: whoever drops it marks it
// so, each process sees the mark within followEvery and closes it, and the last one out
// deletes. Processes share a control database only on PostgreSQL.
const (
	holdAgain = 10 * time.Second
	dropWaits = 10 * time.Second // for the others to close it
)

// holder is the name of this process among those that share a control database; "" when
// nobody shares it. It says where to look, and stays over a restart.
func (ws *watches) holder() (string, error) {
	if ws.process.config.Tickets.Postgres == "" {
		return "", nil
	}
	name, err := ws.process.folder.holderName()
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name this process: %w", err)
	}
	data, err := filepath.Abs(ws.process.config.Data)
	return fmt.Sprintf("%s:%s (%.6s)", host, data, name), err
}

// hold says that this process is about to open a tenant. The default one is never
// dropped.
func (ws *watches) hold(ctx context.Context, t store.Tenant) error {
	name, err := ws.holder()
	if err != nil || name == "" || t.Name == store.DefaultTenant {
		return err
	}
	return ws.process.control.HoldTenant(ctx, t.Number, name, time.Now())
}

// letGo says that a tenant is closed here.
func (ws *watches) letGo(number int64) {
	name, err := ws.holder()
	if err == nil && name != "" {
		err = ws.process.control.LetGo(context.Background(), number, name)
	}
	if err != nil {
		ws.process.log.Warn("the others were not told that a tenant is closed; they believe it in half a minute", "error", err)
	}
}

// renew says again and again that this process is there, until the context ends.
func (ws *watches) renew(ctx context.Context) error {
	name, err := ws.holder()
	if err != nil || name == "" {
		return err
	}
	tick := time.NewTicker(holdAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := ws.process.control.RenewHolds(ctx, name, time.Now()); err != nil && ctx.Err() == nil {
			ws.process.log.Warn("the others were not told that this process is there", "error", err)
		}
	}
}

// alone returns a ConflictError that names the other processes that have a tenant open.
func (ws *watches) alone(ctx context.Context, t store.Tenant) error {
	name, err := ws.holder()
	if err != nil || name == "" {
		return err
	}
	others, err := ws.process.control.HoldersOf(ctx, t.Number, name, time.Now())
	if err != nil || len(others) == 0 {
		return err
	}
	return &incidents.ConflictError{Code: "held", Detail: fmt.Sprintf(
		"nobody can use %s any more, and its data are deleted once it is closed in %s; or now, with force", t.Name, strings.Join(others, " and in "))}
}
