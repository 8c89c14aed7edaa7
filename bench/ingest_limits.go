package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"belfry/ingest"
	"belfry/telemetry"
	"belfry/warehouse"
)

// engineLimit inserts readings that are decoded already, as many goroutines at
// once as there are partitions: what the warehouse takes when nothing else is
// to be done.
type engineLimit struct {
	b       *ingestBench
	batches []*telemetry.Batch
}

// batchReadings is what a Consumer puts into a batch.
const batchReadings = 200_000

// prepare decodes the readings that write sends, without measuring it.
func (l *engineLimit) prepare() {
	decoders := make([]*ingest.Decoder, l.b.o.Partitions)
	open := make([]*telemetry.Batch, l.b.o.Partitions)
	for i := range l.b.o.Readings {
		r := l.b.reading(i)
		part := int(r.device[len(r.device)-1]) % l.b.o.Partitions // a device's readings stay together
		if decoders[part] == nil {
			decoders[part], open[part] = ingest.NewDecoder(part), new(telemetry.Batch)
		}
		var rejects []ingest.Reject
		decoders[part].Decode(r.object(nil), r.at.UnixMilli(), int64(i), open[part], &rejects)
		if open[part].Len() == batchReadings {
			l.batches = append(l.batches, open[part])
			open[part] = new(telemetry.Batch)
		}
	}
	for _, batch := range open {
		if batch != nil && batch.Len() > 0 {
			l.batches = append(l.batches, batch)
		}
	}
}

