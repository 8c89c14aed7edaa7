package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// flush writes the batch and commits it: devices first, then readings, then
// dead letters, and only then the offset, unless the batch says that more follows:
// then all is committed with one of the next. Each step is tried until it works or
// ctx ends; one under way may go on until longer ends. Whatever kills us
// between two steps, the records are read again, to the same effect.
func (w *worker) flush(ctx, longer context.Context) error {
	if devices := w.decoder.NewDevices(); len(devices) > 0 {
		if err := w.insist(ctx, longer, stepRegister, func() error { return w.c.o.Register(longer, devices) }); err != nil {
			return err
		}
		w.c.metrics.newDevices.Add(float64(len(devices)))
		w.decoder.Registered()
	}
	if w.batch.Len() > 0 || w.owed > 0 {
		if err := w.insist(ctx, longer, stepInsert, func() error { return w.insert(longer) }); err != nil {
			return err
		}
	}
	if len(w.rejects) > 0 {
		if err := w.insist(ctx, longer, stepDeadLetters, func() error { return w.c.dead.write(longer, w.rejects) }); err != nil {
			return err
		}
	}
	more := w.batch.More
	w.written()
	if more {
		w.owed++
		return nil
	}
	if err := w.insist(ctx, longer, stepCommit, func() error { return w.commit.to(longer, w.next, w.last) }); err != nil {
		return err
	}
	w.done()
	return nil
}

func (w *worker) insert(ctx context.Context) error {
	begin := w.c.o.Now()
	if err := w.c.o.Sink(ctx, &w.batch); err != nil {
		return fmt.Errorf("insert %d readings of partition %d: %w", w.batch.Len(), w.partition, err)
	}
	w.c.metrics.batchSeconds.Observe(w.c.o.Now().Sub(begin).Seconds())
	w.c.metrics.batchReadings.Observe(float64(w.batch.Len()))
	return nil
}

// insist repeats a step until it works; other partitions go on meanwhile.
func (w *worker) insist(ctx, longer context.Context, step string, do func() error) error {
	var wait backoff
	for {
		err := do()
		if err == nil {
			w.c.tracker.worked(w.partition, step)
			return nil
		}
		if errors.Is(err, errStale) {
			return err
		}
		if ctx.Err() != nil || longer.Err() != nil {
			return fmt.Errorf("%w: %w", errStale, err)
		}
		w.c.tracker.failed(w.partition, step, err)
		if wait.sleep(ctx) != nil {
			return fmt.Errorf("%w: %w", errStale, err)
		}
	}
}

// maxOwed bounds the batches that are written before one after which is committed.
const maxOwed = 3

// follows reports whether the log, which ends there, has at least as many records
// again as the batch: then the next one is as large and comes at once, and what is
// noted beside readings waits for it.
func (w *worker) follows(end int64) bool {
	return w.owed < maxOwed && end-w.next >= int64(w.taken)
}

// written counts the batch and empties it.
func (w *worker) written() {
	m := w.c.metrics
	m.readings.WithLabelValues("count").Add(float64(w.batch.Counts.Len() + w.batch.Totals.Len()))
	m.readings.WithLabelValues("heartbeat").Add(float64(w.batch.Heartbeats.Len()))
	m.records.Add(float64(w.taken))
	if w.taken > 0 && w.oldest > 0 {
		m.latency.Observe(max(0, w.c.o.Now().Sub(time.UnixMilli(w.oldest)).Seconds()))
	}
	for i := range w.rejects {
		m.rejected.WithLabelValues(w.rejects[i].Reason).Inc()
	}
	w.readings, w.rejected = w.readings+w.batch.Len(), w.rejected+len(w.rejects)
	w.batch.Reset()
	clear(w.rejects)
	w.rejects, w.refused, w.taken = w.rejects[:0], 0, 0
	w.first = time.Time{}
}

// done notes that everything before the next record is committed.
func (w *worker) done() {
	w.c.tracker.wrote(w.partition, w.next, w.last, w.readings, w.rejected)
	w.committed = w.next
	w.readings, w.rejected, w.owed = 0, 0, 0
}

// commit moves the group's offset of one partition, in the name of one member
// of one generation.
type commit struct {
	client     *kafka.Client
	group      string
	generation int
	member     string
	topic      string
	partition  int
}

// to commits an offset, with the timestamp of the last record before it as
// metadata, from which any process of the group can tell how far it is.
// errStale when the partition is no longer ours.
func (c *commit) to(ctx context.Context, offset, timestamp int64) error {
	res, err := c.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: c.group, GenerationID: c.generation, MemberID: c.member,
		Topics: map[string][]kafka.OffsetCommit{c.topic: {{Partition: c.partition, Offset: offset, Metadata: progressText(timestamp)}}},
	})
	if err == nil {
		for _, p := range res.Topics[c.topic] {
			err = p.Error
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kafka.IllegalGeneration), errors.Is(err, kafka.UnknownMemberId), errors.Is(err, kafka.RebalanceInProgress):
		return fmt.Errorf("commit %s/%d: %w: %w", c.topic, c.partition, errStale, err)
	}
	return fmt.Errorf("commit %s/%d: %w", c.topic, c.partition, explain(err))
}
