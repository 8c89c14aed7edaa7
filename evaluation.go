package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/telemetry"
)

// openRules reads and checks the rules that are to run.
func (w *watch) openRules() (err error) {
	w.ruleFiles = w.options.rules
	if w.ruleFiles == nil {
		if w.ruleFiles, err = readRuleFiles(w.config.Analyzer.Rules); err != nil {
			return err
		}
	}
	if w.rules, err = analyzer.Load(w.ruleFiles...); err != nil {
		return fmt.Errorf("the rules can't run:\n%w", err)
	}
	return nil
}

// listRules is GET /api/v1/rules.
func (w *watch) listRules(context.Context) ([]api.Rule, error) {
	var out []api.Rule
	for _, r := range w.rules.Rules {
		out = append(out, ruleOf(r))
	}
	return out, nil
}

// ruleOf is a rule as the API shows it.
func ruleOf(r *analyzer.Rule) api.Rule {
	scope := string(r.Scope)
	if r.Group != "" {
		scope = "group(" + r.Group + ")"
	}
	return api.Rule{Name: r.Name, About: r.About, Scope: scope, Category: r.Category, When: r.When,
		Schedule: r.Schedule.String(), Hash: r.Hash, Source: r.File}
}

// checkRules is POST /api/v1/rules/check.
func (w *watch) checkRules(_ context.Context, files []api.RuleFile) ([]api.FileFault, error) {
	_, err := loadAsked(files)
	var faulty api.FaultyRules
	if errors.As(err, &faulty) {
		return faulty, nil
	}
	return nil, err
}

// loadAsked loads rules that came over the API; their faults are api.FaultyRules.
func loadAsked(asked []api.RuleFile) (*analyzer.RuleSet, error) {
	var files ruleFiles
	for _, f := range asked {
		files = append(files, analyzer.File{Name: f.Name, Data: []byte(f.Text)})
	}
	set, err := analyzer.Load(files...)
	var faults analyzer.Faults
	if !errors.As(err, &faults) {
		return set, err
	}
	var faulty api.FaultyRules
	for _, f := range faults {
		wrong := f.What
		if f.Want != "" {
			wrong += "; " + f.Want
		}
		faulty = append(faulty, api.FileFault{File: f.File, Line: f.Line, Column: f.Col, Wrong: wrong})
	}
	return nil, faulty
}

// backtest is POST /api/v1/rules/backtest.
func (w *watch) backtest(ctx context.Context, q api.BacktestQuery) (json.RawMessage, error) {
	rules := w.rules
	if len(q.Files) > 0 {
		var err error
		if rules, err = loadAsked(q.Files); err != nil {
			return nil, err
		}
	}
	fleet, err := w.fleet.read(ctx) // its own: an analyzer's fleet is for it alone
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	report, err := analyzer.Backtest(ctx, analyzer.BacktestConfig{Rules: rules, Fleet: fleet, Load: w.loadAll, From: q.From, To: q.To})
	if err != nil {
		return nil, err
	}
	if !q.Findings {
		report.Findings = nil
	}
	return json.Marshal(report)
}

// loadAll brings the readings of a span into memory.
func (w *watch) loadAll(ctx context.Context, from, to time.Time) (*telemetry.Batch, error) {
	all := &telemetry.Batch{}
	return all, w.warehouse.Load(ctx, from, to, func(b *telemetry.Batch) error {
		all.Append(b)
		return nil
	})
}

// runAnalyzer evaluates the rules until the context ends.
func (w *watch) runAnalyzer(ctx context.Context) error {
	if w.options.begin != nil {
		select {
		case <-w.options.begin:
		case <-ctx.Done():
			return nil
		}
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ticks := make(chan time.Time)
	done := make(chan error, 1)
	go func() { done <- w.analyzer.Run(ctx, ticks, w.consumer.Watermark) }()
	for {
		select {
		case <-ctx.Done():
			close(ticks)
			return <-done
		case at := <-tick.C:
			fleet, changed, err := w.fleet.fleet(ctx)
			if err != nil {
				w.log.Warn("the analyzer goes on with the registry it has", "error", err)
			} else if changed {
				w.analyzer.SetFleet(fleet)
			}
			select {
			case ticks <- at.UTC():
			case <-ctx.Done():
			}
		}
	}
}
