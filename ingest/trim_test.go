package ingest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/ingest/broker"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
)

// brokerOf starts a broker over a folder, each batch in a file of its own.
func brokerOf(t *testing.T, dir string) (log, func()) {
	t.Helper()
	b, err := broker.Start(broker.Options{Dir: dir, File: 1})
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { b.Close() }
	t.Cleanup(stop)
	return log{"embedded", []string{b.Addr()}}, stop
}

// bounds returns of each partition the offset of the first record and the next.
func bounds(t *testing.T, l log, topic string) (start, end [4]int64) {
	t.Helper()
	var ask []kafka.OffsetRequest
	for p := range start {
		ask = append(ask, kafka.FirstOffsetOf(p), kafka.LastOffsetOf(p))
	}
	client := &kafka.Client{Addr: kafka.TCP(l.brokers...), Transport: &kafka.Transport{}, Timeout: 10 * time.Second}
	res, err := client.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: ask}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Topics[topic] {
		start[p.Partition], end[p.Partition] = p.FirstOffset, p.LastOffset
	}
	return start, end
}

// bytesIn returns the sum of the sizes of a folder's files.
func bytesIn(t *testing.T, dir string) (sum int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		sum += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func TestWhatIsOldAndInTheWarehouseGoesFromTheLog(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	l, end := brokerOf(t, dir)
	topic, s := topicOf(t, l), newStore()
	in := intake(t, l, topic)
	small := func(o *ingest.Options) { o.FetchBytes = 64 << 10 }
	c, stop := consume(t, l, topic, s, small)
	records := 0
	send := func(age time.Duration, minutes int) {
		t.Helper()
		for range minutes { // each a batch of its own
			more, _ := fleet(records/40, records/40+1)
			for i := range more {
				more[i].Time = now.Add(-age)
			}
			mustAppend(t, in, more...)
			records += len(more)
		}
	}
	const day = 24 * time.Hour
	eventually(t, "it is at work", func() bool { return assigned(c) == 4 })
	send(10*day, 10)
	eventually(t, "it is all in the store", func() bool { return s.len() == records && caughtUp(c, now) })
	if err := c.Pause(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_, was := bounds(t, l, topic.Name)
	send(10*day, 2)
	_, young := bounds(t, l, topic.Name)
	send(0, 2)
	_, last := bounds(t, l, topic.Name)
	committed := func(c *ingest.Consumer, want [4]int64) func() bool {
		return func() bool {
			parts := c.Status().Partitions
			for p := range parts {
				if parts[p].Committed != want[p] {
					return false
				}
			}
			return len(parts) == 4
		}
	}
	eventually(t, "all but what is paused is in the store", committed(c, [4]int64{last[0], was[1], last[2], last[3]}))

	files := filepath.Join(dir, "partitions")
	size := bytesIn(t, files)
	trim := func(c *ingest.Consumer, before time.Time, want [4]int64) {
		t.Helper()
		if err := c.Trim(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if got, end := bounds(t, l, topic.Name); got != want || end != last {
			t.Errorf("the log has %d to %d; want %d to %d", got, end, want, last)
		}
	}
	trim(c, now.Add(-11*day), [4]int64{}) // nothing is so old
	trim(c, now.Add(-day), [4]int64{young[0], was[1], young[2], young[3]})
	trim(c, now.Add(-day), [4]int64{young[0], was[1], young[2], young[3]})
	if got := bytesIn(t, files); got > size/2 {
		t.Errorf("the folder has %d bytes; it had %d", got, size)
	}
	// However old: what is not in the store stays, and the last record of each partition.
	trim(c, now.Add(day), [4]int64{last[0] - 1, was[1], last[2] - 1, last[3] - 1})

	// What a kill leaves is what is there now.
	left := t.TempDir()
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	stop()
	end()
	l, end = brokerOf(t, dir)
	if start, got := bounds(t, l, topic.Name); got != last || start != [4]int64{last[0] - 1, was[1], last[2] - 1, last[3] - 1} {
		t.Errorf("after a stop the log has %d to %d; want the same as before, to %d", start, got, last)
	}
	end()
	l, _ = brokerOf(t, left)
	if _, got := bounds(t, l, topic.Name); got != last {
		t.Fatalf("after a kill the log ends at %d; want %d", got, last)
	}
	kept, registry := newStore(), prometheus.NewRegistry()
	c, _ = consume(t, l, topic, kept, small, func(o *ingest.Options) { o.Registerer = registry })
	eventually(t, "it goes on where it was", committed(c, [4]int64{last[0], was[1], last[2], last[3]}))
	if err := c.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what waited is in the store", committed(c, last))
	if got, want := int64(kept.len()), last[1]-was[1]; got != want {
		t.Errorf("%d readings were read; want the %d that waited", got, want)
	}
	if n := metric(t, registry, "belfry_ingest_offset_resets_total", ""); n != 0 {
		t.Errorf("%v offsets were no longer in the log", n)
	}
}
