package ingest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// Consumer is a member of a consumer group that carries a topic into the
// warehouse. Each partition that it is given has one goroutine, which fetches,
// decodes, writes and commits in turn: while it writes it does not fetch, and
// that is all the back-pressure there is.
type Consumer struct {
	o       Options
	link    *link
	client  *kafka.Client
	dead    *deadLetters
	metrics *metrics
	tracker tracker
	working sync.WaitGroup // a goroutine for each partition

	mu       sync.Mutex
	decoders map[int]*Decoder // by partition; they outlive generations, to keep what they know
}

// NewConsumer checks the options. It does not connect; Run does.
func NewConsumer(o Options) (*Consumer, error) {
	if err := o.fill(); err != nil {
		return nil, err
	}
	l, err := o.Connection.open()
	if err != nil {
		return nil, err
	}
	c := &Consumer{
		o: o, link: l, metrics: newMetrics(o.Registerer), decoders: map[int]*Decoder{},
		client: &kafka.Client{Addr: l.addr(), Transport: l.transport(), Timeout: requestTimeout},
	}
	c.dead = newDeadLetters(l, o.Topic.Name, o.MaxRecordBytes)
	c.tracker.init(&c.o, c.metrics)
	return c, nil
}

// Run consumes until ctx ends; it then lets inserts under way finish, commits
// them, leaves the group and returns nil. It returns an error only when there
// is no sense in trying again: bad credentials or a missing topic at the start.
// Everything else is tried again for as long as it takes, and shows in Status
// and in the metrics. A Consumer runs once.
func (c *Consumer) Run(ctx context.Context) error {
	defer c.close()
	if err := c.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	group, err := kafka.NewConsumerGroup(c.groupConfig())
	if err != nil {
		return fmt.Errorf("join group %s: %w", c.o.Group, err)
	}
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(ctx) })
	for ctx.Err() == nil {
		generation, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			// The group waits before it tries again.
			c.tracker.failed(-1, stepGroup, explain(err))
		default:
			c.tracker.worked(-1, stepGroup)
			c.start(generation)
		}
	}
	c.leave(group)
	watching.Wait()
	return nil
}

// leave ends the membership and waits for the partitions' goroutines, so that
// the sink is out of use. It does not wait for ever for the group: kafka-go may
// be in the middle of joining, or the broker away. The group then finds out by
// itself when the session times out.
func (c *Consumer) leave(group *kafka.ConsumerGroup) {
	left := make(chan struct{})
	go func() {
		_ = group.Close()
		close(left)
	}()
	timer := time.NewTimer(c.o.Drain + time.Second)
	defer timer.Stop()
	select {
	case <-left:
	case <-timer.C:
		c.o.Log.Warn("could not leave the consumer group in time; its session will end by itself", "group", c.o.Group)
	}
	c.working.Wait()
}

func (c *Consumer) close() {
	c.dead.close()
	c.client.Transport.(*kafka.Transport).CloseIdleConnections()
}

// prepare sees to it that both topics are there.
func (c *Consumer) prepare(ctx context.Context) error {
	var wait backoff
	for {
		err := c.link.ensureTopic(ctx, c.o.Topic)
		if err == nil {
			dead := c.o.Topic
			dead.Name, dead.Partitions, dead.MaxMessageBytes = dead.Name+deadSuffix, 1, 2*c.o.MaxRecordBytes
			err = c.link.ensureTopic(ctx, dead)
		}
		switch {
		case err == nil:
			c.tracker.worked(-1, stepGroup)
			return nil
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrCredentials), errors.Is(err, ErrMissingTopic):
			return err
		}
		c.tracker.failed(-1, stepGroup, err)
		if wait.sleep(ctx) != nil {
			return nil
		}
	}
}

func (c *Consumer) groupConfig() kafka.ConsumerGroupConfig {
	return kafka.ConsumerGroupConfig{
		ID: c.o.Group, Brokers: c.link.brokers, Topics: []string{c.o.Topic.Name}, Dialer: c.link.dialer(),
		StartOffset:            kafka.FirstOffset,
		HeartbeatInterval:      time.Second,
		SessionTimeout:         10 * time.Second,
		RebalanceTimeout:       c.o.Drain + 10*time.Second,
		JoinGroupBackoff:       time.Second,
		WatchPartitionChanges:  true,
		PartitionWatchInterval: 10 * time.Second,
		Timeout:                requestTimeout,
	}
}

// start sets one goroutine to work on each partition of a generation. They end
// with it: the group waits for them before it takes part in the next.
func (c *Consumer) start(g *kafka.Generation) {
	c.metrics.generations.Inc()
	mine := g.Assignments[c.o.Topic.Name]
	c.tracker.assign(mine)
	c.o.Log.Info("partitions assigned", "group", c.o.Group, "generation", g.ID, "partitions", len(mine))
	for _, a := range mine {
		w := c.worker(g, a)
		c.working.Add(1)
		g.Start(func(ctx context.Context) {
			defer c.working.Done()
			w.run(ctx)
		})
	}
}

// decoder returns the decoder of a partition. Only one generation lives at a
// time, so only one goroutine has it.
func (c *Consumer) decoder(partition int) *Decoder {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.decoders[partition]
	if d == nil {
		d = NewDecoder(partition)
		c.decoders[partition] = d
	}
	return d
}
