package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// appender writes records to the partitions of a topic, each partition's in one
// batch, all partitions at once. kafka-go's Writer waits for company before it
// sends, and for each partition makes room for the largest batch that could come
// together: of a request with a thousand readings that was most of the time.
type appender struct {
	client *kafka.Client
	topic  string
	sets   sync.Pool // of *recordSet
}

const (
	// A megabyte is what a broker takes that nobody has configured.
	maxBatchBytes = 1_000_000
	// Six seconds of attempts outlast what the client remembers of leaders that
	// have moved, or that a new topic did not have yet.
	appendAttempts = 8
)

func newAppender(l *link, topic string) *appender {
	return &appender{topic: topic, sets: sync.Pool{New: func() any { return new(recordSet) }},
		client: &kafka.Client{Addr: l.addr(), Transport: l.transport(), Timeout: requestTimeout}}
}

// append returns when the log has acknowledged all records, or after some
// failed attempts. The records are the caller's when it returns. now is the
// timestamp of those that have none.
func (a *appender) append(ctx context.Context, records []Record, now int64) error {
	found, err := partitionsOf(ctx, a.client, a.topic)
	if err != nil {
		return err
	}
	ids := make([]int, len(found))
	for i, p := range found {
		ids[i] = p.ID
	}
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, list := range share(records, ids) {
		if len(list) > 0 {
			wg.Go(func() { errs[i] = a.partition(ctx, ids[i], list, now) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// share gives each record to the partition of its key.
func share(records []Record, ids []int) [][]*Record {
	lists := make([][]*Record, len(ids))
	places := make([]int, len(ids))
	for i := range places {
		places[i] = i
		lists[i] = make([]*Record, 0, len(records)/len(ids)*5/4+8)
	}
	for i := range records {
		to := balancer.Balance(kafka.Message{Key: records[i].Key}, places...)
		lists[to] = append(lists[to], &records[i])
	}
	return lists
}

// partition writes one partition's records in order, in batches that a broker takes.
func (a *appender) partition(ctx context.Context, id int, list []*Record, now int64) error {
	for len(list) > 0 {
		n, size := 0, 0
		for n < len(list) && (n == 0 || size+list[n].size() <= maxBatchBytes) {
			size += list[n].size()
			n++
		}
		if err := a.insist(ctx, id, list[:n], now); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// insist tries again what may work another time. What was written and not
// acknowledged is then there twice, which harms nothing.
func (a *appender) insist(ctx context.Context, id int, list []*Record, now int64) error {
	var wait backoff
	for attempt := 1; ; attempt++ {
		err := a.send(ctx, id, list, now)
		var answer kafka.Error
		if err == nil || attempt == appendAttempts || errors.As(err, &answer) && !answer.Temporary() {
			return err
		}
		if wait.sleep(ctx) != nil {
			return err
		}
	}
}

func (a *appender) send(ctx context.Context, id int, list []*Record, now int64) error {
	set := a.sets.Get().(*recordSet)
	batch, err := set.encode(list, now)
	if err != nil {
		return err
	}
	size := binary.BigEndian.AppendUint32(nil, uint32(len(batch))) // which the protocol has before the set
	res, err := a.client.RawProduce(ctx, &kafka.RawProduceRequest{Topic: a.topic, Partition: id, RequiredAcks: kafka.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: io.MultiReader(bytes.NewReader(size), bytes.NewReader(batch))}})
	if err != nil {
		return fmt.Errorf("partition %d: %w", id, err) // the set is not put back: a connection may still read it
	}
	a.sets.Put(set)
	if res.Error != nil {
		return fmt.Errorf("partition %d: %w", id, res.Error)
	}
	return nil
}

func (a *appender) close() { a.client.Transport.(*kafka.Transport).CloseIdleConnections() }
