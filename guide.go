package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"belfry/api"
)

// printGuide writes what helps with an incident: what is asked first, what is
// worth reading, and how the like of it was solved.
func (t *terminal) printGuide(g api.Guide) error {
	if g.Team != "" {
		fmt.Fprintf(t.out, "%s: %s; for the %s\n", g.Category, g.About, g.Team)
	}
	if q := g.Questionnaire; q != nil {
		state := "to be asked"
		if q.Done {
			state = "done"
		}
		fmt.Fprintf(t.out, "\nSTEPS (%s, %s): %s\n", q.Questionnaire, state, q.Name)
		t.printQuestions(q)
	}
	var rows [][]string
	add := func(where string, list []api.Found) {
		for _, f := range list {
			rows = append(rows, []string{where, f.Ref, inShort(f.Title), inShort(f.Text)})
		}
	}
	add("read", g.Articles)
	add("known error", g.KnownErrors)
	add("this device", g.Solved.Device)
	add("this site", g.Solved.Site)
	add("elsewhere", g.Solved.Others)
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(t.out)
	return t.printTable("HELP WHAT TITLE TEXT", rows)
}

// printQuestions writes questions with the answers that they know.
func (t *terminal) printQuestions(q *api.QuestionList) {
	for i, x := range q.Questions {
		mark := " "
		if x.ID == q.Next {
			mark = ">"
		}
		fmt.Fprintf(t.out, "%s%2d. %s: %s\n", mark, i+1, x.ID, x.Text)
		for _, a := range x.Answers {
			if x.Kind == "choice" {
				fmt.Fprintf(t.out, "      %s: %s%s\n", a.ID, a.Text, following(a))
			}
		}
	}
	for _, g := range q.Given {
		fmt.Fprintf(t.out, "   %s said %s=%s %s\n", g.By, g.Question, g.Value, g.Hint)
	}
}

// following says in short what follows from an answer.
func following(a api.AnswerView) string {
	var out []string
	if a.Hint != "" {
		out = append(out, a.Hint)
	}
	if o := a.Outcome; o.Close != "" {
		out = append(out, "closes as "+o.Close)
	} else if o.Cause != "" {
		out = append(out, "cause "+o.Cause)
	}
	if a.Outcome.Mute {
		out = append(out, "silent until a date")
	}
	if a.Outcome.Escalate {
		out = append(out, "escalates")
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, "; ") + ")"
}

// inShort cuts a text to what a table has room for.
func inShort(text string) string {
	words := []rune(strings.Join(strings.Fields(text), " "))
	if len(words) > 80 {
		return string(words[:79]) + "…"
	}
	return string(words)
}

type incidentsActionsCommand struct {
	Site     string `help:"At this site." placeholder:"ID"`
	Assignee string `help:"For this person, or for whoever looks after the site." placeholder:"NAME"`
	JSON     bool   `help:"Print JSON."`
}

// Run lists what people were asked and have not done.
func (c *incidentsActionsCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	actions, err := list[api.ActionView](ctx, door, "/api/v1/actions", url.Values{"site": {c.Site}, "assignee": {c.Assignee}})
	if err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(actions)
	}
	var rows [][]string
	for _, a := range actions {
		rows = append(rows, []string{a.Incident, strconv.Itoa(a.ID), when(a.Due), orDash(a.Site), orDash(a.Assignee), inShort(a.Text)})
	}
	return t.printTable("INCIDENT ACTION DUE SITE FOR WHAT", rows)
}

type searchCommand struct {
	Words    []string `arg:"" help:"What is looked for: accents and case don't matter."`
	Kind     string   `help:"Only article, known_error or incident."`
	Limit    int      `default:"20" help:"At most so many, up to 100."`
	Language string   `default:"en" help:"Of the articles: en, fr or ro."`
	JSON     bool     `help:"Print JSON."`
}

// Run searches what the desk knows.
func (c *searchCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	query := url.Values{"q": {strings.Join(c.Words, " ")}, "limit": {strconv.Itoa(c.Limit)}, "language": {c.Language}}
	if c.Kind != "" {
		query.Set("kind", c.Kind)
	}
	var page api.Page[api.Found]
	if err := door.call(ctx, "GET", "/api/v1/search?"+query.Encode(), nil, &page); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(page.Items)
	}
	var rows [][]string
	for _, f := range page.Items {
		rows = append(rows, []string{f.Kind, f.Ref, inShort(f.Title), inShort(f.Text)})
	}
	return t.printTable("KIND WHAT TITLE TEXT", rows)
}
