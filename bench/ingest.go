// Package bench measures belfry against goals and references that anyone can
// repeat: each measurement runs both sides in turn in one process, checks that
// they did the same work, and reports medians and ratios.
//
// It sees every other package; none sees it.
package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"belfry/ingest"
	"belfry/ingest/broker"
	"belfry/telemetry"
	"belfry/warehouse"
)

// IngestOptions say how ingestion is measured. Zero values mean the default given.
type IngestOptions struct {
	Readings   int           // in each topic: 1,000,000
	Devices    int           // that send them in turn: 10,000
	Partitions int           // of a topic: 4
	Rounds     int           // each measures all ways of our own, in turn: 3
	Formats    []string      // some of Formats; none: all of them
	Delivery   time.Duration // how long 50,000 readings a second are sent to see when they can be queried: 10 s; below 0: not at all
	Backlog    int           // readings, of days kept by devices, that lie in the log before those of the delivery: none
	Dir        string        // for the log; "": a temporary folder
	Sink       ingest.Sink   // where readings go; nil: into the Warehouse, or without one nowhere
	Intake     *IntakeReport // measured before, to be printed with the rest; nil: it was not

	// Warehouse, an empty one, for measuring what it takes by itself, and what
	// ClickHouse's own Kafka engine does. It is emptied after each round. nil: they
	// are left out.
	Warehouse *warehouse.Warehouse
	NoPeer    bool // leave ClickHouse's Kafka engine out; it is measured once

	Progress func(step string) // told what is measured next; nil: nobody wants to know
}

// IngestReport is what was measured: medians over the rounds.
type IngestReport struct {
	Readings int             `json:"readings"`
	Formats  []FormatReport  `json:"formats"`
	Delivery *DeliveryReport `json:"delivery,omitempty"`
	Intake   *IntakeReport   `json:"intake,omitempty"`
}

// FormatReport is what was measured with one form of records.
type FormatReport struct {
	Format  string  `json:"format"`
	Bytes   int64   `json:"bytes"` // of values
	Fill    Pace    `json:"fill"`  // writing the topic through the intake
	Discard Pace    `json:"discard"`
	Full    Pace    `json:"full"`
	Ratio   float64 `json:"ratio"` // of full to discard, by time

	Engine      *Pace   `json:"engine,omitempty"`       // inserting alone
	Decoded     *Pace   `json:"decoded,omitempty"`      // as full, and thrown away in place of inserted
	Parts       *Pace   `json:"parts,omitempty"`        // discard and engine, one after the other
	Kafka       *Pace   `json:"kafka_engine,omitempty"` // ClickHouse's Kafka table engine, when all its consumers read
	KafkaRatio  float64 `json:"kafka_engine_ratio,omitempty"`
	EngineRatio float64 `json:"engine_ratio,omitempty"` // of full to engine
	PartsRatio  float64 `json:"parts_ratio,omitempty"`  // CPU time of full to that of parts: the least there could be is 1

	Cores    int     `json:"cores,omitempty"`
	Goal     float64 `json:"goal_per_second,omitempty"`     // for full
	Possible float64 `json:"possible_per_second,omitempty"` // what all cores would do if a reading took the CPU time of decoded and engine, and no more
}

// Ingest fills topics on an embedded log with readings, always the same, in each
// of the formats, and then measures in turn reading a topic to throw it away
// (one kafka-go connection for each partition, Batch.Read) and carrying it into
// the sink by an ingest.Consumer. Each full round must deliver exactly what was
// written, or Ingest fails. Then it sends at a steady pace and measures when
// readings can be queried.
func Ingest(ctx context.Context, o IngestOptions) (*IngestReport, error) {
	r := &IngestReport{}
	formats, err := o.fill()
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp(o.Dir, "belfry-bench-")
	if err != nil {
		return r, fmt.Errorf("make a folder for the log: %w", err)
	}
	defer os.RemoveAll(dir)
	log, err := broker.Start(broker.Options{Dir: dir})
	if err != nil {
		return r, err
	}
	defer log.Close()
	r.Readings, r.Intake = o.Readings, o.Intake
	connection := ingest.Connection{Brokers: []string{log.Addr()}}
	for _, f := range formats {
		b := ingestBench{o: o, format: f, topic: ingest.Topic{Name: "bench." + f.name, Partitions: o.Partitions, Create: true}, connection: connection}
		measured, err := b.run(ctx)
		if err != nil {
			return r, fmt.Errorf("measure %s: %w", f.name, err)
		}
		r.Formats = append(r.Formats, measured)
	}
	if o.Delivery > 0 {
		o.Progress("delivery")
		if r.Delivery, err = deliver(ctx, o, connection); err != nil {
			return r, fmt.Errorf("measure when readings can be queried: %w", err)
		}
	}
	return r, nil
}

func (o *IngestOptions) fill() ([]format, error) {
	for _, d := range []struct {
		v         *int
		otherwise int
	}{{&o.Readings, 1_000_000}, {&o.Devices, 10_000}, {&o.Partitions, 4}, {&o.Rounds, 3}} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Delivery == 0 {
		o.Delivery = 10 * time.Second
	}
	if o.Sink == nil && o.Warehouse != nil {
		o.Sink = o.Warehouse.Insert
	}
	if o.Sink == nil {
		o.Sink = func(context.Context, *telemetry.Batch) error { return nil }
	}
	return formatsNamed(o.Formats)
}

