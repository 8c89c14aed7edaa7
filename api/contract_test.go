package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/incidents/store"
)

// each calls fn for every operation of the document, in order.
func (s spec) each(fn func(method, path string, op *specOperation)) {
	for _, path := range slices.Sorted(maps.Keys(s.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(s.Paths[path])) {
			fn(strings.ToUpper(method), path, s.Paths[path][method])
		}
	}
}

// roles reads who may, from the description.
func (o *specOperation) roles() []string {
	_, list, _ := strings.Cut(o.Description, "Roles: ")
	list, _, _ = strings.Cut(list, ".")
	return strings.Split(list, ", ")
}

func TestEveryOperationDeclaresWhoMayAndWhatCanGoWrong(t *testing.T) {
	h := newHouse(t)
	h.spec().each(func(method, path string, op *specOperation) {
		where := method + " " + path
		if op.Summary == "" || op.OperationID == "" {
			t.Errorf("%s has no summary or no id", where)
		}
		for _, p := range op.Parameters {
			if p.Required && p.Example == nil {
				t.Errorf("%s has no example of %s in the %s", where, p.Name, p.In)
			}
		}
		for _, role := range op.roles() {
			if !incidents.Role(role).Known() {
				t.Errorf("%s declares no right: %q", where, op.Description)
			}
		}
		for code, r := range op.Responses {
			if code < "400" {
				continue
			}
			var media struct{ Schema map[string]string }
			if err := json.Unmarshal(r.Content["application/problem+json"], &media); err != nil || media.Schema["$ref"] != "#/components/schemas/Problem" {
				t.Errorf("%s: %s is no problem document", where, code)
			}
		}
		for _, code := range []string{"401", "403", "422", "429", "503"} {
			if _, ok := op.Responses[code]; !ok {
				t.Errorf("%s does not document %s", where, code)
			}
		}
	})
}

