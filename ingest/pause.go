package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

// Which partitions are paused is kept in the log, as the commits of a group of
// its own: so it holds for every process of the group, whoever joins it and
// whatever is started again, and needs no store. (A broker forgets the commits
// of a group without members after its offsets.retention.minutes, which is a
// week with Apache Kafka; the pause is then over.)

// pauseSuffix makes the name of that group.
const pauseSuffix = ".paused"

// pausePoll is how often a paused partition looks whether it may go on.
const pausePoll = 100 * time.Millisecond

// Pause stops the partitions, all of them when none is named, before their next
// batch: what is under way is written and committed. Nothing is lost meanwhile;
// the log keeps it, and lag and watermark tell. It holds until Resume, for all
// processes of the group: for this one at once, for others within
// Options.CheckEvery. Partitions that are paused already stay so.
func (c *Consumer) Pause(ctx context.Context, partitions ...int) error {
	return c.setPaused(ctx, partitions, c.o.Now())
}

// Resume lets the partitions go on, all of them when none is named.
func (c *Consumer) Resume(ctx context.Context, partitions ...int) error {
	return c.setPaused(ctx, partitions, time.Time{})
}

// ErrNoPartition says that the topic has no such partition.
var ErrNoPartition = errors.New("no such partition")

func (c *Consumer) setPaused(ctx context.Context, partitions []int, since time.Time) error {
	found, err := partitionsOf(ctx, c.client, c.o.Topic.Name)
	if err != nil {
		return err
	}
	all := make([]int, len(found))
	for i, p := range found {
		all[i] = p.ID
	}
	if len(partitions) == 0 {
		partitions = all
	}
	var commits []kafka.OffsetCommit
	for _, p := range partitions {
		if !slices.Contains(all, p) {
			return fmt.Errorf("%w: %d; topic %s has %d", ErrNoPartition, p, c.o.Topic.Name, len(all))
		}
		commits = append(commits, kafka.OffsetCommit{Partition: p, Offset: 0, Metadata: pausedText(since)})
	}
	res, err := c.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{GroupID: c.o.Group + pauseSuffix, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{c.o.Topic.Name: commits}})
	if err != nil {
		return fmt.Errorf("note in the log which partitions are paused: %w", explain(err))
	}
	for _, p := range res.Topics[c.o.Topic.Name] {
		err = errors.Join(err, p.Error)
	}
	if err != nil {
		return fmt.Errorf("note in the log which partitions are paused: %w", explain(err))
	}
	c.tracker.pause(partitions, since)
	return nil
}

// lookForPauses asks the log which partitions are paused.
func (c *Consumer) lookForPauses(ctx context.Context, ids []int) error {
	begin := c.tracker.pauses()
	res, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: c.o.Group + pauseSuffix, Topics: map[string][]int{c.o.Topic.Name: ids}})
	if err == nil {
		err = res.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) { // nobody has ever paused
		res, err = new(kafka.OffsetFetchResponse), nil
	}
	if err != nil {
		return fmt.Errorf("ask which partitions are paused: %w", explain(err))
	}
	for _, p := range res.Topics[c.o.Topic.Name] {
		if p.Error != nil {
			return fmt.Errorf("ask whether partition %d is paused: %w", p.Partition, explain(p.Error))
		}
		c.tracker.pausedAsOf(begin, p.Partition, parsePaused(p.Metadata))
	}
	c.tracker.pausesKnown.Store(true)
	return nil
}

// pausedText is the metadata of a commit that pauses or resumes.
func pausedText(since time.Time) string {
	if since.IsZero() {
		return ""
	}
	return "paused=" + strconv.FormatInt(since.UnixMilli(), 10)
}

func parsePaused(text string) time.Time {
	text, ok := strings.CutPrefix(text, "paused=")
	millis, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// pause notes that partitions are paused since an instant, or with none that
// they go on.
func (t *tracker) pause(partitions []int, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pausing++
	for _, id := range partitions {
		t.setPaused(id, since)
	}
}

// pauses counts what this process has paused and resumed.
func (t *tracker) pauses() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pausing
}

// pausedAsOf notes what a look at the log says, unless this process has paused
// or resumed since the look began.
func (t *tracker) pausedAsOf(begin, partition int, since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pausing == begin {
		t.setPaused(partition, since)
	}
}

// setPaused is called with the mutex held.
func (t *tracker) setPaused(partition int, since time.Time) {
	p := t.part(partition)
	if p.paused.IsZero() != since.IsZero() {
		p.paused = since
		t.o.Log.Info("partition paused or resumed", "partition", partition, "paused", !since.IsZero())
	}
	paused := 0
	for _, p := range t.parts {
		if !p.paused.IsZero() {
			paused++
		}
	}
	t.m.paused.Set(float64(paused))
}

// isPaused reports whether the partition has to wait; so it does until it is
// known, since a pause outlives a restart.
func (t *tracker) isPaused(partition int) bool {
	if !t.pausesKnown.Load() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.parts[partition]
	return p != nil && !p.paused.IsZero()
}

// rest waits while the partition is paused, after it has written what it holds.
func (w *worker) rest(ctx, longer context.Context) error {
	if !w.c.tracker.isPaused(w.partition) {
		return nil
	}
	if w.waiting() || w.owed > 0 {
		if err := w.flush(ctx, longer); err != nil {
			return err
		}
	}
	tick := time.NewTicker(pausePoll)
	defer tick.Stop()
	for w.c.tracker.isPaused(w.partition) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}
