package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"belfry/bench"
	"belfry/incidents/store"
	"belfry/warehouse"
)

type benchCommand struct {
	API      benchAPICommand      `cmd:"" name:"api" help:"Measure lists of incidents, by filter, over a million of them."`
	Ingest   benchIngestCommand   `cmd:"" help:"Measure the way from the log into the warehouse, and the HTTP intake before it."`
	Analyzer benchAnalyzerCommand `cmd:"" help:"Measure the way from the warehouse to findings, by the size of the fleet."`
	Storage  benchStorageCommand  `cmd:"" help:"Measure inserting, what readings take at rest, and what people and rules ask."`
	All      benchAllCommand      `cmd:"" help:"Run the four of them, one after another."`
}

// published says where a suite's report goes.
type published struct {
	Report string `help:"Keep the report in this folder too, as JSON and as text." placeholder:"DIR"`
	JSON   bool   `help:"Print JSON."`
}

func (p published) publish(t *terminal, suite string, r bench.Report) error {
	return bench.Publish(r, suite, p.Report, p.JSON, t.out)
}

type benchIngestCommand struct {
	Readings int           `help:"Readings in each topic; steady figures take several millions." default:"1000000"`
	Devices  int           `help:"Devices that send them." default:"10000"`
	Rounds   int           `help:"Rounds; medians are printed." default:"3"`
	Formats  []string      `help:"Forms of the records: objects, ndjson, arrow, and backfill, in which devices send days at once. All of them unless some are named."`
	Delivery time.Duration `help:"How long 50,000 readings a second are sent to see when they can be queried; 0 leaves it out." default:"10s"`
	Backlog  int           `help:"Readings that lie in the log before those, as when a fleet sends what it has kept for days."`
	NoEngine bool          `help:"Leave the warehouse out: decode, and throw away."`
	NoPeer   bool          `help:"Leave ClickHouse's own Kafka table engine out, which is measured once for each form."`
	NoIntake bool          `help:"Leave the HTTP intake out."`

	published `embed:""`
}

// Run measures, in a folder of its own that is deleted afterwards.
func (c *benchIngestCommand) Run(ctx context.Context, t *terminal) (err error) {
	dir, err := os.MkdirTemp("", "belfry-bench")
	if err != nil {
		return fmt.Errorf("make a folder for the measurement: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o := bench.IngestOptions{Readings: c.Readings, Devices: c.Devices, Rounds: c.Rounds, Formats: c.Formats, Delivery: c.Delivery, Backlog: c.Backlog, Dir: dir, NoPeer: c.NoPeer}
	if c.Delivery == 0 {
		o.Delivery = -1
	}
	bar := t.progress(-1, "measure")
	defer func() { _ = bar.Finish() }()
	o.Progress = func(step string) {
		bar.Describe(step)
		_ = bar.Add(1)
	}
	if !c.NoIntake && !c.NoEngine {
		o.Progress("intake")
		if o.Intake, err = c.intake(ctx, t, dir+"/intake"); err != nil {
			return err
		}
	}
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
	report, err := bench.Ingest(ctx, o)
	if err != nil {
		return err
	}
	return c.publish(t, "ingest", report)
}

// intake measures the HTTP intake of a belfry that works beside the client, in a
// process of its own: this one's engine is for the other measurements.
func (c *benchIngestCommand) intake(ctx context.Context, t *terminal, data string) (r *bench.IntakeReport, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	var log bytes.Buffer
	server := exec.CommandContext(ctx, program, "serve", "--roles", "ingest,api", "--data", data, "--listen", "127.0.0.1:0")
	server.Env = append(os.Environ(), "BELFRY_LOG_LISTEN=127.0.0.1:0", "BELFRY_DOOR_LISTEN=", "BELFRY_WAREHOUSE_LIBRARY="+t.config.Warehouse.Library)
	server.Stdout, server.Stderr = &log, &log
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = 20 * time.Second
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("start a belfry to send to: %w", err)
	}
	defer func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if ended := server.Wait(); ended != nil && err != nil {
			err = fmt.Errorf("%w; the belfry to send to: %w: %.2000s", err, ended, log.String())
		}
	}()
	h, token, err := awaitServer(ctx, data, server.Process.Pid)
	if err != nil {
		return nil, err
	}
	return bench.Intake(ctx, bench.IntakeOptions{URL: h.API, Token: token, PID: h.PID, Readings: c.Readings / 2, Devices: c.Devices})
}

// awaitServer waits until a belfry that was just started answers.
func awaitServer(ctx context.Context, data string, pid int) (h holder, token string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = poll(ctx, 50*time.Millisecond, func() (bool, error) {
		if h = readHolder(data); h.PID != pid || h.API == "" {
			return false, nil
		}
		res, err := http.Get(h.API + "/readyz")
		if err != nil {
			return false, nil
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		return h, "", fmt.Errorf("wait for the belfry to send to: %w", err)
	}
	token, err = readToken(data)
	return h, token, err
}
