package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"belfry/telemetry"

	"github.com/segmentio/kafka-go"
)

// worker carries one partition for one generation.
type worker struct {
	c         *Consumer
	partition int
	commit    commit
	fetcher   fetcher
	records   records
	decoder   *Decoder

	next      int64 // offset of the record to read next
	committed int64 // offset up to which everything is done
	badBatch  int64 // where a batch could not be read once; it is fetched again before it is refused

	batch   telemetry.Batch
	rejects []Reject  // they own their bytes
	refused int       // bytes in rejects
	taken   int       // records in the batch
	first   time.Time // when the batch got its first record
	oldest  int64     // timestamp of its first record
	last    int64     // timestamp of its last record

	owed               int // batches that are written since the last commit
	readings, rejected int // in them
}

// fetchWait is how long a fetch waits for the first record.
const fetchWait = 200 * time.Millisecond

// maxRefused bounds the bytes of dead letters that wait to be written.
const maxRefused = 8 << 20

// errStale says that the partition belongs to somebody else by now.
var errStale = errors.New("the generation has ended")

func (c *Consumer) worker(g *kafka.Generation, a kafka.PartitionAssignment) *worker {
	return &worker{
		c: c, partition: a.ID, decoder: c.decoder(a.ID),
		commit:  commit{client: c.client, group: c.o.Group, generation: int(g.ID), member: g.MemberID, topic: c.o.Topic.Name, partition: a.ID},
		fetcher: fetcher{link: c.link, client: c.client, topic: c.o.Topic.Name, partition: a.ID, maxBytes: c.o.FetchBytes},
		next:    a.Offset, committed: a.Offset, badBatch: -1,
	}
}

// run works until the generation ends. What is then in the batch is dropped: it
// is not committed, so whoever gets the partition reads it again.
func (w *worker) run(ctx context.Context) {
	defer w.fetcher.close()
	longer, cancel := graceful(ctx, w.c.o.Drain)
	defer cancel()
	var wait backoff
	for ctx.Err() == nil {
		switch err := w.step(ctx, longer); {
		case err == nil:
			wait = backoff{}
		case errors.Is(err, errStale), ctx.Err() != nil:
			return
		default:
			w.c.tracker.failed(w.partition, stepFetch, err)
			_ = wait.sleep(ctx)
		}
	}
}

// step fetches once, takes what came, and writes the batch when it is due.
func (w *worker) step(ctx, longer context.Context) error {
	if err := w.rest(ctx, longer); err != nil {
		return err
	}
	if err := w.locate(ctx); err != nil {
		return err
	}
	res, err := w.fetcher.fetch(ctx, w.next, w.patience())
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return w.relocate(ctx, err)
	}
	if err != nil {
		return err
	}
	w.c.metrics.fetchedBytes.Add(float64(res.transferred))
	w.c.tracker.worked(w.partition, stepFetch)
	if err := w.rest(ctx, longer); err != nil { // it may have been paused meanwhile
		return err
	}
	if err := w.takeSet(ctx, longer, res); err != nil {
		return err
	}
	if w.waiting() && w.c.o.Now().Sub(w.first) >= w.c.o.MaxDelay {
		return w.flush(ctx, longer)
	}
	return nil
}

// patience returns how long a fetch may wait without making the batch late.
func (w *worker) patience() time.Duration {
	if !w.waiting() {
		return fetchWait
	}
	return max(0, min(fetchWait, w.c.o.MaxDelay-w.c.o.Now().Sub(w.first)))
}

func (w *worker) waiting() bool { return !w.first.IsZero() }

