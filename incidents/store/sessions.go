package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

// CreateSession keeps that somebody is signed in until the token's ExpiresAt, and
// returns the secret of the session, which is kept nowhere. A token with an ID is
// one of ours, and the session ends with it at the latest; one without was made
// up from what a provider of identities says.
func (c *Control) CreateSession(ctx context.Context, t incidents.Token, at time.Time) (string, error) {
	secret := random(40)
	hash := sha256.Sum256([]byte(secret))
	err := c.update(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE expires_at <= ?", at.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, token, tenant, name, role, site, created_at, expires_at) VALUES (?,?,?,?,?,?,?,?)",
			hash[:], t.ID, t.Tenant, t.Name, string(t.Role), t.Site, at.UnixMilli(), t.ExpiresAt.UnixMilli())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("sign %s in: %w", t.Name, err)
	}
	return secret, nil
}

// Session returns whose session that is, as a token. The error is ErrNotFound when
// there is none, or it has ended, or its token has.
func (c *Control) Session(ctx context.Context, secret string, at time.Time) (incidents.Token, error) {
	hash := sha256.Sum256([]byte(secret))
	var t incidents.Token
	var created, expires sql.NullInt64
	err := c.read.QueryRowContext(ctx, "SELECT token, tenant, name, role, site, created_at, expires_at FROM sessions WHERE hash = ?", hash[:]).
		Scan(&t.ID, &t.Tenant, &t.Name, &t.Role, &t.Site, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return t, incidents.ErrNotFound
	}
	if err != nil {
		return t, fmt.Errorf("look for a session: %w", err)
	}
	t.CreatedAt, t.ExpiresAt = timeOf(created), timeOf(expires)
	if !at.Before(t.ExpiresAt) {
		return incidents.Token{}, incidents.ErrNotFound
	}
	if t.ID == "" {
		t.ID = "session:" + letters.EncodeToString(hash[:5])
		return t, nil
	}
	return c.living(ctx, t.ID, at)
}

// living returns the token of that id, unless it has ended.
func (c *Control) living(ctx context.Context, id string, at time.Time) (incidents.Token, error) {
	list, _, err := c.tokens(ctx, "WHERE t.id = ?", id)
	if err != nil {
		return incidents.Token{}, err
	}
	if len(list) == 0 || !list[0].Lives(at) {
		return incidents.Token{}, incidents.ErrNotFound
	}
	c.used(ctx, list[0], at)
	return list[0], nil
}

// EndSession signs out. One that is not there has ended already.
func (c *Control) EndSession(ctx context.Context, secret string) error {
	hash := sha256.Sum256([]byte(secret))
	err := c.update(ctx, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE hash = ?", hash[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// sessionTenant returns the tenant of a session, living or not; "" when there is none.
func (c *Control) sessionTenant(ctx context.Context, secret string) (tenant string, err error) {
	hash := sha256.Sum256([]byte(secret))
	err = c.read.QueryRowContext(ctx, "SELECT tenant FROM sessions WHERE hash = ?", hash[:]).Scan(&tenant)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for a session: %w", err)
	}
	return tenant, nil
}
