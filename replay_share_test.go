package main

import (
	"context"
	"testing"

	"belfry/api"
	"belfry/ingest"
)

// slowIngestion carries on a little each time that it is asked how far it is, and
// sees the log's end only every third time.
type slowIngestion struct {
	appended, seen, done int64
	asked                int
	most                 int64 // that waited for it
}

func (s *slowIngestion) Append(_ context.Context, records []ingest.Record) error {
	s.appended += int64(len(records))
	s.most = max(s.most, s.appended-s.done)
	return nil
}

func (s *slowIngestion) status(context.Context) (api.Ingest, error) {
	if s.asked++; s.asked%3 == 0 {
		s.seen = s.appended
	}
	s.done = min(s.done+30_000, s.seen)
	return api.Ingest{Partitions: []api.Partition{
		{End: s.seen, LagRecords: s.seen - s.done},
		{LagRecords: 10 * shareRecords, Paused: true}, // is not waited for
	}}, nil
}

func TestAReplayLeavesLittleInTheLogForLiveReadingsToWaitBehind(t *testing.T) {
	slow := &slowIngestion{}
	s := &share{log: slow, status: slow.status}
	records := make([]ingest.Record, appendSize)
	for range 400 {
		if err := s.append(t.Context(), records); err != nil {
			t.Fatal(err)
		}
	}
	if slow.appended != 400*appendSize {
		t.Errorf("%d records were appended, want %d", slow.appended, 400*appendSize)
	}
	if slow.most > 2*shareRecords+appendSize || slow.most < shareRecords/2 {
		t.Errorf("at most %d records waited, want about %d", slow.most, 2*shareRecords)
	}
}
