package ingest

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"belfry/telemetry"

	"github.com/prometheus/client_golang/prometheus"
)

// Sink writes a batch to the warehouse and returns when it is durable there; what is
// noted beside its readings may wait for the next batch without More, and be durable
// when the Sink returns for that one, which may be empty. It
// owns the batch until it returns and keeps nothing of it. It is called by
// several goroutines at once, one for each partition. The same readings may be
// handed to it again, also in other batches; equal rows are one.
type Sink func(ctx context.Context, b *telemetry.Batch) error

// Register makes devices known that this process had not heard of, and returns
// when that is durable. It is called before the batch that names them is
// written, by several goroutines at once, and may get a device more than once.
// It keeps nothing of the slice.
type Register func(ctx context.Context, devices []NewDevice) error

// Options are the settings of a Consumer. Zero values mean the default given.
type Options struct {
	Connection Connection
	Topic      Topic  // that is read; what it refuses goes to Topic.Name + ".dead"
	Group      string // consumer group; "": "belfry-ingest"

	MaxReadings    int           // readings that end a batch: 200,000
	MaxDelay       time.Duration // age of its first record that ends a batch: 250 ms
	FetchBytes     int           // size of a fetch: 8 MiB
	MaxRecordBytes int           // larger records are refused: 16 MiB
	Drain          time.Duration // how long an insert under way may take once we are told to stop: 8 s
	CheckEvery     time.Duration // how often lag is measured: 500 ms
	Settle         time.Duration // how long after its timestamp a record may take to appear in the log: 500 ms

	Sink     Sink
	Register Register // nil: nobody wants to know

	Now        func() time.Time
	Log        *slog.Logger          // nil: say nothing
	Registerer prometheus.Registerer // nil: no metrics
}

// DefaultGroup is the consumer group that ingestion joins.
const DefaultGroup = "belfry-ingest"

func (o *Options) fill() error {
	if o.Sink == nil || o.Now == nil {
		return errors.New("a consumer needs a sink and a clock")
	}
	if o.Topic.Name == "" {
		return errors.New("a consumer needs a topic")
	}
	if o.Group == "" {
		o.Group = DefaultGroup
	}
	if o.Register == nil {
		o.Register = func(context.Context, []NewDevice) error { return nil }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	defaultTo(&o.MaxReadings, 200_000)
	defaultTo(&o.MaxDelay, 250*time.Millisecond)
	defaultTo(&o.FetchBytes, 8<<20)
	defaultTo(&o.MaxRecordBytes, 16<<20)
	defaultTo(&o.Drain, 8*time.Second)
	defaultTo(&o.CheckEvery, 500*time.Millisecond)
	defaultTo(&o.Settle, 500*time.Millisecond)
	return nil
}

func defaultTo[T int | time.Duration](v *T, otherwise T) {
	if *v == 0 {
		*v = otherwise
	}
}
