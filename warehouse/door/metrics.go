package door

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/warehouse/chdb"
)

type metrics struct {
	seconds *prometheus.HistogramVec
	wrong   prometheus.Counter
	running prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "belfry_door_request_seconds",
			Help:    "Time that a statement through the ClickHouse door took, by how it ended: ok, refused, gone (the client went away) or failed.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 13),
		}, []string{"end"}),
		wrong:   prometheus.NewCounter(prometheus.CounterOpts{Name: "belfry_door_wrong_passwords_total", Help: "Requests to the ClickHouse door with a wrong user or password."}),
		running: prometheus.NewGauge(prometheus.GaugeOpts{Name: "belfry_door_statements", Help: "Statements through the ClickHouse door that run or wait for a session."}),
	}
	if r != nil {
		r.MustRegister(m.seconds, m.wrong, m.running)
	}
	return m
}

func (m *metrics) observe(ctx context.Context, err error, took time.Duration) {
	end := "failed"
	var refused *chdb.Error
	switch {
	case err == nil:
		end = "ok"
	case ctx.Err() != nil:
		end = "gone"
	case errors.As(err, &refused):
		end = "refused"
	}
	m.seconds.WithLabelValues(end).Observe(took.Seconds())
}
