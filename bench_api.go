package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"belfry/bench"
	"belfry/incidents/store"
)

type benchAPICommand struct {
	Incidents int           `help:"Incidents that there are, a multiple of a thousand." default:"1000000"`
	Rate      float64       `help:"Requests a second." default:"200"`
	For       time.Duration `help:"How long they are sent." default:"30s"`

	published `embed:""`
}

// Run measures lists of incidents through the API of a whole process, with its
// timers, rules and mirror, over a data folder that is made for it and deleted
// afterwards.
func (c *benchAPICommand) Run(ctx context.Context, t *terminal) (err error) {
	if c.Rate <= 0 || c.For <= 0 {
		return errors.New("bench api: --rate and --for are above 0")
	}
	dir, err := os.MkdirTemp("", "belfry-bench")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := defaultConfig()
	config.Data, config.Warehouse.Library, config.API.Rate = dir, t.config.Warehouse.Library, -1
	config.Listen, config.Log.Listen, config.Door.Listen = "127.0.0.1:0", "127.0.0.1:0", ""
	newest, err := c.load(ctx, t, dir)
	if err != nil {
		return err
	}
	p, err := newProcess(ctx, config, processOptions{log: t.quietLogger()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.run(ctx) })
	group.Go(func() error { defer stop(); return c.measure(ctx, t, p, newest) })
	return errors.Join(group.Wait(), p.close())
}

// load makes the tickets, and returns about when the newest ones changed.
func (c *benchAPICommand) load(ctx context.Context, t *terminal, dir string) (newest time.Time, err error) {
	dir = filepath.Join(dir, "tenants", store.DefaultTenant)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return newest, fmt.Errorf("make the tenant's folder: %w", err)
	}
	span := time.Duration(c.Incidents/1000) * time.Minute
	at := time.Now().Add(-span).UTC().Truncate(time.Second)
	bar := t.progress(int64(c.Incidents), "incidents in the database")
	err = bench.LoadTickets(ctx, filepath.Join(dir, "tickets.db"), c.Incidents, at, func(done int) { _ = bar.Set(done) })
	_ = bar.Finish()
	return at.Add(span), err
}

// measure waits until the mirror has copied what there is, and asks for lists.
func (c *benchAPICommand) measure(ctx context.Context, t *terminal, p *process, newest time.Time) error {
	home := p.watches.home
	last, err := home.tickets.LastEvent(ctx)
	if err != nil {
		return err
	}
	bar, tick := t.progress(last, "events in the warehouse"), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	for copied := int64(0); copied < last; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if copied, err = home.warehouse.MirroredTo(ctx); err != nil {
			return err
		}
		_ = bar.Set64(copied)
	}
	_ = bar.Finish()
	report, err := bench.API(ctx, bench.APIOptions{URL: p.url(), Token: p.token, Incidents: c.Incidents, Rate: c.Rate, For: c.For, Newest: newest,
		Mirrored: float64(last) / time.Since(began).Seconds()})
	if err != nil {
		return err
	}
	return c.publish(t, "api", report)
}
