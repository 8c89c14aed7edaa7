package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/incidents/store"
	"belfry/warehouse"
)

type migrateCommand struct{}

// Run carries what the data folder holds to the servers of the configuration. The
// folder stays as it is; nobody may be serving it.
func (c *migrateCommand) Run(ctx context.Context, t *terminal) (err error) {
	to := t.config
	if to.Tickets.Postgres == "" && len(to.Warehouse.Addresses) == 0 {
		return usageError{errors.New("the configuration names no servers to move to; want tickets.postgres, warehouse.addresses or both")}
	}
	from := to
	from.Roles, from.Log.Brokers, from.Warehouse.Addresses, from.Tickets.Postgres = []string{"api", "ingest"}, nil, nil, ""
	p, err := newProcess(ctx, from, processOptions{log: t.quietLogger(), private: true})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended, p.close())
	}()
	m := &migration{terminal: t, from: p, to: to}
	for _, step := range []func(context.Context) error{m.takeIn, m.tickets, m.warehouse} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(t.out, "Done. Start belfry with this configuration. Stayed behind, in the folder: the log, whose accepted readings are moved and whose dead letters are not.")
	return err
}

// migration is a move from a data folder to servers, under way.
type migration struct {
	*terminal
	from *process
	to   Config
}

// takeIn waits until what is in the log is in the warehouse.
func (m *migration) takeIn(ctx context.Context) error {
	if err := m.from.watches.openAll(ctx); err != nil {
		return err
	}
	for _, w := range m.from.watches.list() {
		if err := w.caughtUp(ctx, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp waits until every record that was in the log by then is in the warehouse.
func (w *watch) caughtUp(ctx context.Context, by time.Time) error {
	if w.consumer == nil {
		return nil // another process ingests
	}
	var ends map[int]int64 // of the partitions, once the log was looked at
	err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
		s := w.consumer.Status()
		if ends == nil && s.Checked.After(by) && len(s.Partitions) > 0 {
			ends = map[int]int64{}
			for _, part := range s.Partitions {
				ends[part.Partition] = part.HighWatermark
			}
		}
		for _, part := range s.Partitions {
			if part.LagRecords > 0 && part.Committed < ends[part.Partition] {
				return false, nil
			}
		}
		return ends != nil, nil
	})
	if err != nil {
		return fmt.Errorf("tenant %s: wait for what is in the log to be in the warehouse: %w; see belfry ingest status", w.tenant, err)
	}
	return nil
}

// tickets moves tenants, tokens and tickets to PostgreSQL. What an earlier attempt
// has moved is left as it is.
func (m *migration) tickets(ctx context.Context) error {
	source := m.to.Tickets.Postgres
	if source == "" {
		return nil
	}
	control, err := store.OpenControlPostgres(ctx, source)
	if err != nil {
		return err
	}
	defer control.Close()
	if err := m.copied("tenants and tokens", m.from.control.CopyTo(ctx, control, m.progress("tokens"))); err != nil {
		return err
	}
	for _, w := range m.from.watches.list() {
		tickets, err := store.OpenPostgresSchema(ctx, source, schemaOf(w.tenant))
		if err != nil {
			return err
		}
		err = w.tickets.CopyTo(ctx, tickets, m.progress(w.tenant))
		if errors.Is(err, store.ErrOccupied) {
			err = w.tickets.SameAs(ctx, tickets)
		}
		if err == nil {
			err = tickets.TakeFiles(ctx, w.attachmentsFolder())
		}
		if err = errors.Join(err, tickets.Close()); err != nil {
			return fmt.Errorf("tenant %s: %w", w.tenant, err)
		}
		fmt.Fprintf(m.out, "tickets of %s are moved\n", w.tenant)
	}
	return nil
}

// copied says what was moved, or was before.
func (m *migration) copied(what string, err error) error {
	if err == nil {
		fmt.Fprintf(m.out, "%s are moved\n", what)
	} else if errors.Is(err, store.ErrOccupied) {
		fmt.Fprintf(m.out, "%s are there already and left as they are\n", what)
		err = nil
	}
	return err
}

func (m *migration) progress(what string) store.Progress {
	bar := m.terminal.progress(-1, "rows of "+what)
	return func(_ string, rows int64) { _ = bar.Set64(rows) }
}

// warehouse moves readings to ClickHouse servers.
func (m *migration) warehouse(ctx context.Context) error {
	c := m.to.Warehouse
	if len(c.Addresses) == 0 {
		return nil
	}
	secured, err := c.TLS.clientConfig()
	if err != nil {
		return err
	}
	server, err := warehouse.Open(warehouse.Options{Addresses: c.Addresses, User: c.User, Password: c.Password, TLS: secured, Log: m.quietLogger()})
	if err != nil {
		return err
	}
	defer server.Close()
	for _, w := range m.from.watches.list() {
		database, err := server.Database(ctx, w.database())
		if err != nil {
			return err
		}
		bar := m.terminal.progress(-1, "bytes of readings of "+w.tenant)
		err = w.warehouse.CopyTo(ctx, database, func(_ string, bytes int) { _ = bar.Add(bytes) })
		_ = bar.Finish()
		if err != nil {
			return fmt.Errorf("tenant %s: %w", w.tenant, err)
		}
		fmt.Fprintf(m.out, "readings of %s are moved\n", w.tenant)
	}
	return nil
}
