package api

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
	"belfry/telemetry"
)

// mostAlerts is how many alerts of one notification are looked at.
const mostAlerts = 5000

var notificationBody = &huma.RequestBody{
	Description: "What an Alertmanager sends to a webhook (version 4); members that are not known here are ignored.",
	Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Type: "object"}, Example: object{
		"version": "4", "status": "firing", "groupKey": `{}:{alertname="GatewayDown"}`, "alerts": []any{object{
			"status": "firing", "fingerprint": "c1a5f0d3e2b49687", "startsAt": "2026-03-27T11:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
			"labels":      object{"alertname": "GatewayDown", "severity": "critical", "site": "paris"},
			"annotations": object{"summary": "the gateway of Paris does not answer"}}}}}},
}

// notification is what an Alertmanager tells.
type notification struct {
	Status            string            `json:"status"`
	GroupKey          string            `json:"groupKey"`
	GroupLabels       map[string]string `json:"groupLabels"` // the same as long as there is the group
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	Alerts            []alert           `json:"alerts"`
	Truncated         int               `json:"truncatedAlerts"`
}

type alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

type notificationIn struct {
	By      string `query:"by" enum:"alert,group" default:"alert" doc:"One incident for each alert, by its fingerprint, or one for all of a group"`
	RawBody []byte
}

type notifiedOut struct{ Body Notified }

// Notified is the answer to a notification.
type Notified struct {
	Taken   int            `json:"taken" doc:"How many alerts are known now; those known before count too, belfry's own do not"`
	Refused []RefusedAlert `json:"refused,omitempty"`
}

// RefusedAlert is an alert that made no incident.
type RefusedAlert struct {
	Alert string `json:"alert" doc:"Its place in the list, from 0, and its name"`
	Why   string `json:"why"`
}

// postAlerts turns a notification into findings. An alert that is told of again is
// the same finding again, and does nothing: its time is that of its beginning or
// its end, not that of the call.
func (a *app) postAlerts(ctx context.Context, in *notificationIn) (*notifiedOut, error) {
	var n notification
	if err := json.Unmarshal(in.RawBody, &n); err != nil {
		return nil, newProblem("bad-request", "the body is no notification of an Alertmanager: %v", err)
	}
	if len(n.Alerts) == 0 || len(n.Alerts) > mostAlerts {
		return nil, oneFault("alerts", fmt.Sprintf("there are %d; want 1 to %d", len(n.Alerts), mostAlerts))
	}
	if n.Truncated > 0 {
		a.Log.Warn("an Alertmanager has left alerts out; set max_alerts of its webhook to 0", "request", requestID(ctx), "alerts", n.Truncated)
	}
	var out notifiedOut
	var findings []telemetry.Finding
	for i, alert := range n.Alerts {
		if alert.Labels["source"] == "belfry" && alert.Labels["tenant"] == a.Tenant {
			continue // belfry told of it: it has its incident
		}
		f, err := a.findingOf(ctx, alert)
		var invalid *incidents.InvalidError
		if errors.As(err, &invalid) {
			out.Body.Refused = append(out.Body.Refused, RefusedAlert{fmt.Sprintf("%d %s", i, cut(alert.Labels["alertname"], 128)), invalid.Error()})
			continue
		}
		if err != nil {
			return nil, err
		}
		findings = append(findings, f)
	}
	out.Body.Taken = len(findings)
	switch {
	case len(findings) == 0 && len(out.Body.Refused) > 0:
		return nil, oneFault("alerts", "none can be used; the first: "+out.Body.Refused[0].Why)
	case len(findings) == 0:
		return &out, nil
	}
	if in.By == "group" {
		f, err := a.grouped(ctx, n, findings)
		if err != nil {
			return nil, err
		}
		findings = []telemetry.Finding{f}
	}
	// In the order in which things happened, as everywhere.
	slices.SortStableFunc(findings, func(x, y telemetry.Finding) int { return x.At.Compare(y.At) })
	return &out, a.Desk.Receive(ctx, findings)
}

// outside is what the rules of findings from elsewhere begin with.
const outside = "alertmanager/"

