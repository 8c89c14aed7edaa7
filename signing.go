package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"belfry/api"
	"belfry/api/oidc"
	"belfry/incidents"
	"belfry/incidents/store"
)

// OIDCConfig says who vouches for people, and what is read from what they say.
type OIDCConfig struct {
	Issuer string            `yaml:"issuer"` // "" lets nobody sign in elsewhere
	Client string            `yaml:"client"` // the id under which belfry is known there
	Secret string            `yaml:"secret"`
	Scopes []string          `yaml:"scopes"`
	Name   string            `yaml:"name"`   // claim that names somebody
	Role   string            `yaml:"role"`   // claim whose values are looked up in roles
	Roles  map[string]string `yaml:"roles"`  // value to role
	Site   string            `yaml:"site"`   // claim that names the one site of somebody
	Tenant string            `yaml:"tenant"` // claim that names the tenant

	Supplier string `yaml:"supplier"` // claim that names the supplier of those of the third line
}

func (c OIDCConfig) check(public string) error {
	if c.Issuer == "" {
		return nil
	}
	if at, err := url.Parse(c.Issuer); err != nil || at.Host == "" || at.Scheme != "https" && !loopback(at.Host+":0") && !loopback(at.Host) {
		return fmt.Errorf("oidc.issuer: %q; want https://host/..., as the provider writes it", c.Issuer)
	}
	if c.Client == "" {
		return fmt.Errorf("oidc.client: is missing; want the id under which belfry is known to %s", c.Issuer)
	}
	if public == "" {
		return fmt.Errorf("url: is missing; the provider sends people back there, to /signin/callback")
	}
	if c.Role == "" || len(c.Roles) == 0 {
		return fmt.Errorf("oidc.role and oidc.roles: are missing; without them nobody who signs in has a role")
	}
	for _, value := range slices.Sorted(maps.Keys(c.Roles)) {
		if role := incidents.Role(c.Roles[value]); !role.Known() || role == incidents.DeviceRole {
			return fmt.Errorf("oidc.roles: %s: no role %q for people; want one of %v", value, role, incidents.Roles[:len(incidents.Roles)-1])
		}
	}
	return nil
}

// checkURL refuses an address that links can't begin with.
func checkURL(text string) error {
	at, err := url.Parse(text)
	if text == "" || err == nil && at.Host != "" && (at.Scheme == "https" || at.Scheme == "http") && strings.Trim(at.Path, "/") == "" && at.RawQuery == "" {
		return nil
	}
	return fmt.Errorf("url: %q; want https://host, without a path", text)
}

// openProvider makes the provider of identities, if there is one.
func (p *process) openProvider(context.Context) error {
	if c := p.config.OIDC; c.Issuer != "" {
		p.provider = oidc.New(oidc.Config{Issuer: c.Issuer, Client: c.Client, Secret: c.Secret, Scopes: c.Scopes, Name: c.Name, Role: c.Role,
			Roles: c.Roles, Site: c.Site, Supplier: c.Supplier, Tenant: c.Tenant, Fallback: store.DefaultTenant})
	}
	return nil
}

// tenantOf returns whose tenant a token or session is; "" when it is nobody's.
func (p *process) tenantOf(ctx context.Context, text string) (string, error) {
	if tenant, ok := strings.CutPrefix(text, api.OfTenant); ok {
		return tenant, nil
	}
	if p.provider != nil && api.IsJWT(text) {
		token, err := p.provider.Verify(ctx, text)
		return token.Tenant, err
	}
	return p.control.TenantOf(ctx, text)
}

// signing gives the API what people sign in with, and what it keeps of them.
func (w *watch) signing(parts *api.Parts) {
	parts.Sessions, parts.URL = w.control, w.config.URL
	parts.Answers = store.NewAnswers(w.tickets, w.control)
	parts.Links = w.tickets
	parts.Attachments = store.NewAttachments(w.tickets, w.attachmentsFolder())
	if w.provider != nil {
		parts.Provider = w.provider
	}
}

// attachmentsFolder is beside the tenant's database; "" when that is on a server,
// which other processes share.
func (w *watch) attachmentsFolder() string {
	if w.config.Tickets.Postgres != "" {
		return ""
	}
	return w.folder.file("tenants", w.tenant, "attachments")
}

// copyFiles copies the files of a folder, when there is one, into another. Files of
// attachments are named by what is in them and never change.
func copyFiles(from, to string) error {
	if from == "" || to == "" {
		return nil
	}
	list, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.MkdirAll(to, 0o700)
	}
	for _, f := range list {
		if err == nil && f.Type().IsRegular() && !strings.HasPrefix(f.Name(), "new-") {
			err = copyFile(filepath.Join(from, f.Name()), filepath.Join(to, f.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("copy the attachments: %w", err)
	}
	return nil
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}
