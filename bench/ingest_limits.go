package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"belfry/ingest"
	"belfry/telemetry"
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
		part := i % l.b.o.Devices % l.b.o.Partitions // a device's readings stay together
		if decoders[part] == nil {
			decoders[part], open[part] = ingest.NewDecoder(part), new(telemetry.Batch)
		}
		_, value, at := l.b.reading(i)
		var rejects []ingest.Reject
		decoders[part].Decode(value, at.UnixMilli(), int64(i), open[part], &rejects)
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
SETTINGS kafka_broker_list = '%s', kafka_topic_list = '%s', kafka_group_name = '%s', kafka_format = 'JSONEachRow',
	kafka_num_consumers = %d, kafka_thread_per_consumer = 1, kafka_max_block_size = 200000, kafka_poll_max_batch_size = 200000,
	kafka_flush_interval_ms = 500, kafka_poll_timeout_ms = 50, date_time_input_format = 'best_effort'`
	peerView = `CREATE MATERIALIZED VIEW {db}.peer_view TO {db}.peer AS
SELECT xxHash64(device) AS device, ts, dateDiff('millisecond', ts, _timestamp_ms) AS delay, toInt64(_offset) AS offset, in, out, interval FROM {db}.peer_queue`
)

// peer lets ClickHouse read the topic by itself, until all readings are there.
func (b *ingestBench) peer(ctx context.Context, round int) (err error) {
	queue := fmt.Sprintf(peerQueue, strings.Join(b.connection.Brokers, ","), b.topic.Name, fmt.Sprintf("peer-%d", round), min(b.o.Partitions, 2))
	for _, statement := range []string{peerTable, queue, peerView} {
		if err := b.execute(ctx, statement); err != nil {
			return err
		}
	}
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		rows, people, err := b.stored(ctx, "peer")
		if err != nil {
			return err
		}
		if rows >= b.o.Readings {
			if rows > b.o.Readings || people != b.people {
				return fmt.Errorf("ClickHouse's Kafka engine stored %d readings with %d people; the topic has %d with %d", rows, people, b.o.Readings, b.people)
			}
			return nil
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
func (b *ingestBench) forget(ctx context.Context) error {
	var errs []error
	for _, statement := range []string{"DROP TABLE IF EXISTS {db}.peer_view SYNC", "DROP TABLE IF EXISTS {db}.peer_queue SYNC",
		"DROP TABLE IF EXISTS {db}.peer SYNC", "TRUNCATE TABLE {db}.raw_counts", "TRUNCATE TABLE {db}.raw_latest"} {
		errs = append(errs, b.execute(ctx, statement))
	}
	return errors.Join(errs...)
}

func (b *ingestBench) execute(ctx context.Context, statement string) error {
	_, err := b.o.Warehouse.Query(ctx, "bench", statement, "Null", nil)
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

// watchMemory samples what the process has resident until it is told to stop,
// and then returns the most it saw.
func watchMemory() (stop func() int64) {
	done, most := make(chan struct{}), make(chan int64, 1)
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		peak := resident()
		for {
			select {
			case <-done:
				most <- max(peak, resident())
				return
			case <-tick.C:
				peak = max(peak, resident())
			}
		}
	}()
	return func() int64 { close(done); return <-most }
}

// resident returns the process's resident memory; 0 where that can't be told.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
