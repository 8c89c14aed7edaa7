package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
)

// spec is the document as tests read it.
type spec struct {
	Paths map[string]map[string]*specOperation
}

type specOperation struct {
	OperationID, Summary, Description string
	Parameters                        []struct {
		Name, In string
		Required bool
		Example  any
	}
	RequestBody *struct {
		Content map[string]struct{ Example json.RawMessage }
	}
	Responses map[string]struct{ Content map[string]json.RawMessage }
}

// declared are the operations of the document with the statuses that each names.
var declared = sync.OnceValue(func() (all []declaration) {
	h := &house{app: New(Parts{})}
	resp, err := h.app.Test(httptest.NewRequest("GET", "/openapi.json", nil), -1)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var s spec
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		panic(err)
	}
	s.each(func(method, path string, op *specOperation) {
		form := regexp.MustCompile(`\\\{[^}]*\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+")
		all = append(all, declaration{method, path, regexp.MustCompile("^" + form + "$"), op})
	})
	return all
})

type declaration struct {
	method, path string
	form         *regexp.Regexp
	op           *specOperation
}

// documented fails unless the document names that answer to a request. 500 it names
// nowhere.
func (h *house) documented(req *http.Request, status int) {
	h.t.Helper()
	var found *declaration
	for i, d := range declared() {
		if d.method == req.Method && d.form.MatchString(req.URL.EscapedPath()) && (found == nil || d.path == req.URL.Path) {
			found = &declared()[i]
		}
	}
	if found != nil && status != http.StatusInternalServerError && found.op.Responses[strconv.Itoa(status)].Content == nil && status >= 300 {
		h.t.Errorf("%s %s answers %d, which the document does not say", found.method, found.path, status)
	}
}

func (h *house) spec() (s spec) {
	h.t.Helper()
	if err := json.Unmarshal([]byte(h.call("", "GET", "/openapi.json", "").text), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// example returns the body that the document shows; "" when it has none.
func (o *specOperation) example() string {
	if o.RequestBody == nil {
		return ""
	}
	return string(o.RequestBody.Content["application/json"].Example)
}

// filled puts things that the house has into a path.
func filled(path, hook string) string {
	return strings.NewReplacer("webhooks/{id}", "webhooks/"+hook, "sites/{id}", "sites/rome", "{id}", "example",
		"{ref}/transitions", "INC-000001/transitions", "{ref}", "INC-000002", "{name}", "FC-2", "{notice}", "1").Replace(path)
}

// keyOf returns under which id an answer is kept.
func keyOf(h *house, key string, t incidents.Token, path string) (string, *Problem) {
	h.t.Helper()
	f := fiber.New()
	c := f.AcquireCtx(&fasthttp.RequestCtx{})
	defer f.ReleaseCtx(c)
	c.Request().Header.Set(headerKey, key)
	r, problem := repeatOf(c, &huma.Operation{Method: "POST", Path: path}, t)
	if problem != nil {
		return "", problem
	}
	return r.id, nil
}
