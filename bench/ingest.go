// Package bench measures belfry against goals and references that anyone can
// repeat: each measurement runs both sides in turn in one process, checks that
// they did the same work, and prints medians and ratios.
//
// It sees every other package; none sees it.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/telemetry"
	"belfry/warehouse"

	"github.com/segmentio/kafka-go"
)

// IngestOptions say how ingestion is measured. Zero values mean the default given.
type IngestOptions struct {
	Readings   int         // in the topic: 1,000,000
	Devices    int         // that send them in turn: 10,000
	Partitions int         // of the topic: 4
	Rounds     int         // each measures both ways, in turn: 3
	Dir        string      // for the log; "": a temporary folder
	JSON       bool        // print the report as JSON
	Sink       ingest.Sink // where readings go; nil: into the Warehouse, or without one nowhere

	// Warehouse, an empty one, for measuring what it takes by itself, and what
	// ClickHouse's own Kafka engine does. It is emptied after each round. nil: they
	// are left out.
	Warehouse *warehouse.Warehouse
	NoPeer    bool // leave ClickHouse's Kafka engine out
}

// IngestReport is what was measured: medians over the rounds.
type IngestReport struct {
	Readings int     `json:"readings"`
	Bytes    int64   `json:"bytes"` // of JSON
	Fill     Pace    `json:"fill"`  // writing the topic through the intake
	Discard  Pace    `json:"discard"`
	Full     Pace    `json:"full"`
	Ratio    float64 `json:"ratio"` // of full to discard, by time

	Engine      *Pace   `json:"engine,omitempty"`       // inserting alone
	Kafka       *Pace   `json:"kafka_engine,omitempty"` // ClickHouse's Kafka table engine
	KafkaRatio  float64 `json:"kafka_engine_ratio,omitempty"`
	EngineRatio float64 `json:"engine_ratio,omitempty"` // of full to engine
}

// Pace is how fast readings went.
type Pace struct {
	PerSecond  float64 `json:"readings_per_second"`
	CPUNanos   float64 `json:"cpu_ns_per_reading"` // of the whole process, the embedded log included
	WallMillis float64 `json:"wall_ms"`
	Memory     int64   `json:"resident_bytes"` // the most that the process had, with all that it keeps from before
}

// Ingest fills a topic on an embedded log with readings, always the same, and
// then measures in turn reading it to throw it away (one kafka-go connection
// for each partition, Batch.Read) and carrying it into the sink by an
// ingest.Consumer. Each full round must deliver exactly what was written, or
// Ingest fails. It prints what it measured to out.
func Ingest(ctx context.Context, o IngestOptions, out io.Writer) (IngestReport, error) {
	o.fill()
	dir, err := os.MkdirTemp(o.Dir, "belfry-bench-")
	if err != nil {
		return IngestReport{}, fmt.Errorf("make a folder for the log: %w", err)
	}
	defer os.RemoveAll(dir)
	log, err := broker.Start(broker.Options{Dir: dir})
	if err != nil {
		return IngestReport{}, err
	}
	defer log.Close()
	b := ingestBench{o: o, topic: ingest.Topic{Name: "bench", Partitions: o.Partitions, Create: true}, connection: ingest.Connection{Brokers: []string{log.Addr()}}}
	report, err := b.run(ctx)
	if err != nil {
		return report, err
	}
	return report, report.print(out, o.JSON)
}

func (o *IngestOptions) fill() {
	for _, d := range []struct {
		v         *int
		otherwise int
	}{{&o.Readings, 1_000_000}, {&o.Devices, 10_000}, {&o.Partitions, 4}, {&o.Rounds, 3}} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
	}
	if o.Sink == nil && o.Warehouse != nil {
		o.Sink = o.Warehouse.Insert
	}
	if o.Sink == nil {
		o.Sink = func(context.Context, *telemetry.Batch) error { return nil }
	}
}

func (r *IngestReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	fmt.Fprintf(out, "ingest: %d readings of %d bytes\n%-38s %12s %16s %12s\n", r.Readings, r.Bytes/int64(r.Readings), "", "readings/s", "CPU ns/reading", "resident MB")
	line := func(what string, p *Pace) {
		if p != nil {
			fmt.Fprintf(out, "  %-36s %12.0f %16.0f %12d\n", what, p.PerSecond, p.CPUNanos, p.Memory>>20)
		}
	}
	line("into the log", &r.Fill)
	line("read and thrown away", &r.Discard)
	line("inserted, decoded before", r.Engine)
	line("ClickHouse's Kafka table engine", r.Kafka)
	line("log to sink", &r.Full)
	fmt.Fprintf(out, "  %-36s %12.2f\n", "of read and thrown away", r.Ratio)
	if r.Engine != nil {
		fmt.Fprintf(out, "  %-36s %12.2f\n", "of inserting alone", r.EngineRatio)
	}
	if r.Kafka != nil {
		fmt.Fprintf(out, "  %-36s %12.2f\n", "of ClickHouse's Kafka table engine", r.KafkaRatio)
	}
	return nil
}

// ingestBench is one run of Ingest.
type ingestBench struct {
	o          IngestOptions
	topic      ingest.Topic
	connection ingest.Connection
	bytes      int64
	people     uint64 // in all readings, to check what arrives
}

