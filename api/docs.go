package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
)

// docs is the readable form of /openapi.json. It needs no script and nothing
// from elsewhere.
func (a *app) docs(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return docsPage.Execute(c, handbook{a.api.OpenAPI(), a.areas(), kinds})
}

//go:embed docs.html
var docsText string

var docsPage = template.Must(template.New("docs").Parse(docsText))

// handbook is what the docs page shows.
type handbook struct {
	*huma.OpenAPI
	Areas    []area
	Problems map[string]kind
}

// area is what the API offers about one thing, such as incidents.
type area struct {
	Name       string
	Operations []*huma.Operation
}

// areas returns every operation, by path and then by method.
func (a *app) areas() (out []area) {
	paths := a.api.OpenAPI().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		p := paths[path]
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if op == nil {
				continue
			}
			if len(out) == 0 || out[len(out)-1].Name != op.Tags[0] {
				out = append(out, area{Name: op.Tags[0]})
			}
			last := &out[len(out)-1]
			last.Operations = append(last.Operations, op)
		}
	}
	return out
}

type field struct {
	Name, Form, About string
	Needed            bool
}

// Fields lists the members of an object's schema.
func (h handbook) Fields(s *huma.Schema) (out []field) {
	s = h.schema(s)
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		out = append(out, field{name, h.Form(p), p.Description, slices.Contains(s.Required, name)})
	}
	return out
}

func (h handbook) schema(s *huma.Schema) *huma.Schema {
	if s != nil && s.Ref != "" {
		return h.Components.Schemas.SchemaFromRef(s.Ref)
	}
	return s
}

// Form says in words what a value looks like.
func (h handbook) Form(s *huma.Schema) string {
	if s = h.schema(s); s == nil {
		return ""
	}
	if len(s.Enum) > 0 {
		var names []string
		for _, one := range s.Enum {
			names = append(names, fmt.Sprint(one))
		}
		return "one of " + strings.Join(names, ", ")
	}
	text := s.Type
	switch {
	case s.Type == huma.TypeArray:
		text = "list of " + strings.TrimPrefix(h.Form(s.Items), "one of ")
	case s.Format == "date-time":
		text = "time"
	}
	if s.Minimum != nil && s.Maximum != nil {
		text += fmt.Sprintf(", %.16g to %.16g", *s.Minimum, *s.Maximum)
	}
	if s.MaxLength != nil {
		text += fmt.Sprintf(", at most %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		text += fmt.Sprintf(", at most %d", *s.MaxItems)
	}
	if s.Default != nil {
		text += fmt.Sprintf(", else %v", s.Default)
	}
	return text
}

// Curl writes an operation's example as a command.
func (h handbook) Curl(op *huma.Operation) string {
	path, query := op.Path, url.Values{}
	for _, p := range op.Parameters {
		text := fmt.Sprint(p.Example)
		switch {
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(text), 1)
		case p.In == "query" && p.Required:
			query.Set(p.Name, text)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	lines := []string{`curl -H "Authorization: Bearer $TOKEN"`}
	if op.Method != http.MethodGet {
		lines[0] += " -X " + op.Method
	}
	if op.Responses[strconv.Itoa(http.StatusPreconditionRequired)] != nil && op.Method != http.MethodPut {
		lines = append(lines, `-H 'If-Match: "3"'`)
	}
	if op.RequestBody != nil {
		media, text := op.RequestBody.Content[fiber.MIMEApplicationJSON], []byte(nil)
		if media != nil {
			text, _ = json.Marshal(media.Example) // ours
		}
		if media != nil && media.Example != nil {
			lines = append(lines, "-H 'Content-Type: application/json'", "-d '"+strings.ReplaceAll(string(text), "'", `'\''`)+"'")
		} else {
			lines = append(lines, "--data-binary @FILE")
		}
	}
	lines = append(lines, `"$BELFRY`+path+`"`)
	if len(lines) == 2 {
		return strings.Join(lines, " ")
	}
	return strings.Join(lines, " \\\n  ")
}

// said is what an operation may answer.
type said struct{ Code, About string }

// Well lists the answers of an operation when all is well.
func (h handbook) Well(op *huma.Operation) (out []said) {
	for _, code := range slices.Sorted(maps.Keys(op.Responses)) {
		if code < "400" {
			out = append(out, said{code, op.Responses[code].Description})
		}
	}
	return out
}

// Wrong lists the statuses of an operation when something is not.
func (h handbook) Wrong(op *huma.Operation) (out []string) {
	for _, code := range slices.Sorted(maps.Keys(op.Responses)) {
		if code >= "400" {
			out = append(out, code)
		}
	}
	return out
}

// problem is a kind of problem with its name.
type problem struct {
	Name, Title, About string
	Status             int
}

// Kinds lists the kinds of problems by status.
func (h handbook) Kinds() (out []problem) {
	for _, name := range slices.Sorted(maps.Keys(h.Problems)) {
		k := h.Problems[name]
		out = append(out, problem{name, k.title, k.about, k.status})
	}
	slices.SortStableFunc(out, func(a, b problem) int { return a.Status - b.Status })
	return out
}
