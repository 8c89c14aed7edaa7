package warehouse

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	seconds *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_warehouse_query_seconds",
			Help:    "Time that the warehouse took for a statement, by its name.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
		}, []string{"query"}),
	}
	if r != nil {
		r.MustRegister(m.seconds)
	}
	return m
}

func (m *metrics) time(name string, start time.Time) {
	m.seconds.WithLabelValues(name).Observe(time.Since(start).Seconds())
}
