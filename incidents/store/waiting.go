package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// WaitingNotices counts the notices that should have gone out by then, and says
// since when the oldest of them waits; the zero time when none does.
func (t *Tickets) WaitingNotices(ctx context.Context, at time.Time) (count int64, since time.Time, err error) {
	var due sql.NullInt64
	row := t.read.QueryRowContext(ctx, "SELECT count(*), min(due_at) FROM notices WHERE due_at IS NOT NULL AND due_at <= ?", at.UnixMilli())
	if err := row.Scan(&count, &due); err != nil {
		return 0, since, fmt.Errorf("count the notices that wait: %w", err)
	}
	return count, timeOf(due), nil
}
