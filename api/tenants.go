package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

// Tenants manages the client companies. Its errors are those of incidents.
type Tenants interface {
	Tenants(ctx context.Context) ([]Tenant, error)
	AddTenant(ctx context.Context, name string, at time.Time) (Tenant, error)
	// DropTenant deletes a tenant with all its readings and incidents. A ConflictError
	// names the processes that still have it open; with force it does not ask.
	DropTenant(ctx context.Context, name string, force bool, at time.Time) error
}

// Tenant is a client company.
type Tenant struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
	State     string    `json:"state" enum:"at_work,standing,dropping" doc:"standing: a part of it does not open or has failed; it is tried again"`
	Wrong     string    `json:"wrong,omitempty" doc:"Why it stands"`
}

// provider refuses whoever may not manage the tenants.
func (a *app) provider(ctx context.Context) error {
	if a.Tenants == nil {
		return notHere("tenants")
	}
	if !tokenOf(ctx).Provider {
		return newProblem("forbidden", "the provider's administrators alone manage the tenants")
	}
	return nil
}

func (a *app) listTenants(ctx context.Context, _ *struct{}) (*listOut[Tenant], error) {
	if err := a.provider(ctx); err != nil {
		return nil, err
	}
	list, err := a.Tenants.Tenants(ctx)
	if err != nil {
		return nil, err
	}
	return listed(list, ""), nil
}

type tenantIn struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"32" doc:"A lower-case letter, then letters, digits and underscores; its topic and databases are called after it"`
	}
}

type tenantOut struct{ Body Tenant }

func (a *app) postTenant(ctx context.Context, in *tenantIn) (*tenantOut, error) {
	if err := a.provider(ctx); err != nil {
		return nil, err
	}
	t, err := a.Tenants.AddTenant(ctx, in.Body.Name, a.Now())
	return &tenantOut{t}, err
}

type tenantPath struct {
	Name string `path:"name" maxLength:"64"`
}

func (a *app) getTenant(ctx context.Context, in *tenantPath) (*tenantOut, error) {
	if err := a.provider(ctx); err != nil {
		return nil, err
	}
	t, err := a.tenant(ctx, in.Name)
	return &tenantOut{t}, err
}

func (a *app) tenant(ctx context.Context, name string) (Tenant, error) {
	list, err := a.Tenants.Tenants(ctx)
	if err != nil {
		return Tenant{}, err
	}
	for _, t := range list {
		if t.Name == name {
			return t, nil
		}
	}
	return Tenant{}, notFound("tenant", name)
}

type dropTenantIn struct {
	Name    string `path:"name" maxLength:"64"`
	Confirm string `query:"confirm" maxLength:"64" doc:"The tenant's name once more"`
	Force   bool   `query:"force" doc:"Without waiting for other processes that have it open"`
}

func (a *app) dropTenant(ctx context.Context, in *dropTenantIn) (*struct{}, error) {
	if err := a.provider(ctx); err != nil {
		return nil, err
	}
	if _, err := a.tenant(ctx, in.Name); err != nil {
		return nil, err
	}
	if in.Confirm != in.Name {
		return nil, oneFault("confirm", fmt.Sprintf("want %q once more: its readings, incidents and tokens are deleted for good", in.Name))
	}
	err := a.Tenants.DropTenant(ctx, in.Name, in.Force, a.Now())
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("tenant", in.Name)
	}
	return nil, err
}

// tenantOf returns the tenant that a request about tokens is about: the caller's
// own, or for a provider the one that it names. To others no tenant exists.
func (a *app) tenantOf(ctx context.Context, named string) (string, error) {
	if named == "" || named == a.Tenant {
		return a.Tenant, nil
	}
	err := a.provider(ctx)
	if err == nil {
		_, err = a.tenant(ctx, named)
	}
	var unknown *Problem
	if errors.As(err, &unknown) {
		return "", oneFault("tenant", "there is no such tenant")
	}
	return named, err
}
