package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"belfry/api"
	"belfry/incidents"
)

type problemsCommand struct {
	List problemsListCommand `cmd:"" help:"List problems, the newest first."`
	Show problemsShowCommand `cmd:"" help:"Show one problem."`
	Open problemsOpenCommand `cmd:"" help:"Write down a problem."`
	Set  problemsSetCommand  `cmd:"" help:"Change a problem: accept it, make it a known error, close or reject it."`
}

type problemsListCommand struct {
	State string `help:"proposed, open, known_error, closed or rejected."`
	JSON  bool   `help:"Print JSON."`
}

// Run lists problems.
func (c *problemsListCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	problems, err := list[api.ProblemRecord](ctx, door, "/api/v1/problems", url.Values{"state": {c.State}})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(problems)
	}
	var rows [][]string
	for _, p := range problems {
		rows = append(rows, []string{p.Ref, string(p.State), strconv.Itoa(len(p.Incidents)), orDash(p.Category), orDash(p.Site), orDash(p.Owner), inShort(p.Title)})
	}
	return t.printTable("REF STATE INCIDENTS CATEGORY SITE OWNER TITLE", rows)
}

type problemsShowCommand struct {
	Ref  string `arg:"" help:"Its reference, such as PRB-000001."`
	JSON bool   `help:"Print JSON."`
}

// Run shows a problem.
func (c *problemsShowCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var p api.ProblemRecord
	if err := door.call(ctx, "GET", "/api/v1/problems/"+url.PathEscape(c.Ref), nil, &p); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(p)
	}
	fmt.Fprintf(t.out, "%s  %s\n%s; category %s, site %s, owner %s\n", p.Ref, p.Title, p.State, orDash(p.Category), orDash(p.Site), orDash(p.Owner))
	for _, line := range [][2]string{{"why", p.Why}, {"incidents", strings.Join(p.Incidents, " ")}, {"symptom", p.Symptom}, {"cause", p.Cause},
		{"workaround", p.Workaround}, {"fix", p.Fix}, {"models", strings.Join(p.Models, ", ")}, {"firmware", strings.Join(p.Firmware, ", ")}, {"ended", p.Reason}} {
		if line[1] != "" {
			fmt.Fprintf(t.out, "%s: %s\n", line[0], line[1])
		}
	}
	return nil
}

// problemFlags are what people write of a problem.
type problemFlags struct {
	Title      string   `help:"In one sentence." placeholder:"TEXT"`
	State      string   `help:"open, known_error, closed or rejected."`
	Category   string   `help:"Of which incidents."`
	Site       string   `help:"Where; anywhere when left out." placeholder:"ID"`
	Incidents  []string `help:"What it is behind." placeholder:"REF"`
	Owner      string   `help:"Who looks for the cause." placeholder:"NAME"`
	Symptom    string   `help:"How it shows." placeholder:"TEXT"`
	Cause      string   `help:"What it comes from." placeholder:"TEXT"`
	Workaround string   `help:"How to live with it." placeholder:"TEXT"`
	Fix        string   `help:"How to end it." placeholder:"TEXT"`
	Reason     string   `help:"Why it is closed or rejected." placeholder:"TEXT"`
	Models     []string `help:"Which devices have it." placeholder:"MODEL"`
	Firmware   []string `help:"Which firmware has it." placeholder:"VERSION"`
	JSON       bool     `help:"Print JSON."`
}

func (f *problemFlags) body() api.ProblemBody {
	state := incidents.ProblemState(f.State)
	return api.ProblemBody{Title: given(f.Title), State: given(state), Category: given(f.Category), Site: given(f.Site), Incidents: f.Incidents,
		Owner: given(f.Owner), Symptom: given(f.Symptom), Cause: given(f.Cause), Workaround: given(f.Workaround), Fix: given(f.Fix),
		Reason: given(f.Reason), Models: f.Models, Firmware: f.Firmware}
}

// given is a value that was given; nil for one that was not.
func given[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}

func (t *terminal) printProblem(json bool, p api.ProblemRecord) error {
	if json {
		return t.printJSON(p)
	}
	_, err := fmt.Fprintf(t.out, "%s is %s: %s\n", p.Ref, p.State, p.Title)
	return err
}

type problemsOpenCommand struct {
	problemFlags `embed:""`
}

// Run writes down a problem.
func (c *problemsOpenCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var p api.ProblemRecord
	if err := door.call(ctx, "POST", "/api/v1/problems", c.body(), &p); err != nil {
		return err
	}
	return t.printProblem(c.JSON, p)
}

type problemsSetCommand struct {
	Ref          string `arg:"" help:"Its reference."`
	problemFlags `embed:""`
}

// Run changes a problem, whatever its version is.
func (c *problemsSetCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var p api.ProblemRecord
	if err := door.call(ctx, "PATCH", "/api/v1/problems/"+url.PathEscape(c.Ref), c.body(), &p); err != nil {
		return err
	}
	return t.printProblem(c.JSON, p)
}
