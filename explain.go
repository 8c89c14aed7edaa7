package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belfry/analyzer"
	"belfry/api"
)

// explain is POST /api/v1/rules/explain.
func (w *watch) explain(ctx context.Context, q api.ExplainQuery) (json.RawMessage, error) {
	rules, err := w.asked(ctx, q.Files, "", q.SQL)
	if err != nil {
		return nil, err
	}
	fleet, err := w.fleet.read(ctx) // its own: an analyzer's fleet is for it alone
	if err != nil {
		return nil, fmt.Errorf("read the registry: %w", err)
	}
	x, err := analyzer.Explain(ctx, analyzer.Config{Rules: rules, Fleet: fleet, Query: w.warehouse.Scan, Series: w.warehouse.Series, Raw: w.sql.answer, Clock: time.Now}, q.At.UTC())
	if err != nil {
		return nil, err
	}
	return json.Marshal(x)
}

type rulesExplainCommand struct {
	Files []string `arg:"" optional:"" help:"Rule files; without any, the running rules."`
	At    string   `help:"The instant: RFC 3339 or a date (UTC). Default: now." placeholder:"TIME"`
	JSON  bool     `help:"Print JSON."`
}

// Run asks for an explanation and prints it.
func (c *rulesExplainCommand) Run(ctx context.Context, t *terminal) error {
	ask := api.ExplainQuery{At: time.Now().UTC()}
	var err error
	if c.At != "" {
		if ask.At, err = parseTime(c.At); err != nil {
			return usageError{fmt.Errorf("--at: %w", err)}
		}
	}
	if ask.Files, err = askedFiles(c.Files); err != nil {
		return err
	}
	client, err := t.connect(ctx, "warehouse")
	if err != nil {
		return err
	}
	defer client.close()
	var answer json.RawMessage
	if err := client.call(ctx, "POST", "/api/v1/rules/explain", ask, &answer); err != nil {
		return err
	}
	if c.JSON {
		_, err := t.out.Write(append(answer, '\n'))
		return err
	}
	var x analyzer.Explanation
	if err := json.Unmarshal(answer, &x); err != nil {
		return fmt.Errorf("read the explanation: %w", err)
	}
	return t.printExplanation(&x)
}

// askedFiles reads and checks rule files that are sent along; none when none are named.
func askedFiles(names []string) ([]api.RuleFile, error) {
	if len(names) == 0 {
		return nil, nil
	}
	files, err := readRuleFiles(names)
	if err != nil {
		return nil, err
	}
	if _, err := analyzer.Load(files...); err != nil {
		return nil, fmt.Errorf("the rules can't run:\n%w", err)
	}
	var asked []api.RuleFile
	for _, f := range files {
		asked = append(asked, api.RuleFile{Name: f.Name, Text: string(f.Data)})
	}
	return asked, nil
}

// together puts the columns that differ in their first word alone on one line.
func together(columns []string) (lines []string) {
	of := map[string]int{}
	for _, c := range columns {
		name, rest, _ := strings.Cut(c, " ")
		i, ok := of[rest]
		if !ok {
			of[rest], lines = len(lines), append(lines, c)
			continue
		}
		lines[i] = strings.TrimSuffix(lines[i], rest) + name + " " + rest
	}
	return lines
}

func (t *terminal) printExplanation(x *analyzer.Explanation) error {
	ms := func(seconds float64) string { return fmt.Sprintf("%.1f", seconds*1e3) }
	fmt.Fprintf(t.out, "as of %s: %s on %s; %s ms in the warehouse, %s in columns, %s in rules\n\n",
		x.At.Format(time.RFC3339), counted(x.Devices, "device"), counted(x.Sites, "site"), ms(x.ScanSeconds), ms(x.ColumnSeconds), ms(x.ProgramSeconds))
	var rows [][]string
	for i, s := range x.Scans {
		who := "all"
		if s.Devices > 0 {
			who = strconv.Itoa(s.Devices)
		}
		for j, column := range together(s.Columns) {
			row := []string{"", "", "", "", "", "", column, ""}
			if j == 0 {
				row = []string{strconv.Itoa(i + 1), s.At.Format(time.RFC3339), s.What, who, strconv.Itoa(s.Rows), ms(s.Seconds), column, strings.Join(s.Rules, " ")}
			}
			rows = append(rows, row)
		}
		if s.Error != "" {
			rows = append(rows, []string{"", "", "", "", "", "", "failed: " + s.Error, ""})
		}
	}
	if err := t.printTable("SCAN AS-OF WHAT DEVICES ROWS MS COLUMN FOR", rows); err != nil {
		return err
	}
	rows = nil
	for _, r := range x.Rules {
		rows = append(rows, []string{r.Rule, r.At.Format(time.RFC3339), strconv.Itoa(r.Scopes), strconv.Itoa(r.Holding), strconv.Itoa(r.Unknown), ms(r.Seconds), strings.Join(r.Signals, ", ")})
	}
	fmt.Fprintln(t.out)
	return t.printTable("RULE AT SCOPES HOLDING UNKNOWN MS SIGNALS", rows)
}
