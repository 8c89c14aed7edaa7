package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/segmentio/kafka-go"
)

// Record is one reading on its way into the log.
type Record struct {
	Key   []byte    // the device's name; equal keys share a partition, in order
	Value []byte    // the reading as JSON
	Time  time.Time // its arrival; zero: now

	ContentType string // of a value that is no JSON; "": none
}

// IntakeOptions are the settings of an Intake.
type IntakeOptions struct {
	Connection Connection
	Topic      string // it must exist, see EnsureTopic
	Now        func() time.Time
	Log        *slog.Logger          // nil: say nothing
	Registerer prometheus.Registerer // nil: no metrics
}

// Intake writes readings to the log. It is safe for use by several goroutines.
type Intake struct {
	now      func() time.Time
	log      *slog.Logger
	writer   *kafka.Writer
	appended prometheus.Counter
	seconds  prometheus.Histogram
}

// NewIntake checks the options. It does not connect; the first Append does.
func NewIntake(o IntakeOptions) (*Intake, error) {
	if o.Topic == "" || o.Now == nil {
		return nil, errors.New("an intake needs a topic and a clock")
	}
	l, err := o.Connection.open()
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := promauto.With(o.Registerer)
	return &Intake{
		now: o.Now, log: o.Log,
		writer: &kafka.Writer{
			Addr: l.addr(), Transport: l.transport(), Topic: o.Topic, Balancer: balancer,
			RequiredAcks: kafka.RequireAll, Compression: kafka.Lz4,
			// A megabyte is what a broker takes that nobody has configured. Few
			// milliseconds: one reading by HTTP should not wait for company.
			BatchSize: 10_000, BatchBytes: 1_000_000, BatchTimeout: 5 * time.Millisecond,
			MaxAttempts: 3, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout,
		},
		appended: f.NewCounter(prometheus.CounterOpts{Name: "belfry_ingest_appended_total", Help: "Records that the log has acknowledged to the intake."}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{Name: "belfry_ingest_append_seconds",
			Help: "Time until the log acknowledged an append.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
	}, nil
}

// Append writes the records and returns once the log has acknowledged them all,
// on every replica that is in sync. After an error some of them may be in the
// log; appending all of them again harms nothing but is seen as a repetition.
// It does not give up when ctx ends after it has begun, so that the records are
// the caller's again when it returns, whatever it returns; it gives up by
// itself after some failed attempts. Errors wrap ErrUnreachable, ErrCredentials
// or ErrMissingTopic where that is the cause.
func (in *Intake) Append(ctx context.Context, records []Record) error {
	if err := ctx.Err(); err != nil || len(records) == 0 {
		return err
	}
	begin := in.now()
	messages := make([]kafka.Message, len(records))
	for i := range records {
		r := &records[i]
		messages[i] = kafka.Message{Key: r.Key, Value: r.Value, Time: r.Time}
		if r.Time.IsZero() {
			messages[i].Time = begin
		}
		if r.ContentType != "" {
			messages[i].Headers = []kafka.Header{{Key: contentTypeHeader, Value: []byte(r.ContentType)}}
		}
	}
	if err := in.writer.WriteMessages(context.WithoutCancel(ctx), messages...); err != nil {
		err = explain(writeError(err))
		in.log.Warn("append to the log failed", "topic", in.writer.Topic, "records", len(records), "error", err)
		return fmt.Errorf("append %d records to %s: %w", len(records), in.writer.Topic, err)
	}
	in.appended.Add(float64(len(records)))
	in.seconds.Observe(in.now().Sub(begin).Seconds())
	return nil
}

// Close waits for appends under way and closes the connections.
func (in *Intake) Close() error {
	err := in.writer.Close()
	in.writer.Transport.(*kafka.Transport).CloseIdleConnections()
	return err
}
