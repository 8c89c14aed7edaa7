// Command belfry watches fleets of people-counting devices and turns what is
// wrong with them into work for a helpdesk.
//
// This file holds the subcommands and the signals; each subcommand has a file
// of its own beside it, and process.go wires the parts together. The whole
// program is the function run, so that a test can start it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // sites have zones, also on machines that have none

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "belfry: "+err.Error())
	}
	os.Exit(exitCode(err))
}

// commands are the subcommands and the flags that all of them take.
type commands struct {
	Config string `help:"Configuration file." type:"path" placeholder:"FILE" env:"BELFRY_CONFIG"`
	Data   string `help:"Data folder; default ./belfry-data." type:"path" placeholder:"DIR"`

	Serve     serveCommand         `cmd:"" help:"Run belfry: log, ingestion, warehouse, analyzer, incidents and API."`
	Demo      demoCommand          `cmd:"" help:"Run belfry with a simulated fleet of faulty devices: something to look at in one minute."`
	Replay    replayCommand        `cmd:"" help:"Send recorded readings (CSV, NDJSON, Parquet) into the log."`
	Simulate  simulateCommand      `cmd:"" help:"Write a fleet with known faults, and the list of what is wrong with it."`
	Ingest    ingestCommand        `cmd:"" help:"How ingestion is doing; what it refused, and sending that again."`
	Rules     rulesCommand         `cmd:"" help:"Check rule files, and try them on stored readings."`
	Incidents incidentsCommand     `cmd:"" help:"List incidents and work on them."`
	Search    searchCommand        `cmd:"" help:"Search articles, known errors and solved incidents."`
	Desk      deskCommand          `cmd:"" help:"What the desk has laid down: categories, questionnaires, articles, agreements, silences, contacts, ..."`
	Problems  problemsCommand      `cmd:"" help:"The causes behind incidents: what is proposed, known errors."`
	Announce  announcementsCommand `cmd:"" name:"announcements" help:"Tell the people at the sites what is under way or planned."`
	Reports   reportsCommand       `cmd:"" help:"Figures of the incidents of a span: times, breaches, false positives, satisfaction."`
	Devices   devicesCommand       `cmd:"" help:"Import and list sites and devices."`
	Tenants   tenantsCommand       `cmd:"" help:"Add, list and drop client companies."`
	Tokens    tokensCommand        `cmd:"" help:"Create, list and revoke API tokens."`
	Sessions  sessionsCommand      `cmd:"" help:"List who is signed in with a browser, and sign them out."`
	Backup    backupCommand        `cmd:"" help:"Write tenants into a folder: readings, tickets, tokens."`
	Restore   restoreCommand       `cmd:"" help:"Read tenants from the folder of a backup."`
	Migrate   migrateCommand       `cmd:"" help:"Carry what the data folder holds to the servers that the configuration names."`
	Dashboard dashboardCommand     `cmd:"" name:"dashboards" help:"Export the Grafana dashboards."`
	Bench     benchCommand         `cmd:"" help:"Measure belfry on this machine."`
	Doctor    doctorCommand        `cmd:"" help:"Say what is there, what is missing, and the command that brings it."`
	Version   versionCommand       `cmd:"" help:"Print the version."`
}

// terminal is what a subcommand writes to, and where it finds its settings.
type terminal struct {
	config Config
	out    io.Writer // results
	err    io.Writer // progress and logs
}

// usageError is a fault in how the program was called: exit code 2.
type usageError struct{ error }

func exitCode(err error) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		return 2
	}
	return 1
}

// run is the program: it returns when the command is done or the context ends.
// Results go to out, progress and logs to errs.
func run(ctx context.Context, args []string, out, errs io.Writer) error {
	var cmd commands
	exited := -1
	parser, err := kong.New(&cmd, kong.Name("belfry"),
		kong.Description("Watches fleets of people-counting devices, and turns what is wrong with them into work for a helpdesk."),
		kong.UsageOnError(), kong.Writers(out, errs),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	call, err := parser.Parse(args)
	if exited == 0 { // --help has printed its page
		return nil
	}
	if err != nil {
		return usageError{fmt.Errorf("%w; see belfry --help", err)}
	}
	config, err := loadConfig(cmd.Config, os.Environ())
	if err != nil {
		return usageError{err}
	}
	if cmd.Data != "" {
		config.Data = cmd.Data
	}
	call.BindTo(ctx, (*context.Context)(nil))
	return call.Run(&terminal{config: config, out: out, err: errs})
}
