package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"

	"belfry/incidents"
)

// Control is the database of who may use the API: the tenants, and their
// principals with their tokens.
type Control struct{ *database }

// OpenControl opens the control database in that file, making it when it is missing.
func OpenControl(ctx context.Context, path string) (*Control, error) {
	db, err := open(ctx, path, "control")
	if err != nil {
		return nil, err
	}
	return &Control{db}, nil
}

// usedEvery is how often the time of a token's last use is written down.
const usedEvery = time.Minute

var letters = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// random returns n characters of 5 random bits each; n is a multiple of 8.
func random(n int) string {
	b := make([]byte, n*5/8)
	_, _ = rand.Read(b) // never fails; see crypto/rand
	return letters.EncodeToString(b)
}

// CreateToken makes a token and returns it with its secret form, bf_<id>_<secret>,
// which is kept nowhere and can't be had again. ID and CreatedAt are filled in.
func (c *Control) CreateToken(ctx context.Context, t incidents.Token, at time.Time) (incidents.Token, string, error) {
	if err := t.Check(at); err != nil {
		return t, "", fmt.Errorf("make a token: %w", err)
	}
	t.ID, t.CreatedAt = random(8), at.UTC().Truncate(time.Millisecond)
	secret := random(40)
	hash := sha256.Sum256([]byte(secret))
	err := c.update(ctx, func(tx *txn) error { return insertToken(ctx, tx, t, hash[:]) })
	if err != nil {
		return t, "", fmt.Errorf("make a token for %s: %w", t.Name, err)
	}
	return t, "bf_" + t.ID + "_" + secret, nil
}

// insertToken writes a token, unless there is one of its ID, and its principal.
func insertToken(ctx context.Context, tx *txn, t incidents.Token, hash []byte) error {
	var principal int64
	err := tx.QueryRowContext(ctx, `INSERT INTO principals (tenant, name, created_at) VALUES (?,?,?)
		ON CONFLICT (tenant, name) DO UPDATE SET name = excluded.name RETURNING id`,
		t.Tenant, t.Name, t.CreatedAt.UnixMilli()).Scan(&principal)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO tokens (id, principal, role, site, supplier, hash, created_at, expires_at, last_used, revoked_at, provider, scopes)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING`, t.ID, principal, string(t.Role), t.Site, t.Supplier, hash,
		t.CreatedAt.UnixMilli(), millis(t.ExpiresAt), millis(t.LastUsed), millis(t.RevokedAt), number(t.Provider), strings.Join(t.Scopes, " "))
	return err
}

// Authenticate returns the token whose secret form is given. The error is
// ErrNotFound, whatever is wrong with it: malformed, unknown, revoked or expired.
func (c *Control) Authenticate(ctx context.Context, text string, at time.Time) (incidents.Token, error) {
	id, secret, ok := cut(text)
	if !ok {
		return incidents.Token{}, incidents.ErrNotFound
	}
	list, hashes, err := c.tokens(ctx, "WHERE t.id = ?", id)
	if err != nil {
		return incidents.Token{}, err
	}
	got := sha256.Sum256([]byte(secret))
	if len(list) == 0 {
		list, hashes = []incidents.Token{{RevokedAt: at}}, [][]byte{make([]byte, len(got))} // as much work as for a known one
	}
	t := list[0]
	right := subtle.ConstantTimeCompare(got[:], hashes[0]) == 1
	if !right || !t.Lives(at) {
		return incidents.Token{}, incidents.ErrNotFound
	}
	c.used(ctx, t, at)
	return t, nil
}

// cut takes bf_<id>_<secret> apart.
func cut(text string) (id, secret string, ok bool) {
	rest, ok := strings.CutPrefix(text, "bf_")
	id, secret, found := strings.Cut(rest, "_")
	return id, secret, ok && found && len(id) == 8 && len(secret) == 40
}

// used notes the use of a token. That it can't be noted, on a full disk for
// instance, is no reason to lock its owner out, so the error is let go.
func (c *Control) used(ctx context.Context, t incidents.Token, at time.Time) {
	if at.Sub(t.LastUsed) >= usedEvery {
		_, _ = c.write.ExecContext(ctx, "UPDATE tokens SET last_used = ? WHERE id = ?", at.UnixMilli(), t.ID)
	}
}

// Tokens returns a tenant's tokens, the oldest first, the revoked ones too.
func (c *Control) Tokens(ctx context.Context, tenant string) ([]incidents.Token, error) {
	list, _, err := c.tokens(ctx, "WHERE p.tenant = ? ORDER BY t.created_at, t.id", tenant)
	return list, err
}

func (c *Control) tokens(ctx context.Context, where string, args ...any) (list []incidents.Token, hashes [][]byte, err error) {
	rows, err := c.read.QueryContext(ctx, `SELECT t.id, p.name, t.role, p.tenant, t.site, t.supplier, t.hash,
		t.created_at, t.expires_at, t.last_used, t.revoked_at, t.provider, t.scopes FROM tokens t JOIN principals p ON p.id = t.principal `+where, args...)
	if err != nil {
		return nil, nil, fmt.Errorf("read tokens: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var t incidents.Token
		var hash []byte
		var created, expires, used, revoked sql.NullInt64
		var provider int64
		var scopes string
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &t.Tenant, &t.Site, &t.Supplier, &hash, &created, &expires, &used, &revoked, &provider, &scopes); err != nil {
			return nil, nil, fmt.Errorf("read tokens: %w", err)
		}
		t.CreatedAt, t.ExpiresAt, t.LastUsed, t.RevokedAt = timeOf(created), timeOf(expires), timeOf(used), timeOf(revoked)
		t.Provider, t.Scopes = provider != 0, strings.Fields(scopes)
		list, hashes = append(list, t), append(hashes, hash)
	}
	return list, hashes, rows.Err()
}

// RevokeToken ends a tenant's token at once. Revoking it again does nothing; an
// unknown one is ErrNotFound.
func (c *Control) RevokeToken(ctx context.Context, tenant, id string, at time.Time) error {
	err := c.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = coalesce(revoked_at, ?)
			WHERE id = ? AND principal IN (SELECT id FROM principals WHERE tenant = ?)`, at.UnixMilli(), id, tenant)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); n > 0 || err != nil {
			return err
		}
		return incidents.ErrNotFound
	})
	if err != nil && !errors.Is(err, incidents.ErrNotFound) {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return err
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
