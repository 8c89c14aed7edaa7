package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belfry/analyzer"
	"belfry/api"
	"belfry/incidents"
	"belfry/telemetry"
)

// checkRules is POST /api/v1/rules/check.
// The engine is not asked about queries: whoever may not write any could learn from its
// answers what the tenant has.
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
	return set, faultsOf(err)
}

// asked returns the rules that a question is about: those that it brings, else those
// that run; and only the one that it names. sql: it may bring rules with queries.
func (w *watch) asked(ctx context.Context, files []api.RuleFile, name string, sql bool) (*analyzer.RuleSet, error) {
	rules, err := w.rules.current(ctx)
	if len(files) > 0 {
		if rules, err = loadAsked(files); err == nil {
			err = w.sql.checkSQL(ctx, rules, sql)
		}
	}
	if err != nil || name == "" {
		return rules, err
	}
	rule := rules.Rule(name)
	if rule == nil {
		return nil, incidents.ErrNotFound
	}
	return &analyzer.RuleSet{Rules: []*analyzer.Rule{rule}}, nil
}

// backtest is POST /api/v1/rules/backtest.
func (w *watch) backtest(ctx context.Context, q api.BacktestQuery) (json.RawMessage, error) {
	rules, err := w.asked(ctx, q.Files, q.Rule, q.SQL)
	if err != nil {
		return nil, err
	}
	fleet, err := w.fleet.read(ctx) // its own: an analyzer's fleet is for it alone
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	report, err := analyzer.Backtest(ctx, analyzer.BacktestConfig{Rules: rules, Fleet: fleet, Load: w.loadAll, Raw: w.sql.answer, From: q.From, To: q.To})
	if err != nil {
		return nil, faultsOf(err)
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