func (l *engineLimit) run(ctx context.Context) error {
	todo := make(chan *telemetry.Batch, len(l.batches))
	for _, batch := range l.batches {
		todo <- batch
	}
	close(todo)
	errs := make([]error, l.b.o.Partitions)
	var wg sync.WaitGroup
	for p := range errs {
		wg.Go(func() {
			for batch := range todo {
				errs[p] = errors.Join(errs[p], l.b.o.Warehouse.Insert(ctx, batch))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Statements of ClickHouse's own way from the topic to a table like raw_counts:
// its Kafka table engine with a consumer for each core, in threads of their
// own, blocks as large as our batches and no waiting for company.
const (
	peerTable = `CREATE TABLE {db}.peer AS {db}.raw_counts`
	peerQueue = `CREATE TABLE {db}.peer_queue (device String, ts DateTime64(3, 'UTC'), in UInt32, out UInt32, interval UInt32) ENGINE = Kafka
SETTINGS kafka_broker_list = '%s', kafka_topic_list = '%s', kafka_group_name = '%s', kafka_format = '%s',
	kafka_num_consumers = %d, kafka_thread_per_consumer = 1, kafka_max_block_size = 200000, kafka_poll_max_batch_size = 200000,
	kafka_flush_interval_ms = 500, kafka_poll_timeout_ms = 50, date_time_input_format = 'best_effort'`
	peerView = `CREATE MATERIALIZED VIEW {db}.peer_view TO {db}.peer AS
SELECT xxHash64(device) AS device, ts, dateDiff('millisecond', ts, _timestamp_ms) AS delay, toInt64(_offset) AS offset, in, out, interval FROM {db}.peer_queue`
)

// peerLimit lets ClickHouse read a topic by itself.
type peerLimit struct{ b ingestBench }

// peer fills a topic for ClickHouse.
func (b *ingestBench) peer(ctx context.Context) (*peerLimit, error) {
	p := &peerLimit{ingestBench{o: b.o, format: b.format, topic: b.topic, connection: b.connection}}
	p.b.o.Readings = b.o.PeerReadings
	p.b.topic.Name += ".peer"
	if err := ingest.EnsureTopic(ctx, p.b.connection, p.b.topic); err != nil {
		return nil, err
	}
	return p, p.b.write(ctx)
}

// run waits until all readings are there. It begins with the first of them: before
// those ClickHouse joins a group and waits for company.
func (p *peerLimit) run(ctx context.Context, round int, begin func(before int)) (err error) {
	b := &p.b
	queue := fmt.Sprintf(peerQueue, strings.Join(b.connection.Brokers, ","), b.topic.Name, fmt.Sprintf("peer-%d", round), b.format.peer, min(b.o.Partitions, 2))
	for _, statement := range []string{peerTable, queue, peerView} {
		if err := execute(ctx, b.o.Warehouse, statement); err != nil {
			return err
		}
	}
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for begun := false; ; {
		rows, people, err := b.stored(ctx, "peer")
		switch {
		case err != nil:
			return err
		case rows == b.o.Readings && people == b.people:
			return nil
		case rows >= b.o.Readings:
			return fmt.Errorf("ClickHouse's Kafka engine stored %d readings with %d people; the topic has %d with %d", rows, people, b.o.Readings, b.people)
		case rows > 0 && !begun:
			begun = true
			begin(rows)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("ClickHouse's Kafka engine stored %d of %d readings in 5 minutes", rows, b.o.Readings)
		}
	}
}

// forget empties the tables, so that no merge disturbs what is measured next.
func forget(ctx context.Context, w *warehouse.Warehouse) error {
	var errs []error
	for _, statement := range []string{"DROP TABLE IF EXISTS {db}.peer_view SYNC", "DROP TABLE IF EXISTS {db}.peer_queue SYNC",
		"DROP TABLE IF EXISTS {db}.peer SYNC", "TRUNCATE TABLE {db}.raw_counts", "TRUNCATE TABLE {db}.raw_latest"} {
		errs = append(errs, execute(ctx, w, statement))
	}
	return errors.Join(errs...)
}

func execute(ctx context.Context, w *warehouse.Warehouse, statement string) error {
	_, err := w.Query(ctx, "bench", statement, "Null", nil)
	return err
}

// stored counts the readings of a table and the people in them.
func (b *ingestBench) stored(ctx context.Context, table string) (rows int, people uint64, err error) {
	text, err := b.o.Warehouse.Query(ctx, "bench", "SELECT count(), sum(in) FROM {db}."+table, "TSV", nil)
	if err == nil {
		_, err = fmt.Sscan(string(text), &rows, &people)
	}
	return rows, people, err
}

// discard reads every record's value into a buffer, all partitions at once.
func (b *ingestBench) discard(ctx context.Context) error {
	var wg sync.WaitGroup
	var seen atomic.Int64
	errs := make([]error, b.o.Partitions)
	for p := range b.o.Partitions {
		wg.Go(func() { errs[p] = b.discardPartition(ctx, p, &seen) })
	}
	wg.Wait()
	if n := seen.Load(); errors.Join(errs...) == nil && n != int64(b.records()) {
		return fmt.Errorf("read %d records and threw them away; the topic has %d", n, b.records())
	}
	return errors.Join(errs...)
}

func (b *ingestBench) discardPartition(ctx context.Context, partition int, seen *atomic.Int64) error {
	conn, err := kafka.DialLeader(ctx, "tcp", b.connection.Brokers[0], b.topic.Name, partition)
	if err != nil {
		return fmt.Errorf("connect to partition %d: %w", partition, err)
	}
	defer conn.Close()
	end, err := conn.ReadLastOffset()
	if err != nil {
		return fmt.Errorf("ask for the end of partition %d: %w", partition, err)
	}
	buffer := make([]byte, 1<<20)
	for next := int64(0); next < end; {
		if _, err := conn.Seek(next, kafka.SeekAbsolute|kafka.SeekDontCheck); err != nil {
			return err
		}
		batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: 8 << 20, MaxWait: 200 * time.Millisecond})
		for {
			if _, err = batch.Read(buffer); err != nil {
				break
			}
			if batch.Offset() > next { // a batch may begin before the offset asked for
				seen.Add(1)
			}
		}
		next = batch.Offset()
		if err := batch.Close(); err != nil {
			return fmt.Errorf("read partition %d: %w", partition, err)
		}
	}
	return nil
}
