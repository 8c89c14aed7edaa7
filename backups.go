package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/warehouse"
)

// A backup is a folder: backup.json says what is in it, control.db holds the
// tenants with their tokens, and tenants/NAME of each tenant its tickets.db and its
// warehouse. It is written under another name, which it loses when it is whole.

// manifest is backup.json.
type manifest struct {
	Belfry  string    `json:"belfry"` // version that wrote it
	At      time.Time `json:"at"`
	Tenants []string  `json:"tenants"`
}

// unfinished is added to the name of a folder until the backup in it is whole.
const unfinished = ".unfinished"

// Backup is POST /api/v1/backup.
func (ws *watches) Backup(ctx context.Context, dir, tenant string) ([]string, error) {
	ws.changing.Lock() // no tenant goes meanwhile
	defer ws.changing.Unlock()
	if err := errors.Join(ws.compareNow(ctx), ws.broken()); err != nil {
		return nil, err
	}
	list, err := ws.chosen(tenant)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil, wrongDir("there is something already; want a new folder")
	}
	err = ws.backup(ctx, dir+unfinished, list)
	if err == nil {
		err = os.Rename(dir+unfinished, dir)
	}
	if err != nil {
		return nil, errors.Join(explainDir(fmt.Errorf("back up into %s: %w", dir, err)), os.RemoveAll(dir+unfinished))
	}
	return names(list), nil
}

// explainDir says what is wrong with the folder, when the system does.
func explainDir(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) || errors.Is(err, context.DeadlineExceeded) {
		return wrongDir(err.Error())
	}
	return err
}

func (ws *watches) chosen(tenant string) ([]*watch, error) {
	if tenant == "" {
		return ws.list(), nil
	}
	if w := ws.find(tenant); w != nil {
		return []*watch{w}, nil
	}
	return nil, noTenant(tenant)
}

func noTenant(name string) error {
	return &incidents.InvalidError{Faults: []incidents.Fault{{Field: "tenant", Wrong: fmt.Sprintf("there is no tenant %q", name)}}}
}

func wrongDir(wrong string) error {
	return &incidents.InvalidError{Faults: []incidents.Fault{{Field: "dir", Wrong: wrong}}}
}

func names(list []*watch) (names []string) {
	for _, w := range list {
		names = append(names, w.tenant)
	}
	return names
}

func (ws *watches) backup(ctx context.Context, dir string, list []*watch) error {
	if err := os.RemoveAll(dir); err != nil { // of one that was cut off
		return err
	}
	for _, w := range list {
		part := filepath.Join(dir, "tenants", w.tenant)
		if err := os.MkdirAll(part, 0o700); err != nil {
			return err
		}
		if err := w.backup(ctx, part); err != nil {
			return fmt.Errorf("tenant %s: %w", w.tenant, err)
		}
	}
	if err := ws.process.control.Snapshot(ctx, filepath.Join(dir, "control.db"), names(list)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(manifest{buildVersion(), time.Now().UTC().Truncate(time.Second), names(list)}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "backup.json"), append(text, '\n'), 0o600)
}

// patience is how long a backup waits for ingestion to catch up.
const patience = 5 * time.Minute

// backup writes the tickets, and then the readings, so that what an incident is
// about is there too. What has arrived by now is in it, once it is ingested.
func (w *watch) backup(ctx context.Context, dir string) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := w.caughtUp(waiting, time.Now()); err != nil {
		return err
	}
	if err := w.tickets.Snapshot(ctx, filepath.Join(dir, "tickets.db")); err != nil {
		return err
	}
	if err := copyFiles(w.attachmentsFolder(), filepath.Join(dir, "attachments")); err != nil {
		return err
	}
	if w.warehouse == nil || len(w.config.Warehouse.Addresses) > 0 {
		return nil // servers have backups of their own
	}
	return w.warehouse.Backup(ctx, filepath.Join(dir, "warehouse"))
}

// Restore is POST /api/v1/restore.
func (ws *watches) Restore(ctx context.Context, dir, tenant, as string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "backup.json"))
	var m manifest
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return nil, wrongDir("holds no backup: " + err.Error())
	}
	if tenant == "" && as != "" && len(m.Tenants) != 1 {
		return nil, noTenant("")
	}
	if tenant != "" {
		if !slices.Contains(m.Tenants, tenant) {
			return nil, noTenant(tenant)
		}
		m.Tenants = []string{tenant}
	}
	ws.changing.Lock()
	defer ws.changing.Unlock()
	ctx = context.WithoutCancel(ctx) // half a tenant is of no use
	for i, name := range m.Tenants {
		if as != "" {
			m.Tenants[i] = as
		}
		if err := ws.restore(ctx, dir, name, m.Tenants[i]); err != nil {
			return m.Tenants[:i], fmt.Errorf("restore tenant %s: %w", name, err)
		}
	}
	return m.Tenants, nil
}

// restore makes a tenant of what a backup holds. The default tenant is there
// already, and takes it in as long as it is empty.
func (ws *watches) restore(ctx context.Context, dir, name, as string) error {
	t, err := ws.process.control.CreateTenant(ctx, as, time.Now())
	made := err == nil
	if errors.Is(err, incidents.ErrExists) {
		t, err = ws.room(ctx, as)
	}
	if err != nil {
		return err
	}
	if err = ws.restoreParts(ctx, filepath.Join(dir, "tenants", name), t); err == nil {
		err = ws.process.control.TakeTokens(ctx, filepath.Join(dir, "control.db"), name, as)
	}
	if err != nil && made {
		_, marked := ws.process.control.BeginDrop(ctx, as, time.Now()) // others may have opened it meanwhile
		return errors.Join(err, marked, ws.drop(ctx, t, false))
	}
	return errors.Join(err, ws.open(ctx, t))
}

// room retires a tenant that is there and empty, so that a backup can take its place.
func (ws *watches) room(ctx context.Context, name string) (store.Tenant, error) {
	w := ws.find(name)
	if w == nil {
		return store.Tenant{}, fmt.Errorf("tenant %s: %w, and stands still; see belfry tenants list", name, incidents.ErrExists)
	}
	occupied, err := w.tickets.Occupied(ctx)
	if err == nil && occupied {
		err = &incidents.InvalidError{Faults: []incidents.Fault{{Field: "tenant",
			Wrong: fmt.Sprintf("%q is here and not empty; drop it first, or restore as another (--as)", name)}}}
	}
	if err != nil {
		return store.Tenant{}, err
	}
	ws.retire(w)
	return store.Tenant{Name: w.tenant, Number: w.number}, nil
}

func (ws *watches) restoreParts(ctx context.Context, dir string, t store.Tenant) error {
	p := ws.process
	from := filepath.Join(dir, "warehouse")
	if _, err := os.Stat(from); err == nil && p.server != nil {
		if err := p.server.Restore(ctx, databaseOf(t), from); err != nil && !errors.Is(err, warehouse.ErrNotEmpty) {
			return err
		} else if err != nil {
			return wrongDir(err.Error())
		}
	}
	w := &watch{process: p, tenant: t.Name, number: t.Number}
	into, err := w.openTickets(ctx)
	if err != nil {
		return err
	}
	err = into.Fill(ctx, filepath.Join(dir, "tickets.db"))
	if files := filepath.Join(dir, "attachments"); err == nil && w.attachmentsFolder() == "" {
		err = into.TakeFiles(ctx, files)
	} else if err == nil {
		err = copyFiles(files, w.attachmentsFolder())
	}
	return errors.Join(err, into.Close())
}
