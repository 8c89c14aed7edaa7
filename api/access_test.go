package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"belfry/incidents"
)

func TestTokens(t *testing.T) {
	h := newHouse(t)
	for name, header := range map[string]string{
		"no token": "", "another scheme": "Basic YTpi", "no secret": "Bearer bf_", "an unknown token": "Bearer bf_aaaaaaaa_" + strings.Repeat("a", 40),
		"a wrong secret": "Bearer " + h.token["admin"][:20] + strings.Repeat("a", 32), "nothing after Bearer": "Bearer ",
	} {
		req := httptest.NewRequest("GET", "/api/v1/version", nil)
		req.Header.Set("Authorization", header)
		got := h.do(req).want(t, 401, "/problems/unauthorized")
		if got.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	made := h.call("admin", "POST", "/api/v1/tokens", `{"name":"tina","role":"noc","expires_at":"2026-03-27T13:00:00Z"}`).want(t, 201, "bf_")
	h.token["tina"] = made.json["secret"].(string)
	h.call("tina", "GET", "/api/v1/version", "").want(t, 200, `"name":"tina"`)
	list := h.call("admin", "GET", "/api/v1/tokens", "").want(t, 200, `"last_used":"2026-03-27T12:00:00Z"`)
	if strings.Contains(list.text, "secret") || strings.Contains(list.text, "hash") {
		t.Errorf("the list tells too much: %s", list.text)
	}
	h.call("manager", "GET", "/api/v1/tokens", "").want(t, 403, "/problems/forbidden")
	for range 2 {
		h.call("admin", "DELETE", "/api/v1/tokens/"+made.json["id"].(string), "").want(t, 204, "")
	}
	h.call("tina", "GET", "/api/v1/version", "").want(t, 401, "")
	_, secret, err := h.control.CreateToken(context.Background(), incidents.Token{Name: "x", Role: incidents.Admin, Tenant: "other"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	h.token["stranger"] = secret
	h.call("stranger", "GET", "/api/v1/version", "").want(t, 401, "")
}

func TestATokenExpires(t *testing.T) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Now = func() time.Time { return now } })
	h.token["brief"] = h.makeToken(incidents.Token{Name: "brief", Role: incidents.NOC, ExpiresAt: noon.Add(time.Hour)})
	h.call("brief", "GET", "/api/v1/version", "").want(t, 200, "")
	now = noon.Add(time.Hour)
	h.call("brief", "GET", "/api/v1/version", "").want(t, 401, "")
}

// TestWhatOneMayNotSeeDoesNotExist compares, for a token of rome, the answers
// about what paris has with those about what nobody has.
func TestWhatOneMayNotSeeDoesNotExist(t *testing.T) {
	h := newHouse(t)
	h.token["manager of rome"] = h.makeToken(incidents.Token{Name: "m", Role: incidents.Manager, Site: "rome"})
	tests := []struct{ method, path, body string }{
		{"GET", "/api/v1/incidents/%s", ""},
		{"GET", "/api/v1/incidents/%s/timeline", ""},
		{"GET", "/api/v1/incidents/%s/evidence", ""},
		{"POST", "/api/v1/incidents/%s/comments", `{"text":"x"}`},
		{"POST", "/api/v1/incidents/%s/transitions", `{"transition":"take"}`},
		{"GET", "/api/v1/devices/%s", ""},
		{"PATCH", "/api/v1/devices/%s", `{}`},
		{"GET", "/api/v1/devices/%s/readings?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", ""},
		{"GET", "/api/v1/sites/%s", ""},
		{"PATCH", "/api/v1/sites/%s", `{}`},
		{"POST", "/api/v1/incidents", `{"summary":"x","site":"%s"}`},
		{"POST", "/api/v1/incidents", `{"summary":"x","device":"%s"}`},
		{"PATCH", "/api/v1/devices/FC-2", `{"site":"%s"}`},
		{"GET", "/api/v1/incidents?site=%s", ""},
		{"GET", "/api/v1/devices?site=%s", ""},
	}
	for _, tt := range tests {
		var answers []string
		for _, name := range namesIn(tt.path + tt.body) {
			fill := func(s string) string { return strings.ReplaceAll(s, "%s", name) }
			a := h.call("manager of rome", tt.method, fill(tt.path), fill(tt.body), "If-Match", `"1"`)
			answers = append(answers, fmt.Sprint(a.StatusCode, strings.ReplaceAll(a.text, name, "NAME")))
		}
		if answers[0] != answers[1] {
			t.Errorf("%s %s tells them apart:\n%s\n%s", tt.method, tt.path, answers[0], answers[1])
		}
	}
	for _, path := range []string{"/api/v1/incidents", "/api/v1/devices", "/api/v1/sites"} {
		if got := h.call("rome", "GET", path, ""); len(got.items()) != 1 || strings.Contains(got.text, "paris") {
			t.Errorf("%s shows rome %s", path, got.text)
		}
	}
	h.call("manager of rome", "POST", "/api/v1/devices", `{"name":"FC-1"}`).want(t, 403, "")
	h.call("rome", "POST", "/api/v1/incidents", `{"summary":"no light"}`).want(t, 201, `"site":"rome"`)
}

