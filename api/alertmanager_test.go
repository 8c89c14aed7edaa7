package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"belfry/incidents"
	"belfry/telemetry"
)

// alarm is one alert of a notification.
func alarm(status, fingerprint string, from, to time.Time, labels string) string {
	return fmt.Sprintf(`{"status":%q,"fingerprint":%q,"startsAt":%q,"endsAt":%q,"labels":{"alertname":"GatewayDown"%s},"annotations":{"summary":"gateway %s is down"}}`,
		status, fingerprint, from.Format(time.RFC3339), to.Format(time.RFC3339), labels, fingerprint)
}

func notify(alerts ...string) string {
	return `{"version":"4","status":"firing","groupKey":"{}:{}","groupLabels":{"alertname":"GatewayDown"},"somethingNew":1,"alerts":[` + strings.Join(alerts, ",") + `]}`
}

// outsideIncidents lists what came from an Alertmanager, as state and condition
// and occurrences.
func (h *house) outsideIncidents() (list []Incident) {
	h.t.Helper()
	var page Page[Incident]
	if err := json.Unmarshal([]byte(h.call("noc", "GET", "/api/v1/incidents?category=outside_alert", "").text), &page); err != nil {
		h.t.Fatal(err)
	}
	return page.Items
}

func TestAnAlertIsAnIncidentOnceForEachFingerprint(t *testing.T) {
	h := newHouse(t)
	began, never := noon.Add(-time.Hour), time.Time{}
	firing := notify(alarm("firing", "aa", began, never, `,"severity":"critical","site":"paris"`), alarm("firing", "bb", began, never, `,"device":"FC-2","severity":"info"`),
		alarm("firing", "cc", began, never, `,"device":"unknown","site":"nowhere"`))
	for range 3 { // an Alertmanager repeats what goes on
		if got := h.call("noc", "POST", "/api/v1/alertmanager", firing); got.StatusCode != http.StatusOK || got.json["taken"] != 3.0 {
			t.Fatalf("got %d %s", got.StatusCode, got.text)
		}
	}
	list := h.outsideIncidents()
	if len(list) != 3 {
		t.Fatalf("got %d incidents, want one for each fingerprint", len(list))
	}
	for _, inc := range list {
		if inc.Occurrences != 1 || inc.Condition != "firing" || !inc.Since.Equal(began) {
			t.Errorf("got %+v, want one occurrence since the alert began", inc)
		}
	}
	of := map[string]Incident{}
	for _, inc := range list {
		of[inc.Rule[strings.LastIndex(inc.Rule, "/")+1:]] = inc
	}
	if a := of["aa"]; a.Site != "paris" || a.Device != "" || a.Urgency != incidents.Urgency("high") || a.Summary != "gateway aa is down" {
		t.Errorf("the site's: %+v", a)
	}
	if b := of["bb"]; b.Site != "rome" || b.Device != "FC-2" || b.Urgency != incidents.Urgency("low") {
		t.Errorf("the device's: %+v", b)
	}
	if c := of["cc"]; c.Site != "" || c.Device != "" || c.Scope.Level != "tenant" {
		t.Errorf("of something that is not in the registry: %+v", c)
	}
	h.resolveAndRepeat(of["aa"].Ref, began)
}

// resolveAndRepeat lets an alert end, come again late, and fire anew.
func (h *house) resolveAndRepeat(ref string, began time.Time) {
	h.t.Helper()
	ended := noon.Add(-30 * time.Minute)
	for _, step := range []struct {
		name, alert, state, condition string
		occurrences                   float64
	}{
		{"it ends", alarm("resolved", "aa", began, ended, `,"site":"paris"`), "resolved", "clear", 1},
		{"its end is told again", alarm("resolved", "aa", began, ended, `,"site":"paris"`), "resolved", "clear", 1},
		{"its beginning comes late", alarm("firing", "aa", began, time.Time{}, `,"site":"paris"`), "resolved", "clear", 1},
		{"it fires anew", alarm("firing", "aa", ended.Add(time.Minute), time.Time{}, `,"site":"paris"`), "new", "firing", 2},
	} {
		if got := h.call("noc", "POST", "/api/v1/alertmanager", notify(step.alert)); got.StatusCode != http.StatusOK {
			h.t.Fatalf("%s: got %d %s", step.name, got.StatusCode, got.text)
		}
		got := h.call("noc", "GET", "/api/v1/incidents/"+ref, "").json
		if got["state"] != step.state || got["condition"] != step.condition || got["occurrences"] != step.occurrences {
			h.t.Errorf("%s: got %v, %v, %v occurrences; want %s, %s, %v", step.name, got["state"], got["condition"], got["occurrences"], step.state, step.condition, step.occurrences)
		}
	}
}

