package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"belfry/incidents"
)

// Attachments keeps what is attached to a tenant's incidents: the bytes in a folder
// beside the database, named by their hash, so that the same photo is kept once;
// without a folder (several processes share a server) in the database.
type Attachments struct {
	db     *Tickets
	folder string
}

// NewAttachments returns the attachments of a database, with their bytes in that
// folder, or in the database when it is "".
func NewAttachments(t *Tickets, folder string) *Attachments { return &Attachments{t, folder} }

// Add keeps an attachment; ID, Size and Hash are filled in. The bytes are on disk
// before the row is, so a row never lacks them.
func (s *Attachments) Add(ctx context.Context, a incidents.Attachment, data []byte) (incidents.Attachment, error) {
	id, ok := idOf(a.Ref)
	if !ok {
		return a, incidents.ErrNotFound
	}
	sum := sha256.Sum256(data)
	a.ID, a.Size, a.Hash = "at_"+random(16), int64(len(data)), hex.EncodeToString(sum[:])
	if err := s.write(a.Hash, data); err != nil {
		return a, err
	}
	err := s.db.update(ctx, func(tx *txn) error {
		var there int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM attachments WHERE incident = ?", id).Scan(&there); err != nil {
			return err
		}
		if there >= incidents.MaxAttachments {
			return &incidents.ConflictError{Code: "too-many", Detail: fmt.Sprintf("%s has %d attachments; there is no room for more", a.Ref, there)}
		}
		if s.folder == "" {
			if _, err := tx.ExecContext(ctx, "INSERT INTO attachment_bytes (hash, data) VALUES (?,?) ON CONFLICT (hash) DO NOTHING", a.Hash, data); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO attachments (id, incident, name, type, size, hash, internal, created_by, created_at)
			VALUES (?,?,?,?,?,?,?,?,?)`, a.ID, id, a.Name, a.Type, a.Size, a.Hash, number(a.Internal), a.CreatedBy, a.CreatedAt.UnixMilli())
		return err
	})
	if err != nil {
		return a, fmt.Errorf("attach %q to %s: %w", a.Name, a.Ref, err)
	}
	return a, nil
}

// write puts the bytes into their file, under another name first.
func (s *Attachments) write(hash string, data []byte) error {
	if s.folder == "" {
		return nil
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return fmt.Errorf("make the folder of attachments: %w", err)
	}
	path := filepath.Join(s.folder, hash)
	if known, err := os.Stat(path); err == nil && known.Size() == int64(len(data)) {
		return nil
	}
	f, err := os.CreateTemp(s.folder, "new-")
	if err != nil {
		return fmt.Errorf("keep an attachment: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep an attachment: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// List returns what is attached to an incident, the oldest first.
func (s *Attachments) List(ctx context.Context, ref string) ([]incidents.Attachment, error) {
	id, ok := idOf(ref)
	if !ok {
		return nil, incidents.ErrNotFound
	}
	rows, err := s.db.read.QueryContext(ctx, `SELECT id, incident, name, type, size, hash, internal, created_by, created_at
		FROM attachments WHERE incident = ? ORDER BY created_at, id`, id)
	if err != nil {
		return nil, fmt.Errorf("read the attachments of %s: %w", ref, err)
	}
	defer rows.Close()
	var list []incidents.Attachment
	for rows.Next() {
		a, err := scanAttachment(rows)
		if err != nil {
			return nil, fmt.Errorf("read the attachments of %s: %w", ref, err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

func scanAttachment(row scanner) (a incidents.Attachment, err error) {
	var incident, internal int64
	var created sql.NullInt64
	err = row.Scan(&a.ID, &incident, &a.Name, &a.Type, &a.Size, &a.Hash, &internal, &a.CreatedBy, &created)
	a.Ref, a.Internal, a.CreatedAt = refOf(incident), internal != 0, timeOf(created)
	return a, err
}

// Read returns an attachment of an incident with its bytes, which are what they
// were: a file that was changed is an error.
func (s *Attachments) Read(ctx context.Context, ref, id string) (a incidents.Attachment, data []byte, err error) {
	if a, err = s.find(ctx, ref, id); err != nil {
		return a, nil, err
	}
	if s.folder != "" {
		data, err = os.ReadFile(filepath.Join(s.folder, a.Hash))
	}
	if s.folder == "" || errors.Is(err, os.ErrNotExist) { // restored from where it was in the database
		err = s.db.read.QueryRowContext(ctx, "SELECT data FROM attachment_bytes WHERE hash = ?", a.Hash).Scan(&data)
	}
	if err != nil {
		return a, nil, fmt.Errorf("read attachment %s: %w", id, err)
	}
	if sum := sha256.Sum256(data); !bytes.Equal([]byte(hex.EncodeToString(sum[:])), []byte(a.Hash)) {
		return a, nil, fmt.Errorf("attachment %s is not what it was", id)
	}
	return a, data, nil
}

func (s *Attachments) find(ctx context.Context, ref, id string) (incidents.Attachment, error) {
	number, ok := idOf(ref)
	if !ok {
		return incidents.Attachment{}, incidents.ErrNotFound
	}
	a, err := scanAttachment(s.db.read.QueryRowContext(ctx, `SELECT id, incident, name, type, size, hash, internal, created_by, created_at
		FROM attachments WHERE id = ? AND incident = ?`, id, number))
	if errors.Is(err, sql.ErrNoRows) {
		err = incidents.ErrNotFound
	}
	return a, err
}

// Delete takes an attachment away; its bytes go with the last that has them.
func (s *Attachments) Delete(ctx context.Context, ref, id string) error {
	a, err := s.find(ctx, ref, id)
	if err != nil {
		return err
	}
	var others int
	err = s.db.update(ctx, func(tx *txn) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM attachments WHERE id = ?", id); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM attachments WHERE hash = ?", a.Hash).Scan(&others); err != nil || others > 0 {
			return err
		}
		if s.folder == "" {
			_, err := tx.ExecContext(ctx, "DELETE FROM attachment_bytes WHERE hash = ?", a.Hash)
			return err
		}
		// Within the transaction: nobody attaches the same bytes meanwhile.
		if err := os.Remove(filepath.Join(s.folder, a.Hash)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete attachment %s: %w", id, err)
	}
	return nil
}

// Attached implements incidents.Shelf.
func (t *ticketTx) Attached(ref, name string, internal bool) (there bool, err error) {
	id, _ := idOf(ref)
	query := "SELECT count(*) > 0 FROM attachments WHERE incident = ? AND name = ?"
	if !internal {
		query += " AND internal = 0"
	}
	if err := t.tx.QueryRowContext(t.ctx, query, id, name).Scan(&there); err != nil {
		return false, fmt.Errorf("look for %q among what is attached to %s: %w", name, ref, err)
	}
	return there, nil
}
