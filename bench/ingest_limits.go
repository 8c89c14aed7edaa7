package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
type engineLimit struct{ b *ingestBench }

// batchReadings is what a Consumer puts into a batch.
const batchReadings = 200_000

// prepare decodes the readings that write sends.
func (l *engineLimit) prepare() (batches []*telemetry.Batch) {
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
			batches = append(batches, open[part])
			open[part] = new(telemetry.Batch)
		}
	}
	for _, batch := range open {
		if batch != nil && batch.Len() > 0 {
			batches = append(batches, batch)
		}
	}
	return batches
}

// run measures the inserting alone. What was decoded for it is given up afterwards, so
// that nobody else is measured with it.
func (l *engineLimit) run(ctx context.Context, measured *lap) error {
	batches := l.prepare()
	queue := make(chan *telemetry.Batch, len(batches))
	for _, batch := range batches {
		queue <- batch
	}
	close(queue)
	measured.begin(0)
	defer func() { measured.end(l.b.o.Readings) }()
	errs := make([]error, l.b.o.Partitions)
	var wg sync.WaitGroup
	for p := range errs {
		wg.Go(func() {
			for n := 1; ; n++ { // of every four of a partition the last is noted, as a Consumer has it
				batch, ok := <-queue
				if !ok {
					break
				}
				batch.More = n%4 != 0
				errs[p] = errors.Join(errs[p], l.b.o.Warehouse.Insert(ctx, batch))
			}
			errs[p] = errors.Join(errs[p], l.b.o.Warehouse.Insert(ctx, new(telemetry.Batch)))
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Statements of ClickHouse's own way from the topic to a table like raw_counts:
// its Kafka table engine with a consumer for each core, in threads of their
// own, blocks as large as our batches and little waiting for company.
const (
	peerTable = `CREATE TABLE {db}.peer AS {db}.raw_counts`
	peerQueue = `CREATE TABLE {db}.peer_queue (device String, ts DateTime64(3, 'UTC'), in UInt32, out UInt32, interval UInt32) ENGINE = Kafka
SETTINGS kafka_broker_list = '%s', kafka_topic_list = '%s', kafka_group_name = '%s', kafka_format = '%s',
	kafka_num_consumers = %d, kafka_thread_per_consumer = 1, kafka_max_block_size = 200000, kafka_poll_max_batch_size = %d,
	kafka_flush_interval_ms = 500, kafka_poll_timeout_ms = 50, date_time_input_format = 'best_effort'`
	peerView = `CREATE MATERIALIZED VIEW {db}.peer_view TO {db}.peer AS
SELECT xxHash64(device) AS device, ts, dateDiff('millisecond', ts, _timestamp_ms) AS delay, toInt64(_offset) AS offset, in, out, interval FROM {db}.peer_queue`
)

// peerLimit lets ClickHouse read a topic by itself.
type peerLimit struct{ b ingestBench }

// run waits until all readings are there. What is measured lies between two of
// ClickHouse's inserts: the first after the topic, which is its own, was full, and the
// one with which it has three quarters. Before that it takes seconds to join a group,
// and one of its consumers would read alone; after that it waits for company.
func (p *peerLimit) run(ctx context.Context, l *lap) error {
	b := &p.b
	b.topic.Name += ".peer"
	if b.format.per > 1 {
		b.o.Readings *= 3 // it is faster with these, and 200,000 at once are few inserts
	}
	if err := ingest.EnsureTopic(ctx, b.connection, b.topic); err != nil {
		return err
	}
	consumers := min(b.o.Partitions, 2)
	// The group is this table's alone, or it would wait for the members of the last.
	queue := fmt.Sprintf(peerQueue, strings.Join(b.connection.Brokers, ","), b.topic.Name, b.topic.Name, b.format.peer, consumers, batchReadings/b.format.per)
	for _, statement := range []string{peerTable, queue, peerView} {
		if err := execute(ctx, b.o.Warehouse, statement); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 10*time.Minute, errors.New("not done after 10 minutes"))
	defer cancel()
	if err := b.until(ctx, "system.kafka_consumers WHERE notEmpty(assignments.topic)", consumers, nil); err != nil {
		return err
	}
	if err := b.write(ctx); err != nil {
		return err
	}
	var begun, ended bool
	before := -1
	err := b.until(ctx, "{db}.peer", b.o.Readings, func(rows int) {
		switch {
		case before < 0 || rows == before:
		case !begun && rows < b.o.Readings:
			begun = true
			l.begin(rows)
		case begun && !ended && rows >= b.o.Readings*3/4:
			ended = true
			l.end(rows)
		}
		before = rows
	})
	if err != nil {
		return err
	}
	rows, people, err := b.stored(ctx, "peer")
	if err == nil && (rows != b.o.Readings || people != b.people) {
		err = fmt.Errorf("ClickHouse's Kafka engine stored %d readings with %d people; the topic has %d with %d", rows, people, b.o.Readings, b.people)
	}
	return err
}

// until waits until there are so many rows, and tells how many there are meanwhile.
func (b *ingestBench) until(ctx context.Context, from string, want int, tell func(rows int)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := b.o.Warehouse.Query(ctx, "bench", "SELECT count() FROM "+from, "TSV", nil)
		if err != nil {
			return err
		}
		rows, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		if tell != nil {
			tell(rows)
		}
		if rows >= want {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d rows of %s: %w", rows, want, from, context.Cause(ctx))
		}
	}
}

// forget empties the tables, so that no merge disturbs what is measured next. The
// queue goes before its view: a view waits for the consumers, for up to 15 s.
func forget(ctx context.Context, w *warehouse.Warehouse) error {
	var errs []error
	for _, statement := range []string{"DROP TABLE IF EXISTS {db}.peer_queue SYNC", "DROP TABLE IF EXISTS {db}.peer_view SYNC",
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
