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
	Sink       ingest.Sink // where readings go; nil: nowhere
}

// IngestReport is what was measured: medians over the rounds.
type IngestReport struct {
	Readings int     `json:"readings"`
	Bytes    int64   `json:"bytes"` // of JSON
	Fill     Pace    `json:"fill"`  // writing the topic through the intake
	Discard  Pace    `json:"discard"`
	Full     Pace    `json:"full"`
	Ratio    float64 `json:"ratio"` // of full to discard, by time
}

// Pace is how fast readings went.
type Pace struct {
	PerSecond  float64 `json:"readings_per_second"`
	CPUNanos   float64 `json:"cpu_ns_per_reading"` // of the whole process, the embedded log included
	WallMillis float64 `json:"wall_ms"`
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
	if o.Sink == nil {
		o.Sink = func(context.Context, *telemetry.Batch) error { return nil }
	}
}

func (r *IngestReport) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	_, err := fmt.Fprintf(out, `ingest: %d readings of %d bytes
                            readings/s   CPU ns/reading
  into the log             %11.0f %16.0f
  read and thrown away     %11.0f %16.0f
  log to sink              %11.0f %16.0f
  ratio                    %11.2f
`, r.Readings, r.Bytes/int64(r.Readings), r.Fill.PerSecond, r.Fill.CPUNanos, r.Discard.PerSecond, r.Discard.CPUNanos, r.Full.PerSecond, r.Full.CPUNanos, r.Ratio)
	return err
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
	var discard, full []Pace
	for round := range b.o.Rounds {
		d, err := b.pace(func() error { return b.discard(ctx) })
		if err != nil {
			return r, err
		}
		f, err := b.pace(func() error { return b.carry(ctx, round) })
		if err != nil {
			return r, err
		}
		discard, full = append(discard, d), append(full, f)
	}
	r.Readings, r.Bytes = b.o.Readings, b.bytes
	r.Discard, r.Full = median(discard), median(full)
	r.Ratio = r.Full.PerSecond / r.Discard.PerSecond
	return r, nil
}

// pace measures one way of handling all the readings.
func (b *ingestBench) pace(do func() error) (Pace, error) {
	cpu, begin := cpuTime(), time.Now()
	if err := do(); err != nil {
		return Pace{}, err
	}
	wall, cpu := time.Since(begin), cpuTime()-cpu
	n := float64(b.o.Readings)
	return Pace{PerSecond: n / wall.Seconds(), CPUNanos: float64(cpu.Nanoseconds()) / n, WallMillis: float64(wall.Microseconds()) / 1000}, nil
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
		device, at := i%b.o.Devices, start.Add(time.Duration(i/b.o.Devices)*15*time.Minute)
		people := uint64(i*7919) % 200
		key := fmt.Appendf(nil, "FC-%06d", device)
		value := fmt.Appendf(nil, `{"device":"%s","ts":"%s","in":%d,"out":%d,"interval":900}`, key, at.Format(time.RFC3339), people, people/2)
		b.bytes += int64(len(value))
		b.people += people
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
