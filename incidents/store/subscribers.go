package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"belfry/incidents"
	"belfry/telemetry"
)

// subjectOf returns the number that a notice's subject has in its table: an
// incident's own, and below 0 that of an announcement.
func subjectOf(ref string) (int64, bool) {
	if id, ok := recordID(incidents.AnnouncementRecord, ref); ok {
		return -id, true
	}
	return idOf(ref)
}

func refOfSubject(id int64) string {
	if id < 0 {
		return recordRef(incidents.AnnouncementRecord, -id)
	}
	return refOf(id)
}

// SiteContacts implements incidents.Outbox.
func (t *ticketTx) SiteContacts(sites []string) ([]incidents.Contact, error) {
	emails, err := t.contactsOf(sites)
	if err != nil {
		return nil, fmt.Errorf("read the contacts of the sites: %w", err)
	}
	var out []incidents.Contact
	for _, email := range emails {
		c, err := oneContact(t.ctx, t.tx, "email", email)
		if errors.Is(err, incidents.ErrNotFound) {
			c, err = incidents.Contact{Email: email, Language: incidents.Languages[0]}, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// Followers implements incidents.Outbox.
func (t *ticketTx) Followers() ([]incidents.Contact, error) { return followers(t.ctx, t.tx) }

// contactsOf returns the addresses that sites name, each once.
func (t *ticketTx) contactsOf(sites []string) (out []string, err error) {
	if len(sites) == 0 {
		return t.addresses("SELECT data FROM sites ORDER BY id")
	}
	for chunk := range slices.Chunk(sites, 500) {
		args := make([]any, len(chunk))
		for i, s := range chunk {
			args[i] = s
		}
		some, err := t.addresses("SELECT data FROM sites WHERE id IN ("+strings.TrimSuffix(strings.Repeat("?,", len(chunk)), ",")+") ORDER BY id", args...)
		if err != nil {
			return nil, err
		}
		for _, email := range some {
			if !slices.Contains(out, email) {
				out = append(out, email)
			}
		}
	}
	return out, nil
}

func (t *ticketTx) addresses(query string, args ...any) (out []string, err error) {
	rows, err := t.tx.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	seen := map[string]bool{}
	for rows.Next() {
		var data string
		var s telemetry.Site
		if err := rows.Scan(&data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			return nil, err
		}
		if s.Contact != "" && !seen[s.Contact] {
			seen[s.Contact] = true
			out = append(out, s.Contact)
		}
	}
	return out, rows.Err()
}
