package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
)

// resolved lets somebody resolve INC-000001, and returns a link about it for a person.
func (h *house) resolved(solver, name string) string {
	h.t.Helper()
	h.call(solver, "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(h.t, 200, "")
	h.call(solver, "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"resolve","code":"fixed","cause":"power","summary":"plugged in <again>","item":"FC-1","force":true,"reason":"seen"}`).want(h.t, 200, "")
	return h.link(name, h.parts.Now())
}

func (h *house) link(name string, at time.Time) string {
	h.t.Helper()
	secret, err := h.tickets.CreateLink(context.Background(), incidents.Link{Ref: "INC-000001", Name: name, Language: "fr", CreatedAt: at, ExpiresAt: at.Add(incidents.LinkLasts)})
	if err != nil {
		h.t.Fatal(err)
	}
	return PathAnswer + "default/" + secret
}

func (h *house) form(path, form string) answer {
	return h.call("", "POST", path, form, "Content-Type", "application/x-www-form-urlencoded")
}

func TestALinkApprovesOnceWithoutSigningIn(t *testing.T) {
	h := newHouse(t)
	path := h.resolved("first_line", "rosa")
	other := h.link("rosa", noon)
	for range 2 { // mail programs look at links; looking uses nothing up
		page := h.call("", "GET", path, "")
		if page.StatusCode != 200 || !strings.Contains(page.text, "Oui, clôturer") || !strings.Contains(page.text, "plugged in &lt;again&gt;") ||
			!strings.Contains(page.Header.Get("Content-Security-Policy"), "form-action 'self'") {
			t.Fatalf("got %d %s", page.StatusCode, page.text)
		}
	}
	if got := h.form(path, "answer=approve&points=5&text=merci"); got.StatusCode != 200 || !strings.Contains(got.text, "Merci") {
		t.Fatalf("got %d %s", got.StatusCode, got.text)
	}
	h.call("admin", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"state":"closed"`).want(t, 200, `"points":5,"text":"merci","by":"rosa"`)
	h.call("admin", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, `"source":"link"`)
	for _, used := range []string{path, other} {
		if got := h.form(used, "answer=reject&text=x"); got.StatusCode != 404 || !strings.Contains(got.text, "déjà servi") {
			t.Errorf("a second time: %d %s", got.StatusCode, got.text)
		}
	}
	h.call("admin", "GET", "/api/v1/audit?name=rosa", "").want(t, 200, `"route":"/answer/"`)
}

func TestALinkRejectsWithAReasonAndIsNotUsedUpWithoutOne(t *testing.T) {
	h := newHouse(t)
	path := h.resolved("first_line", "rosa")
	if got := h.form(path, "answer=reject&text="); got.StatusCode != 422 || !strings.Contains(got.text, "ne va toujours pas") {
		t.Errorf("without a reason: %d %s", got.StatusCode, got.text)
	}
	if got := h.form(path, "answer=reject&text=still+dark"); got.StatusCode != 200 {
		t.Errorf("got %d %s", got.StatusCode, got.text)
	}
	h.call("admin", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"state":"in_progress"`).want(t, 200, `"reopened":1`)
}

func TestALinkIsNotForTheSolverNorForEverNorForOthers(t *testing.T) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Now = func() time.Time { return now } })
	own := h.resolved("first_line", "first_line")
	rosas := h.link("rosa", noon)
	for name, path := range map[string]string{"the solver's": own, "another tenant's": strings.Replace(rosas, "default", "other", 1),
		"nobody's": PathAnswer + "default/" + strings.Repeat("a", 40)} {
		if got := h.form(path, "answer=approve"); got.StatusCode != 404 {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.text)
		}
	}
	now = now.Add(incidents.LinkLasts)
	if got := h.form(rosas, "answer=approve"); got.StatusCode != 404 {
		t.Errorf("too old: %d", got.StatusCode)
	}
	h.call("admin", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"state":"resolved"`)
}
