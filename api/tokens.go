package api

import (
	"context"
	"errors"
	"time"

	"belfry/incidents"
)

func (a *app) listTokens(ctx context.Context, _ *struct{}) (*listOut[incidents.Token], error) {
	tokens, err := a.Tokens.Tokens(ctx, a.Tenant)
	if err != nil {
		return nil, err
	}
	return listed(tokens, ""), nil
}

type tokenIn struct {
	Body struct {
		Name      string         `json:"name" minLength:"1" maxLength:"128" doc:"Whose it is; stands on timelines"`
		Role      incidents.Role `json:"role" enum:"admin,manager,second_line,first_line,noc,site_manager,device"`
		Site      string         `json:"site,omitempty" maxLength:"128" doc:"The one site that it sees; all when left out"`
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
	if b.Site != "" {
		if _, err := a.Registry.Site(ctx, b.Site); errors.Is(err, incidents.ErrNotFound) {
			return nil, oneFault("site", "there is no such site")
		} else if err != nil {
			return nil, err
		}
	}
	token, secret, err := a.Tokens.CreateToken(ctx, incidents.Token{Name: b.Name, Role: b.Role, Tenant: a.Tenant,
		Site: b.Site, ExpiresAt: b.ExpiresAt.UTC()}, a.Now())
	if err != nil {
		return nil, err
	}
	out := &tokenOut{}
	out.Body.Token, out.Body.Secret = token, secret
	return out, nil
}

type tokenPath struct {
	ID string `path:"id" maxLength:"64"`
}

func (a *app) deleteToken(ctx context.Context, in *tokenPath) (*struct{}, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	err := a.Tokens.RevokeToken(ctx, a.Tenant, in.ID, a.Now())
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("token", in.ID)
	}
	return nil, err
}
