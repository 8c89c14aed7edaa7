package analyzer

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the analyzer's numbers about itself.
type metrics struct {
	seconds *prometheus.HistogramVec
	scopes  *prometheus.GaugeVec
	errors  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "belfry_analyzer_evaluation_seconds", Help: "Time to evaluate a rule over its scopes at one instant, without its scans.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"rule"}),
		scopes: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "belfry_analyzer_scopes", Help: "Scopes in service, by rule and condition.",
		}, []string{"rule", "condition"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_analyzer_rule_errors_total", Help: "Evaluations of a rule that failed.",
		}, []string{"rule"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.seconds, m.scopes, m.errors} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register the analyzer's metrics: %w", err)
		}
	}
	return m, nil
}

// report sets the gauges of scopes by condition.
func (a *Analyzer) report() {
	for _, b := range a.bounds {
		for i, condition := range [...]string{"clear", "firing", "unknown"} {
			a.metrics.scopes.WithLabelValues(b.rule.Name, condition).Set(float64(b.told[i]))
		}
	}
}
