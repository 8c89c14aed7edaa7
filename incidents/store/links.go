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

// CreateLink keeps a link and returns its secret. Those that are long over go.
func (t *Tickets) CreateLink(ctx context.Context, l incidents.Link) (string, error) {
	id, ok := idOf(l.Ref)
	if !ok {
		return "", fmt.Errorf("make a link: %w", incidents.ErrNotFound)
	}
	secret := random(40)
	hash := sha256.Sum256([]byte(secret))
	err := t.update(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM links WHERE expires_at < ?", l.CreatedAt.Add(-incidents.LinkLasts).UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO links (hash, incident, name, language, created_at, expires_at) VALUES (?,?,?,?,?,?)",
			hash[:], id, l.Name, l.Language, l.CreatedAt.UnixMilli(), l.ExpiresAt.UnixMilli())
		return err
	})
	if err != nil {
		return "", fmt.Errorf("make a link for %s: %w", l.Ref, err)
	}
	return secret, nil
}

// Link returns a link by its secret, also one that is used or over; ErrNotFound
// when there is none.
func (t *Tickets) Link(ctx context.Context, secret string) (l incidents.Link, err error) {
	hash := sha256.Sum256([]byte(secret))
	var id int64
	var created, expires, used sql.NullInt64
	err = t.read.QueryRowContext(ctx, "SELECT incident, name, language, created_at, expires_at, used_at FROM links WHERE hash = ?", hash[:]).
		Scan(&id, &l.Name, &l.Language, &created, &expires, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return l, incidents.ErrNotFound
	}
	if err != nil {
		return l, fmt.Errorf("look for a link: %w", err)
	}
	l.Ref, l.CreatedAt, l.ExpiresAt, l.UsedAt = refOf(id), timeOf(created), timeOf(expires), timeOf(used)
	return l, nil
}

// UseLink runs do, and uses the link up in the same transaction: both happen or
// neither. ErrNotFound says that somebody was quicker.
func (t *Tickets) UseLink(ctx context.Context, secret string, at time.Time, do func(ctx context.Context) error) error {
	hash := sha256.Sum256([]byte(secret))
	return t.together(ctx, func(ctx context.Context) error {
		err := t.update(ctx, func(tx *txn) error {
			result, err := tx.ExecContext(ctx, "UPDATE links SET used_at = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ?",
				at.UnixMilli(), hash[:], at.UnixMilli())
			if err != nil {
				return fmt.Errorf("use a link: %w", err)
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				return errors.Join(err, incidents.ErrNotFound)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return do(ctx)
	})
}
