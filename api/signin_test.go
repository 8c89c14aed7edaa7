package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
)

// browser is a person's browser: it keeps cookies and says where requests come from.
type browser struct {
	*house
	cookies map[string]*http.Cookie
}

func (h *house) browser() *browser { return &browser{h, map[string]*http.Cookie{}} }

func (b *browser) ask(method, path, form string, headers ...string) answer {
	b.t.Helper()
	for _, c := range b.cookies {
		headers = append(headers, "Cookie", c.Name+"="+c.Value)
	}
	if form != "" && !strings.HasPrefix(form, "{") {
		headers = append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)
	}
	got := b.call("", method, path, form, append([]string{"Sec-Fetch-Site", "same-origin"}, headers...)...)
	for _, c := range got.Cookies() {
		if b.cookies[c.Name] = c; c.Value == "" || !c.Expires.IsZero() && c.Expires.Before(noon) {
			delete(b.cookies, c.Name)
		}
	}
	return got
}

func (b *browser) signIn(secret, next string) answer {
	b.t.Helper()
	return b.ask("POST", "/signin", url.Values{"token": {secret}, "next": {next}}.Encode())
}

func TestABrowserSignsInWithATokenAndOut(t *testing.T) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Now = func() time.Time { return now } })
	b := h.browser()
	got := b.ask("GET", "/signin", "")
	if got.StatusCode != 200 || !strings.Contains(got.text, "Your token") {
		t.Fatalf("got %d %s", got.StatusCode, got.text)
	}
	if got := b.signIn("bf_aaaaaaaa_"+strings.Repeat("a", 40), "/"); got.StatusCode != 401 || !strings.Contains(got.text, "is not known") || len(b.cookies) > 0 {
		t.Errorf("a wrong token: %d, cookies %v", got.StatusCode, b.cookies)
	}
	if got := b.signIn(h.token["device"], "/"); got.StatusCode != 403 || len(b.cookies) > 0 {
		t.Errorf("a device's token: %d", got.StatusCode)
	}
	got = b.signIn(h.token["first_line"], "/incidents?x=1")
	c := b.cookies[CookieSession]
	if got.StatusCode != 303 || got.Header.Get("Location") != "/incidents?x=1" || c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Fatalf("got %d to %s with %v", got.StatusCode, got.Header.Get("Location"), c)
	}
	if strings.Contains(h.token["first_line"], c.Value) {
		t.Error("the cookie is the token")
	}
	b.ask("GET", "/api/v1/version", "").want(t, 200, `"name":"first_line"`)
	b.ask("POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, `"assignee":"first_line"`)
	stolen := *c
	if got := b.ask("POST", "/signout", "x=1"); got.StatusCode != 303 || len(b.cookies) > 0 {
		t.Errorf("signed out: %d, cookies %v", got.StatusCode, b.cookies)
	}
	b.cookies[CookieSession] = &stolen
	b.ask("GET", "/api/v1/version", "").want(t, 401, "/problems/unauthorized")
}

func TestASessionEndsWithItsTimeAndItsToken(t *testing.T) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Now = func() time.Time { return now } })
	long, brief, revoked := h.browser(), h.browser(), h.browser()
	long.signIn(h.token["noc"], "/")
	brief.signIn(h.makeToken(incidents.Token{Name: "brief", Role: incidents.NOC, ExpiresAt: noon.Add(time.Hour)}), "/")
	revoked.signIn(h.token["manager"], "/")
	for _, one := range h.call("admin", "GET", "/api/v1/tokens", "").items() {
		if token := one.(map[string]any); token["name"] == "manager" {
			h.call("admin", "DELETE", "/api/v1/tokens/"+token["id"].(string), "").want(t, 204, "")
		}
	}
	revoked.ask("GET", "/api/v1/version", "").want(t, 401, "")
	now = noon.Add(time.Hour)
	brief.ask("GET", "/api/v1/version", "").want(t, 401, "")
	long.ask("GET", "/api/v1/version", "").want(t, 200, "noc")
	now = noon.Add(sessionLasts)
	long.ask("GET", "/api/v1/version", "").want(t, 401, "")
}