func TestAGroupOfAlertsIsOneIncidentWhenAskedFor(t *testing.T) {
	h := newHouse(t)
	began, never := noon.Add(-time.Hour), time.Time{}
	const path = "/api/v1/alertmanager?by=group"
	one, two := alarm("firing", "aa", began, never, `,"site":"paris"`), alarm("firing", "bb", began.Add(time.Minute), never, `,"site":"rome"`)
	for _, body := range []string{notify(one), notify(one, two), notify(one, two), notify(alarm("resolved", "aa", began, noon, `,"site":"paris"`), two)} {
		if got := h.call("noc", "POST", path, body); got.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", got.StatusCode, got.text)
		}
	}
	list := h.outsideIncidents()
	if len(list) != 1 || list[0].Condition != "firing" {
		t.Fatalf("got %+v, want one that fires while one alert does", list)
	}
	end := notify(alarm("resolved", "aa", began, noon, `,"site":"paris"`), alarm("resolved", "bb", began, noon.Add(time.Minute), `,"site":"rome"`))
	if h.call("noc", "POST", path, end); h.outsideIncidents()[0].Condition != "clear" {
		t.Errorf("when all have ended: %+v", h.outsideIncidents()[0])
	}
}

func TestBadNotificationsAreRefusedAndGoodAlertsBesideBadOnesAreTaken(t *testing.T) {
	h := newHouse(t)
	good := alarm("firing", "aa", noon, time.Time{}, "")
	got := h.call("noc", "POST", "/api/v1/alertmanager", notify(good, `{"status":"firing","startsAt":"2026-03-27T11:00:00Z"}`, alarm("firing", "zz", noon.AddDate(1, 0, 0), time.Time{}, "")))
	if got.StatusCode != http.StatusOK || got.json["taken"] != 1.0 || strings.Count(got.text, `"why"`) != 2 {
		t.Errorf("one good of three: got %d %s", got.StatusCode, got.text)
	}
	for body, want := range map[string]int{`{`: 400, `{}`: 422, `{"alerts":[{"labels":{}}]}`: 422, notify(alarm("maybe", "aa", noon, noon, "")): 422} {
		if got := h.call("noc", "POST", "/api/v1/alertmanager", body); got.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", body, got.StatusCode, got.text, want)
		}
	}
	for who, want := range map[string]int{"": 401, "device": 403, "paris": 403, "third_line": 403, "manager": 200} {
		if got := h.call(who, "POST", "/api/v1/alertmanager", notify(good)); got.StatusCode != want {
			t.Errorf("%q: got %d, want %d", who, got.StatusCode, want)
		}
	}
	h.token["narrow"] = h.makeToken(incidents.Token{Name: "narrow", Role: incidents.NOC, Site: "paris"})
	if got := h.call("narrow", "POST", "/api/v1/alertmanager", notify(alarm("firing", "dd", noon, time.Time{}, `,"device":"FC-2"`))); got.StatusCode != 422 {
		t.Errorf("a token of Paris tells of Rome: got %d %s", got.StatusCode, got.text)
	}
}

// noRegistry is one without sites and devices.
type noRegistry struct{ Registry }

func (noRegistry) Site(context.Context, string) (incidents.SiteRow, error) {
	return incidents.SiteRow{}, incidents.ErrNotFound
}

func (noRegistry) Device(context.Context, string) (incidents.DeviceRow, error) {
	return incidents.DeviceRow{}, incidents.ErrNotFound
}

// FuzzNotification holds that whatever comes is refused or makes a finding whose
// texts fit.
func FuzzNotification(f *testing.F) {
	f.Add(notify(alarm("firing", "aa", noon, time.Time{}, `,"site":"paris"`)))
	f.Add(notify(alarm("resolved", "bb", noon, noon.Add(time.Hour), `,"device":"FC-1","severity":"page"`)))
	f.Add(`{"alerts":[{"status":"firing","startsAt":"2026-03-27T11:00:00+14:00","labels":{"alertname":"\u0000\ud800"}}]}`)
	a := &app{Parts: Parts{Registry: noRegistry{}, Now: func() time.Time { return noon }}}
	f.Fuzz(func(t *testing.T, body string) {
		var n notification
		if json.Unmarshal([]byte(body), &n) != nil {
			return
		}
		var findings []telemetry.Finding
		for _, alert := range n.Alerts {
			if finding, err := a.findingOf(context.Background(), alert); err == nil {
				findings = append(findings, finding)
			}
		}
		if len(findings) > 0 {
			all, err := a.grouped(context.Background(), n, findings)
			if err != nil {
				t.Errorf("%q: %v", body, err)
			}
			findings = append(findings, all)
		}
		for _, x := range findings {
			text := x.Rule + x.Summary + x.Category
			if len(x.Summary) > 300 || len(x.Rule) > 200 || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) || x.At.Year() < 2000 {
				t.Errorf("%q makes %+v", body, x)
			}
		}
	})
}
