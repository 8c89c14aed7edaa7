package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"belfry/incidents"
)

type tokensCommand struct {
	Create tokensCreateCommand `cmd:"" help:"Create a token and print it, once."`
	List   tokensListCommand   `cmd:"" help:"List the tokens, without their secrets."`
	Revoke tokensRevokeCommand `cmd:"" help:"End a token at once."`
}

type tokensCreateCommand struct {
	Role   string `required:"" help:"admin, manager, second_line, first_line, third_line, noc, site_manager or device."`
	Name   string `help:"Who uses it; stands on timelines. Default: the role."`
	Site   string `help:"The one site that it sees. A device may send for any: readings say no site." placeholder:"ID"`
	Tenant string `help:"The tenant that it is of; default: your own." placeholder:"T"`

	Supplier string `help:"third_line: sees the incidents that are with this supplier, and no others." placeholder:"NAME"`
	Provider bool   `help:"An administrator who also manages the tenants."`

	Scopes  []string      `help:"What of the role's it may do: read, incidents:read, devices:write, ...; everything when left out." placeholder:"SCOPE,..."`
	Expires time.Duration `help:"Ends after this time, such as 720h." placeholder:"DURATION"`
	JSON    bool          `help:"Print JSON."`
}

// Run creates a token and prints it.
func (c *tokensCreateCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	ask := map[string]any{"role": c.Role, "name": c.Name}
	if c.Name == "" {
		ask["name"] = c.Role
	}
	if c.Site != "" {
		ask["site"] = c.Site
	}
	if c.Supplier != "" {
		ask["supplier"] = c.Supplier
	}
	if c.Tenant != "" {
		ask["tenant"] = c.Tenant
	}
	if c.Provider {
		ask["provider"] = true
	}
	if len(c.Scopes) > 0 {
		ask["scopes"] = c.Scopes
	}
	if c.Expires > 0 {
		ask["expires_at"] = time.Now().Add(c.Expires).UTC().Format(time.RFC3339)
	}
	var made struct {
		incidents.Token
		Secret string `json:"secret"`
	}
	if err := api.call(ctx, "POST", "/api/v1/tokens", ask, &made); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(made)
	}
	_, err = fmt.Fprintln(t.out, made.Secret)
	return err
}

type tokensListCommand struct {
	Tenant string `help:"Of this tenant; default: your own." placeholder:"T"`
	JSON   bool   `help:"Print JSON."`
}

// Run lists the tokens.
func (c *tokensListCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	var list struct {
		Items []incidents.Token `json:"items"`
	}
	if err := api.call(ctx, "GET", "/api/v1/tokens"+ofTenant(c.Tenant), nil, &list); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(list.Items)
	}
	var rows [][]string
	for _, k := range list.Items {
		rows = append(rows, []string{k.ID, k.Name, string(k.Role), orDash(k.Site), orDash(k.Supplier), when(k.ExpiresAt), when(k.LastUsed), when(k.RevokedAt)})
	}
	return t.printTable("ID NAME ROLE SITE SUPPLIER EXPIRES LAST-USED REVOKED", rows)
}

type tokensRevokeCommand struct {
	ID     string `arg:"" help:"The token's id: the eight characters after bf_."`
	Tenant string `help:"The tenant that it is of; default: your own." placeholder:"T"`
}

// Run ends a token.
func (c *tokensRevokeCommand) Run(ctx context.Context, t *terminal) error {
	api, err := t.connect(ctx)
	if err != nil {
		return err
	}
	defer api.close()
	return api.call(ctx, "DELETE", "/api/v1/tokens/"+url.PathEscape(c.ID)+ofTenant(c.Tenant), nil, nil)
}

// ofTenant is the query for a tenant; "" for one's own.
func ofTenant(tenant string) string {
	if tenant == "" {
		return ""
	}
	return "?tenant=" + url.QueryEscape(tenant)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}
