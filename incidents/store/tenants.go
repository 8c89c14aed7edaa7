package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"belfry/incidents"
)

// DefaultTenant is the tenant that there always is.
const DefaultTenant = "default"

// Tenant is a client company.
type Tenant struct {
	Number    int64 // never given again
	Name      string
	CreatedAt time.Time
	Dropping  bool // its data are being deleted
}

// tenantName is what topics, databases and folders can be called on every system.
var tenantName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// CheckTenant returns what is wrong with the name of a tenant.
func CheckTenant(name string) error {
	if !tenantName.MatchString(name) {
		return &incidents.InvalidError{Faults: []incidents.Fault{{Field: "name",
			Wrong: fmt.Sprintf("is %q; want a lower-case letter, then letters, digits and underscores, 32 at most", name)}}}
	}
	return nil
}

// Tenants returns the tenants, the oldest first, those that are being dropped too.
func (c *Control) Tenants(ctx context.Context) (list []Tenant, err error) {
	rows, err := c.read.QueryContext(ctx, "SELECT number, name, created_at, dropping FROM tenants ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("read the tenants: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t Tenant
		var created, dropping int64
		if err := rows.Scan(&t.Number, &t.Name, &created, &dropping); err != nil {
			return nil, fmt.Errorf("read the tenants: %w", err)
		}
		t.CreatedAt, t.Dropping = time.UnixMilli(created).UTC(), dropping != 0
		list = append(list, t)
	}
	return list, rows.Err()
}

// CreateTenant adds a tenant; ErrExists says that there is one of that name.
func (c *Control) CreateTenant(ctx context.Context, name string, at time.Time) (Tenant, error) {
	if err := CheckTenant(name); err != nil {
		return Tenant{}, err
	}
	t := Tenant{Name: name, CreatedAt: at.UTC().Truncate(time.Millisecond)}
	err := c.update(ctx, func(tx *txn) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO tenants (name, created_at, dropping) VALUES (?,?,0)
			ON CONFLICT (name) DO NOTHING RETURNING number`, name, t.CreatedAt.UnixMilli()).Scan(&t.Number)
		if errors.Is(err, sql.ErrNoRows) {
			return incidents.ErrExists
		}
		return err
	})
	if err != nil {
		return t, fmt.Errorf("add tenant %s: %w", name, err)
	}
	return t, nil
}

// BeginDrop marks a tenant as one whose data are to be deleted, and ends its
// tokens at once. Doing it again does nothing; an unknown one is ErrNotFound.
func (c *Control) BeginDrop(ctx context.Context, name string, at time.Time) (Tenant, error) {
	t := Tenant{Name: name, Dropping: true}
	err := c.changeTenant(ctx, "drop", &t, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = coalesce(revoked_at, ?)
			WHERE principal IN (SELECT id FROM principals WHERE tenant = ?)`, at.UnixMilli(), name)
		return err
	}, "UPDATE tenants SET dropping = 1 WHERE name = ? RETURNING number")
	return t, err
}

// EndDrop forgets a tenant and everybody who worked for it.
func (c *Control) EndDrop(ctx context.Context, name string) error {
	return c.changeTenant(ctx, "forget", &Tenant{Name: name}, func(tx *txn) error {
		for _, statement := range []string{
			"DELETE FROM sessions WHERE tenant = ?",
			"DELETE FROM tokens WHERE principal IN (SELECT id FROM principals WHERE tenant = ?)",
			"DELETE FROM principals WHERE tenant = ?",
		} {
			if _, err := tx.ExecContext(ctx, statement, name); err != nil {
				return err
			}
		}
		return nil
	}, "DELETE FROM tenants WHERE name = ? RETURNING number")
}

// changeTenant runs a statement that returns the tenant's number, and more with it.
func (c *Control) changeTenant(ctx context.Context, deed string, t *Tenant, more func(*txn) error, statement string) error {
	err := c.update(ctx, func(tx *txn) error {
		err := tx.QueryRowContext(ctx, statement, t.Name).Scan(&t.Number)
		if errors.Is(err, sql.ErrNoRows) {
			return incidents.ErrNotFound
		}
		if err != nil {
			return err
		}
		return more(tx)
	})
	if err != nil {
		return fmt.Errorf("%s tenant %s: %w", deed, t.Name, err)
	}
	return nil
}

// TenantOf returns the tenant of a token by its secret form, right or wrong, or of
// a session by its secret; "" when nobody has a token of that id, or such a session.
func (c *Control) TenantOf(ctx context.Context, text string) (string, error) {
	id, _, ok := cut(text)
	if !ok {
		return c.sessionTenant(ctx, text)
	}
	list, _, err := c.tokens(ctx, "WHERE t.id = ?", id)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0].Tenant, nil
}