// findingOf reads one alert. Its rule holds the fingerprint: two alerts about one
// device that differ in another label are two things to see to.
func (a *app) findingOf(ctx context.Context, al alert) (f telemetry.Finding, err error) {
	name, at, condition := al.Labels["alertname"], al.StartsAt, telemetry.Firing
	if al.Status == "resolved" {
		at, condition = al.EndsAt, telemetry.Clear
	}
	switch {
	case name == "":
		return f, oneFault("labels", "there is no alertname")
	case al.Status != "firing" && al.Status != "resolved":
		return f, oneFault("status", "is neither firing nor resolved")
	case at.Year() < 2000 || at.After(a.Now().Add(24*time.Hour)):
		return f, oneFault("startsAt, endsAt", "the time of the change is before 2000 or ahead of us")
	}
	scope, site, err := a.scopeOf(ctx, al.Labels)
	if err != nil {
		return f, err
	}
	return telemetry.Finding{
		Rule: outside + cut(name, 100) + "/" + fingerprint(al), Scope: scope, Site: site, Condition: condition, At: at.UTC(), Since: al.StartsAt.UTC(),
		Category: cmp.Or(cut(al.Labels["category"], 128), "outside_alert"), Impact: impactOf(scope), Urgency: urgencyOf(al.Labels["severity"]),
		Summary:  cut(cmp.Or(al.Annotations["summary"], al.Annotations["description"], name+" "+labelText(al.Labels)), 300),
		Evidence: []telemetry.Evidence{{At: al.StartsAt.UTC(), What: cut(name+" "+labelText(al.Labels), 500), Note: cut(strings.TrimSpace(al.Annotations["description"]+" "+al.GeneratorURL), 1000)}},
	}, nil
}

// scopeOf returns what an alert is about: the device or the site that its labels
// name, where the registry has them, or else the whole tenant. A token of one site
// tells of that site alone.
func (a *app) scopeOf(ctx context.Context, labels map[string]string) (scope telemetry.Scope, site string, err error) {
	scope, only := telemetry.Scope{Level: telemetry.LevelTenant}, tokenOf(ctx).Site
	if name := labels["device"]; name != "" {
		row, err := a.Registry.Device(ctx, name)
		if err != nil && !errors.Is(err, incidents.ErrNotFound) {
			return scope, "", err
		}
		if err == nil {
			scope, site = telemetry.Scope{Level: telemetry.LevelDevice, Name: row.Name}, row.Site
		}
	}
	if name := cmp.Or(labels["site"], only); site == "" && name != "" {
		row, err := a.Registry.Site(ctx, name)
		if err != nil && !errors.Is(err, incidents.ErrNotFound) {
			return scope, "", err
		}
		if err == nil {
			scope, site = telemetry.Scope{Level: telemetry.LevelSite, Name: row.ID}, row.ID
		}
	}
	if only != "" && site != only {
		return scope, "", oneFault("labels", "name a device or site that the token does not see")
	}
	return scope, site, nil
}

// grouped makes one finding of a group's: it fires while one of them does. What it
// is about comes from the labels that make the group, for they stay.
func (a *app) grouped(ctx context.Context, n notification, findings []telemetry.Finding) (f telemetry.Finding, err error) {
	f = findings[0]
	if f.Scope, f.Site, err = a.scopeOf(ctx, n.GroupLabels); err != nil {
		return f, err
	}
	sum := sha256.Sum256([]byte(n.GroupKey))
	f.Rule = outside + cut(cmp.Or(n.GroupLabels["alertname"], "group"), 100) + "/" + hex.EncodeToString(sum[:8])
	f.Impact, f.Condition, f.Evidence = impactOf(f.Scope), telemetry.Clear, nil
	firing, newest := 0, map[telemetry.Condition]time.Time{}
	for _, x := range findings {
		if x.At.After(newest[x.Condition]) {
			newest[x.Condition] = x.At
		}
		if x.Condition == telemetry.Firing {
			firing, f.Condition = firing+1, telemetry.Firing
		}
		if x.Since.Before(f.Since) {
			f.Since = x.Since
		}
		f.Evidence = append(f.Evidence, x.Evidence...)
	}
	f.At = newest[f.Condition]
	f.Evidence = f.Evidence[:min(len(f.Evidence), 100)]
	f.Summary = cut(cmp.Or(n.CommonAnnotations["summary"], fmt.Sprintf("%d alerts: %s", max(firing, 1), f.Summary)), 300)
	return f, nil
}

// impactOf is how far what is wrong with a scope reaches.
func impactOf(s telemetry.Scope) string {
	switch s.Level {
	case telemetry.LevelDevice:
		return "device"
	case telemetry.LevelSite:
		return "site"
	}
	return "client"
}

// fingerprint is the Alertmanager's, or one made of the labels.
func fingerprint(al alert) string {
	if plainID(al.Fingerprint) {
		return al.Fingerprint
	}
	sum := sha256.Sum256([]byte(labelText(al.Labels)))
	return hex.EncodeToString(sum[:8])
}

func labelText(labels map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "alertname" {
			parts = append(parts, name+"="+labels[name])
		}
	}
	return strings.Join(parts, " ")
}

// urgencyOf reads the label severity as most rules write it.
func urgencyOf(severity string) string {
	switch strings.ToLower(severity) {
	case "critical", "page", "error", "high":
		return "high"
	case "info", "none", "low", "debug":
		return "low"
	}
	return "medium"
}

// cut shortens a text to so many bytes, and leaves out what is no text.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text), "")
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