func (b *ingestBench) run(ctx context.Context) (r IngestReport, err error) {
	if err := ingest.EnsureTopic(ctx, b.connection, b.topic); err != nil {
		return r, err
	}
	if r.Fill, err = b.pace(func() error { return b.write(ctx) }); err != nil {
		return r, err
	}
	ways := []way{{do: func(int) error { return b.discard(ctx) }, median: &r.Discard}}
	if b.o.Warehouse != nil {
		limit := &engineLimit{b: b}
		limit.prepare()
		r.Engine = new(Pace)
		ways = append(ways, way{do: func(int) error { return limit.run(ctx) }, median: r.Engine})
	}
	if b.o.Warehouse != nil && !b.o.NoPeer {
		r.Kafka = new(Pace)
		ways = append(ways, way{do: func(round int) error { return b.peer(ctx, round) }, median: r.Kafka})
	}
	ways = append(ways, way{do: func(round int) error { return b.carry(ctx, round) }, median: &r.Full})
	if err := b.inTurn(ctx, ways); err != nil {
		return r, err
	}
	r.Readings, r.Bytes = b.o.Readings, b.bytes
	r.Ratio = r.Full.PerSecond / r.Discard.PerSecond
	if r.Engine != nil {
		r.EngineRatio = r.Full.PerSecond / r.Engine.PerSecond
	}
	if r.Kafka != nil {
		r.KafkaRatio = r.Full.PerSecond / r.Kafka.PerSecond
	}
	return r, nil
}

// way is one way of handling all the readings.
type way struct {
	do     func(round int) error
	paces  []Pace
	median *Pace
}

// inTurn measures each way once a round, so that what disturbs the machine
// disturbs all of them.
func (b *ingestBench) inTurn(ctx context.Context, ways []way) error {
	for round := range b.o.Rounds {
		for i := range ways {
			p, err := b.pace(func() error { return ways[i].do(round) })
			if err != nil {
				return err
			}
			ways[i].paces = append(ways[i].paces, p)
			if b.o.Warehouse != nil {
				if err := b.forget(ctx); err != nil {
					return err
				}
			}
		}
	}
	for _, w := range ways {
		*w.median = median(w.paces)
	}
	return nil
}

// pace measures one way of handling all the readings.
func (b *ingestBench) pace(do func() error) (Pace, error) {
	memory := watchMemory()
	cpu, begin := cpuTime(), time.Now()
	err := do()
	wall, cpu := time.Since(begin), cpuTime()-cpu
	peak := memory()
	if err != nil {
		return Pace{}, err
	}
	n := float64(b.o.Readings)
	return Pace{PerSecond: n / wall.Seconds(), CPUNanos: float64(cpu.Nanoseconds()) / n, WallMillis: float64(wall.Microseconds()) / 1000, Memory: peak}, nil
}

// cpuTime is what this process has used on all its threads.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(p []Pace) Pace {
	slices.SortFunc(p, func(a, b Pace) int { return int(a.WallMillis - b.WallMillis) })
	return p[len(p)/2]
}

// start is the end of the first interval; the readings go on from there.
var start = time.Date(2026, 3, 27, 0, 0, 0, 0, time.UTC)

// write fills the topic: the devices send in turn, every 15 minutes.
func (b *ingestBench) write(ctx context.Context) error {
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: b.connection, Topic: b.topic.Name, Now: time.Now})
	if err != nil {
		return err
	}
	defer in.Close()
	const chunk = 50_000
	records := make([]ingest.Record, 0, chunk)
	for i := range b.o.Readings {
		key, value, at := b.reading(i)
		b.bytes += int64(len(value))
		b.people += people(i)
		records = append(records, ingest.Record{Key: key, Value: value, Time: at})
		if len(records) == chunk || i == b.o.Readings-1 {
			if err := in.Append(ctx, records); err != nil {
				return err
			}
			records = records[:0]
		}
	}
	return nil
}

// reading makes the i-th reading: its device, its JSON, its time.
func (b *ingestBench) reading(i int) (key, value []byte, at time.Time) {
	at = start.Add(time.Duration(i/b.o.Devices) * 15 * time.Minute)
	key = fmt.Appendf(nil, "FC-%06d", i%b.o.Devices)
	value = fmt.Appendf(nil, `{"device":"%s","ts":"%s","in":%d,"out":%d,"interval":900}`, key, at.Format(time.RFC3339), people(i), people(i)/2)
	return key, value, at
}

// people are counted IN by the i-th reading.
func people(i int) uint64 { return uint64(i*7919) % 200 }

// discard reads every record's value into a buffer, all partitions at once.
func (b *ingestBench) discard(ctx context.Context) error {
	var wg sync.WaitGroup
	var seen atomic.Int64
	errs := make([]error, b.o.Partitions)
	for p := range b.o.Partitions {
		wg.Go(func() { errs[p] = b.discardPartition(ctx, p, &seen) })
	}
	wg.Wait()
	if n := seen.Load(); errors.Join(errs...) == nil && n != int64(b.o.Readings) {
		return fmt.Errorf("read %d records and threw them away; the topic has %d", n, b.o.Readings)
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
	buffer := make([]byte, 64<<10)
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

// carry runs a consumer until the sink has had every reading.
func (b *ingestBench) carry(ctx context.Context, round int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	readings, people := 0, uint64(0)
	c, err := ingest.NewConsumer(ingest.Options{
		Connection: b.connection, Topic: b.topic, Group: fmt.Sprintf("bench-%d", round), Now: time.Now,
		Sink: func(ctx context.Context, batch *telemetry.Batch) error {
			if err := b.o.Sink(ctx, batch); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			readings += batch.Len()
			for _, n := range batch.Counts.In {
				people += uint64(n)
			}
			if readings >= b.o.Readings {
				cancel()
			}
			return nil
		},
	})
	if err != nil {
		return err
	}
	if err := c.Run(ctx); err != nil {
		return err
	}
	if readings != b.o.Readings || people != b.people {
		return fmt.Errorf("the sink had %d readings with %d people; the topic has %d with %d", readings, people, b.o.Readings, b.people)
	}
	return nil
}
