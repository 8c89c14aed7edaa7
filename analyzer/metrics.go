package analyzer

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the analyzer's numbers about itself.
type metrics struct {
	seconds *prometheus.HistogramVec
	scopes  *prometheus.GaugeVec
	done    *prometheus.GaugeVec
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
		done: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "belfry_analyzer_evaluated_timestamp_seconds", Help: "The instant up to which a rule has been evaluated, all that was due until then.",
		}, []string{"rule"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_analyzer_rule_errors_total", Help: "Evaluations of a rule that failed.",
		}, []string{"rule"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.seconds, m.scopes, m.done, m.errors} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register the analyzer's metrics: %w", err)
		}
	}
	return m, nil
}

// report sets the gauges of scopes by condition, and of how far each rule is. Who
// holds no part of the fleet evaluates nothing, and says nothing of it.
func (a *Analyzer) report() {
	idle := a.portion.held != nil && !slices.Contains(a.portion.held, true)
	a.metrics.done.Reset()
	for _, b := range a.bounds {
		if done := a.progress.Rules[b.rule.Name]; !done.IsZero() && !idle {
			a.metrics.done.WithLabelValues(b.rule.Name).Set(float64(done.UnixMilli()) / 1000)
		}
		for i, condition := range [...]string{"clear", "firing", "unknown"} {
			a.metrics.scopes.WithLabelValues(b.rule.Name, condition).Set(float64(b.told[i]))
		}
	}
}
