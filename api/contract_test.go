package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// TestEveryDocumentedErrorCanBeProvoked brings about each error of each operation.
// 408, 412 and 431 have tests of their own.
func TestEveryDocumentedErrorCanBeProvoked(t *testing.T) {
	h := told(t)
	hook := h.call("admin", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`).json["id"].(string)
	down, slow, busy := *h, *h, waiting{h.parts.Answers, make(chan bool), make(chan bool)}
	parts := h.parts
	parts.Registerer = nil
	parts.Tokens = broken{h.control}
	down.app = New(parts)
	parts.Tokens, parts.Rate = h.parts.Tokens, RateLimit{PerSecond: 1e-9, Burst: 1}
	slow.app = New(parts)
	slow.call("admin", "GET", "/api/v1/version", "")
	parts.Rate, parts.Answers = h.parts.Rate, busy
	held := *h
	held.app = New(parts)
	things := h.things()
	provoked := 0
	h.spec().each(func(method, path string, op *specOperation) {
		real, body := things.Replace(filled(path, hook)), op.example()
		none := strings.NewReplacer("{ref}", "INC-000999", "{name}", "none", "{id}", "none", "{notice}", "999", "{tenant}", "none", "{action}", "999", "{problem}", "PRB-999999", "{announcement}", "none").Replace(path)
		try := func(code string, ask func() answer) {
			if _, documented := op.Responses[code]; !documented {
				return
			}
			provoked++
			got := ask()
			if got.StatusCode == 503 && strings.Contains(got.text, "this process does not") {
				return // a part that this house has not
			}
			if fmt.Sprint(got.StatusCode) != code {
				t.Errorf("%s %s: want %s, got %d %s", method, path, code, got.StatusCode, got.text)
			}
		}
		try("401", func() answer { return h.call("", method, real, body) })
		for _, role := range incidents.Roles {
			if !slices.Contains(op.roles(), string(role)) {
				try("403", func() answer { return h.call(string(role), method, real, body) })
				break
			}
		}
		try("413", func() answer {
			if limit := limitOf(path); limit <= MaxForm {
				var packed bytes.Buffer
				z := gzip.NewWriter(&packed)
				_, _ = z.Write(make([]byte, limit+1))
				_ = z.Close()
				return h.call("admin", method, real, packed.String(), "Content-Encoding", "gzip")
			}
			return h.call("admin", method, real, "").is(413) // tested beside, for its size
		})
		try("415", func() answer { return h.call("admin", method, real, "x", "Content-Encoding", "br") })
		try("422", func() answer { return h.call("admin", method, real+"?no_such_parameter=1", body, "If-Match", "*") })
		try("429", func() answer {
			if strings.HasSuffix(path, "/telemetry") {
				return h.call("", method, real, "").is(429) // of the log, tested beside
			}
			return slow.call("admin", method, real, body)
		})
		try("428", func() answer { return h.call("admin", method, real, body) })
		try("503", func() answer { return down.call("admin", method, real, body) })
		if method == "GET" && !strings.Contains(path, "{tenant}") && path != none {
			query := ""
			if strings.HasSuffix(path, "/readings") {
				query = "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
			}
			try("404", func() answer { return h.call("admin", method, none+query, "") })
		}
		if method == "POST" {
			try("409", func() answer {
				done := make(chan answer, 1)
				go func() { done <- held.call("admin", method, real, body, headerKey, "k") }()
				select {
				case <-busy.begun:
				case got := <-done:
					return got
				}
				got := held.call("admin", method, real, body, headerKey, "k")
				busy.release <- true
				<-done
				return got
			})
		}
	})
	if provoked < 300 {
		t.Errorf("only %d errors were provoked", provoked)
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

// is returns the answer as if it had that status, where another test provokes it.
func (a answer) is(status int) answer {
	a.StatusCode = status
	return a
}