func TestAnotherSitesPageDoesNothingInOnesName(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	b.signIn(h.token["first_line"], "/")
	take := func(headers ...string) answer {
		return b.ask("POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`, headers...)
	}
	take("Sec-Fetch-Site", "cross-site").want(t, 403, "another site")
	take("Sec-Fetch-Site", "", "Origin", "https://evil.example").want(t, 403, "another site")
	b.ask("POST", "/signin", "token=x", "Sec-Fetch-Site", "cross-site").want(t, 403, "")
	b.ask("POST", "/signout", "x=1", "Sec-Fetch-Site", "cross-site").want(t, 403, "")
	take("Sec-Fetch-Site", "", "Origin", "http://belfry.test").want(t, 200, "in_progress")
}

func TestAfterSigningInOneStaysHere(t *testing.T) {
	h := newHouse(t)
	for next, want := range map[string]string{"/page": "/page", "": "/", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", "javascript:x": "/", "/a\r\nb": "/"} {
		if got := h.browser().signIn(h.token["noc"], next).Header.Get("Location"); got != want {
			t.Errorf("next %q goes to %q, want %q", next, got, want)
		}
	}
}

// TestSessionsAreListedAndEnded signs people in, and lets an administrator, one of
// them and those who may not try to see and end that.
func TestSessionsAreListedAndEnded(t *testing.T) {
	h := newHouse(t)
	h.token["admin of rome"] = h.makeToken(incidents.Token{Name: "ar", Role: incidents.Admin, Site: "rome"})
	line, desktop, phone := h.browser(), h.browser(), h.browser()
	line.signIn(h.token["first_line"], "/")
	desktop.signIn(h.token["paris"], "/")
	phone.signIn(h.token["paris"], "/")
	const path = "/api/v1/sessions"
	secret := phone.cookies[CookieSession].Value
	list := h.call("admin", "GET", path, "").want(t, 200, `"role":"first_line"`)
	if len(list.items()) != 3 || strings.Contains(list.text, secret) {
		t.Errorf("an administrator sees %s", list.text)
	}
	var id string
	for _, one := range list.items() {
		if one.(map[string]any)["name"] == "first_line" {
			id = one.(map[string]any)["id"].(string)
		}
	}
	own := phone.ask("GET", path, "").want(t, 200, `"site":"paris"`)
	if len(own.items()) != 2 || strings.Contains(own.text, "first_line") {
		t.Errorf("somebody of paris sees %s", own.text)
	}
	for _, who := range []string{"rome", "manager", "admin of rome"} {
		if got := h.call(who, "GET", path, "").want(t, 200, ""); len(got.items()) != 0 {
			t.Errorf("%s sees %s", who, got.text)
		}
		h.call(who, "DELETE", path+"/"+id, "").want(t, 404, "no session")
	}
	h.call("device", "GET", path, "").want(t, 403, "")
	h.call("admin", "DELETE", path+"/nonsense", "").want(t, 404, "no session")
	h.call("admin", "DELETE", path+"/"+id, "").want(t, 204, "")
	h.call("admin", "DELETE", path+"/"+id, "").want(t, 404, "no session")
	line.ask("GET", "/api/v1/version", "").want(t, 401, "")
	for _, one := range own.items() {
		phone.ask("DELETE", path+"/"+one.(map[string]any)["id"].(string), "")
	}
	phone.ask("GET", "/api/v1/version", "").want(t, 401, "")
	desktop.signIn(h.token["paris"], "/")
	for _, one := range h.call("admin", "GET", "/api/v1/tokens", "").items() {
		if token := one.(map[string]any); token["name"] == "site_manager" {
			h.call("admin", "DELETE", "/api/v1/tokens/"+token["id"].(string), "").want(t, 204, "")
		}
	}
	if list := h.call("admin", "GET", path, ""); len(list.items()) != 0 {
		t.Errorf("after the token's end there is still %s", list.text)
	}
}
