package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// Trim deletes from each partition what lies before its first record with a
// timestamp at or after an instant, and nothing that the group has not committed,
// whatever its age: what goes is in the warehouse. Dead letters stay. A partition
// keeps its last record, since a broker that was killed tells by what is there which
// offset comes next: one without records would begin anew at 0, before what is
// committed, and what came then would be passed over.
func (c *Consumer) Trim(ctx context.Context, before time.Time) error {
	found, err := c.look(ctx)
	if err != nil || before.UnixMilli() <= 0 {
		return err
	}
	// The ages are asked for last: what is committed by now was in the log then.
	young, err := c.since(ctx, found, before)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range found {
		to := min(l.committed, l.end-1)
		if first := young[l.partition]; first >= 0 {
			to = min(to, first)
		}
		if to > l.start {
			errs = append(errs, c.deleteRecords(ctx, l.partition, l.start, to))
		}
	}
	return errors.Join(errs...)
}

// since returns the offset of each partition's first record with a timestamp at or
// after an instant; -1 where there is none.
func (c *Consumer) since(ctx context.Context, partitions []look, at time.Time) (map[int]int64, error) {
	topic := c.o.Topic.Name
	var asked []kafka.OffsetRequest
	for _, l := range partitions {
		asked = append(asked, kafka.TimeOffsetOf(l.partition, at))
	}
	res, err := c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: asked}})
	if err != nil {
		return nil, fmt.Errorf("ask how old the records of %s are: %w", topic, explain(err))
	}
	first := map[int]int64{}
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("ask how old the records of %s/%d are: %w", topic, p.Partition, explain(p.Error))
		}
		for offset := range p.Offsets { // the one that was asked for
			first[p.Partition] = offset
		}
	}
	if len(first) < len(partitions) {
		return nil, fmt.Errorf("ask how old the records of %s are: %d partitions of %d answer", topic, len(first), len(partitions))
	}
	return first, nil
}

// deleteRecords deletes the records of a partition before an offset.
func (c *Consumer) deleteRecords(ctx context.Context, partition int, from, to int64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	topic := c.o.Topic.Name
	answer, err := c.client.Transport.RoundTrip(ctx, c.client.Addr, &deleteRecordsRequest{TimeoutMs: int32(requestTimeout.Milliseconds()),
		Topics: []deleteRecordsTopic{{topic, []deleteRecordsPartition{{int32(partition), to}}}}})
	if err == nil {
		for _, t := range answer.(*deleteRecordsResponse).Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode != 0 {
					err = kafka.Error(p.ErrorCode)
				}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("delete the records of %s/%d before offset %d: %w", topic, partition, to, explain(err))
	}
	c.o.Log.Info("deleted from the log for its age", "topic", topic, "partition", partition, "records", to-from)
	return nil
}

// deleteRecordsRequest is Kafka's DeleteRecords, which kafka-go does not bring.
// https://kafka.apache.org/protocol#The_Messages_DeleteRecords
type deleteRecordsRequest struct {
	Topics    []deleteRecordsTopic `kafka:"min=v0,max=v1"`
	TimeoutMs int32                `kafka:"min=v0,max=v1"`
}

type deleteRecordsTopic struct {
	Name       string                   `kafka:"min=v0,max=v1"`
	Partitions []deleteRecordsPartition `kafka:"min=v0,max=v1"`
}

type deleteRecordsPartition struct {
	Partition int32 `kafka:"min=v0,max=v1"`
	Offset    int64 `kafka:"min=v0,max=v1"`
}

type deleteRecordsResponse struct {
	ThrottleTimeMs int32                   `kafka:"min=v0,max=v1"`
	Topics         []deletedRecordsOfTopic `kafka:"min=v0,max=v1"`
}

type deletedRecordsOfTopic struct {
	Name       string                      `kafka:"min=v0,max=v1"`
	Partitions []deletedRecordsOfPartition `kafka:"min=v0,max=v1"`
}

type deletedRecordsOfPartition struct {
	Partition    int32 `kafka:"min=v0,max=v1"`
	LowWatermark int64 `kafka:"min=v0,max=v1"`
	ErrorCode    int16 `kafka:"min=v0,max=v1"`
}

func init() { protocol.Register(&deleteRecordsRequest{}, &deleteRecordsResponse{}) }

// ApiKey says which request it is.
func (*deleteRecordsRequest) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

// ApiKey says what it answers.
func (*deleteRecordsResponse) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

// Broker returns the leader of the one partition that is asked for.
func (r *deleteRecordsRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	t := r.Topics[0]
	return cluster.Brokers[cluster.Topics[t.Name].Partitions[t.Partitions[0].Partition].Leader], nil
}
