package oidc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"belfry/incidents"
)

// UnwelcomeError says in words why somebody whom the provider knows has no place
// here.
type UnwelcomeError struct{ Why string }

// Error returns the sentence.
func (e *UnwelcomeError) Error() string { return e.Why }

func unwelcome(format string, args ...any) error {
	return &UnwelcomeError{fmt.Sprintf(format, args...)}
}

// token reads who somebody is from the claims of an ID token.
func (c Config) token(id *oidc.IDToken) (incidents.Token, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return incidents.Token{}, fmt.Errorf("read the claims: %w", err)
	}
	t := incidents.Token{Name: c.name(claims), Role: c.role(claims), Tenant: c.Fallback, CreatedAt: id.IssuedAt.UTC()}
	if t.Name == "" || len(t.Name) > 128 {
		return t, unwelcome("the provider gives no usable name for you")
	}
	if t.Role == "" {
		return t, unwelcome("no role falls to %s; an administrator maps the claim %q to roles", t.Name, c.Role)
	}
	if c.Tenant != "" {
		if names := values(claims, c.Tenant); len(names) == 1 {
			t.Tenant = names[0]
		} else if len(names) > 1 {
			return t, unwelcome("the claim %q names %d tenants; want one", c.Tenant, len(names))
		}
	}
	if c.Site != "" {
		if names := values(claims, c.Site); len(names) == 1 {
			t.Site = names[0]
		} else if len(names) > 1 {
			return t, unwelcome("the claim %q names %d sites; want one", c.Site, len(names))
		}
	}
	if c.Supplier != "" && t.Role == incidents.ThirdLine {
		if t.Supplier = one(claims, c.Supplier); t.Supplier == "" || len(t.Supplier) > 128 {
			return t, unwelcome("the claim %q names no supplier of %s, who is of the third line", c.Supplier, t.Name)
		}
	}
	if t.Role == incidents.SiteManager && t.Site == "" {
		return t, unwelcome("%s is a site manager without a site", t.Name)
	}
	return t, nil
}

// name returns the configured claim, or the first that names somebody. An address
// that the provider has not verified names nobody.
func (c Config) name(claims map[string]any) string {
	if c.Name != "" {
		return one(claims, c.Name)
	}
	if name := one(claims, "preferred_username"); name != "" {
		return name
	}
	if verified, _ := claims["email_verified"].(bool); verified {
		if name := one(claims, "email"); name != "" {
			return name
		}
	}
	return one(claims, "sub")
}

// role returns the role that may do most of those that fall to somebody.
func (c Config) role(claims map[string]any) incidents.Role {
	held := values(claims, c.Role)
	for _, role := range incidents.Roles {
		for value, name := range c.Roles {
			if name == string(role) && role != incidents.DeviceRole && slices.Contains(held, value) {
				return role
			}
		}
	}
	return ""
}

func one(claims map[string]any, path string) string {
	if list := values(claims, path); len(list) == 1 {
		return list[0]
	}
	return ""
}

// values returns the texts of a claim: one, or a list of them. Dots lead into
// objects, unless a claim has that very name.
func values(claims map[string]any, path string) (out []string) {
	value, ok := claims[path]
	if first, rest, dotted := strings.Cut(path, "."); !ok && dotted {
		if inner, is := claims[first].(map[string]any); is {
			return values(inner, rest)
		}
	}
	switch v := value.(type) {
	case string:
		if v != "" {
			out = append(out, v)
		}
	case []any:
		for _, each := range v {
			if text, ok := each.(string); ok && text != "" {
				out = append(out, text)
			}
		}
	}
	return out
}
