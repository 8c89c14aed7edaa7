// Package alerts tells Alertmanagers of what belfry's rules have found, so that the
// people whom an Alertmanager wakes hear of devices too.
//
// What is told is what is open and fires: all of it again and again, as Prometheus
// does, and that it has ended once it has. An alert that is not told of any more
// ends by itself a few rounds later, so a belfry that starts anew has nothing to
// remember. While a condition is unknown its alert stays: not to hear of a device
// is no sign that it is well.
//
// The package decides nothing: what is held back, or stands under another
// incident, is not told, and neither is what came from an Alertmanager.
package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/incidents"
	"belfry/telemetry"
)

// Options say whom to tell, and of what. Incidents, Head and Now are needed.
type Options struct {
	URLs           []string // of Alertmanagers; each is told
	User, Password string   // of all of them; "" asks for none
	Resend         time.Duration
	Tenant         string
	Pages          string // where belfry's pages are, for links; "" leaves them out
	// Incidents returns a page of incidents, and Head how far all timelines are:
	// while it stays, nothing has changed.
	Incidents  func(ctx context.Context, q incidents.Query) ([]incidents.Incident, error)
	Head       func(ctx context.Context) (int64, error)
	Now        func() time.Time
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // may be nil
}

// How often things happen, and how much is sent at once.
const (
	look    = time.Second
	patient = 10 * time.Second // with an Alertmanager's answer
	rounds  = 4                // that an alert outlives without being told of again
	atOnce  = 500
)

// Sender tells Alertmanagers.
type Sender struct {
	Options
	client *http.Client
	sent   *prometheus.CounterVec
	told   map[string]alert // what fires, as it was last told; by its labels
	head   int64
	last   time.Time // when all was last told
}

// alert is an alert as an Alertmanager's API (version 2) takes it.
type alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// New returns a sender. It starts nothing.
func New(o Options) *Sender {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Resend == 0 {
		o.Resend = time.Minute
	}
	s := &Sender{Options: o, client: &http.Client{Timeout: patient}, told: map[string]alert{}, sent: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_alerts_sent_total", Help: "Alerts sent to Alertmanagers, by whether they took them.",
	}, []string{"outcome"})}
	for _, outcome := range []string{"taken", "failed"} {
		s.sent.WithLabelValues(outcome)
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(s.sent)
	}
	return s
}

