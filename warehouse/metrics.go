package warehouse

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds   *prometheus.HistogramVec
	refreshed prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_warehouse_query_seconds",
			Help:    "Time that the warehouse took for a statement, by its name.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"query"}),
		refreshed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_warehouse_aggregates_refreshed_total",
			Help: "Hours of a 64th of the devices that were made anew from their readings.",
		}),
	}
}

func (m *metrics) time(name string, start time.Time) {
	m.seconds.WithLabelValues(name).Observe(time.Since(start).Seconds())
}