// TestATokenOfAnotherTenantOpensNothing tries every operation.
func TestATokenOfAnotherTenantOpensNothing(t *testing.T) {
	h := newHouse(t)
	_, secret, err := h.control.CreateToken(context.Background(), incidents.Token{Name: "x", Role: incidents.Admin, Tenant: "other"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	h.token["stranger"] = secret
	h.spec().each(func(method, path string, op *specOperation) {
		h.call("stranger", method, filled(path, "wh_x"), op.example(), "If-Match", "*").want(t, 401, "/problems/unauthorized")
	})
}

// hidden are things of paris, with the same of nobody, by the part of a path that
// they stand for.
var hidden = []struct{ path, there, nowhere string }{
	{"/incidents/{ref}", "INC-000001", "INC-000099"}, {"/devices/{name}", "FC-1", "FC-99"}, {"/sites/{id}", "paris", "paros"},
}

// TestATokenOfAnotherSiteLearnsNothing asks, by every operation about one thing and
// in every role, for what another site has and for what nobody has.
func TestATokenOfAnotherSiteLearnsNothing(t *testing.T) {
	h := told(t)
	tried := 0
	for _, role := range incidents.Roles {
		who := "rome's " + string(role)
		h.token[who] = h.makeToken(incidents.Token{Name: who, Role: role, Site: "rome"})
		h.spec().each(func(method, path string, op *specOperation) {
			for _, thing := range hidden {
				if !strings.Contains(path, thing.path) {
					continue
				}
				tried++
				var got []string
				for _, name := range []string{thing.there, thing.nowhere} {
					real := filled(strings.Replace(path, thing.path, thing.path[:strings.Index(thing.path, "{")]+name, 1), "wh_x")
					if strings.HasSuffix(path, "/readings") || strings.HasSuffix(path, "/series") {
						real += "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
					}
					a := h.call(who, method, real, op.example(), "If-Match", `"1"`)
					if a.StatusCode < 400 {
						t.Errorf("%s %s as %s answers %d: %s", method, real, who, a.StatusCode, a.text)
					}
					got = append(got, fmt.Sprint(a.StatusCode, strings.ReplaceAll(a.text, name, "NAME")))
				}
				if got[0] != got[1] {
					t.Errorf("%s %s tells %s what there is:\n%s\n%s", method, path, who, got[0], got[1])
				}
			}
		})
	}
	if tried < 100 {
		t.Errorf("only %d calls were tried", tried)
	}
}

// TestScopesNarrowATokenOnEveryOperation tries each with a token that may only
// read, one that may do what it is about, and one that may do something else.
func TestScopesNarrowATokenOnEveryOperation(t *testing.T) {
	h := newHouse(t)
	token := func(scope string) string {
		who := "scope " + scope
		if h.token[who] == "" {
			h.token[who] = h.makeToken(incidents.Token{Name: "s", Role: incidents.Admin, Scopes: []string{scope}})
		}
		return who
	}
	h.spec().each(func(method, path string, op *specOperation) {
		if strings.HasSuffix(path, "/events") {
			return // a stream without end
		}
		area := strings.Split(path, "/")[3]
		for scope, may := range map[string]bool{"read": method == "GET", area + ":write": true, area + ":read": method == "GET", "elsewhere:write": false} {
			got := h.call(token(scope), method, filled(path, "wh_x"), "{", "If-Match", "*")
			refused := got.StatusCode == 403 && strings.Contains(got.text, "scopes")
			reads := strings.Contains(path, "/rules/") || path == base+"/telemetry" // POSTs that change nothing here
			if refused == may && !(reads && !may) {
				t.Errorf("%s %s with the scope %s answers %d %s", method, path, scope, got.StatusCode, got.text)
			}
		}
	})
	h.call("admin", "POST", "/api/v1/tokens", `{"name":"x","role":"noc","scopes":["Incidents"]}`).want(t, 422, "is no scope")
	made := h.call("admin", "POST", "/api/v1/tokens", `{"name":"x","role":"noc","scopes":["incidents:read"]}`).want(t, 201, `"scopes":["incidents:read"]`)
	h.token["x"] = made.json["secret"].(string)
	h.call("x", "GET", "/api/v1/incidents", "").want(t, 200, "")
	h.call("x", "GET", "/api/v1/devices", "").want(t, 403, "don't cover")
}

// waiting holds answers back until it is told to let go.
type waiting struct {
	Answers
	begun, release chan bool
}

func (w waiting) Together(context.Context, string, func(context.Context) (*incidents.Answer, error)) error {
	w.begun <- true
	<-w.release
	return errors.New("let go")
}

// broken is a door whose keys can't be looked up.
type broken struct{ *store.Control }

func (broken) Authenticate(context.Context, string, time.Time) (incidents.Token, error) {
	return incidents.Token{}, errors.New("disk gone")
}

// panicking is a door that breaks.
type panicking struct{ *store.Control }

func (panicking) Authenticate(context.Context, string, time.Time) (incidents.Token, error) {
	panic("out of order")
}

// occupied is a provider with one tenant, which another process has open.
type (
	occupied struct{ tenants }
	tenants  = Tenants
)

func (occupied) Tenants(context.Context) ([]Tenant, error) {
	return []Tenant{{Name: "acme", State: "at_work"}}, nil
}

func (occupied) DropTenant(context.Context, string, bool, time.Time) error {
	return &incidents.ConflictError{Detail: "it is open elsewhere"}
}

// TestEveryDocumentedErrorCanBeProvoked brings about each error of each operation
// that the document names, and fails on one for which it knows no way.
func TestEveryDocumentedErrorCanBeProvoked(t *testing.T) {
	w := newWays(t)
	provoked, slow := 0, sync.WaitGroup{}
	w.spec().each(func(method, path string, op *specOperation) {
		ways := w.of(method, path, op)
		for code := range op.Responses {
			if code < "400" {
				continue
			}
			provoked++
			try := func() {
				if way := ways[code]; way == nil {
					t.Errorf("%s %s: nothing brings about its %s", method, path, code)
				} else if got := way(); fmt.Sprint(got.StatusCode) != code || !strings.Contains(got.text, `"type":"/problems/`) {
					t.Errorf("%s %s: want %s, got %d %s", method, path, code, got.StatusCode, got.text)
				}
			}
			if code == "408" {
				slow.Go(try)
			} else {
				try()
			}
		}
	})
	slow.Wait()
	if provoked < 1000 {
		t.Errorf("only %d errors were provoked", provoked)
	}
}

// ways are how each error of each operation is brought about, in a house that has
// every part and one of everything.
type ways struct {
	*house
	down, slow, held, mad house // whose tokens can't be read, that has had enough, that does not answer, and that panics
	busy                  waiting
	address               string // of a socket, with little patience
	hook                  string
	things                *strings.Replacer
}

func newWays(t *testing.T) *ways {
	h := told(t)
	h.token["admin"] = h.makeToken(incidents.Token{Name: "admin", Role: incidents.Admin, Provider: true})
	h.token["elsewhere"] = h.makeToken(incidents.Token{Name: "admin", Role: incidents.Admin, Provider: true, Scopes: []string{"elsewhere:read"}})
	parts := &h.parts
	parts.Attachments, parts.Tenants = store.NewAttachments(h.tickets, ""), occupied{}
	parts.Intake = func(context.Context, []byte, time.Time) (int, []BadLine, error) { return 0, nil, ErrBusy }
	parts.Rules = func(context.Context) ([]Rule, error) { return nil, nil }
	parts.RuleHistory = func(context.Context, string) ([]RuleVersion, error) { return nil, incidents.ErrNotFound }
	parts.Backtest = func(context.Context, BacktestQuery) (json.RawMessage, error) { return nil, incidents.ErrNotFound }
	parts.DeadLetter = func(context.Context, string) (DeadLetter, error) { return DeadLetter{}, incidents.ErrNotFound }
	parts.RetryDead = func(context.Context, RetryQuery) (Retried, error) { return Retried{}, incidents.ErrNotFound }
	parts.PutRule = func(_ context.Context, q RuleChange) (Rule, error) {
		switch {
		case q.Match == "":
			return Rule{}, ErrNoMatch
		case q.Drop && q.Name == "none":
			return Rule{}, incidents.ErrNotFound
		}
		return Rule{}, incidents.ErrStale
	}
	w := &ways{house: h, busy: waiting{parts.Answers, make(chan bool), make(chan bool)}}
	with := func(change func(*Parts)) house {
		one, parts := *h, h.parts
		change(&parts)
		one.app = New(parts)
		return one
	}
	*h = with(func(*Parts) {})
	w.down = with(func(p *Parts) { p.Tokens = broken{h.control} })
	w.mad = with(func(p *Parts) { p.Tokens = panicking{h.control} })
	w.slow = with(func(p *Parts) { p.Rate = RateLimit{PerSecond: 1e-9, Burst: 1} })
	w.slow.call("admin", "GET", "/api/v1/version", "")
	w.held = with(func(p *Parts) { p.Answers = w.busy })
	hasty := with(func(*Parts) {})
	hasty.app.Server().ReadTimeout = 100 * time.Millisecond
	w.address = strings.TrimPrefix(hasty.listen(), "http://")
	w.hook = h.call("admin", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`).json["id"].(string)
	w.things = h.things()
	h.call("admin", "POST", "/api/v1/incidents/INC-000002/transitions", `{"transition":"cancel","code":"false_positive","reason":"x"}`).want(t, 200, "")
	h.call("admin", "POST", "/api/v1/announcements/ANN-000001/updates", `{"text":"x"}`).want(t, 200, "published")
	return w
}

func (w *ways) of(method, path string, op *specOperation) map[string]func() answer {
	real, body := w.things.Replace(filled(path, w.hook)), op.example()
	none := strings.NewReplacer("{ref}", "INC-000999", "{name}", "none", "{id}", "none", "{notice}", "999", "{action}", "999",
		"{problem}", "PRB-999999", "{announcement}", "none").Replace(path)
	if strings.HasSuffix(path, "/readings") {
		none += "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
	}
	ask := func(who, path, body string, headers ...string) func() answer {
		return func() answer { return w.call(who, method, path, body, headers...) }
	}
	outsider := "elsewhere"
	for _, role := range incidents.Roles {
		if !slices.Contains(op.roles(), string(role)) {
			outsider = string(role)
		}
	}
	all := map[string]func() answer{
		"400": ask("admin", real, "x", "Content-Encoding", "gzip"),
		"401": ask("", real, body),
		"403": ask(outsider, real, body),
		"404": ask("admin", none, body, "If-Match", "*"),
		"408": w.raw(method + " " + real + " HTTP/1.1\r\nHost: x\r\nX-Slow: "),
		"409": w.conflict(method, path, real, body),
		"412": ask("admin", real, body, "If-Match", `"99"`),
		"413": w.raw(fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", method, real, limitOf(path)+1)),
		"415": ask("admin", real, "x", "Content-Encoding", "br"),
		"422": ask("admin", real+"?no_such_parameter=1", body, "If-Match", "*"),
		"428": ask("admin", real, body),
		"429": func() answer { return w.slow.call("admin", method, real, body) },
		"431": w.raw(method + " " + real + " HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 17<<10) + "\r\n\r\n"),
		"500": func() answer { return w.mad.call("admin", method, real, body) },
		"503": func() answer { return w.down.call("admin", method, real, body) },
	}
	switch method + " " + strings.TrimPrefix(path, base) {
	case "POST /telemetry":
		all["429"] = ask("admin", real, body)
	case "POST /incidents/{ref}/attachments":
		all["404"] = func() answer { return w.attach("admin", none, "x.png", png) }
	}
	return all
}

// conflict returns what stands against an operation.
func (w *ways) conflict(method, path, real, body string) func() answer {
	ask := func(path, body string) func() answer {
		return func() answer { return w.call("admin", method, base+path, body, "If-Match", "*") }
	}
	switch method + " " + strings.TrimPrefix(path, base) {
	case "PATCH /incidents/{ref}":
		return ask("/incidents/INC-000002", `{"assignee":"bob"}`)
	case "PATCH /announcements/{announcement}":
		return ask("/announcements/ANN-000001", `{"text":"y"}`)
	case "DELETE /tenants/{name}":
		return ask("/tenants/acme?confirm=acme", "")
	case "DELETE /calendars/{id}":
		return ask("/calendars/office", "")
	case "DELETE /matrices/{id}":
		return ask("/matrices/default", "")
	case "DELETE /questionnaires/{id}":
		return ask("/questionnaires/offline", "")
	case "DELETE /articles/{id}":
		return ask("/articles/device-offline", "")
	}
	switch method {
	case "POST":
		return func() answer { return w.inFlight(real, body) }
	case "PUT":
		return func() answer { return w.race(path, body) }
	}
	return nil
}

// inFlight sends a request twice under one key, the second time before the first has
// its answer.
func (w *ways) inFlight(path, body string) answer {
	ask := func() answer { return w.held.call("admin", "POST", path, body, headerKey, "k") }
	done := make(chan answer, 1)
	go func() { done <- ask() }()
	select {
	case <-w.busy.begun:
	case got := <-done:
		return got
	}
	got := ask()
	w.busy.release <- true
	<-done
	return got
}

// race lets some make the same new thing, until one of them finds that another was
// quicker.
func (w *ways) race(path, body string) (last answer) {
	for round := range 100 {
		var group sync.WaitGroup
		got := make([]answer, 8)
		for i := range got {
			group.Go(func() {
				got[i] = w.call("admin", "PUT", strings.NewReplacer("{id}", fmt.Sprint("race-", round), "{name}", fmt.Sprint("race-", round)).Replace(path), body)
			})
		}
		group.Wait()
		for _, last = range got {
			if last.StatusCode == 409 {
				return last
			}
		}
	}
	return last
}

// raw sends what an in-process request can't be, and returns what comes back.
func (w *ways) raw(text string) func() answer {
	return func() answer {
		conn, err := net.Dial("tcp", w.address)
		if err != nil {
			return answer{&http.Response{}, err.Error(), nil}
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, text); err != nil {
			return answer{&http.Response{}, err.Error(), nil}
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return answer{&http.Response{}, err.Error(), nil}
		}
		defer resp.Body.Close()
		said, _ := io.ReadAll(resp.Body)
		return answer{resp, string(said), nil}
	}
}

// things makes one of everything that has an example, and returns what paths call it.
func (h *house) things() *strings.Replacer {
	h.t.Helper()
	h.spec().each(func(method, path string, op *specOperation) {
		if method == "PUT" {
			h.call("admin", "PUT", filled(path, ""), op.example())
		}
	})
	pairs := []string{"matrices/example", "matrices/default", "{action}", "1"}
	h.call("admin", "PUT", "/api/v1/matrices/default", h.spec().Paths["/api/v1/matrices/{id}"]["put"].example())
	for _, name := range []string{"problem", "announcement"} {
		path := "/api/v1/" + name + "s"
		made := h.call("admin", "POST", path, h.spec().Paths[path]["post"].example()).want(h.t, 201, "")
		id, _ := made.json["ref"].(string)
		if id == "" {
			id, _ = made.json["id"].(string)
		}
		pairs = append(pairs, "{"+name+"}", id)
	}
	return strings.NewReplacer(pairs...)
}
