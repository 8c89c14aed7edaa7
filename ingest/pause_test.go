package ingest_test

import (
	"errors"
	"testing"

	"belfry/ingest"

	"github.com/prometheus/client_golang/prometheus"
)

func TestPausedPartitionsWaitAndTheOthersGoOn(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, s := topicOf(t, l), newStore()
		in := intake(t, l, topic)
		registry := prometheus.NewRegistry()
		c, stop := consume(t, l, topic, s, func(o *ingest.Options) { o.Registerer = registry })
		records, people := fleet(0, 10)
		eventually(t, "it is at work", func() bool { return assigned(c) == 4 })
		if err := c.Pause(t.Context(), 9); !errors.Is(err, ingest.ErrNoPartition) {
			t.Errorf("pause of no partition: %v", err)
		}
		if err := c.Pause(t.Context(), 1, 2); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, in, records...)
		waits := func(c *ingest.Consumer) bool {
			ok := len(c.Status().Partitions) == 4
			for _, p := range c.Status().Partitions {
				paused := p.Partition == 1 || p.Partition == 2
				ok = ok && paused == !p.Paused.IsZero() && paused == (p.LagRecords > 0) && p.HighWatermark > 0
			}
			return ok
		}
		eventually(t, "two wait and two are done", func() bool { return waits(c) })
		before := s.len()
		stop()
		other, _ := consume(t, l, topic, s)
		eventually(t, "another process finds them paused", func() bool { return assigned(other) == 4 && waits(other) })
		if err := other.Resume(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		eventually(t, "one more is done", func() bool { return s.len() > before })
		if err := other.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "everything is in the store", func() bool { return s.len() == len(records) })
		if _, got := s.totals(); got != people {
			t.Errorf("%d people; want %d", got, people)
		}
	})
}