// Run tells of what changes, within a second or two, until the context ends.
func (s *Sender) Run(ctx context.Context) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	failing := false
	for {
		err := s.Tell(ctx, s.Now())
		if err != nil && ctx.Err() == nil && !failing { // once, not each second
			s.Log.Warn("an Alertmanager was not told; it is tried again", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tell tells of what fires at that time, when something has changed or it is time
// to tell it again. After an error all of it is told again.
func (s *Sender) Tell(ctx context.Context, at time.Time) error {
	head, err := s.Head(ctx)
	if err != nil {
		return fmt.Errorf("look for changes: %w", err)
	}
	if head == s.head && at.Sub(s.last) < s.Resend {
		return nil
	}
	now, err := s.firing(ctx, at)
	if err != nil {
		return err
	}
	var list []alert
	for key, a := range now {
		if old, known := s.told[key]; !known || at.Sub(s.last) >= s.Resend || !maps.Equal(a.Annotations, old.Annotations) {
			list = append(list, a)
		}
	}
	for key, a := range s.told {
		if _, still := now[key]; !still {
			a.EndsAt = at
			list = append(list, a)
		}
	}
	if err := s.send(ctx, list); err != nil {
		s.last = time.Time{} // all of it, next time; what has ended stays in told until then
		return err
	}
	if at.Sub(s.last) >= s.Resend {
		s.last = at
	}
	s.told, s.head = now, head
	return nil
}

// firing returns what is open and fires, as alerts. What has ended is not even read:
// much of it fired to its end.
func (s *Sender) firing(ctx context.Context, at time.Time) (map[string]alert, error) {
	out := map[string]alert{}
	for _, state := range incidents.States {
		for _, condition := range []telemetry.Condition{telemetry.Firing, telemetry.Unknown} {
			for q := (incidents.Query{State: state, Condition: condition, Limit: atOnce}); !state.Ended(); {
				page, err := s.Incidents(ctx, q)
				if err != nil {
					return nil, fmt.Errorf("list what fires: %w", err)
				}
				for i := range page {
					if tells(&page[i]) {
						a := s.alertOf(&page[i], at)
						out[key(a.Labels)] = a
					}
				}
				if len(page) < atOnce {
					break
				}
				q.Before = page[len(page)-1].Ref
			}
		}
	}
	return out, nil
}

// fromOutside is what the rules of findings that came from an Alertmanager begin with.
const fromOutside = "alertmanager/"

func tells(inc *incidents.Incident) bool {
	return !inc.State.Ended() && inc.Parent == "" && inc.Held.By == "" && inc.Rule != "" && !strings.HasPrefix(inc.Rule, fromOutside)
}

func key(labels map[string]string) string {
	text, err := json.Marshal(labels) // in the order of their names
	if err != nil {
		panic(err) // strings can be written
	}
	return string(text)
}

// severities are what rules for an Alertmanager write, by priority.
var severities = map[int]string{1: "critical", 2: "warning", 3: "warning", 4: "info"}

// alertOf makes an alert of an incident. Its labels are what it is about; what
// changes while it lasts stands in annotations.
func (s *Sender) alertOf(inc *incidents.Incident, at time.Time) alert {
	a := alert{StartsAt: inc.OpenedAt, EndsAt: at.Add(rounds * s.Resend),
		Labels: map[string]string{"alertname": inc.Rule, "source": "belfry", "tenant": s.Tenant, "scope": string(inc.Scope.Level), "category": inc.Category,
			"severity": severities[inc.Priority], "priority": strconv.Itoa(inc.Priority), "site": inc.Site, "device": inc.Device},
		Annotations: map[string]string{"summary": inc.Summary, "incident": inc.Ref, "state": string(inc.State), "assignee": inc.Assignee, "condition": string(inc.Condition)}}
	if inc.Scope.Level == telemetry.LevelGroup {
		a.Labels["group"] = inc.Scope.Name
	}
	if inc.RolledUp {
		a.Labels["scope"] = string(telemetry.LevelSite)
		delete(a.Labels, "device")
	}
	for _, m := range []map[string]string{a.Labels, a.Annotations} {
		for name, value := range m {
			if value == "" {
				delete(m, name)
			}
		}
	}
	if s.Pages != "" {
		a.GeneratorURL = s.Pages + "/incidents/" + inc.Ref
	}
	return a
}

// send tells every Alertmanager. What one did not take is an error, after the
// others were told.
func (s *Sender) send(ctx context.Context, list []alert) error {
	var errs []error
	for len(list) > 0 {
		some := list[:min(len(list), atOnce)]
		list = list[len(some):]
		text, err := json.Marshal(some)
		if err != nil {
			return fmt.Errorf("write alerts: %w", err)
		}
		for _, url := range s.URLs {
			outcome := "taken"
			if err := s.post(ctx, url, text); err != nil {
				errs, outcome = append(errs, err), "failed"
			}
			s.sent.WithLabelValues(outcome).Add(float64(len(some)))
		}
	}
	return errors.Join(errs...)
}

func (s *Sender) post(ctx context.Context, url string, text []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/api/v2/alerts", bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("tell the Alertmanager at %s: %w", url, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if s.User != "" {
		req.SetBasicAuth(s.User, s.Password)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("tell the Alertmanager at %s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		why, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("tell the Alertmanager at %s: %s: %s", url, resp.Status, bytes.TrimSpace(why))
	}
	return nil
}
