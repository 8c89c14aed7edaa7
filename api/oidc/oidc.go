// Package oidc lets people sign in through a provider of identities that speaks
// OpenID Connect: it sends browsers there, checks what comes back, and reads from
// the provider's claims who somebody is for belfry.
//
// The provider says who it is, the configuration what that means here: which claim
// is the name, which values of another give a role, which tenant and site. Someone
// to whom no role falls is refused in words. The package keeps nothing.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"belfry/incidents"
)

// Config says which provider, and what its claims mean.
type Config struct {
	Issuer   string
	Client   string // the id under which belfry is known there
	Secret   string // "" for a public client; PKCE is used either way
	Scopes   []string
	Name     string            // claim; "": preferred_username, else the verified email, else sub
	Role     string            // claim whose values are looked up in Roles; dots lead into objects
	Roles    map[string]string // value to role; the one that may do most is taken
	Site     string            // claim that names the one site somebody sees; "" for none
	Supplier string            // claim that names the supplier of everybody of the third line; "" for none
	Tenant   string            // claim that names the tenant; "" for DefaultTenant
	Fallback string            // the tenant of everybody without that claim
	HTTP     *http.Client      // nil: one with a time limit
}

// Provider is the provider. It is asked for its addresses when they are first
// needed, and again until it answers.
type Provider struct {
	config Config
	ctx    context.Context // carries the HTTP client

	mu    sync.Mutex
	known *oidc.Provider
}

// New returns a provider; it calls nobody.
func New(c Config) *Provider {
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	return &Provider{config: c, ctx: oidc.ClientContext(context.Background(), client)}
}

func (p *Provider) provider() (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		found, err := oidc.NewProvider(p.ctx, p.config.Issuer)
		if err != nil {
			return nil, fmt.Errorf("ask %s how to sign in: %w", p.config.Issuer, err)
		}
		p.known = found
	}
	return p.known, nil
}

func (p *Provider) oauth(redirect string) (*oauth2.Config, *oidc.Provider, error) {
	found, err := p.provider()
	if err != nil {
		return nil, nil, err
	}
	scopes := p.config.Scopes
	if len(scopes) == 0 {
		scopes = []string{oidc.ScopeOpenID, "profile", "email"}
	}
	return &oauth2.Config{ClientID: p.config.Client, ClientSecret: p.config.Secret, Endpoint: found.Endpoint(), RedirectURL: redirect, Scopes: scopes}, found, nil
}

// Begin returns where a browser goes to sign in and come back to redirect. State,
// nonce and verifier are the caller's secrets of this one attempt.
func (p *Provider) Begin(redirect, state, nonce, verifier string) (string, error) {
	o, _, err := p.oauth(redirect)
	if err != nil {
		return "", err
	}
	return o.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Finish exchanges the code that a browser came back with, and returns who it is.
func (p *Provider) Finish(ctx context.Context, redirect, code, nonce, verifier string) (incidents.Token, error) {
	o, found, err := p.oauth(redirect)
	if err != nil {
		return incidents.Token{}, err
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, p.ctx.Value(oauth2.HTTPClient))
	got, err := o.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return incidents.Token{}, fmt.Errorf("exchange the code: %w", err)
	}
	text, ok := got.Extra("id_token").(string)
	if !ok {
		return incidents.Token{}, errors.New("the provider gave no ID token")
	}
	id, err := found.Verifier(&oidc.Config{ClientID: p.config.Client}).Verify(ctx, text)
	if err != nil {
		return incidents.Token{}, err
	}
	if id.Nonce != nonce {
		return incidents.Token{}, errors.New("the ID token is of another attempt")
	}
	return p.config.token(id)
}

// Verify returns who shows a token of the provider: one that it signed, for us,
// and that has not expired. What is none is ErrNotFound.
func (p *Provider) Verify(ctx context.Context, text string) (incidents.Token, error) {
	found, err := p.provider()
	if err != nil {
		return incidents.Token{}, err
	}
	id, err := found.Verifier(&oidc.Config{ClientID: p.config.Client}).Verify(ctx, text)
	if err != nil {
		return incidents.Token{}, fmt.Errorf("%w: %w", incidents.ErrNotFound, err)
	}
	t, err := p.config.token(id)
	t.ExpiresAt = id.Expiry.UTC()
	if err != nil {
		return t, fmt.Errorf("%w: %w", incidents.ErrNotFound, err)
	}
	return t, nil
}
