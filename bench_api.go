package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"belfry/api"
	"belfry/bench"
	"belfry/incidents"
	"belfry/incidents/store"
)

type benchAPICommand struct {
	Incidents int           `help:"Incidents that there are, a multiple of a thousand." default:"1000000"`
	Rate      float64       `help:"Requests a second." default:"200"`
	For       time.Duration `help:"How long they are sent." default:"30s"`

	published `embed:""`
}

// Run measures lists of incidents through a real API on a socket, over a ticket
// database that is made for it and deleted afterwards.
func (c *benchAPICommand) Run(ctx context.Context, t *terminal) (err error) {
	if c.Rate <= 0 || c.For <= 0 {
		return errors.New("bench api: --rate and --for are above 0")
	}
	dir, err := os.MkdirTemp("", "belfry-bench")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	file := filepath.Join(dir, "tickets.db")
	bar := t.progress(int64(c.Incidents), "incidents in the database")
	if err := bench.LoadTickets(ctx, file, c.Incidents, at, func(done int) { _ = bar.Set(done) }); err != nil {
		return err
	}
	bar.Finish()
	return c.measure(ctx, t, dir, file, at.Add(time.Duration(c.Incidents/1000)*time.Minute))
}

func (c *benchAPICommand) measure(ctx context.Context, t *terminal, dir, file string, newest time.Time) (err error) {
	tickets, err := store.Open(ctx, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tickets.Close()) }()
	control, err := store.OpenControl(ctx, filepath.Join(dir, "control.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	_, secret, err := control.CreateToken(ctx, incidents.Token{Name: "bench", Role: incidents.Admin, Tenant: store.DefaultTenant}, time.Now())
	if err != nil {
		return err
	}
	app := api.New(api.Parts{Tenant: store.DefaultTenant, Desk: incidents.NewDesk(tickets, incidents.Config{}, nil, nil), Registry: tickets,
		Tokens: control, Audit: tickets, Rate: api.RateLimit{PerSecond: -1}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- app.Listener(listener) }()
	report, err := bench.API(ctx, bench.APIOptions{URL: "http://" + listener.Addr().String(), Token: secret, Incidents: c.Incidents, Rate: c.Rate, For: c.For,
		Newest: newest})
	if err := errors.Join(err, app.Shutdown(), <-served); err != nil {
		return err
	}
	return c.publish(t, "api", report)
}
