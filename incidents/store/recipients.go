package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

func webhooks(ctx context.Context, db querier, query string, args ...any) (list []incidents.Webhook, err error) {
	rows, err := db.QueryContext(ctx, "SELECT data, secret, version FROM webhooks "+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var w incidents.Webhook
		var data, secret string
		var version int64
		err := rows.Scan(&data, &secret, &version)
		if err == nil {
			err = json.Unmarshal([]byte(data), &w)
		}
		if err != nil {
			return nil, fmt.Errorf("read webhooks: %w", err)
		}
		w.Secret, w.Version = secret, version
		list = append(list, w)
	}
	return list, rows.Err()
}

// Webhooks returns the subscriptions, of one site or of all (""), by id.
func (t *Tickets) Webhooks(ctx context.Context, site string) ([]incidents.Webhook, error) {
	f := filter{}
	f.add("deleted_at IS NULL")
	f.text("site", site)
	return webhooks(ctx, t.read, f.where()+" ORDER BY id", f.args...)
}

// Webhook returns one subscription, or ErrNotFound.
func (t *Tickets) Webhook(ctx context.Context, id string) (incidents.Webhook, error) {
	list, err := webhooks(ctx, t.read, "WHERE deleted_at IS NULL AND id = ?", id)
	if err == nil && len(list) == 0 {
		err = incidents.ErrNotFound
	}
	if err != nil {
		return incidents.Webhook{}, err
	}
	return list[0], nil
}

// CreateWebhook keeps a subscription. Its ID and Secret are made here.
func (t *Tickets) CreateWebhook(ctx context.Context, w incidents.Webhook) (incidents.Webhook, error) {
	w.ID, w.Secret, w.Version = "wh_"+random(16), "whsec_"+random(40), 1
	data, err := json.Marshal(w)
	if err != nil {
		return w, fmt.Errorf("write webhook %s: %w", w.ID, err)
	}
	err = t.update(ctx, func(tx *txn) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO webhooks (id, site, secret, data, version) VALUES (?,?,?,?,?)", w.ID, w.Site, w.Secret, string(data), w.Version)
		return err
	})
	if err != nil {
		return w, fmt.Errorf("write webhook %s: %w", w.ID, err)
	}
	return w, nil
}

// UpdateWebhook writes a subscription anew, unless it has changed since that
// version (ErrStale).
func (t *Tickets) UpdateWebhook(ctx context.Context, w incidents.Webhook, version int64) (incidents.Webhook, error) {
	data, err := json.Marshal(w)
	if err != nil {
		return w, fmt.Errorf("write webhook %s: %w", w.ID, err)
	}
	w.Version = version + 1
	err = t.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, "UPDATE webhooks SET data = ?, version = ? WHERE id = ? AND version = ? AND deleted_at IS NULL",
			string(data), w.Version, w.ID, version)
		if err != nil {
			return fmt.Errorf("write webhook %s: %w", w.ID, err)
		}
		if err := found(result); err != nil {
			return incidents.ErrStale
		}
		return nil
	})
	return w, err
}

// DeleteWebhook ends a subscription; what waits for it is dropped.
func (t *Tickets) DeleteWebhook(ctx context.Context, id string, at time.Time) error {
	return t.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, "UPDATE webhooks SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", at.UnixMilli(), id)
		if err != nil {
			return fmt.Errorf("end webhook %s: %w", id, err)
		}
		if err := found(result); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE notices SET due_at = NULL, outcome = ? WHERE recipient = ? AND due_at IS NOT NULL",
			string(incidents.Dropped), id); err != nil {
			return fmt.Errorf("drop what waits for webhook %s: %w", id, err)
		}
		return nil
	})
}

// oneContact returns the contact with that name or email, or ErrNotFound.
func oneContact(ctx context.Context, db querier, column, value string) (incidents.Contact, error) {
	list, err := contacts(ctx, db, "WHERE "+column+" = ? ORDER BY name LIMIT 1", value)
	if err == nil && len(list) == 0 {
		err = incidents.ErrNotFound
	}
	if err != nil {
		return incidents.Contact{}, err
	}
	return list[0], nil
}

func contacts(ctx context.Context, db querier, query string, args ...any) (list []incidents.Contact, err error) {
	rows, err := db.QueryContext(ctx, "SELECT data, version FROM contacts "+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read contacts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c incidents.Contact
		var data string
		var version int64
		err := rows.Scan(&data, &version)
		if err == nil {
			err = json.Unmarshal([]byte(data), &c)
		}
		if err != nil {
			return nil, fmt.Errorf("read contacts: %w", err)
		}
		c.Version = version
		list = append(list, c)
	}
	return list, rows.Err()
}

// Contacts returns a page of contacts by name.
func (t *Tickets) Contacts(ctx context.Context, after string, limit int) ([]incidents.Contact, error) {
	return contacts(ctx, t.read, "WHERE name > ? ORDER BY name LIMIT ?", after, limit)
}

// followers returns the contacts that follow some topic, by name. There are few of
// them, and they are asked for seldom: the contacts are looked through.
func followers(ctx context.Context, db querier) ([]incidents.Contact, error) {
	return contacts(ctx, db, `WHERE data LIKE '%"topics":[%' ORDER BY name`)
}

// Contact returns the contact of a principal, or ErrNotFound.
func (t *Tickets) Contact(ctx context.Context, name string) (incidents.Contact, error) {
	return oneContact(ctx, t.read, "name", name)
}

// ContactAt returns a contact with that address, or ErrNotFound.
func (t *Tickets) ContactAt(ctx context.Context, email string) (incidents.Contact, error) {
	return oneContact(ctx, t.read, "email", email)
}

// PutContact writes a contact, unless it has changed since that version
// (ErrStale); version 0 is for one that is not there yet (else ErrExists).
func (t *Tickets) PutContact(ctx context.Context, c incidents.Contact, version int64) (incidents.Contact, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("write contact %s: %w", c.Name, err)
	}
	c.Version = version + 1
	err = t.update(ctx, func(tx *txn) error {
		var result sql.Result
		instead := incidents.ErrStale
		if version == 0 {
			instead = incidents.ErrExists
			result, err = tx.ExecContext(ctx, "INSERT INTO contacts (name, email, data, version) VALUES (?,?,?,1) ON CONFLICT DO NOTHING", c.Name, c.Email, string(data))
		} else {
			result, err = tx.ExecContext(ctx, "UPDATE contacts SET email = ?, data = ?, version = ? WHERE name = ? AND version = ?",
				c.Email, string(data), c.Version, c.Name, version)
		}
		if err != nil {
			return fmt.Errorf("write contact %s: %w", c.Name, err)
		}
		if err := found(result); errors.Is(err, incidents.ErrNotFound) {
			return instead
		} else if err != nil {
			return err
		}
		return nil
	})
	return c, err
}
