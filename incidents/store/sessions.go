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
		_, err := tx.ExecContext(ctx, "INSERT INTO sessions (hash, token, tenant, name, role, site, supplier, created_at, expires_at) VALUES (?,?,?,?,?,?,?,?,?)",
			hash[:], t.ID, t.Tenant, t.Name, string(t.Role), t.Site, t.Supplier, at.UnixMilli(), t.ExpiresAt.UnixMilli())
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
	err := c.read.QueryRowContext(ctx, "SELECT token, tenant, name, role, site, supplier, created_at, expires_at FROM sessions WHERE hash = ?", hash[:]).
		Scan(&t.ID, &t.Tenant, &t.Name, &t.Role, &t.Site, &t.Supplier, &created, &expires)
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
		t.ID = "session:" + sessionID(hash[:])
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

// sessionID returns the name of a session, which gives nothing away of its secret.
func sessionID(hash []byte) string { return letters.EncodeToString(hash[:5]) }

// Sessions returns who of a tenant is signed in at that time, the newest first: of
// that name alone, unless it is "".
func (c *Control) Sessions(ctx context.Context, tenant, name string, at time.Time) (list []incidents.Session, err error) {
	rows, err := c.read.QueryContext(ctx, `SELECT s.hash, s.token, s.name, s.role, s.site, s.supplier, s.created_at, s.expires_at FROM sessions s
		LEFT JOIN tokens t ON t.id = s.token
		WHERE s.tenant = ? AND s.expires_at > ? AND (? = '' OR s.name = ?)
		AND (s.token = '' OR t.id IS NOT NULL AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > ?))
		ORDER BY s.created_at DESC, s.hash`, tenant, at.UnixMilli(), name, name, at.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var one incidents.Session
		var hash []byte
		var created, expires sql.NullInt64
		if err := rows.Scan(&hash, &one.Token, &one.Name, &one.Role, &one.Site, &one.Supplier, &created, &expires); err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		one.ID, one.CreatedAt, one.ExpiresAt = sessionID(hash), timeOf(created), timeOf(expires)
		list = append(list, one)
	}
	return list, rows.Err()
}

// EndSessionOf signs out whose session of a tenant has that id: of that name alone,
// unless it is "". The error is ErrNotFound when there is none.
func (c *Control) EndSessionOf(ctx context.Context, tenant, name, id string) error {
	start, err := letters.DecodeString(id)
	if err != nil || len(start) != 5 {
		return incidents.ErrNotFound
	}
	err = c.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE substr(hash, 1, 5) = ? AND tenant = ? AND (? = '' OR name = ?)", start, tenant, name, name)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
		return incidents.ErrNotFound
	})
	if err != nil && !errors.Is(err, incidents.ErrNotFound) {
		return fmt.Errorf("end a session: %w", err)
	}
	return err
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
