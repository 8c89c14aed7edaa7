package analyzer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// CaseResult is how one rule test came out.
type CaseResult struct {
	File     string        `json:"file"`
	Line     int           `json:"line"`
	Name     string        `json:"name"`
	Failures []CaseFailure `json:"failures"` // empty: it passed
}

// CaseFailure is an expectation that was not met.
type CaseFailure struct {
	File string    `json:"file"`
	Line int       `json:"line"`
	At   time.Time `json:"at"`
	What string    `json:"what"` // findings or firing
	Got  []string  `json:"got"`
	Want []string  `json:"want"`
}

// String returns "file:line: at T: findings: got ...; want ...".
func (f CaseFailure) String() string {
	list := func(all []string) string {
		if len(all) == 0 {
			return "none"
		}
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s:%d: at %s: %s: got %s; want %s", f.File, f.Line, f.At.Format(time.RFC3339), f.What, list(f.Got), list(f.Want))
}

// Run tries each test by the code that runs live. The error is about running
// them; what a test finds wrong is in its result.
func (c *Cases) Run(ctx context.Context) ([]CaseResult, error) {
	var all []CaseResult
	for _, one := range c.cases {
		failures, err := c.run(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", c.File, one.line, one.name, err)
		}
		all = append(all, CaseResult{File: c.File, Line: one.line, Name: one.name, Failures: failures})
	}
	return all, nil
}

// run tries a test, on a stage when its rules ask in SQL.
func (c *Cases) run(ctx context.Context, one *testCase) (failures []CaseFailure, err error) {
	if c.Stage == nil || !slices.ContainsFunc(c.Rules.Rules, func(r *Rule) bool { return r.Query != "" }) {
		return one.run(ctx, c.Rules, c.File, nil)
	}
	ask, done, err := c.Stage(ctx, one.sites, one.devices, &one.batch)
	if err != nil {
		return nil, fmt.Errorf("put the readings where SQL can be asked of them: %w", err)
	}
	failures, err = one.run(ctx, c.Rules, c.File, ask)
	return failures, errors.Join(err, done())
}

func (c *testCase) run(ctx context.Context, rules *RuleSet, file string, ask RawQuery) ([]CaseFailure, error) {
	fleet, err := NewFleet(slices.Clone(c.sites), slices.Clone(c.devices))
	if err != nil {
		return nil, err
	}
	said, reel := []telemetry.Finding{}, NewReel(&c.batch)
	a, err := New(ctx, Config{Rules: rules, Fleet: fleet, Query: reel.Query, Series: reel.Series, Late: reel.Late, Raw: ask, Start: c.from, EachInstant: true,
		Emit: func(_ context.Context, f []telemetry.Finding) error { said = append(said, f...); return nil }})
	if err != nil {
		return nil, err
	}
	failures := []CaseFailure{}
	firing := map[string]telemetry.Finding{}
	for _, check := range c.checks {
		said = said[:0]
		if err := a.Evaluate(ctx, check.at.UTC()); err != nil {
			return nil, err
		}
		for _, f := range said {
			if key := f.Rule + "\x00" + f.Scope.String(); f.Condition == telemetry.Firing {
				firing[key] = f
			} else {
				delete(firing, key)
			}
		}
		var fires []telemetry.Finding
		for _, f := range firing {
			fires = append(fires, f)
		}
		failures = append(failures, check.compare(file, c.zone, "findings", said, check.findings)...)
		failures = append(failures, check.compare(file, c.zone, "firing", fires, check.firing)...)
	}
	return failures, nil
}

// compare holds findings against those wanted, in whatever order.
func (c testCheck) compare(file string, zone *time.Location, what string, got []telemetry.Finding, want []wantedFinding) []CaseFailure {
	if want == nil {
		return nil
	}
	open := slices.Clone(want)
	left := []string{}
	for _, f := range got {
		i := slices.IndexFunc(open, func(w wantedFinding) bool { return w.matches(f) })
		if i < 0 {
			left = append(left, describe(f))
			continue
		}
		open = slices.Delete(open, i, i+1)
	}
	if len(left)+len(open) == 0 {
		return nil
	}
	slices.Sort(left)
	missed := []string{}
	for _, w := range open {
		missed = append(missed, w.String())
	}
	return []CaseFailure{{File: file, Line: c.line, At: c.at.In(zone), What: what, Got: left, Want: missed}}
}

func (w wantedFinding) matches(f telemetry.Finding) bool {
	switch {
	case w.rule != "" && w.rule != f.Rule, w.is != f.Condition, w.scope != f.Scope.Name && w.scope != f.Scope.String():
		return false
	case w.reason != "" && w.reason != f.Reason, w.late != f.Late:
		return false
	case w.value != nil:
		return f.Value != nil && math.Abs(*f.Value-*w.value) <= 1e-3*max(1, math.Abs(*w.value))
	}
	return true
}

func describe(f telemetry.Finding) string {
	return wantedFinding{rule: f.Rule, scope: f.Scope.Name, is: f.Condition, reason: f.Reason, value: f.Value, late: f.Late}.String()
}
