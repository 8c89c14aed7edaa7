package warehouse

import (
	"context"
	"time"
)

// keepEvery is the least time between two looks at what is stale.
const keepEvery = 5 * time.Second

// sweepEvery is the time between two looks for months that are too old.
const sweepEvery = 10 * time.Minute

// Keep keeps the table of hours up to date, and deletes what is older than the
// retention, until the context ends. Of its time
// it works a fifth at most, so that ingestion has the rest; until an hour is up
// to date it is made of its readings by whoever asks.
func (w *Warehouse) Keep(ctx context.Context) error {
	r := refresher{w, firstPiece}
	var swept time.Time
	for {
		start := time.Now()
		if start.Sub(swept) > sweepEvery {
			swept = start
			if err := w.Sweep(ctx, start); err != nil && ctx.Err() == nil {
				w.log.Warn("old months were not deleted", "database", w.db, "error", err)
			}
		}
		n, err := r.piece(ctx, settle)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("the hours were not refreshed", "database", w.db, "error", err)
		}
		pause := 4 * time.Since(start)
		if n == 0 || err != nil {
			pause = max(pause, keepEvery)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
