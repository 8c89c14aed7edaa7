package main

import (
	"context"
	"fmt"
	"net/url"

	"belfry/api"
)

type tenantsCommand struct {
	Add  tenantsAddCommand  `cmd:"" help:"Add a client company, with a topic and databases of its own; it works at once."`
	List tenantsListCommand `cmd:"" help:"List the client companies."`
	Drop tenantsDropCommand `cmd:"" aliases:"remove" help:"Delete a client company with its readings, incidents and tokens."`
}

type tenantsAddCommand struct {
	Name string `arg:"" help:"A lower-case letter, then letters, digits and underscores."`
	JSON bool   `help:"Print JSON."`
}

// Run adds a tenant and prints a token for its administrator.
func (c *tenantsAddCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	made := struct {
		api.Tenant
		Token string `json:"token"`
	}{}
	if err := door.call(ctx, "POST", "/api/v1/tenants", map[string]string{"name": c.Name}, &made.Tenant); err != nil {
		return err
	}
	var token struct{ Secret string }
	ask := map[string]string{"name": "admin", "role": "admin", "tenant": c.Name}
	if err := door.call(ctx, "POST", "/api/v1/tokens", ask, &token); err != nil {
		return err
	}
	if made.Token = token.Secret; c.JSON {
		err = t.printJSON(made)
	} else {
		_, err = fmt.Fprintln(t.out, token.Secret)
	}
	if err == nil && made.Wrong != "" {
		err = fmt.Errorf("%s is added, and does not work yet: %s; it is tried again while belfry serves, see belfry tenants list", c.Name, made.Wrong)
	}
	return err
}

type tenantsListCommand struct {
	JSON bool `help:"Print JSON."`
}

// Run lists the tenants.
func (c *tenantsListCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer door.close()
	var page api.Page[api.Tenant]
	if err := door.call(ctx, "GET", "/api/v1/tenants", nil, &page); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(page.Items)
	}
	var rows [][]string
	for _, x := range page.Items {
		rows = append(rows, []string{x.Name, x.State, when(x.CreatedAt), orDash(x.Wrong)})
	}
	return t.printTable("NAME STATE SINCE WRONG", rows)
}

type tenantsDropCommand struct {
	Name    string `arg:"" help:"The company's name."`
	Confirm string `required:"" help:"The name once more: what is deleted does not come back." placeholder:"NAME"`
	Force   bool   `help:"Without waiting for other processes that have it open."`
}

// Run drops a tenant. The engine and the log are needed: they hold its data.
func (c *tenantsDropCommand) Run(ctx context.Context, t *terminal) error {
	door, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer door.close()
	path := "/api/v1/tenants/" + url.PathEscape(c.Name) + "?confirm=" + url.QueryEscape(c.Confirm)
	if c.Force {
		path += "&force=true"
	}
	if err := door.call(ctx, "DELETE", path, nil, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s is dropped\n", c.Name)
	return err
}
