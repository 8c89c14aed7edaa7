package api

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belfry/api/oidc"
	"belfry/incidents"
)

// identities is a small provider of identities: it speaks the whole of the
// authorization code flow with PKCE, and signs with a key of its own.
type identities struct {
	*httptest.Server
	t      *testing.T
	key    *rsa.PrivateKey
	claims map[string]any        // of whoever signs in next
	codes  map[string]url.Values // by code: the request that it was given for
	now    time.Time
}

func newIdentities(t *testing.T) *identities {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &identities{t: t, key: key, codes: map[string]url.Values{}, now: time.Now()}
	mux := http.NewServeMux()
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	answer := func(path string, body func(r *http.Request) (int, any)) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			status, out := body(r)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	answer("/.well-known/openid-configuration", func(*http.Request) (int, any) {
		return 200, object{"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
			"jwks_uri": p.URL + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}}
	})
	answer("/keys", func(*http.Request) (int, any) {
		e := big.NewInt(int64(key.E)).Bytes()
		return 200, object{"keys": []any{object{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k",
			"n": base64.RawURLEncoding.EncodeToString(key.N.Bytes()), "e": base64.RawURLEncoding.EncodeToString(e)}}}
	})
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("response_type") != "code" || q.Get("client_id") != "belfry" || q.Get("code_challenge_method") != "S256" || !strings.Contains(q.Get("scope"), "openid") {
			t.Errorf("asked with %v", q)
		}
		code := rand.Text()
		p.codes[code] = q
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	answer("/token", func(r *http.Request) (int, any) {
		began := p.codes[r.FormValue("code")]
		delete(p.codes, r.FormValue("code"))
		sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
		user, secret, _ := r.BasicAuth()
		if began == nil || began.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			began.Get("redirect_uri") != r.FormValue("redirect_uri") || user != "belfry" || secret != "s3cret" {
			return 400, object{"error": "invalid_grant"}
		}
		p.claims["nonce"] = began.Get("nonce")
		return 200, object{"access_token": "opaque", "token_type": "Bearer", "id_token": p.sign(p.claims)}
	})
	return p
}

// sign writes an ID token with those claims.
func (p *identities) sign(claims map[string]any) string {
	p.t.Helper()
	all := map[string]any{"iss": p.URL, "aud": "belfry", "iat": p.now.Unix(), "exp": p.now.Add(time.Hour).Unix(), "sub": "42"}
	for name, value := range claims {
		all[name] = value
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			p.t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(object{"alg": "RS256", "kid": "k"}) + "." + part(all)
	sum := sha256.Sum256([]byte(text))
	signed, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, sum[:])
	if err != nil {
		p.t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signed)
}

// houseOf is a house whose people sign in with the provider.
func houseOf(t *testing.T, p *identities) *house {
	return newHouse(t, func(parts *Parts) {
		parts.URL = "http://belfry.test"
		parts.Provider = oidc.New(oidc.Config{Issuer: p.URL, Client: "belfry", Secret: "s3cret", Role: "realm_access.roles", Site: "shop", Supplier: "vendor", Tenant: "company", Fallback: "default",
			Roles: map[string]string{"boss": "manager", "helpers": "first_line", "shopkeepers": "site_manager", "things": "device", "suppliers": "third_line"}})
	})
}

