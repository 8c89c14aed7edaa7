package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belfry/bench"
	"belfry/warehouse"
)

type benchStorageCommand struct {
	Readings int    `help:"Readings in the warehouse." default:"10000000"`
	Devices  int    `help:"Devices that send them." default:"10000"`
	State    int    `help:"Devices whose state is asked for." default:"1000000"`
	Rounds   int    `help:"Rounds of each question; medians are printed." default:"5"`
	Keep     string `help:"Keep the warehouse in this folder. One that is kept there is asked again without being filled, and one that was cut off while its hours were made goes on." placeholder:"DIR"`

	published `embed:""`
}

// Run measures, in a folder of its own that is deleted afterwards unless it is to
// be kept.
func (c *benchStorageCommand) Run(ctx context.Context, t *terminal) (err error) {
	dir := c.Keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "belfry-bench"); err != nil {
			return fmt.Errorf("make a folder for the measurement: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	server, err := warehouse.Open(warehouse.Options{Path: dir, Library: t.config.Warehouse.Library})
	if err != nil {
		return err
	}
	defer server.Close()
	o := bench.StorageOptions{Readings: c.Readings, Devices: c.Devices, State: c.State, Rounds: c.Rounds}
	for name, w := range map[string]**warehouse.Warehouse{"belfry_bench": &o.Warehouse, "belfry_bench_state": &o.Second} {
		if *w, err = server.Database(ctx, name); err != nil {
			return err
		}
	}
	bar := t.progress(bench.StorageSteps, "measure")
	o.Progress = func(step string) {
		bar.Describe(step)
		_ = bar.Add(1)
	}
	defer func() { _ = bar.Finish() }()
	report, err := bench.Storage(ctx, o)
	if err != nil {
		return err
	}
	return c.publish(t, "storage", report)
}
