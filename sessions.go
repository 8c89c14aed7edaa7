package main

import (
	"context"
	"net/url"

	"belfry/incidents"
)

type sessionsCommand struct {
	List sessionsListCommand `cmd:"" help:"List who is signed in with a browser."`
	End  sessionsEndCommand  `cmd:"" help:"Sign a browser out at once."`
}

type sessionsListCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the sessions.
func (c *sessionsListCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	var list struct {
		Items []incidents.Session `json:"items"`
	}
	if err := api.call(ctx, "GET", "/api/v1/sessions", nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(list.Items)
	}
	var rows [][]string
	for _, s := range list.Items {
		rows = append(rows, []string{s.ID, s.Name, string(s.Role), orDash(s.Site), orDash(s.Token), when(s.CreatedAt), when(s.ExpiresAt)})
	}
	return t.printTable("ID NAME ROLE SITE TOKEN SINCE EXPIRES", rows)
}

type sessionsEndCommand struct {
	ID string `arg:"" help:"The session's id, from the list."`
}

// Run ends a session.
func (c *sessionsEndCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	return api.call(ctx, "DELETE", "/api/v1/sessions/"+url.PathEscape(c.ID), nil, nil)
}