// through follows a browser to the provider and back.
func (b *browser) through(t *testing.T, next string) answer {
	t.Helper()
	away := b.ask("GET", "/signin/oidc?next="+url.QueryEscape(next), "")
	if away.StatusCode != 303 {
		t.Fatalf("got %d %s", away.StatusCode, away.text)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(away.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	back := strings.TrimPrefix(resp.Header.Get("Location"), "http://belfry.test")
	return b.ask("GET", back, "", "Sec-Fetch-Site", "cross-site")
}

func TestAPersonSignsInThroughAProvider(t *testing.T) {
	p := newIdentities(t)
	h := houseOf(t, p)
	if page := h.browser().ask("GET", "/signin", ""); !strings.Contains(page.text, "/signin/oidc?next=") {
		t.Errorf("the page offers no provider: %s", page.text)
	}
	p.claims = object{"preferred_username": "anna", "realm_access": object{"roles": []string{"helpers", "boss", "others"}}}
	b := h.browser()
	if got := b.through(t, "/page"); got.StatusCode != 303 || got.Header.Get("Location") != "/page" || b.cookies[cookieFlow] != nil {
		t.Fatalf("got %d %s %s", got.StatusCode, got.Header.Get("Location"), got.text)
	}
	b.ask("GET", "/api/v1/version", "").want(t, 200, `"name":"anna","role":"manager"`)
	h.call("admin", "GET", "/api/v1/audit", "").want(t, 200, `"route":"/signin/callback"`)

	p.claims = object{"email": "rosa@rome.example", "email_verified": true, "shop": []string{"rome"}, "realm_access": object{"roles": "shopkeepers"}}
	b = h.browser()
	b.through(t, "/")
	b.ask("GET", "/api/v1/version", "").want(t, 200, `"name":"rosa@rome.example","role":"site_manager","site":"rome"`)
	b.ask("GET", "/api/v1/incidents/INC-000001", "").want(t, 404, "")
	b.ask("GET", "/api/v1/incidents/INC-000002", "").want(t, 200, "")

	p.claims = object{"preferred_username": "sven", "vendor": "Xovis", "realm_access": object{"roles": "suppliers"}}
	b = h.browser()
	b.through(t, "/")
	b.ask("GET", "/api/v1/version", "").want(t, 200, `"role":"third_line","supplier":"Xovis"`)

	p.claims = object{"preferred_username": "zoe", "company": "other", "realm_access": object{"roles": "boss"}}
	b = h.browser()
	b.through(t, "/")
	b.ask("GET", "/api/v1/version", "").want(t, 401, "")
	if tenant, err := h.control.TenantOf(t.Context(), b.cookies[CookieSession].Value); err != nil || tenant != "other" {
		t.Errorf("zoe's session is of %q, %v", tenant, err)
	}
}

func TestWhomAProviderVouchesForInVain(t *testing.T) {
	p := newIdentities(t)
	h := houseOf(t, p)
	for name, claims := range map[string]object{
		"no role":                   {"preferred_username": "x"},
		"only a device's role":      {"preferred_username": "x", "realm_access": object{"roles": "things"}},
		"a site manager of nowhere": {"preferred_username": "x", "realm_access": object{"roles": "shopkeepers"}},
		"two sites":                 {"preferred_username": "x", "realm_access": object{"roles": "shopkeepers"}, "shop": []string{"a", "b"}},
		"a supplier of no name":     {"preferred_username": "x", "realm_access": object{"roles": "suppliers"}},
		"another client":            {"preferred_username": "x", "realm_access": object{"roles": "boss"}, "aud": "other"},
		"expired":                   {"preferred_username": "x", "realm_access": object{"roles": "boss"}, "exp": p.now.Add(-time.Hour).Unix()},
		"another issuer":            {"preferred_username": "x", "realm_access": object{"roles": "boss"}, "iss": "https://evil.example"},
	} {
		p.claims = claims
		b := h.browser()
		if got := b.through(t, "/"); got.StatusCode != 403 || b.cookies[CookieSession] != nil {
			t.Errorf("%s: got %d, cookies %v", name, got.StatusCode, b.cookies)
		}
		h.token["jwt"] = p.sign(claims)
		h.call("jwt", "GET", "/api/v1/version", "").want(t, 401, "")
	}
}

func TestAFlowIsOfOneBrowserAndUsedOnce(t *testing.T) {
	p := newIdentities(t)
	h := houseOf(t, p)
	p.claims = object{"preferred_username": "anna", "realm_access": object{"roles": "boss"}}
	victim, attacker := h.browser(), h.browser()
	attacker.ask("GET", "/signin/oidc", "")
	if got := victim.ask("GET", "/signin/callback?code=x&state=y", ""); got.StatusCode != 403 {
		t.Errorf("without a flow: %d", got.StatusCode)
	}
	if got := attacker.ask("GET", "/signin/callback?code=x&state=", ""); got.StatusCode != 403 {
		t.Errorf("with another state: %d", got.StatusCode)
	}
	b := h.browser()
	b.ask("GET", "/signin/oidc", "")
	if got := b.ask("GET", "/signin/callback?error=access_denied&state="+flowState(t, b), ""); got.StatusCode != 403 || !strings.Contains(got.text, "access_denied") {
		t.Errorf("refused there: %d %s", got.StatusCode, got.text)
	}
	p.Close()
	fresh := houseOf(t, p)
	if got := fresh.browser().ask("GET", "/signin/oidc", ""); got.StatusCode != 503 {
		t.Errorf("the provider is down: %d", got.StatusCode)
	}
	fresh.token["jwt"] = p.sign(p.claims)
	fresh.call("jwt", "GET", "/api/v1/version", "").want(t, 503, "")
	fresh.call("noc", "GET", "/api/v1/version", "").want(t, 200, "")
}

func flowState(t *testing.T, b *browser) string {
	text, err := base64.RawURLEncoding.DecodeString(b.cookies[cookieFlow].Value)
	var f flow
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.State
}

func TestATokenOfTheProviderIsABearerToken(t *testing.T) {
	p := newIdentities(t)
	h := houseOf(t, p)
	claims := object{"preferred_username": "anna", "realm_access": object{"roles": []string{"helpers"}}}
	h.token["anna"] = p.sign(claims)
	h.call("anna", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, `"assignee":"anna"`)
	h.token["anna"] = h.token["anna"][:len(h.token["anna"])-6] + "AAAAAA"
	h.call("anna", "GET", "/api/v1/version", "").want(t, 401, "")
	if got := incidents.Roles[len(incidents.Roles)-1]; got != incidents.DeviceRole {
		t.Errorf("the configuration lists roles for people without the last, which is %s", got)
	}
}
