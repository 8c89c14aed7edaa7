package main

import (
	"context"
	"errors"
	"fmt"
)

type serveCommand struct {
	Listen   string   `help:"Address of the API; default 127.0.0.1:8080." placeholder:"HOST:PORT"`
	Roles    []string `help:"Parts to run: ingest, analyzer, api. Default: all."`
	Insecure bool     `help:"Allow listening beyond this machine without TLS."`
}

// Run serves until the context ends.
func (c *serveCommand) Run(ctx context.Context, t *terminal) error {
	config := t.config
	if c.Listen != "" {
		config.Listen = c.Listen
	}
	if len(c.Roles) > 0 {
		config.Roles = c.Roles
	}
	config.Insecure = config.Insecure || c.Insecure
	if err := config.check(); err != nil {
		return usageError{err}
	}
	p, err := newProcess(ctx, config, processOptions{log: t.logger()})
	if err != nil {
		return err
	}
	if p.newToken != "" {
		fmt.Fprintf(t.out, "administrator's token, shown this once: %s\nit is also in %s\n", p.newToken, p.folder.file("admin.token"))
	}
	p.log.Info("belfry serves", "api", p.url(), "log", p.connection().Brokers, "door", p.doorURL(), "data", p.folder.path, "roles", config.Roles)
	err = errors.Join(p.run(ctx), p.close())
	if err == nil {
		p.log.Info("belfry has stopped; nothing is under way any more")
	}
	return err
}
