package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// Subscriptions implements incidents.Outbox.
func (t *ticketTx) Subscriptions() ([]incidents.Webhook, error) {
	list, err := webhooks(t.ctx, t.tx, "WHERE deleted_at IS NULL ORDER BY id")
	out := list[:0]
	for _, w := range list {
		if !w.Paused {
			out = append(out, w)
		}
	}
	return out, err
}

// Contact implements incidents.Outbox.
func (t *ticketTx) Contact(name string) (incidents.Contact, error) {
	return oneContact(t.ctx, t.tx, "name", name)
}

// SiteContact implements incidents.Outbox: the site names an address, and the
// contact with that address says more about it, when there is one.
func (t *ticketTx) SiteContact(site string) (incidents.Contact, error) {
	var text string
	err := t.tx.QueryRowContext(t.ctx, "SELECT data FROM sites WHERE id = ?", site).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return incidents.Contact{}, incidents.ErrNotFound
	}
	var s telemetry.Site
	if err == nil {
		err = json.Unmarshal([]byte(text), &s)
	}
	if err != nil {
		return incidents.Contact{}, fmt.Errorf("read the contact of site %s: %w", site, err)
	}
	if s.Contact == "" {
		return incidents.Contact{}, incidents.ErrNotFound
	}
	c, err := oneContact(t.ctx, t.tx, "email", s.Contact)
	if errors.Is(err, incidents.ErrNotFound) {
		return incidents.Contact{Email: s.Contact, Language: incidents.Languages[0]}, nil
	}
	return c, err
}

var noticeRows = bulk{
	into:    `notices (key, incident, seq, channel, recipient, language, template, reason, created_at, due_at, outcome, attempts)`,
	columns: 12, suffix: "ON CONFLICT (key) DO NOTHING",
}

// Enqueue implements incidents.Outbox.
func (t *ticketTx) Enqueue(list []incidents.Notice) error {
	_, err := noticeRows.insert(t.ctx, t.tx, len(list), func(args []any, i int) ([]any, error) {
		n := &list[i]
		id, ok := subjectOf(n.Ref)
		if !ok {
			return nil, fmt.Errorf("write a notice: %q is no reference", n.Ref)
		}
		return append(args, n.Key, id, n.Seq, string(n.Channel), n.Recipient, n.Language, n.Template, string(n.Reason),
			n.CreatedAt.UnixMilli(), millis(n.DueAt), string(n.Outcome), n.Attempts), nil
	})
	return err
}

const noticeColumns = "id, key, incident, seq, channel, recipient, language, template, reason, created_at, due_at, outcome, attempts"

func scanNotice(row scanner) (n incidents.Notice, err error) {
	var incident int64
	var created, due sql.NullInt64
	err = row.Scan(&n.ID, &n.Key, &incident, &n.Seq, &n.Channel, &n.Recipient, &n.Language, &n.Template, &n.Reason,
		&created, &due, &n.Outcome, &n.Attempts)
	n.Ref, n.CreatedAt, n.DueAt = refOfSubject(incident), timeOf(created), timeOf(due)
	return n, err
}

func noticesOf(ctx context.Context, db querier, query string, args ...any) (list []incidents.Notice, err error) {
	rows, err := db.QueryContext(ctx, "SELECT "+noticeColumns+" FROM notices "+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		n, err := scanNotice(rows)
		if err != nil {
			return nil, fmt.Errorf("read notices: %w", err)
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

// ClaimNotices returns the notices that are due, the longest first, and puts them
// off until the lease ends: another worker takes them up only when this one has
// not said what became of them by then. With a due e-mail come all that wait for
// the same recipient about the same incident.
func (t *Tickets) ClaimNotices(ctx context.Context, at, lease time.Time, limit int) (list []incidents.Notice, err error) {
	var due int
	if err := t.read.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM notices WHERE due_at <= ? LIMIT 1) x", at.UnixMilli()).Scan(&due); err != nil || due == 0 {
		return nil, err // a look that costs no transaction, for there is mostly nothing
	}
	err = t.update(ctx, func(tx *txn) error {
		list, err = noticesOf(ctx, tx, "WHERE due_at <= ? ORDER BY due_at, id LIMIT ?", at.UnixMilli(), limit)
		if err != nil {
			return err
		}
		if list, err = gather(ctx, tx, list); err != nil {
			return err
		}
		for _, n := range list {
			if _, err := tx.ExecContext(ctx, "UPDATE notices SET due_at = ? WHERE id = ?", lease.UnixMilli(), n.ID); err != nil {
				return fmt.Errorf("claim notice %d: %w", n.ID, err)
			}
		}
		return nil
	})
	return list, err
}

// gather adds what waits with the e-mails of a list.
func gather(ctx context.Context, tx *txn, list []incidents.Notice) ([]incidents.Notice, error) {
	type letter struct{ ref, to string }
	seen, have := map[letter]bool{}, map[int64]bool{}
	for _, n := range list {
		have[n.ID] = true
	}
	for _, n := range list {
		l := letter{n.Ref, n.Recipient}
		if n.Channel != incidents.ByEmail || seen[l] {
			continue
		}
		seen[l] = true
		id, _ := subjectOf(n.Ref)
		more, err := noticesOf(ctx, tx, "WHERE incident = ? AND recipient = ? AND channel = ? AND due_at IS NOT NULL ORDER BY id",
			id, n.Recipient, string(incidents.ByEmail))
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if !have[m.ID] {
				have[m.ID] = true
				list = append(list, m)
			}
		}
	}
	return list, nil
}

