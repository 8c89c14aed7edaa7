package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"belfry/incidents"
)

// zones remembers the time zones of sites for a minute: lists show them, and
// they hardly ever change.
type zones struct {
	mu    sync.Mutex
	as    time.Time
	known map[string]string
}

const zonesKept = time.Minute

// zone returns the IANA zone of a site, "" when there is no such site.
func (a *app) zone(ctx context.Context, site string) (string, error) {
	if site == "" {
		return "", nil
	}
	a.zones.mu.Lock()
	if now := a.Now(); a.zones.known == nil || now.Sub(a.zones.as).Abs() > zonesKept {
		a.zones.known, a.zones.as = map[string]string{}, now
	}
	zone, ok := a.zones.known[site]
	a.zones.mu.Unlock()
	if ok {
		return zone, nil
	}
	row, err := a.Registry.Site(ctx, site)
	if err != nil && !errors.Is(err, incidents.ErrNotFound) {
		return "", err
	}
	a.zones.mu.Lock()
	a.zones.known[site] = row.Zone
	a.zones.mu.Unlock()
	return row.Zone, nil
}
