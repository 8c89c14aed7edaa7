package ingest

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics are what a Consumer shows to Prometheus.
type metrics struct {
	readings   *prometheus.CounterVec // by kind
	rejected   *prometheus.CounterVec // by reason
	retries    *prometheus.CounterVec // by step
	lagRecords *prometheus.GaugeVec   // by partition

	partitionLag  *prometheus.GaugeVec // by partition
	paused        prometheus.Gauge
	lagSeconds    prometheus.Gauge
	connected     prometheus.Gauge
	partitions    prometheus.Gauge
	batchSeconds  prometheus.Histogram
	batchReadings prometheus.Histogram
	latency       prometheus.Histogram
	fetchedBytes  prometheus.Counter
	records       prometheus.Counter
	generations   prometheus.Counter
	newDevices    prometheus.Counter
	offsetResets  prometheus.Counter
}

// The steps of the way of a batch, as labels of retries.
const (
	stepGroup       = "group"
	stepFetch       = "fetch"
	stepRegister    = "register"
	stepInsert      = "insert"
	stepDeadLetters = "dead_letters"
	stepCommit      = "commit"
	stepLag         = "lag"
)

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "belfry_ingest_" + name, Help: help})
	}
	counters := func(name, label, help string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "belfry_ingest_" + name, Help: help}, []string{label})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: "belfry_ingest_" + name, Help: help})
	}
	m := &metrics{
		readings: counters("readings_total", "kind", "Readings written to the warehouse, repeats included."),
		rejected: newRejected(r),
		retries:  counters("retries_total", "step", "Failed attempts that were made again."),
		lagRecords: f.NewGaugeVec(prometheus.GaugeOpts{Name: "belfry_ingest_lag_records",
			Help: "Records of the log that this process has to write and has not yet written."}, []string{"partition"}),
		partitionLag: f.NewGaugeVec(prometheus.GaugeOpts{Name: "belfry_ingest_partition_lag_seconds",
			Help: "How far the warehouse is behind the log in a partition of this process; 0 when it is not."}, []string{"partition"}),
		paused:     gauge("paused", "Partitions of the topic that are paused."),
		lagSeconds: gauge("lag_seconds", "How far the warehouse is behind the log, over all partitions; 0 when it is not."),
		connected:  gauge("connected", "1 while the last look at the log succeeded."),
		partitions: gauge("partitions", "Partitions assigned to this process."),
		batchSeconds: f.NewHistogram(prometheus.HistogramOpts{Name: "belfry_ingest_batch_seconds",
			Help: "Time that the warehouse took for a batch.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 12)}),
		batchReadings: f.NewHistogram(prometheus.HistogramOpts{Name: "belfry_ingest_batch_readings",
			Help: "Readings in a batch.", Buckets: prometheus.ExponentialBuckets(1, 4, 10)}),
		latency: f.NewHistogram(prometheus.HistogramOpts{Name: "belfry_ingest_latency_seconds",
			Help: "From the arrival of a batch's first record in the log until the batch can be queried.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 16)}),
		fetchedBytes: counter("fetched_bytes_total", "Bytes read from the log, compressed as they come."),
		records:      counter("records_total", "Records read from the log and done with."),
		generations:  counter("generations_total", "Generations of the consumer group that this process was part of."),
		newDevices:   counter("new_devices_total", "Devices met for the first time by this process."),
		offsetResets: counter("offset_resets_total", "Times that a committed offset was no longer in the log: records may be lost."),
	}
	for _, kind := range []string{"count", "heartbeat"} {
		m.readings.WithLabelValues(kind)
	}
	return m
}

// newRejected returns the counter of what is refused, which a Consumer and an Intake
// of one registry share.
func newRejected(r prometheus.Registerer) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_ingest_rejected_total",
		Help: "Objects and records refused: those of the log became dead letters, of those sent by HTTP the sender was told."}, []string{"reason"})
	if r != nil {
		var already prometheus.AlreadyRegisteredError
		if err := r.Register(c); errors.As(err, &already) {
			c = already.ExistingCollector.(*prometheus.CounterVec)
		} else if err != nil {
			panic(err) // as promauto does
		}
	}
	for _, reason := range Reasons {
		c.WithLabelValues(reason)
	}
	return c
}

func label(partition int) string { return strconv.Itoa(partition) }
