package main

import (
	"context"
	"slices"
	"strconv"
	"time"

	"belfry/analyzer/catalogue"
	"belfry/api"
)

type rulesListCommand struct {
	Running bool `help:"Only the rules that run."`
	JSON    bool `help:"Print JSON."`
}

// listedRule is a line of the list: a rule of the catalogue, or one that runs.
type listedRule struct {
	Number  int    `json:"number,omitempty"`  // in the catalogue; 0: not of it
	Default string `json:"default,omitempty"` // yes; later: once there are four weeks of history; no
	Running bool   `json:"running"`
	// From is when a rule of default "later" began to run by itself, or will; zero while
	// there is no history, and when somebody else decided.
	From time.Time `json:"from,omitzero"`
	api.Rule
}

// Run lists the catalogue by its numbers and says which of it runs, or would run where
// no belfry does; the rules of one's own stand behind it.
func (c *rulesListCommand) Run(ctx context.Context, t *terminal) error {
	client, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer client.close()
	var running struct {
		Items []api.Rule      `json:"items"`
		Later []api.LaterRule `json:"later"`
	}
	if err := client.call(ctx, "GET", "/api/v1/rules", nil, &running); err != nil {
		return err
	}
	all, err := catalogued(running.Items, running.Later)
	if err != nil {
		return err
	}
	if c.Running {
		all = slices.DeleteFunc(all, func(r listedRule) bool { return !r.Running })
	}
	if c.JSON {
		return t.printJSON(all)
	}
	var rows [][]string
	for _, r := range all {
		number, runs := "-", "no"
		if r.Number > 0 {
			number = strconv.Itoa(r.Number)
		}
		if r.Running {
			runs = "yes"
		}
		rows = append(rows, []string{number, r.Name, r.when(), runs, r.Scope, r.Category, r.Schedule, judgedAs(r.Rule)})
	}
	return t.printTable("NUMBER RULE DEFAULT RUNS SCOPE CATEGORY SCHEDULE FALSE-POSITIVES", rows)
}

// judgedAs says how often people found nothing wrong behind a rule's incidents.
func judgedAs(r api.Rule) string {
	if r.FalsePositiveShare == nil {
		return "-"
	}
	return percent(r.FalsePositiveShare) + " of " + strconv.Itoa(r.Judged)
}

// catalogued lays the running rules over the catalogue.
func catalogued(running []api.Rule, later []api.LaterRule) ([]listedRule, error) {
	shipped, err := catalogue.Rules()
	if err != nil {
		return nil, err
	}
	all := []listedRule{}
	for _, e := range catalogue.Entries {
		for _, r := range shipped.Rules {
			if of, _ := catalogue.Of(r.File); of == e {
				all = append(all, listedRule{Number: e.Number, Default: whenDefault(e), Rule: ruleOf(r)})
			}
		}
	}
	for _, r := range running {
		i := slices.IndexFunc(all, func(l listedRule) bool { return l.Name == r.Name })
		if i < 0 {
			i = len(all)
			all = append(all, listedRule{})
		}
		if all[i].Rule, all[i].Running = r, true; r.Why != "" {
			all[i].From = r.ChangedAt
		}
	}
	for _, r := range later {
		if i := slices.IndexFunc(all, func(l listedRule) bool { return l.Name == r.Name }); i >= 0 {
			all[i].From, all[i].Why = r.From, r.Why
		}
	}
	return all, nil
}

// when says when a rule runs where nobody chose.
func (r listedRule) when() string {
	switch {
	case r.Why != "" && !r.From.IsZero():
		return "from " + r.From.Format(time.DateOnly) + ", " + r.Why
	case r.Why != "":
		return r.Why
	case r.Default == "later", r.Default == "":
		return "-" // somebody chose
	}
	return r.Default
}

func whenDefault(e catalogue.Entry) string {
	switch {
	case e.Default:
		return "yes"
	case e.Later:
		return "later"
	}
	return "no"
}
