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
	err := c.update(ctx, func(tx *txn) error {
		if err := tx.QueryRowContext(ctx, "UPDATE tenants SET dropping = 1 WHERE name = ? RETURNING number", name).Scan(&t.Number); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = coalesce(revoked_at, ?)
			WHERE principal IN (SELECT id FROM principals WHERE tenant = ?)`, at.UnixMilli(), name)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = incidents.ErrNotFound
	}
	if err != nil {
		return t, fmt.Errorf("drop tenant %s: %w", name, err)
	}
	return t, nil
}

// EndDrop runs what deletes the data of a tenant that BeginDrop has marked, and then
// forgets the tenant and everybody who worked for it. Its name is free after that and
// not before, and one process does it at a time (to others the error is a
// ConflictError), so what deletes by name never meets the next tenant of that name. A
// tenant that is forgotten already is let alone.
func (c *Control) EndDrop(ctx context.Context, t Tenant, deletes func() error) error {
	err := c.alone(ctx, t, func() error {
		var dropping int
		err := c.write.QueryRowContext(ctx, "SELECT dropping FROM tenants WHERE number = ?", t.Number).Scan(&dropping)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil && dropping == 0 {
			err = errors.New("it is not marked")
		}
		if err == nil {
			err = deletes()
		}
		if err == nil {
			err = c.forget(ctx, t)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("drop tenant %s: %w", t.Name, err)
	}
	return nil
}

// alone runs do while no other process does it for that tenant. Processes share the
// database on PostgreSQL only.
func (c *Control) alone(ctx context.Context, t Tenant, do func() error) error {
	if c.dialect != postgres {
		return do()
	}
	locked, err := c.underLock(ctx, fmt.Sprintf("pg_try_advisory_lock(5101704, %d)", t.Number), func(*sql.Conn) error { return do() })
	if err == nil && !locked {
		err = &incidents.ConflictError{Code: "held", Detail: "another process is deleting its data"}
	}
	return err
}

func (c *Control) forget(ctx context.Context, t Tenant) error {
	return c.update(ctx, func(tx *txn) error {
		for _, s := range []struct {
			statement string
			key       any
		}{
			{"DELETE FROM tenant_holders WHERE tenant = ?", t.Number},
			{"DELETE FROM sessions WHERE tenant = ?", t.Name},
			{"DELETE FROM tokens WHERE principal IN (SELECT id FROM principals WHERE tenant = ?)", t.Name},
			{"DELETE FROM principals WHERE tenant = ?", t.Name},
			{"DELETE FROM tenants WHERE number = ?", t.Number},
		} {
			if _, err := tx.ExecContext(ctx, s.statement, s.key); err != nil {
				return err
			}
		}
		return nil
	})
}

// HoldTenant notes that a process is about to open a tenant, and has it open until
// LetGo, or until it has not renewed that for half a minute. The error is ErrNotFound
// for a tenant that is not there, or is being dropped.
func (c *Control) HoldTenant(ctx context.Context, number int64, holder string, at time.Time) error {
	err := c.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, `INSERT INTO tenant_holders (tenant, holder, until)
			SELECT number, CAST(? AS TEXT), CAST(? AS BIGINT) FROM tenants WHERE number = ? AND dropping = 0
			ON CONFLICT (tenant, holder) DO UPDATE SET until = excluded.until`, holder, at.Add(leaseTime).UnixMilli(), number)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
		return incidents.ErrNotFound
	})
	if err != nil {
		return fmt.Errorf("hold tenant %d: %w", number, err)
	}
	return nil
}

// RenewHolds notes that a process is still there with the tenants that it has open.
func (c *Control) RenewHolds(ctx context.Context, holder string, at time.Time) error {
	return c.holders(ctx, "renew what %s holds", holder, "UPDATE tenant_holders SET until = ? WHERE holder = ?", at.Add(leaseTime).UnixMilli(), holder)
}

// LetGo notes that a process has closed a tenant.
func (c *Control) LetGo(ctx context.Context, number int64, holder string) error {
	return c.holders(ctx, "let go for %s", holder, "DELETE FROM tenant_holders WHERE tenant = ? AND holder = ?", number, holder)
}

func (c *Control) holders(ctx context.Context, deed, holder, statement string, args ...any) error {
	err := c.update(ctx, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
	if err != nil {
		return fmt.Errorf(deed+": %w", holder, err)
	}
	return nil
}

// HoldersOf returns the processes that have a tenant open at that time, but for one.
func (c *Control) HoldersOf(ctx context.Context, number int64, but string, at time.Time) (list []string, err error) {
	rows, err := c.read.QueryContext(ctx, "SELECT holder FROM tenant_holders WHERE tenant = ? AND holder <> ? AND until >= ? ORDER BY holder", number, but, at.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("read who holds tenant %d: %w", number, err)
	}
	defer rows.Close()
	for rows.Next() {
		var holder string
		if err := rows.Scan(&holder); err != nil {
			return nil, fmt.Errorf("read who holds tenant %d: %w", number, err)
		}
		list = append(list, holder)
	}
	return list, rows.Err()
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
