package api

import (
	"context"
	"errors"
	"time"

	"belfry/incidents"
)

type tokensIn struct {
	Tenant string `query:"tenant" maxLength:"64" doc:"Of this tenant, for the provider's administrators"`
}

func (a *app) listTokens(ctx context.Context, in *tokensIn) (*listOut[incidents.Token], error) {
	tenant, err := a.tenantOf(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	tokens, err := a.Tokens.Tokens(ctx, tenant)
	if err != nil {
		return nil, err
	}
	return listed(tokens, ""), nil
}

type tokenIn struct {
	Body struct {
		Name      string         `json:"name" minLength:"1" maxLength:"128" doc:"Whose it is; stands on timelines"`
		Role      incidents.Role `json:"role" enum:"admin,manager,second_line,first_line,third_line,noc,site_manager,device"`
		Site      string         `json:"site,omitempty" maxLength:"128" doc:"The one site that it sees; all when left out"`
		Supplier  string         `json:"supplier,omitempty" maxLength:"128" doc:"third_line: sees the incidents that are with this supplier alone, as escalations name it; all of level 3 when left out"`
		Tenant    string         `json:"tenant,omitempty" maxLength:"64" doc:"Of this tenant, for the provider's administrators; their own when left out"`
		Provider  bool           `json:"provider,omitempty" doc:"Whether this administrator also manages the tenants"`
		Scopes    []string       `json:"scopes,omitempty" maxItems:"50" example:"[\"incidents:read\"]" doc:"What of the role's it may do: read for all reading, or an area of this document and how, such as incidents:write; everything when left out"`
		ExpiresAt time.Time      `json:"expires_at,omitzero" doc:"Never when left out"`
	}
}

type tokenOut struct {
	Body struct {
		incidents.Token
		Secret string `json:"secret" doc:"The token itself; it is shown this once"`
	}
}

func (a *app) postToken(ctx context.Context, in *tokenIn) (*tokenOut, error) {
	b := in.Body
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	tenant, err := a.tenantOf(ctx, b.Tenant)
	if err != nil {
		return nil, err
	}
	if b.Provider && (!tokenOf(ctx).Provider || tenant != a.Tenant) {
		return nil, oneFault("provider", "the provider's administrators make others of their own tenant, and nobody else does")
	}
	if len(tokenOf(ctx).Scopes) > 0 {
		return nil, newProblem("forbidden", "a token with scopes makes no others")
	}
	if b.Site != "" && tenant != a.Tenant {
		return nil, oneFault("site", "a token of that tenant makes tokens for its sites")
	}
	if b.Site != "" {
		if _, err := a.Registry.Site(ctx, b.Site); errors.Is(err, incidents.ErrNotFound) {
			return nil, oneFault("site", "there is no such site")
		} else if err != nil {
			return nil, err
		}
	}
	token, secret, err := a.Tokens.CreateToken(ctx, incidents.Token{Name: b.Name, Role: b.Role, Tenant: tenant,
		Site: b.Site, Supplier: b.Supplier, Scopes: b.Scopes, ExpiresAt: b.ExpiresAt.UTC(), Provider: b.Provider}, a.Now())
	if err != nil {
		return nil, err
	}
	out := &tokenOut{}
	out.Body.Token, out.Body.Secret = token, secret
	return out, nil
}

type tokenPath struct {
	ID     string `path:"id" maxLength:"64"`
	Tenant string `query:"tenant" maxLength:"64" doc:"Of this tenant, for the provider's administrators"`
}

func (a *app) deleteToken(ctx context.Context, in *tokenPath) (*struct{}, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	tenant, err := a.tenantOf(ctx, in.Tenant)
	if err != nil {
		return nil, err
	}
	err = a.Tokens.RevokeToken(ctx, tenant, in.ID, a.Now())
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("token", in.ID)
	}
	return nil, err
}
