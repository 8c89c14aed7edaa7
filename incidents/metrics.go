package incidents

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	opened     *prometheus.CounterVec
	resolved   *prometheus.CounterVec
	suppressed *prometheus.CounterVec
	breaches   *prometheus.CounterVec
	response   prometheus.Histogram
	resolution prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, store Store, log *slog.Logger) *metrics {
	spans := []float64{60, 300, 900, 1800, 3600, 7200, 10800, 14400, 28800, 86400, 172800, 604800}
	m := &metrics{
		opened: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_incidents_opened_total", Help: "Incidents opened.",
		}, []string{"category", "origin"}),
		resolved: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_incidents_resolved_total", Help: "Incidents resolved, by resolution code.",
		}, []string{"code"}),
		suppressed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_incidents_suppressed_total", Help: "Findings held back, by what held them.",
		}, []string{"by"}),
		breaches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_incidents_sla_breaches_total", Help: "Promises that were not kept, by what was promised.",
		}, []string{"metric"}),
		response: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belfry_incidents_first_response_seconds", Help: "Elapsed time from opening to the first human response.", Buckets: spans,
		}),
		resolution: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "belfry_incidents_resolution_seconds", Help: "Elapsed time from opening to resolution.", Buckets: spans,
		}),
	}
	for _, by := range suppressors {
		m.suppressed.WithLabelValues(by)
	}
	for _, metric := range []string{"respond", "resolve", "ola", "uc"} {
		m.breaches.WithLabelValues(metric)
	}
	if reg != nil {
		reg.MustRegister(m.opened, m.resolved, m.suppressed, m.breaches, m.response, m.resolution, &tallies{store, log})
	}
	return m
}

// count is called once for each step, after its transaction was committed.
func (m *metrics) count(steps []Step) {
	for i := range steps {
		s := &steps[i]
		m.countBreaches(s)
		if s.Before.State == Absent {
			m.opened.WithLabelValues(s.After.Category, string(s.After.Origin)).Inc()
		}
		if s.Before.FirstResponse.IsZero() && !s.After.FirstResponse.IsZero() {
			m.response.Observe(s.After.FirstResponse.Sub(s.After.OpenedAt).Seconds())
		}
		if s.Before.State != Resolved && s.After.State == Resolved {
			m.resolved.WithLabelValues(s.After.Resolution.Code).Inc()
			m.resolution.Observe(s.After.ResolvedAt.Sub(s.After.OpenedAt).Seconds())
		}
	}
}

// countBreaches counts the clocks that a step saw passing their targets. The
// clocks of an incident keep their order, and are only added to.
func (m *metrics) countBreaches(s *Step) {
	for i := range s.After.Clocks {
		k := &s.After.Clocks[i]
		if !k.Breached() || i < len(s.Before.Clocks) && s.Before.Clocks[i].Breached() {
			continue
		}
		metric := string(k.Kind)
		if k.Kind == SLA {
			metric = k.Name
		}
		m.breaches.WithLabelValues(metric).Inc()
	}
}

// tallies reads belfry_incidents from the store at each scrape, so that the
// metric is what the store holds, also after a restart.
type tallies struct {
	store Store
	log   *slog.Logger
}

var incidentsDesc = prometheus.NewDesc("belfry_incidents", "Incidents in the store.",
	[]string{"category", "state", "level", "priority"}, nil)

// Describe implements prometheus.Collector.
func (t *tallies) Describe(ch chan<- *prometheus.Desc) { ch <- incidentsDesc }

// Collect implements prometheus.Collector.
func (t *tallies) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	list, err := t.store.Tally(ctx)
	if err != nil {
		t.log.Warn("tally incidents for the metrics", "error", err)
		return
	}
	for _, n := range list {
		ch <- prometheus.MustNewConstMetric(incidentsDesc, prometheus.GaugeValue, float64(n.Count),
			n.Category, string(n.State), strconv.Itoa(n.Level), strconv.Itoa(n.Priority))
	}
}
