package main

import (
	"context"
	"fmt"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/telemetry"
)

type rulesDryRunCommand struct {
	Files []string `arg:"" help:"Rule files."`
	Days  int      `help:"How many days back." default:"7"`
	To    string   `help:"End. Default: now." placeholder:"TIME"`
	JSON  bool     `help:"Print the whole report as JSON, with each finding and its evidence."`
}

// Run asks what the rules would have opened, and prints it.
func (c *rulesDryRunCommand) Run(ctx context.Context, t *terminal) error {
	if c.Days < 1 || c.Days > 400 {
		return usageError{fmt.Errorf("--days %d; want 1 to 400", c.Days)}
	}
	span := rulesBacktestCommand{To: c.To}
	_, to, err := span.span(time.Now())
	if err != nil {
		return usageError{err}
	}
	ask := api.BacktestQuery{From: to.AddDate(0, 0, -c.Days), To: to, Findings: true}
	if ask.Files, err = askedFiles(c.Files); err != nil {
		return err
	}
	client, err := t.connect(ctx, "warehouse")
	if err != nil {
		return err
	}
	defer client.close()
	answer, report, err := client.backtest(ctx, t, "dry run", ask)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := t.out.Write(append(answer, '\n'))
		return err
	}
	return t.printDryRun(&report)
}

// printDryRun prints what would have been opened, one line for each.
func (t *terminal) printDryRun(r *analyzer.Report) error {
	opened, open := 0, 0
	for _, rule := range r.Rules {
		opened, open = opened+rule.Opened, open+rule.Open
	}
	fmt.Fprintf(t.out, "this would have opened %s from %s to %s on %s, of which %d would still be open\n",
		counted(opened, "incident"), r.From.Format(time.RFC3339), r.To.Format(time.RFC3339), counted(r.Devices, "device"), open)
	t.printAilments(r)
	var rows [][]string
	for i, f := range r.Findings {
		if f.Condition != telemetry.Firing || f.Reason == "known again" {
			continue
		}
		until := "open"
		for _, later := range r.Findings[i+1:] {
			if later.Rule == f.Rule && later.Scope == f.Scope && later.Condition == telemetry.Clear {
				until = later.At.Format(time.RFC3339)
				break
			}
		}
		rows = append(rows, []string{f.At.Format(time.RFC3339), until, f.Rule, f.Scope.String(), f.Summary})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(t.out)
	return t.printTable("FROM UNTIL RULE SCOPE SUMMARY", rows)
}
