package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Record is one reading on its way into the log.
type Record struct {
	Key   []byte    // the device's name; equal keys share a partition, in order
	Value []byte    // the reading as JSON
	Time  time.Time // its arrival; zero: now

	ContentType string // of a value that is no JSON; "": none
}

// millis returns the record's arrival, in milliseconds since 1970.
func (r *Record) millis(now int64) int64 {
	if r.Time.IsZero() {
		return now
	}
	return r.Time.UnixMilli()
}

// size is about what the record takes in the log.
func (r *Record) size() int { return len(r.Key) + len(r.Value) + len(r.ContentType) + 32 }

// IntakeOptions are the settings of an Intake.
type IntakeOptions struct {
	Connection Connection
	Topic      string // it must exist, see EnsureTopic
	MaxPending int    // bytes that wait for the log, beyond which Append refuses: 64 MiB
	MaxBehind  int    // records that wait for the warehouse, beyond which Backfill refuses: 200,000

	Behind func() int64 // how many wait for the warehouse, see Status.Behind; nil: nobody knows

	Now        func() time.Time
	Log        *slog.Logger          // nil: say nothing
	Registerer prometheus.Registerer // nil: no metrics
}

// Intake writes readings to the log. It is safe for use by several goroutines.
type Intake struct {
	now      func() time.Time
	log      *slog.Logger
	topic    string
	appender *appender
	appended prometheus.Counter
	seconds  prometheus.Histogram
	refused  prometheus.Counter
	rejected *prometheus.CounterVec // by reason

	limit   int64
	pending atomic.Int64 // bytes of appends under way

	behind    func() int64
	maxBehind int64
}

// ErrBusy says that the log, or what carries it on, is behind with what it was
// given already: nothing was appended, and it makes sense to wait before the next
// attempt.
var ErrBusy = errors.New("the log is behind")

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
	if o.Behind == nil {
		o.Behind = func() int64 { return 0 }
	}
	defaultTo(&o.MaxPending, 64<<20)
	defaultTo(&o.MaxBehind, 200_000)
	f := promauto.With(o.Registerer)
	return &Intake{
		now: o.Now, log: o.Log, limit: int64(o.MaxPending), behind: o.Behind, maxBehind: int64(o.MaxBehind),
		topic: o.Topic, appender: newAppender(l, o.Topic), rejected: newRejected(o.Registerer),
		appended: f.NewCounter(prometheus.CounterOpts{Name: "belfry_ingest_appended_total", Help: "Records that the log has acknowledged to the intake."}),
		refused:  f.NewCounter(prometheus.CounterOpts{Name: "belfry_ingest_busy_total", Help: "Appends that were refused because the log, or for old readings the warehouse, was behind."}),
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
// or ErrMissingTopic where that is the cause, and ErrBusy when more waits for
// the log than MaxPending; a single append may be larger than that.
func (in *Intake) Append(ctx context.Context, records []Record) error {
	if err := ctx.Err(); err != nil || len(records) == 0 {
		return err
	}
	size := int64(0)
	for i := range records {
		size += int64(len(records[i].Key) + len(records[i].Value))
	}
	defer in.pending.Add(-size)
	if all := in.pending.Add(size); all > in.limit && all > size {
		in.refused.Inc()
		return fmt.Errorf("append %d records to %s: %w: %d bytes wait already", len(records), in.topic, ErrBusy, all-size)
	}
	begin := in.now()
	if err := in.appender.append(context.WithoutCancel(ctx), records, begin.UnixMilli()); err != nil {
		err = explain(err)
		in.log.Warn("append to the log failed", "topic", in.topic, "records", len(records), "error", err)
		return fmt.Errorf("append %d records to %s: %w", len(records), in.topic, err)
	}
	in.appended.Add(float64(len(records)))
	in.seconds.Observe(in.now().Sub(begin).Seconds())
	return nil
}

// Backfill is Append for readings that devices have kept for long. It refuses them
// with ErrBusy while more records than MaxBehind wait for the warehouse, so that
// what is live has few of them before it, however much there is to send.
func (in *Intake) Backfill(ctx context.Context, records []Record) error {
	if n := in.behind(); n > in.maxBehind {
		in.refused.Inc()
		return fmt.Errorf("append %d records to %s: %w: %d wait for the warehouse", len(records), in.topic, ErrBusy, n)
	}
	return in.Append(ctx, records)
}

// Refused counts, by their reasons, objects whose sender is told that they were refused.
func (in *Intake) Refused(lines []BadLine) {
	for _, l := range lines {
		in.rejected.WithLabelValues(l.Reason).Inc()
	}
}

// Close closes the connections. No append may be under way.
func (in *Intake) Close() error {
	in.appender.close()
	return nil
}
