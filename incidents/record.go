package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// RecordKind says what a record is.
type RecordKind string

// The kinds of records.
const (
	ProblemRecord      RecordKind = "problem"
	AnnouncementRecord RecordKind = "announcement"
)

// Record is how problems and announcements are kept: one row each, with its
// version, and what they are found by.
type Record struct {
	Kind      RecordKind
	Ref       string
	Version   int64
	State     string
	Key       string // what it is about; "" for nothing in particular
	Live      bool   // it has not ended
	UpdatedAt time.Time
	Data      json.RawMessage
}

// RecordQuery selects records, the newest first.
type RecordQuery struct {
	Kind   RecordKind
	State  string // "" for any
	Live   bool   // only what has not ended
	Before string // start after this reference
	Limit  int
}

// Shelf is what a transaction can do with what the desk remembers.
type Shelf interface {
	// NextRecord returns the next reference of a kind.
	NextRecord(kind RecordKind) (string, error)
	// Record returns one record, or ErrNotFound.
	Record(kind RecordKind, ref string) (Record, error)
	// NewestRecord returns the newest record with that key, or ErrNotFound.
	NewestRecord(kind RecordKind, key string) (Record, error)
	// PutRecord writes a record. It is made when its version is 1.
	PutRecord(r Record) error
	// Closings returns the incidents that closed like another one, the oldest first.
	Closings(q ClosingQuery) ([]string, error)
	// Makes returns what is known of the devices' makes, where something is.
	Makes(devices []string) (map[string]Make, error)
	// Registered reports whether there is a device or a site of that name.
	Registered(name string) (bool, error)
	// Attached reports whether a file of that name is attached to an incident; without
	// internal those for the desk alone don't count.
	Attached(ref, name string, internal bool) (bool, error)
	// PutEntry puts an article or a known error into the index of texts, anew when
	// it is there; one without texts is taken out.
	PutEntry(e Entry) error
	// Index puts up to limit incidents into the index that are not in it yet, and
	// returns how many there were.
	Index(limit int) (int, error)
	// Announce tells the subscribers of an announcement about its newest update.
	Announce(a *Announcement) error
}

// Archive is what can be read of it.
type Archive interface {
	// Records returns a page of records.
	Records(ctx context.Context, q RecordQuery) ([]Record, error)
	// OneRecord returns one record, or ErrNotFound.
	OneRecord(ctx context.Context, kind RecordKind, ref string) (Record, error)
	// Search returns what holds the words, the best first.
	Search(ctx context.Context, q SearchQuery) ([]Hit, error)
	// SolvedBefore returns incidents that people have solved, the newest first.
	SolvedBefore(ctx context.Context, q SolvedQuery) ([]Incident, error)
	// OpenActions returns the actions that are still to be done, those that are due
	// first before the others.
	OpenActions(ctx context.Context, q ActionQuery) ([]OpenAction, error)
	// Opened hands over the incidents that were opened in a span, one by one.
	Opened(ctx context.Context, q OpenedQuery, take func(*Incident) error) error
	// History returns entries of the timelines of some incidents, the newest first.
	History(ctx context.Context, q HistoryQuery) ([]FeedEvent, error)
	// Verdicts counts, for each rule, what people made of its incidents since then.
	Verdicts(ctx context.Context, since time.Time) ([]Verdict, error)
}

// maxRecords is how many of a page are looked through for what the actor may see.
const maxRecords = 500

// readRecord turns a record into what it holds.
func readRecord[T any](r Record, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(r.Data, &v); err != nil {
		return v, fmt.Errorf("read %s: %w", r.Ref, err)
	}
	return v, nil
}

// atVersion keeps a change from what has changed since.
func atVersion(ref string, is, want int64) error {
	if want != 0 && want != is {
		return fmt.Errorf("%s is at version %d, not %d: %w", ref, is, want, ErrStale)
	}
	return nil
}

// written runs do in a transaction and returns what it does.
func written[T any](ctx context.Context, d *Desk, do func(Tx) (T, error)) (out T, err error) {
	err = d.store.Update(ctx, func(tx Tx) (err error) {
		out, err = do(tx)
		return err
	})
	return out, err
}

// found turns a missing record into nothing.
func found(r Record, err error) (Record, bool, error) {
	if errors.Is(err, ErrNotFound) {
		return r, false, nil
	}
	return r, err == nil, err
}
