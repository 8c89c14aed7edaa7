package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"belfry/api"
)

type backupCommand struct {
	Dir    string `arg:"" help:"A new folder, on the machine that belfry runs on." type:"path"`
	Tenant string `help:"This client company alone; default: all." placeholder:"T"`
	JSON   bool   `help:"Print JSON."`
}

// Run writes a backup. Where nobody serves, what waits in the log is taken in first.
func (c *backupCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer door.close()
	return t.carry(ctx, door, "/api/v1/backup", map[string]string{"dir": c.Dir, "tenant": c.Tenant}, c.JSON)
}

type restoreCommand struct {
	Dir    string `arg:"" help:"The folder of a backup, on the machine that belfry runs on." type:"path"`
	Tenant string `help:"This client company alone; default: all." placeholder:"T"`
	As     string `help:"Call it so here." placeholder:"NAME"`
	JSON   bool   `help:"Print JSON."`
}

// Run restores from a backup.
func (c *restoreCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer door.close()
	return t.carry(ctx, door, "/api/v1/restore", map[string]string{"dir": c.Dir, "tenant": c.Tenant, "as": c.As}, c.JSON)
}

// carry asks for a backup or a restoration, which take their time.
func (t *terminal) carry(ctx context.Context, door *client, path string, ask map[string]string, asJSON bool) error {
	for key, value := range ask {
		if value == "" {
			delete(ask, key)
		}
	}
	began := time.Now()
	bar := t.progress(-1, filepath.Base(path))
	var done api.BackedUp
	err := door.call(ctx, "POST", path, ask, &done)
	_ = bar.Finish()
	if err != nil {
		return err
	}
	if asJSON {
		return t.printJSON(done)
	}
	_, err = fmt.Fprintf(t.out, "%s: %s, %.1f s\n", strings.TrimPrefix(path, "/api/v1/"), strings.Join(done.Tenants, ", "), time.Since(began).Seconds())
	return err
}