// ingestBench is one run of Ingest with one format.
type ingestBench struct {
	o          IngestOptions
	format     format
	topic      ingest.Topic
	connection ingest.Connection
	bytes      int64
	people     uint64 // in all readings, to check what arrives
}

func (b *ingestBench) run(ctx context.Context) (r FormatReport, err error) {
	r.Format = b.format.name
	b.o.Progress(r.Format + ": into the log")
	if err := ingest.EnsureTopic(ctx, b.connection, b.topic); err != nil {
		return r, err
	}
	if r.Fill, err = pace(b.o.Readings, func() error { return b.write(ctx) }); err != nil {
		return r, err
	}
	ways := []way{{what: "read and throw away", do: func(int, *lap) error { return b.discard(ctx) }, median: &r.Discard}}
	if b.o.Warehouse != nil {
		limit := &engineLimit{b}
		r.Engine = new(Pace)
		r.Decoded = new(Pace)
		nowhere := func(context.Context, *telemetry.Batch) error { return nil }
		ways = append(ways, way{what: "read and decode", do: func(round int, _ *lap) error { return b.carry(ctx, fmt.Sprint("decoded-", round), nowhere) }, median: r.Decoded})
		ways = append(ways, way{what: "insert alone", do: func(_ int, l *lap) error { return limit.run(ctx, l) }, median: r.Engine})
	}
	if b.o.Warehouse != nil && !b.o.NoPeer {
		r.Kafka = new(Pace)
		peer := &peerLimit{ingestBench{o: b.o, format: b.format, topic: b.topic, connection: b.connection}}
		ways = append(ways, way{what: "ClickHouse's Kafka table engine", once: true, do: func(_ int, l *lap) error { return peer.run(ctx, l) }, median: r.Kafka})
	}
	ways = append(ways, way{what: "log to sink", do: func(round int, _ *lap) error { return b.carry(ctx, fmt.Sprint("full-", round), b.o.Sink) }, median: &r.Full})
	if err := b.inTurn(ctx, ways); err != nil {
		return r, err
	}
	r.Bytes = b.bytes
	r.Ratio = r.Full.PerSecond / r.Discard.PerSecond
	if r.Engine != nil {
		r.EngineRatio = r.Full.PerSecond / r.Engine.PerSecond
		r.Parts = r.Discard.then(*r.Engine)
		r.PartsRatio = r.Full.CPUNanos / r.Parts.CPUNanos
		r.Goal = b.format.goal(r.Engine.PerSecond)
		r.Cores = runtime.NumCPU()
		r.Possible = float64(r.Cores) * 1e9 / (r.Decoded.CPUNanos + r.Engine.CPUNanos)
	}
	if r.Kafka != nil {
		r.KafkaRatio = r.Full.PerSecond / r.Kafka.PerSecond
	}
	return r, nil
}

// way is one way of handling readings.
type way struct {
	what   string
	once   bool // in the first round alone
	do     func(round int, l *lap) error
	paces  []Pace
	median *Pace
}

// inTurn measures each way once a round, so that what disturbs the machine
// disturbs all of them.
func (b *ingestBench) inTurn(ctx context.Context, ways []way) error {
	for round := range b.o.Rounds {
		for i := range ways {
			w := &ways[i]
			if w.once && round > 0 {
				continue
			}
			b.o.Progress(fmt.Sprintf("%s: %s, round %d of %d", b.format.name, w.what, round+1, b.o.Rounds))
			debug.FreeOSMemory() // what the way before has given up
			p, err := paceOf(b.o.Readings, func(l *lap) error { return w.do(round, l) })
			if err != nil {
				return err
			}
			w.paces = append(w.paces, p)
			if b.o.Warehouse != nil {
				if err := forget(ctx, b.o.Warehouse); err != nil {
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

// write fills the topic: the devices send in turn, every 15 minutes.
func (b *ingestBench) write(ctx context.Context) error {
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: b.connection, Topic: b.topic.Name, Now: time.Now})
	if err != nil {
		return err
	}
	defer in.Close()
	chunk := max(1, 50_000/b.format.per)
	records := make([]ingest.Record, 0, chunk)
	for i := 0; i < b.o.Readings; i += b.format.per {
		record, err := b.record(i, min(b.format.per, b.o.Readings-i))
		if err != nil {
			return err
		}
		b.bytes += int64(len(record.Value))
		records = append(records, record)
		if len(records) == chunk || i+b.format.per >= b.o.Readings {
			if err := in.Append(ctx, records); err != nil {
				return err
			}
			records = records[:0]
		}
	}
	for i := range b.o.Readings {
		b.people += people(i)
	}
	return nil
}

// carry runs a consumer until the sink has had every reading.
func (b *ingestBench) carry(ctx context.Context, group string, sink ingest.Sink) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	readings, people := 0, uint64(0)
	c, err := ingest.NewConsumer(ingest.Options{
		Connection: b.connection, Topic: b.topic, Group: b.topic.Name + "-" + group, Now: time.Now,
		Sink: func(ctx context.Context, batch *telemetry.Batch) error {
			if err := sink(ctx, batch); err != nil {
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
	if err := cmp.Or(c.Run(running), ctx.Err()); err != nil {
		return err
	}
	if readings != b.o.Readings || people != b.people {
		return fmt.Errorf("the sink had %d readings with %d people; the topic has %d with %d", readings, people, b.o.Readings, b.people)
	}
	return nil
}