// PostponeNotices puts notices off without an attempt.
func (t *Tickets) PostponeNotices(ctx context.Context, ids []int64, until time.Time) error {
	return t.update(ctx, func(tx *txn) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, "UPDATE notices SET due_at = ? WHERE id = ? AND due_at IS NOT NULL", until.UnixMilli(), id); err != nil {
				return fmt.Errorf("put off notice %d: %w", id, err)
			}
		}
		return nil
	})
}

// Delivered writes down attempts, and what they mean for their notices.
func (t *Tickets) Delivered(ctx context.Context, list []incidents.Delivery) error {
	return t.update(ctx, func(tx *txn) error {
		for _, d := range list {
			if _, err := tx.ExecContext(ctx, "INSERT INTO deliveries (notice, at, attempt, ok, answer, took) VALUES (?,?,?,?,?,?)",
				d.Notice, d.At.UnixMilli(), d.Attempt, asInt(d.OK), d.Answer, d.Took.Milliseconds()); err != nil {
				return fmt.Errorf("write down attempt %d of notice %d: %w", d.Attempt, d.Notice, err)
			}
			if _, err := tx.ExecContext(ctx, "UPDATE notices SET outcome = ?, attempts = ?, due_at = ? WHERE id = ?",
				string(d.Outcome), d.Attempt, millis(d.Next), d.Notice); err != nil {
				return fmt.Errorf("write down attempt %d of notice %d: %w", d.Attempt, d.Notice, err)
			}
		}
		return nil
	})
}

func asInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Notices returns a page of notices with their attempts, the newest first.
func (t *Tickets) Notices(ctx context.Context, q incidents.NoticeQuery) ([]incidents.NoticeRow, error) {
	f := filter{}
	if q.Ref != "" {
		id, _ := subjectOf(q.Ref)
		f.add("incident = ?", id)
	}
	if q.Webhook != "" {
		f.add("recipient = ? AND channel = ?", q.Webhook, string(incidents.ByWebhook))
	}
	f.text("outcome", string(q.Outcome))
	if q.Before > 0 {
		f.add("id < ?", q.Before)
	}
	list, err := noticesOf(ctx, t.read, f.where()+" ORDER BY id DESC LIMIT ?", append(f.args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	out := make([]incidents.NoticeRow, len(list))
	for i, n := range list {
		out[i] = incidents.NoticeRow{Notice: n}
		if out[i].Deliveries, err = t.deliveries(ctx, n.ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *Tickets) deliveries(ctx context.Context, notice int64) ([]incidents.Delivery, error) {
	rows, err := t.read.QueryContext(ctx, "SELECT id, notice, at, attempt, ok, answer, took FROM deliveries WHERE notice = ? ORDER BY id", notice)
	if err != nil {
		return nil, fmt.Errorf("read the attempts of notice %d: %w", notice, err)
	}
	defer rows.Close()
	list := []incidents.Delivery{}
	for rows.Next() {
		var d incidents.Delivery
		var at sql.NullInt64
		var ok, took int64
		if err := rows.Scan(&d.ID, &d.Notice, &at, &d.Attempt, &ok, &d.Answer, &took); err != nil {
			return nil, fmt.Errorf("read the attempts of notice %d: %w", notice, err)
		}
		d.At, d.OK, d.Took = timeOf(at), ok == 1, time.Duration(took)*time.Millisecond
		list = append(list, d)
	}
	return list, rows.Err()
}

// Replay sends a webhook's notice once more; its attempts are counted anew. It is
// ErrNotFound when there is none of that number, or not of that webhook.
func (t *Tickets) Replay(ctx context.Context, webhook string, notice int64, at time.Time) error {
	return t.update(ctx, func(tx *txn) error {
		result, err := tx.ExecContext(ctx, "UPDATE notices SET due_at = ?, outcome = ?, attempts = 0 WHERE id = ? AND recipient = ? AND channel = ?",
			at.UnixMilli(), string(incidents.Waiting), notice, webhook, string(incidents.ByWebhook))
		if err != nil {
			return fmt.Errorf("send notice %d again: %w", notice, err)
		}
		return found(result)
	})
}

// found is ErrNotFound when a statement changed nothing.
func found(result sql.Result) error {
	n, err := result.RowsAffected()
	if n == 0 && err == nil {
		return incidents.ErrNotFound
	}
	return err
}

// ForgetNotices drops the notices from before that time with which nothing more
// is to be done, and their deliveries.
func (t *Tickets) ForgetNotices(ctx context.Context, before time.Time) error {
	err := t.update(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM deliveries WHERE notice IN (SELECT id FROM notices WHERE due_at IS NULL AND created_at < ?)", before.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM notices WHERE due_at IS NULL AND created_at < ?", before.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("forget old notices: %w", err)
	}
	return nil
}
