package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"belfry/analyzer"
	"belfry/analyzer/catalogue"
)

type rulesCommand struct {
	Check    rulesCheckCommand    `cmd:"" help:"Check rule files: prints every fault as file:line:col."`
	List     rulesListCommand     `cmd:"" help:"List the rules that ship with belfry and those that run."`
	Test     rulesTestCommand     `cmd:"" help:"Run rule tests: small fleets in short notation and what must be found in them."`
	Explain  rulesExplainCommand  `cmd:"" help:"Say what an evaluation asks of the warehouse, which rules share it, and what it takes."`
	DryRun   rulesDryRunCommand   `cmd:"" name:"dry-run" help:"Say what rules that are not saved yet would have opened in the last week."`
	Backtest rulesBacktestCommand `cmd:"" help:"Run rules over stored readings and say what they would have found."`
}

// ruleFiles are rule files with their texts.
type ruleFiles []analyzer.File

// readRuleFiles reads the files that the patterns match. Behind "catalogue:" stand
// names of shipped rules, such as catalogue:spike or catalogue:*; without a pattern
// the default ones of them are taken.
func readRuleFiles(patterns []string) (ruleFiles, error) {
	if len(patterns) == 0 {
		return catalogue.Defaults(), nil
	}
	var files ruleFiles
	for _, pattern := range patterns {
		if name, ok := strings.CutPrefix(pattern, "catalogue:"); ok {
			some, err := shippedRules(name)
			if err != nil {
				return nil, err
			}
			files = append(files, some...)
			continue
		}
		names, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("rule files %s: %w", pattern, err)
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("no rule file matches %s", pattern)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read the rules: %w", err)
			}
			files = append(files, analyzer.File{Name: name, Data: data})
		}
	}
	return files, nil
}

// shippedRules returns the shipped rules whose names match a pattern.
func shippedRules(pattern string) (ruleFiles, error) {
	var files ruleFiles
	for _, f := range catalogue.Files() {
		ok, err := path.Match(pattern, strings.TrimSuffix(path.Base(f.Name), ".yaml"))
		if err != nil {
			return nil, fmt.Errorf("rules catalogue:%s: %w", pattern, err)
		}
		if ok {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no shipped rule matches catalogue:%s", pattern)
	}
	return files, nil
}

type rulesCheckCommand struct {
	Files []string `arg:"" help:"Rule files."`
	JSON  bool     `help:"Print the faults as JSON."`
}

// Run prints the faults of the files, or how many rules they hold.
func (c *rulesCheckCommand) Run(t *terminal) error {
	files, err := readRuleFiles(c.Files)
	if err != nil {
		return err
	}
	set, err := analyzer.Load(files...)
	var faults analyzer.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	if c.JSON {
		if err := t.printJSON(append(analyzer.Faults{}, faults...)); err != nil {
			return err
		}
	}
	if len(faults) > 0 {
		if !c.JSON {
			fmt.Fprintln(t.out, faults)
		}
		return errors.New(counted(len(faults), "fault"))
	}
	if !c.JSON {
		fmt.Fprintf(t.out, "%s, no faults\n", counted(len(set.Rules), "rule"))
	}
	return nil
}

type rulesTestCommand struct {
	Files []string `arg:"" help:"Files of rule tests."`
	JSON  bool     `help:"Print the results as JSON."`
}

// Run tries every test of the files and prints what is not as expected.
func (c *rulesTestCommand) Run(ctx context.Context, t *terminal) (err error) {
	files, err := readRuleFiles(c.Files)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "belfry-rules-test")
	if err != nil {
		return fmt.Errorf("make a folder for the tests: %w", err)
	}
	stage := &testStage{dir: filepath.Join(dir, "warehouse"), library: t.config.Warehouse.Library}
	defer func() { stage.close(); err = errors.Join(err, os.RemoveAll(dir)) }()
	results, failed := []analyzer.CaseResult{}, 0
	for _, f := range files {
		cases, err := analyzer.LoadCases(f, func(name string) ([]analyzer.File, error) {
			if !filepath.IsAbs(name) && !strings.HasPrefix(name, "catalogue:") {
				name = filepath.Join(filepath.Dir(f.Name), name)
			}
			return readRuleFiles([]string{name})
		})
		var faults analyzer.Faults
		if errors.As(err, &faults) {
			return fmt.Errorf("the tests can't run:\n%w", faults)
		}
		if err != nil {
			return err
		}
		cases.Stage = stage.stage
		some, err := cases.Run(ctx)
		if err != nil {
			return err
		}
		results = append(results, some...)
	}
	for _, r := range results {
		if len(r.Failures) > 0 {
			failed++
		}
		for _, failure := range r.Failures {
			if !c.JSON {
				fmt.Fprintf(t.out, "%s (%s)\n", failure, r.Name)
			}
		}
	}
	switch {
	case c.JSON:
		err = t.printJSON(results)
	case failed == 0:
		fmt.Fprintf(t.out, "%d tests, all as expected\n", len(results))
	}
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d of %d tests failed", failed, len(results))
	}
	return err
}

// counted is a number of things that have a plain plural.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
