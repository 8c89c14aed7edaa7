package warehouse

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds *prometheus.HistogramVec
}

func newMetrics() *metrics {
	return &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_warehouse_query_seconds",
			Help:    "Time that the warehouse took for a statement, by its name.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"query"}),
	}
}

func (m *metrics) time(name string, start time.Time) {
	m.seconds.WithLabelValues(name).Observe(time.Since(start).Seconds())
}

// size reports how much room a database takes, when it is asked.
type size struct{ w *Warehouse }

var sizeDesc = prometheus.NewDesc("belfry_warehouse_bytes", "Bytes on disk of the warehouse's tables, by table.", []string{"table"}, nil)

// Describe implements prometheus.Collector.
func (s size) Describe(ch chan<- *prometheus.Desc) { ch <- sizeDesc }

// Collect implements prometheus.Collector.
func (s size) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := s.w.Query(ctx, "size", "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = '{db}' GROUP BY table ORDER BY table", "TSV", nil)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(sizeDesc, err)
		return
	}
	for line := range bytes.Lines(out) {
		var table string
		var n float64
		if _, err := fmt.Sscanf(string(line), "%s\t%g", &table, &n); err != nil {
			ch <- prometheus.NewInvalidMetric(sizeDesc, fmt.Errorf("read the size %q: %w", line, err))
			continue
		}
		ch <- prometheus.MustNewConstMetric(sizeDesc, prometheus.GaugeValue, n, table)
	}
}
