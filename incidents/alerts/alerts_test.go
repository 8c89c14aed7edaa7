package alerts

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// desk is what is open, and an Alertmanager that notes what it is told.
type desk struct {
	t     *testing.T
	open  []incidents.Incident
	head  int64
	down  bool
	told  []alert // by the newest call to Tell
	calls int
}

func newDesk(t *testing.T) (*desk, *Sender) {
	d := &desk{t: t}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	s := New(Options{URLs: []string{server.URL + "/"}, Resend: time.Minute, Tenant: "acme", Pages: "https://belfry.example", Now: time.Now,
		Incidents: func(_ context.Context, q incidents.Query) (out []incidents.Incident, _ error) {
			for _, inc := range d.open {
				if inc.Condition == q.Condition && q.Before == "" {
					out = append(out, inc)
				}
			}
			return out, nil
		},
		Head: func(context.Context) (int64, error) { return d.head, nil }})
	return d, s
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var list []alert
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.URL.Path != "/api/v2/alerts" {
		d.t.Errorf("told at %s: %v", r.URL.Path, err)
	}
	if d.calls++; d.down {
		http.Error(w, "out of order", http.StatusServiceUnavailable)
		return
	}
	d.told = append(d.told, list...)
}

// tell lets a change happen and returns what was told of it.
func (d *desk) tell(s *Sender, at time.Time, open ...incidents.Incident) []alert {
	d.t.Helper()
	d.open, d.told = open, nil
	d.head++
	if err := s.Tell(context.Background(), at); (err != nil) != d.down {
		d.t.Fatalf("tell: %v", err)
	}
	return d.told
}

func lost(change ...func(*incidents.Incident)) incidents.Incident {
	inc := incidents.Incident{Ref: "INC-000001", State: incidents.New, Condition: telemetry.Firing, Rule: "suspected-offline", Category: "suspected_offline",
		Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: "FC-1"}, Site: "paris", Device: "FC-1", Priority: 2, Summary: "FC-1 is silent", OpenedAt: noon}
	for _, c := range change {
		c(&inc)
	}
	return inc
}

func TestWhatFiresIsToldAgainUntilItEnds(t *testing.T) {
	d, s := newDesk(t)
	got := d.tell(s, noon, lost())
	if len(got) != 1 || got[0].Labels["alertname"] != "suspected-offline" || got[0].Labels["device"] != "FC-1" || got[0].Labels["tenant"] != "acme" ||
		got[0].Labels["severity"] != "warning" || !got[0].StartsAt.Equal(noon) || !got[0].EndsAt.Equal(noon.Add(4*time.Minute)) ||
		got[0].Annotations["incident"] != "INC-000001" || got[0].GeneratorURL != "https://belfry.example/incidents/INC-000001" {
		t.Errorf("told %+v", got)
	}
	if got := d.tell(s, noon.Add(10*time.Second), lost()); len(got) != 0 {
		t.Errorf("told again after ten seconds: %+v", got)
	}
	if err := s.Tell(context.Background(), noon.Add(61*time.Second)); err != nil || len(d.told) != 1 {
		t.Errorf("told %d alerts after a minute without a change (%v), want the one once more", len(d.told), err)
	}
	unknown := lost(func(inc *incidents.Incident) { inc.Condition = telemetry.Unknown })
	if got := d.tell(s, noon.Add(70*time.Second), unknown); len(got) != 1 || !got[0].EndsAt.After(noon.Add(2*time.Minute)) {
		t.Errorf("lost sight of: told %+v, want that it goes on", got)
	}
	clear := lost(func(inc *incidents.Incident) { inc.Condition = telemetry.Clear })
	end := noon.Add(80 * time.Second)
	if got := d.tell(s, end, clear); len(got) != 1 || !got[0].EndsAt.Equal(end) {
		t.Errorf("cleared: told %+v, want its end", got)
	}
	if got := d.tell(s, end.Add(time.Hour), clear); len(got) != 0 {
		t.Errorf("told of what has ended: %+v", got)
	}
}

func TestWhatNobodyIsToBeTroubledWithIsNotTold(t *testing.T) {
	d, s := newDesk(t)
	for name, change := range map[string]func(*incidents.Incident){
		"held back":                 func(inc *incidents.Incident) { inc.Held = incidents.Held{By: "silence"} },
		"under a site's incident":   func(inc *incidents.Incident) { inc.Parent = "INC-000009" },
		"resolved by force":         func(inc *incidents.Incident) { inc.State = incidents.Resolved },
		"a person's":                func(inc *incidents.Incident) { inc.Rule = "" },
		"from an Alertmanager once": func(inc *incidents.Incident) { inc.Rule = "alertmanager/GatewayDown/c1a5" },
	} {
		if got := d.tell(s, noon, lost(change)); len(got) != 0 {
			t.Errorf("%s: told %+v", name, got)
		}
	}
}

func TestAnEndThatWasNotHeardIsToldLater(t *testing.T) {
	d, s := newDesk(t)
	d.tell(s, noon, lost())
	d.down = true
	d.tell(s, noon.Add(5*time.Second))
	d.down = false
	if got := d.tell(s, noon.Add(6*time.Second)); len(got) != 1 || !got[0].EndsAt.Equal(noon.Add(6*time.Second)) {
		t.Errorf("told %+v, want the end", got)
	}
	calls := d.calls
	if err := s.Tell(context.Background(), noon.Add(7*time.Second)); err != nil || d.calls != calls {
		t.Errorf("called once more without a reason (%v)", err)
	}
}

func TestAnotherPriorityIsAnotherAlert(t *testing.T) {
	d, s := newDesk(t)
	d.tell(s, noon, lost())
	got := d.tell(s, noon.Add(time.Second), lost(func(inc *incidents.Incident) { inc.Priority = 1 }))
	if len(got) != 2 || got[0].Labels["severity"] != "critical" || !got[1].EndsAt.Equal(noon.Add(time.Second)) {
		t.Errorf("told %+v, want one more severe and the end of the other", got)
	}
}
