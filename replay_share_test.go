package main

import (
	"context"
	"testing"
	"time"

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

func TestAPartitionThatFailsOnceIsWaitedForAndOneThatFailsOnIsNot(t *testing.T) {
	failing, at := stuck{}, time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	for i, step := range []struct {
		after  time.Duration
		faults [2]string // of partitions 0 and 1
		over   bool
	}{
		{0, [2]string{"insert: away", ""}, false},
		{stuckFor - time.Second, [2]string{"insert: away", "insert: away"}, false},
		{stuckFor - time.Second, [2]string{"", "insert: away"}, false},
		{stuckFor, [2]string{"insert: away", "insert: away"}, false}, // again, and not still
		{2 * stuckFor, [2]string{"", "insert: away"}, true},
	} {
		err := failing.look([]api.Partition{{Error: step.faults[0]}, {Partition: 1, Error: step.faults[1]}}, at.Add(step.after))
		if (err != nil) != step.over {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
