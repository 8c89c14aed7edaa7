package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belfry/analyzer"
	"belfry/bench"
	"belfry/warehouse"
)

type benchAnalyzerCommand struct {
	Devices []int    `help:"Sizes of the fleet." default:"10000,100000,1000000"`
	Hours   int      `help:"Hours of readings before the instant." default:"6"`
	Rounds  int      `help:"Rounds; medians are printed." default:"3"`
	Rules   []string `help:"Rule files that are evaluated together; without any, the default ones." placeholder:"FILE"`
	Peer    int      `help:"Devices that Prometheus is given, where it is installed." default:"10000"`
	NoPeer  bool     `help:"Leave Prometheus out."`

	Midnight int `help:"Devices of the midnight that is measured, with twelve weeks of hours behind it; 0 leaves it out." default:"10000"`

	published `embed:""`
}

// Run measures, in a folder of its own that is deleted afterwards.
func (c *benchAnalyzerCommand) Run(ctx context.Context, t *terminal) (err error) {
	files, err := readRuleFiles(c.Rules)
	if err != nil {
		return err
	}
	rules, err := analyzer.Load(files...)
	if err != nil {
		return fmt.Errorf("the rules can't run:\n%w", err)
	}
	dir, err := os.MkdirTemp("", "belfry-bench")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	server, err := warehouse.Open(warehouse.Options{Path: dir + "/warehouse", Library: t.config.Warehouse.Library})
	if err != nil {
		return err
	}
	defer server.Close()
	o := bench.AnalyzerOptions{Devices: c.Devices, Hours: c.Hours, Rounds: c.Rounds, Rules: rules, Dir: dir, Peer: c.Peer, Midnight: c.Midnight}
	if missing := bench.PeerMissing(); missing != "" && !c.NoPeer {
		fmt.Fprintln(t.err, "without the comparison: "+missing)
		o.Peer = -1
	}
	if c.NoPeer {
		o.Peer = -1
	}
	n := 0
	o.Warehouse = func(ctx context.Context) (func() (*warehouse.Warehouse, error), func(), error) {
		n++
		name := fmt.Sprintf("belfry_bench_%d", n)
		open := func() (*warehouse.Warehouse, error) { return server.Database(ctx, name) }
		return open, func() { _ = server.Drop(context.WithoutCancel(ctx), name) }, nil // the folder goes anyway
	}
	bar, last := t.progress(-1, "bench"), ""
	o.Progress = func(what string, done, total int) {
		if what != last || done == 0 {
			bar, last = t.progress(int64(total), what), what
		}
		_ = bar.Set(done)
	}
	report, err := bench.Analyzer(ctx, o)
	_ = bar.Finish()
	if err != nil {
		return err
	}
	return c.publish(t, "analyzer", report)
}
