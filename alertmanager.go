package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"belfry/incidents/alerts"
)

// AlertmanagerConfig says which Alertmanagers are told of what fires.
type AlertmanagerConfig struct {
	URLs     []string      `yaml:"urls"` // http://127.0.0.1:9093; none: nobody is told
	User     string        `yaml:"user"` // basic authentication
	Password string        `yaml:"password"`
	Resend   time.Duration `yaml:"resend"` // how often what fires is told again
}

// openAlerts makes what tells Alertmanagers; nil when nobody is to be told.
func (w *watch) openAlerts(context.Context) error {
	c := w.config.Alertmanager
	if len(c.URLs) == 0 || w.analyzer == nil || w.options.private {
		return nil
	}
	w.alerts = alerts.New(alerts.Options{URLs: c.URLs, User: c.User, Password: c.Password, Resend: c.Resend, Tenant: w.tenant, Pages: strings.TrimSuffix(w.config.URL, "/"),
		Incidents: w.tickets.Incidents, Head: w.tickets.LastEvent, Now: time.Now, Log: w.log, Registerer: w.metrics})
	return nil
}

// check returns what is wrong with the addresses.
func (c AlertmanagerConfig) check() error {
	for _, text := range c.URLs {
		if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("alertmanager.urls: %q is no address; want one such as http://127.0.0.1:9093", text)
		}
	}
	if c.Resend < time.Second {
		return fmt.Errorf("alertmanager.resend: %s is too often; want a second or more", c.Resend)
	}
	return nil
}
