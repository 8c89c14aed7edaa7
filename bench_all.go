package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

type benchAllCommand struct {
	Quick bool `help:"Small sizes: about a minute, to see that everything works. Its figures say little."`

	published `embed:""`
}

// benchSuites are the suites in their order, and what makes them short.
var benchSuites = []struct {
	name  string
	quick []string
}{
	{"ingest", []string{"--readings=20000", "--devices=1000", "--rounds=1", "--delivery=1s", "--no-peer"}},
	{"storage", []string{"--readings=110000", "--devices=1000", "--state=1000", "--rounds=1"}},
	{"analyzer", []string{"--devices=500,1000", "--rounds=1", "--peer=1000", "--midnight=40"}},
	{"api", []string{"--incidents=3000", "--rate=36", "--for=2s"}},
}

// Run runs each suite in a process of its own, so that one's memory is not
// another's. With --json it prints one object with a member for each suite.
func (c *benchAllCommand) Run(ctx context.Context, t *terminal) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	reports := map[string]json.RawMessage{}
	for i, suite := range benchSuites {
		args := []string{"bench", suite.name}
		if c.Report != "" {
			args = append(args, "--report="+c.Report)
		}
		if c.Quick {
			args = append(args, suite.quick...)
		}
		var out bytes.Buffer
		run := exec.CommandContext(ctx, program, append(args, "--json="+strconv.FormatBool(c.JSON))...)
		run.Env = append(os.Environ(), "BELFRY_WAREHOUSE_LIBRARY="+t.config.Warehouse.Library)
		run.Stdout, run.Stderr = t.out, t.err
		if c.JSON {
			run.Stdout = &out
		} else if i > 0 {
			fmt.Fprintln(t.out)
		}
		run.Cancel = func() error { return run.Process.Signal(syscall.SIGTERM) }
		run.WaitDelay = 30 * time.Second
		if err := run.Run(); err != nil {
			return fmt.Errorf("bench %s: %w", suite.name, err)
		}
		reports[suite.name] = out.Bytes()
	}
	if !c.JSON {
		return nil
	}
	return json.NewEncoder(t.out).Encode(reports)
}