// namesIn returns a name that paris has and one that nobody has.
func namesIn(request string) []string {
	switch {
	case strings.Contains(request, "/incidents/%s"):
		return []string{"INC-000001", "INC-000099"}
	case strings.Contains(request, "/devices/%s"), strings.Contains(request, `"device":`):
		return []string{"FC-1", "FC-99"}
	}
	return []string{"paris", "paros"}
}

func TestAPanicIsOneAnswerAndOneLogEntry(t *testing.T) {
	h := newHouse(t, func(p *Parts) { p.Rules = func(context.Context) ([]Rule, error) { panic("out of cheese") } })
	got := h.call("noc", "GET", "/api/v1/rules", "", "X-Request-Id", "req-7").want(t, 500, "/problems/internal")
	if got.Header.Get("X-Request-Id") != "req-7" || strings.Contains(got.text, "cheese") {
		t.Errorf("got %s, request %s", got.text, got.Header.Get("X-Request-Id"))
	}
	if n := strings.Count(h.log.String(), "req-7"); n != 1 || !strings.Contains(h.log.String(), "out of cheese") {
		t.Errorf("%d log entries: %s", n, h.log)
	}
	h.call("noc", "GET", "/api/v1/version", "").want(t, 200, "")
}

func TestAnUnknownErrorStaysInTheLog(t *testing.T) {
	h := newHouse(t, func(p *Parts) {
		p.Rules = func(context.Context) ([]Rule, error) { return nil, errors.New("secret path /etc/x") }
	})
	got := h.call("noc", "GET", "/api/v1/rules", "").want(t, 500, "/problems/internal")
	if strings.Contains(got.text, "secret") || !strings.Contains(h.log.String(), "secret path") {
		t.Errorf("outside: %s\ninside: %s", got.text, h.log)
	}
}

func TestBesideTheAPI(t *testing.T) {
	ready := map[string]error{"log": nil, "tickets": errors.New("disk full at /secret")}
	h := newHouse(t, func(p *Parts) { p.Ready = func(context.Context) map[string]error { return ready } })
	h.parts.Metrics = promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{})
	h.parts.Registerer = nil
	h.app = New(h.parts)
	h.call("", "GET", "/healthz", "").want(t, 200, "ok")
	got := h.call("", "GET", "/readyz", "")
	if got.StatusCode != 503 || !strings.Contains(got.text, `"tickets":"failing"`) || strings.Contains(got.text, "secret") {
		t.Errorf("got %d %s", got.StatusCode, got.text)
	}
	ready["tickets"] = nil
	h.call("", "GET", "/readyz", "").want(t, 200, `"ready":true`)
	h.call("", "GET", "/metrics", "").want(t, 200, "belfry_incidents{")
	h.call("", "GET", "/problems/stale", "").want(t, 200, "412")
	h.call("", "GET", "/docs", "").want(t, 200, "/api/v1/incidents/{ref}/transitions")
	h.call("", "GET", "/docs", "").want(t, 200, "-X DELETE &#34;$BELFRY/api/v1/sessions/3bxa6f3y&#34;")
	if page := h.call("", "GET", "/docs", ""); regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(page.text) {
		t.Error("the page fetches something from elsewhere")
	}
	if got := h.call("", "GET", "/healthz", "", "X-Request-Id", "a b;c").Header; got.Get("X-Request-Id") == "" || got.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("got headers %v", got)
	}
}

func TestRequestsAreMeasuredByPattern(t *testing.T) {
	h := newHouse(t)
	h.call("noc", "GET", "/api/v1/incidents/INC-000001", "")
	h.call("noc", "GET", "/api/v1/incidents/INC-999999", "")
	h.call("", "GET", "/api/v1/incidents/INC-000001", "")
	h.call("noc", "GET", "/wp-login.php", "")
	families, err := h.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "belfry_api_request_seconds" {
				labels := ""
				for _, l := range m.Label {
					labels += l.GetValue() + " "
				}
				got = append(got, labels)
			}
		}
	}
	slices.Sort(got)
	want := []string{"GET /api/v1/incidents/{ref} 200 ", "GET /api/v1/incidents/{ref} 401 ", "GET /api/v1/incidents/{ref} 404 ", "GET other 404 "}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEveryOperationAnswersWhatIsDocumented walks the document: as every role,
