package ingest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// deadLetters writes what was refused to the dead-letter topic.
type deadLetters struct {
	writer *kafka.Writer
	limit  int // bytes of a value that are kept
}

// shortValue is how much of a value is kept when the topic refuses the whole.
const shortValue = 256 << 10

func newDeadLetters(l *link, topic string, limit int) *deadLetters {
	return &deadLetters{limit: limit, writer: &kafka.Writer{
		Addr: l.addr(), Transport: l.transport(), Topic: topic + deadSuffix, Balancer: balancer,
		RequiredAcks: kafka.RequireAll, Compression: kafka.Lz4, BatchTimeout: 5 * time.Millisecond,
		BatchSize: 10_000, BatchBytes: int64(limit + 1<<20), MaxAttempts: 3,
		ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
	}}
}

func (d *deadLetters) close() {
	_ = d.writer.Close() // nothing is buffered: write waits for its acknowledgement
	d.writer.Transport.(*kafka.Transport).CloseIdleConnections()
}

// write returns when the log has acknowledged them all. A value too large for
// the topic is cut: that is better than a partition that stands still for ever.
func (d *deadLetters) write(ctx context.Context, rejects []Reject) error {
	err := d.writer.WriteMessages(ctx, letters(rejects, d.limit)...)
	if tooLarge(err) {
		err = d.writer.WriteMessages(ctx, letters(rejects, shortValue)...)
	}
	if err != nil {
		return fmt.Errorf("write %d dead letters to %s: %w", len(rejects), d.writer.Topic, explain(writeError(err)))
	}
	return nil
}

func letters(rejects []Reject, limit int) []kafka.Message {
	messages := make([]kafka.Message, len(rejects))
	for i := range rejects {
		messages[i] = rejects[i].letter(limit)
	}
	return messages
}

// letter is the dead letter of a reject.
func (r *Reject) letter(limit int) kafka.Message {
	m := kafka.Message{
		Key: r.Key, Value: r.Raw,
		Headers: []kafka.Header{
			{Key: "reason", Value: []byte(r.Reason)},
			{Key: "detail", Value: []byte(r.Detail)},
			{Key: "source-partition", Value: strconv.AppendInt(nil, int64(r.Partition), 10)},
			{Key: "source-offset", Value: strconv.AppendInt(nil, r.Offset, 10)},
			{Key: "source-index", Value: strconv.AppendInt(nil, int64(r.Index), 10)},
		},
	}
	if r.Type != "" {
		m.Headers = append(m.Headers, kafka.Header{Key: contentTypeHeader, Value: []byte(r.Type)})
	}
	if r.Arrival > 0 {
		m.Time = time.UnixMilli(r.Arrival).UTC()
	}
	if len(m.Value) > limit {
		m.Headers = append(m.Headers, kafka.Header{Key: "cut-from-bytes", Value: strconv.AppendInt(nil, int64(len(m.Value)), 10)})
		m.Value = m.Value[:limit]
	}
	return m
}

func tooLarge(err error) bool {
	var large kafka.MessageTooLargeError
	return errors.As(err, &large) || errors.Is(writeError(err), kafka.MessageSizeTooLarge)
}

// writeError returns the first error of several messages.
func writeError(err error) error {
	var all kafka.WriteErrors
	if errors.As(err, &all) {
		for _, one := range all {
			if one != nil {
				return one
			}
		}
	}
	return err
}

// balancer puts a device's records into the partition that Kafka's own clients
// would choose for the same key, so that all of a device's records are in one.
var balancer = kafka.Murmur2Balancer{Consistent: true}
