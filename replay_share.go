package main

import (
	"context"
	"fmt"
	"time"

	"belfry/api"
	"belfry/ingest"
)

// shareRecords is beyond how many records that are not in the warehouse yet a
// replay waits. It looks after as many again, so what is live waits behind twice
// that at most, however much is replayed.
const shareRecords = 200_000

// share gives records to the log no faster than ingestion carries them on.
type share struct {
	log interface {
		Append(context.Context, []ingest.Record) error
	}
	status func(context.Context) (api.Ingest, error)

	sent int64 // since ingestion was looked at last
	end  int64 // of the log, as it was then
}

// append appends; after each shareRecords it waits first until ingestion is near.
func (s *share) append(ctx context.Context, records []ingest.Record) error {
	if s.sent >= shareRecords {
		if err := poll(ctx, 20*time.Millisecond, func() (bool, error) { return s.near(ctx) }); err != nil {
			return fmt.Errorf("wait for ingestion: %w", err)
		}
	}
	s.sent += int64(len(records))
	return s.log.Append(ctx, records)
}

// near reports whether ingestion has seen what was sent, and is not far behind.
// Partitions that are paused or can't be written are not waited for: they hold up
// nothing that is live but their own.
func (s *share) near(ctx context.Context) (bool, error) {
	status, err := s.status(ctx)
	if err != nil {
		return false, err
	}
	var end, lag int64
	for _, p := range status.Partitions {
		end += p.End
		if !p.Paused && p.Error == "" {
			lag += p.LagRecords
		}
	}
	if len(status.Partitions) > 0 && end < s.end+s.sent || lag >= shareRecords {
		return false, nil
	}
	s.sent, s.end = 0, end
	return true, nil
}

// ingest returns how far ingestion is.
func (c *client) ingest(ctx context.Context) (status api.Ingest, err error) {
	err = c.call(ctx, "GET", "/api/v1/ingest", nil, &status)
	return status, err
}
