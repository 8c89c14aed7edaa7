package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"belfry/analyzer"
	"belfry/incidents/store"
	"belfry/telemetry"
	"belfry/warehouse"
)

// fleetKeeper follows the registry: it copies what changes into the warehouse,
// where people and views look names up, and makes the analyzer's snapshot of it.
type fleetKeeper struct {
	registry  *store.Tickets
	warehouse *warehouse.Warehouse
	log       *slog.Logger

	mu       sync.Mutex
	revision int64           // of the snapshot
	snapshot *analyzer.Fleet // nil until the first
}

// registryPage is how many rows are copied at once.
const registryPage = 10_000

// run copies changes within a second until the context ends.
func (k *fleetKeeper) run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	copied := int64(-1)
	for {
		revision, err := k.registry.Revision(ctx)
		if err == nil && revision != copied {
			err = k.copy(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			k.log.Warn("the registry was not copied into the warehouse", "error", err)
		default:
			copied = revision
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// copy brings the warehouse's copy of the registry up to date.
func (k *fleetKeeper) copy(ctx context.Context) error {
	sites, devices, err := k.warehouse.RegistryRevisions(ctx)
	if err != nil {
		return err
	}
	for since := int64(sites); ; {
		rows, err := k.registry.SitesSince(ctx, since, registryPage)
		if err != nil || len(rows) == 0 {
			if err != nil {
				return err
			}
			break
		}
		page := make([]telemetry.Site, len(rows))
		for i, r := range rows {
			page[i] = r.Site
		}
		since = rows[len(rows)-1].Revision
		if err := k.warehouse.PutSites(ctx, page, uint64(since)); err != nil {
			return err
		}
	}
	for since := int64(devices); ; {
		rows, err := k.registry.DevicesSince(ctx, since, registryPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		page := make([]telemetry.Device, len(rows))
		for i, r := range rows {
			page[i] = r.Device
		}
		since = rows[len(rows)-1].Revision
		if err := k.warehouse.PutDevices(ctx, page, uint64(since)); err != nil {
			return err
		}
	}
}

// fleet returns the registry as it is now, and whether it is another one than
// the caller was given before.
func (k *fleetKeeper) fleet(ctx context.Context) (f *analyzer.Fleet, changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	revision, err := k.registry.Revision(ctx)
	if err != nil {
		return nil, false, err
	}
	if k.snapshot != nil && revision == k.revision {
		return k.snapshot, false, nil
	}
	f, err = k.read(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("read the registry: %w", err)
	}
	k.snapshot, k.revision = f, revision
	return f, true, nil
}

// read makes a new snapshot. A change during the reading raises the revision,
// so that the next call reads again.
func (k *fleetKeeper) read(ctx context.Context) (*analyzer.Fleet, error) {
	var sites []telemetry.Site
	for since := int64(0); ; {
		rows, err := k.registry.SitesSince(ctx, since, registryPage)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			sites = append(sites, r.Site)
		}
		since = rows[len(rows)-1].Revision
	}
	var devices []telemetry.Device
	seen := map[string]bool{}
	for since := int64(0); ; {
		rows, err := k.registry.DevicesSince(ctx, since, registryPage)
		if err != nil {
			return nil, err
		}
		if len(rows) == 0 {
			return analyzer.NewFleet(sites, devices)
		}
		for _, r := range rows {
			// A device that changed while its page was read comes again later.
			if !seen[r.Name] {
				seen[r.Name] = true
				devices = append(devices, r.Device)
			}
		}
		since = rows[len(rows)-1].Revision
	}
}