// takeSet decodes the records of a fetch into the batch.
func (w *worker) takeSet(ctx, longer context.Context, res fetched) error {
	before := w.next
	w.records.reset(res.set, w.next, res.aborted)
	var rec record
	for {
		err := w.records.read(&rec)
		var broken *batchError
		switch {
		case err == nil:
			w.take(&rec)
		case errors.Is(err, io.EOF):
			w.advance(w.records.next)
			if w.next == before && len(res.set) > 0 {
				w.fetcher.maxBytes *= 2 // an old broker cut even the first batch
			}
			return nil
		case errors.As(err, &broken):
			if w.badBatch != broken.from {
				w.badBatch = broken.from
				w.fetcher.close()
				return fmt.Errorf("read %s/%d: %w", w.c.o.Topic.Name, w.partition, err)
			}
			w.refuse(Reject{Reason: BadBatch, Detail: err.Error(), Raw: broken.raw, Offset: broken.from, Arrival: w.last}, nil)
			w.advance(broken.to)
		default:
			return fmt.Errorf("read %s/%d: %w", w.c.o.Topic.Name, w.partition, err)
		}
		if w.batch.Len() >= w.c.o.MaxReadings || w.refused >= maxRefused {
			w.batch.More = w.follows(res.end)
			if err := w.flush(ctx, longer); err != nil {
				return err
			}
		}
	}
}

// advance moves on to an offset, and starts the batch's age with it.
func (w *worker) advance(to int64) {
	if to <= w.next {
		return
	}
	w.next = to
	if w.first.IsZero() {
		w.first = w.c.o.Now()
	}
}

// take decodes one record.
func (w *worker) take(rec *record) {
	w.advance(rec.offset + 1)
	if w.last = rec.timestamp; w.taken == 0 {
		w.oldest = rec.timestamp
	}
	w.taken++
	before := len(w.rejects)
	switch {
	case len(rec.value) > w.c.o.MaxRecordBytes:
		w.refuse(Reject{Reason: RecordTooLarge, Raw: rec.value, Offset: rec.offset, Arrival: rec.timestamp, Type: string(rec.contentType),
			Detail: fmt.Sprintf("the record has %d bytes; at most %d are taken", len(rec.value), w.c.o.MaxRecordBytes)}, rec.key)
		return
	case isArrow(rec.contentType):
		w.decoder.DecodeArrow(rec.value, rec.timestamp, rec.offset, &w.batch, &w.rejects)
	default:
		w.decoder.Decode(rec.value, rec.timestamp, rec.offset, &w.batch, &w.rejects)
	}
	fresh := w.rejects[before:]
	w.rejects = w.rejects[:before]
	for _, r := range fresh {
		w.refuse(r, rec.key)
	}
}

// isArrow reports whether a content type, with or without parameters, is that
// of an Arrow stream.
func isArrow(contentType []byte) bool { return bytes.HasPrefix(contentType, []byte(arrowStream)) }

// refuse keeps a copy of what was refused until the batch is written.
func (w *worker) refuse(r Reject, key []byte) {
	r.Partition = w.partition
	r.Raw, r.Key = bytes.Clone(r.Raw), bytes.Clone(key)
	w.rejects = append(w.rejects, r)
	w.refused += len(r.Raw) + len(r.Detail) + 200
}

// locate finds where to begin when the group has never committed.
func (w *worker) locate(ctx context.Context) error {
	if w.next >= 0 {
		return nil
	}
	start, err := w.firstOffset(ctx)
	if err != nil {
		return err
	}
	w.next, w.committed = start, start
	return nil
}

// relocate goes on after the committed offset has left the log: records were
// deleted before they were read, or the log was made anew. What is there is
// read from its beginning, since reading twice harms nothing.
func (w *worker) relocate(ctx context.Context, cause error) error {
	start, err := w.firstOffset(ctx)
	if err != nil {
		return errors.Join(cause, err)
	}
	w.c.metrics.offsetResets.Inc()
	w.c.o.Log.Error("committed offset is not in the log; reading from its beginning",
		"topic", w.c.o.Topic.Name, "partition", w.partition, "offset", w.next, "beginning", start)
	w.next = start
	return nil
}

func (w *worker) firstOffset(ctx context.Context) (int64, error) {
	res, err := w.c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{w.c.o.Topic.Name: {kafka.FirstOffsetOf(w.partition)}},
	})
	if err != nil {
		return 0, fmt.Errorf("ask for the first offset of %s/%d: %w", w.c.o.Topic.Name, w.partition, explain(err))
	}
	for _, p := range res.Topics[w.c.o.Topic.Name] {
		if p.Partition == w.partition && p.Error == nil {
			return p.FirstOffset, nil
		}
	}
	return 0, fmt.Errorf("ask for the first offset of %s/%d: no answer", w.c.o.Topic.Name, w.partition)
}