// with something plausible and with nothing, each operation answers a status
// that it documents, and roles that it does not name are refused.
func TestEveryOperationAnswersWhatIsDocumented(t *testing.T) {
	h := newHouse(t)
	doc, raw := h.document(), h.call("", "GET", "/openapi.json", "")
	for _, ref := range regexp.MustCompile(`"\$ref":"#/components/schemas/(\w+)"`).FindAllStringSubmatch(raw.text, -1) {
		if doc.Components.Schemas[ref[1]] == nil {
			t.Errorf("the document refers to %s, which is not in it", ref[1])
		}
	}
	operations := 0
	for path, item := range doc.Paths {
		for method, op := range item {
			operations++
			h.walk(t, strings.ToUpper(method), path, op)
		}
	}
	if operations < 30 {
		t.Errorf("walked %d operations; routes has more", operations)
	}
}

// document is what the test reads of an OpenAPI document.
type document struct {
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]any `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	Summary, Description string
	Security             []map[string][]string
	Responses            map[string]any
}

func (h *house) document() (doc document) {
	h.t.Helper()
	raw := h.call("", "GET", "/openapi.json", "").want(h.t, 200, `"openapi":"3.1.0"`)
	if err := json.Unmarshal([]byte(raw.text), &doc); err != nil {
		h.t.Fatal(err)
	}
	return doc
}

func (h *house) walk(t *testing.T, method, path string, op operation) {
	if op.Summary == "" || len(op.Security) == 0 {
		t.Errorf("%s %s has no summary or no security", method, path)
	}
	real := strings.NewReplacer("{problem}", "PRB-000001", "{announcement}", "ANN-000001", "{action}", "1", "{ref}", "INC-000001", "{name}", "FC-1", "{id}", "paris").Replace(path)
	for _, role := range incidents.Roles {
		for _, body := range []string{"", "{}", "[]", `{"summary":"x","site":"paris","text":"x","transition":"take"}`} {
			if method == "GET" && body != "" {
				continue
			}
			got := h.call(string(role), method, real, body)
			if op.Responses[fmt.Sprint(got.StatusCode)] == nil || got.StatusCode == 500 {
				t.Errorf("%s %s as %s with %q answers %d, which it does not document: %s", method, path, role, body, got.StatusCode, got.text)
			}
			named := regexp.MustCompile(`\b` + string(role) + `\b`).MatchString(op.Description)
			if !named && got.StatusCode != 403 {
				t.Errorf("%s %s as %s answers %d; want 403", method, path, role, got.StatusCode)
			}
		}
	}
}

// TestOverASocket tries what the in-process test can't: limits before the body
// is read, and broken requests.
func TestOverASocket(t *testing.T) {
	h := newHouse(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.app.Listener(ln) }()
	defer func() {
		if err := errors.Join(h.app.Shutdown(), <-served); err != nil {
			t.Error(err)
		}
	}()
	for name, tt := range map[string]struct{ request, want string }{
		"a body that is announced too large": {"POST /api/v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", "413"},
		"an address that can't be read":      {"GET /api/v1/incidents?q=%zz HTTP/1.1\r\nHost: x\r\n\r\n", "401"},
		"an address with a control byte":     {"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		"no HTTP at all":                     {"hello\r\n\r\n", "400"},
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 4096)
		if _, err := conn.Write([]byte(tt.request)); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _ := conn.Read(answer)
		if first, _, _ := bytes.Cut(answer[:n], []byte("\r\n")); !bytes.Contains(first, []byte(tt.want)) {
			t.Errorf("%s: got %q, want %s", name, first, tt.want)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestTheDocumentOffersTheRolesThatThereAre holds what a token may be made with to
// the roles of the life cycle.
func TestTheDocumentOffersTheRolesThatThereAre(t *testing.T) {
	offered := 0
	for name, s := range newHouse(t).document().Components.Schemas {
		schema, _ := s.(map[string]any)
		members, _ := schema["properties"].(map[string]any)
		role, _ := members["role"].(map[string]any)
		if role["enum"] == nil {
			continue
		}
		offered++
		if got := fmt.Sprint(role["enum"]); got != fmt.Sprint(incidents.Roles) {
			t.Errorf("%s offers the roles %s; there are %v", name, got, incidents.Roles)
		}
	}
	if offered == 0 {
		t.Error("no roles are offered")
	}
}
