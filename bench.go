package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belfry/bench"
	"belfry/incidents/store"
	"belfry/warehouse"
)

type benchCommand struct {
	Ingest   benchIngestCommand   `cmd:"" help:"Measure the way from the log into the warehouse."`
	Analyzer benchAnalyzerCommand `cmd:"" help:"Measure the way from the warehouse to findings, by the size of the fleet."`
}

type benchIngestCommand struct {
	Readings int  `help:"Readings in the topic." default:"1000000"`
	Devices  int  `help:"Devices that send them." default:"10000"`
	Rounds   int  `help:"Rounds; medians are printed." default:"3"`
	NoEngine bool `help:"Leave the warehouse out: decode, and throw away."`
	NoPeer   bool `help:"Leave ClickHouse's own Kafka table engine out."`
	JSON     bool `help:"Print JSON."`
}

// Run measures, in a folder of its own that is deleted afterwards.
func (c *benchIngestCommand) Run(ctx context.Context, t *terminal) (err error) {
	dir, err := os.MkdirTemp("", "belfry-bench")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := bench.IngestOptions{Readings: c.Readings, Devices: c.Devices, Rounds: c.Rounds, Dir: dir, JSON: c.JSON, NoPeer: c.NoPeer}
	if !c.NoEngine {
		server, err := warehouse.Open(warehouse.Options{Path: dir + "/warehouse", Library: t.config.Warehouse.Library})
		if err != nil {
			return err
		}
		defer server.Close()
		if o.Warehouse, err = server.Database(ctx, databaseOf(store.Tenant{Name: store.DefaultTenant})); err != nil {
			return err
		}
	}
	_, err = bench.Ingest(ctx, o, t.out)
	return err
}
