package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/segmentio/kafka-go"
)

// Topic says how a topic is to be made when it is missing.
type Topic struct {
	Name            string
	Partitions      int  // 0: 4
	Replication     int  // 0: the broker's default, or 1 where there is none
	MaxMessageBytes int  // 0: 16 MiB
	Create          bool // else a missing topic is an error
}

// DefaultPartitions is how many partitions a topic gets that does not say.
const DefaultPartitions = 4

// deadSuffix makes the name of a topic's dead-letter topic.
const deadSuffix = ".dead"

// EnsureTopic makes the topic if it is missing and may be made. It is made
// without retention: arrivals may lie years back, and Kafka would delete such
// records for their age as soon as they are written. A topic that exists is left
// as it is.
//
// Errors wrap ErrUnreachable, ErrCredentials or ErrMissingTopic.
func EnsureTopic(ctx context.Context, c Connection, t Topic) error {
	l, err := c.open()
	if err != nil {
		return err
	}
	return l.ensureTopic(ctx, t)
}

func (l *link) ensureTopic(ctx context.Context, t Topic) error {
	if err := l.verify(ctx); err != nil {
		return err
	}
	transport := l.transport()
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: l.addr(), Transport: transport, Timeout: requestTimeout}
	found, err := partitionsOf(ctx, client, t.Name)
	if err == nil && len(found) > 0 {
		return nil
	}
	if err != nil && !errors.Is(err, ErrMissingTopic) {
		return err
	}
	if !t.Create {
		return fmt.Errorf("topic %s: %w, and creating it is not allowed here; create it with %d partitions, or allow it", t.Name, ErrMissingTopic, t.partitions())
	}
	res, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{t.config()}})
	if err == nil {
		err = res.Errors[t.Name]
	}
	if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
		return fmt.Errorf("create topic %s: %w", t.Name, explain(err))
	}
	return l.awaitTopic(ctx, client, t.Name)
}

// DeleteTopic deletes the topic with its dead letters; what is not there is no error.
func DeleteTopic(ctx context.Context, c Connection, t Topic) error {
	l, err := c.open()
	if err != nil {
		return err
	}
	transport := l.transport()
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: l.addr(), Transport: transport, Timeout: requestTimeout}
	names := []string{t.Name, t.Name + deadSuffix, t.Name + deadSuffix + retriedSuffix}
	res, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
	if err != nil {
		return fmt.Errorf("delete topic %s: %w", t.Name, explain(err))
	}
	for name, err := range res.Errors {
		if err != nil && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", name, explain(err))
		}
	}
	return nil
}

// awaitTopic waits until a new topic's partitions have leaders.
func (l *link) awaitTopic(ctx context.Context, client *kafka.Client, name string) error {
	var wait backoff
	for {
		found, err := partitionsOf(ctx, client, name)
		if err == nil && len(found) > 0 {
			return nil
		}
		if wait.sleep(ctx) != nil {
			return fmt.Errorf("wait for the new topic %s: %w", name, errors.Join(err, ctx.Err()))
		}
	}
}

func (t Topic) partitions() int {
	if t.Partitions == 0 {
		return DefaultPartitions
	}
	return t.Partitions
}

func (t Topic) config() kafka.TopicConfig {
	replication, size := t.Replication, t.MaxMessageBytes
	if replication == 0 {
		replication = -1
	}
	if size == 0 {
		size = 16 << 20
	}
	return kafka.TopicConfig{
		Topic: t.Name, NumPartitions: t.partitions(), ReplicationFactor: replication,
		ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: "retention.ms", ConfigValue: "-1"},
			{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(size)},
		},
	}
}

// partitionsOf returns the topic's partitions, each with a leader.
func partitionsOf(ctx context.Context, client *kafka.Client, topic string) ([]kafka.Partition, error) {
	res, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, fmt.Errorf("ask for topic %s: %w", topic, explain(err))
	}
	for _, t := range res.Topics {
		if t.Name != topic {
			continue
		}
		if t.Error != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, explain(t.Error))
		}
		for _, p := range t.Partitions {
			if p.Error != nil {
				return nil, fmt.Errorf("topic %s: partition %d: %w", topic, p.ID, p.Error)
			}
			if p.Leader.Host == "" {
				return nil, fmt.Errorf("topic %s: partition %d: %w", topic, p.ID, kafka.LeaderNotAvailable)
			}
		}
		return t.Partitions, nil
	}
	return nil, fmt.Errorf("topic %s: %w", topic, ErrMissingTopic)
}
