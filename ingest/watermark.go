package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

// Watermark returns the instant up to which the warehouse has what the log has:
// every record that was in the log with a timestamp at or before it is written,
// or refused. It is never after now, and zero when nothing is known.
//
// A partition that was caught up when the log was last looked at counts up to
// that look, less Options.Settle (a record gets its timestamp a little before it
// appears in the log); one that lags, up to the last record written of it, or to
// the last look when it did not lag, whichever is later. Partitions of other
// processes count too: each commit says how far it is. Records that appear with
// old timestamps (a replay) say nothing about what they are behind of.
func (c *Consumer) Watermark(now time.Time) time.Time {
	c.tracker.mu.Lock()
	defer c.tracker.mu.Unlock()
	w := c.tracker.watermark()
	if w.After(now) {
		return now
	}
	return w
}

// watermark is the least over the partitions. The caller holds the mutex.
func (t *tracker) watermark() (least time.Time) {
	if t.checked.IsZero() {
		return least
	}
	first := true
	for _, p := range t.parts {
		if first || p.complete.Before(least) {
			first, least = false, p.complete
		}
	}
	return least
}

// reach notes the timestamp of a written record. A producer whose clock is
// ahead must not lead us beyond the present.
func (p *part) reach(timestamp int64, now time.Time) {
	at := time.UnixMilli(timestamp).UTC()
	if at.After(now) {
		at = now
	}
	if timestamp > 0 && at.After(p.complete) {
		p.complete = at
	}
}

// lagSeconds tells how long ago the partition was complete.
func (p *part) lagSeconds(at time.Time) float64 {
	switch {
	case p.lag() == 0:
		return 0
	case p.complete.IsZero():
		return at.Sub(p.behindSince).Seconds()
	}
	return max(0, at.Sub(p.complete).Seconds())
}

// look is what one look at the log found of a partition.
type look struct {
	partition  int
	start, end int64
	committed  int64 // -1: never
	timestamp  int64 // of the last record before committed; 0 when not known
}

// looked takes in a look that was begun at an instant.
func (t *tracker) looked(at time.Time, found []look) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checked = at
	lag := 0.0
	for _, l := range found {
		p := t.part(l.partition)
		p.start, p.end = l.start, max(l.end, l.start)
		if !p.assigned || l.committed > p.committed {
			p.committed = l.committed
		}
		p.reach(l.timestamp, at.Add(-t.o.Settle))
		if p.lag() == 0 {
			p.behindSince = time.Time{}
			if settled := at.Add(-t.o.Settle); settled.After(p.complete) {
				p.complete = settled
			}
		} else if p.behindSince.IsZero() {
			p.behindSince = at
		}
		lag = max(lag, p.lagSeconds(at))
		if p.assigned {
			t.m.lagRecords.WithLabelValues(label(l.partition)).Set(float64(p.lag()))
			t.m.partitionLag.WithLabelValues(label(l.partition)).Set(p.lagSeconds(at))
		}
	}
	t.m.lagSeconds.Set(lag)
}

// watch looks at the log again and again until ctx ends.
func (c *Consumer) watch(ctx context.Context) {
	ticker := time.NewTicker(c.o.CheckEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		at := c.o.Now()
		found, err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			c.metrics.connected.Set(0)
			c.tracker.failed(-1, stepLag, err)
		default:
			c.metrics.connected.Set(1)
			c.tracker.worked(-1, stepLag)
			c.tracker.looked(at, found)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Watch only looks how far the group is, until ctx ends: it joins nothing and takes
// nothing in. Watermark and Status then speak of what other processes do. A Consumer
// runs or watches, once.
func (c *Consumer) Watch(ctx context.Context) error {
	defer c.close()
	c.watch(ctx)
	return nil
}

// look asks the log for its ends, and the group for what it has committed.
func (c *Consumer) look(ctx context.Context) ([]look, error) {
	topic := c.o.Topic.Name
	partitions, err := partitionsOf(ctx, c.client, topic)
	if err != nil {
		return nil, err
	}
	var ids []int
	var ends []kafka.OffsetRequest
	for _, p := range partitions {
		ids = append(ids, p.ID)
		ends = append(ends, kafka.FirstOffsetOf(p.ID), kafka.LastOffsetOf(p.ID))
	}
	if err := c.lookForPauses(ctx, ids); err != nil {
		return nil, err
	}
	log, err := c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: ends}, IsolationLevel: kafka.ReadCommitted,
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the ends of %s: %w", topic, explain(err))
	}
	// The commits are asked for last, so that they can only be ahead of the ends.
	group, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: c.o.Group, Topics: map[string][]int{topic: ids}})
	if err == nil {
		err = group.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) { // nobody has committed yet
		return joinLooks(log.Topics[topic], nil)
	}
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of group %s: %w", c.o.Group, explain(err))
	}
	return joinLooks(log.Topics[topic], group.Topics[topic])
}

func joinLooks(log []kafka.PartitionOffsets, group []kafka.OffsetFetchPartition) ([]look, error) {
	committed := map[int]kafka.OffsetFetchPartition{}
	for _, g := range group {
		committed[g.Partition] = g
	}
	var found []look
	for _, p := range log {
		g, ok := committed[p.Partition]
		if !ok {
			g.CommittedOffset = -1
		}
		if err := errors.Join(p.Error, g.Error); err != nil {
			return nil, fmt.Errorf("ask how far partition %d is: %w", p.Partition, explain(err))
		}
		found = append(found, look{p.Partition, p.FirstOffset, p.LastOffset, g.CommittedOffset, parseProgress(g.Metadata)})
	}
	return found, nil
}

// progressText is the metadata of a commit.
func progressText(timestamp int64) string { return "arrival=" + strconv.FormatInt(timestamp, 10) }

func parseProgress(text string) (timestamp int64) {
	text, _ = strings.CutPrefix(text, "arrival=")
	timestamp, _ = strconv.ParseInt(text, 10, 64)
	return timestamp
}
