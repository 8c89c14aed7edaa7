package api

import (
	"context"
	"html/template"
	"maps"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"belfry/incidents"
)

type versionOut struct {
	Body struct {
		Version string         `json:"version"`
		Tenant  string         `json:"tenant"`
		Name    string         `json:"name" doc:"Whose token came with the request"`
		Role    incidents.Role `json:"role"`
		Site    string         `json:"site,omitempty"`
	}
}

func (a *app) getVersion(ctx context.Context, _ *struct{}) (*versionOut, error) {
	t, out := tokenOf(ctx), &versionOut{}
	out.Body.Version, out.Body.Tenant = a.Version, a.Tenant
	out.Body.Name, out.Body.Role, out.Body.Site = t.Name, t.Role, t.Site
	return out, nil
}

// readyz answers 200 when every part does, else 503 with what fails. The errors
// themselves are for the log: this page needs no token.
func (a *app) readyz(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), 5*time.Second)
	defer cancel()
	parts, ready := fiber.Map{}, true
	if a.Ready != nil {
		for name, err := range a.Ready(ctx) {
			parts[name] = "ok"
			if err != nil {
				parts[name], ready = "failing", false
			}
			a.tellReady(name, err)
		}
	}
	if !ready {
		c.Status(fiber.StatusServiceUnavailable).Set(fiber.HeaderRetryAfter, "5")
	}
	return c.JSON(fiber.Map{"ready": ready, "parts": parts})
}

// tellReady logs what a part answers, when it is not what it answered before:
// the page is asked for every few seconds.
func (a *app) tellReady(part string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if was, _ := a.unready.Swap(part, text); text != "" && was != text {
		a.Log.Warn("not ready", "part", part, "error", text)
	}
}

func (a *app) metrics(c *fiber.Ctx) error {
	if a.Metrics == nil {
		return notFound("path", c.Path())
	}
	return adaptor.HTTPHandler(a.Metrics)(c)
}

// docs is the readable form of /openapi.json. It needs no script and nothing
// from elsewhere.
func (a *app) docs(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	return docsPage.Execute(c, handbook{a.api.OpenAPI(), a.operations(), kinds})
}

// handbook is what the docs page shows.
type handbook struct {
	*huma.OpenAPI
	Operations []*huma.Operation
	Problems   map[string]kind
}

type field struct{ Name, About string }

// Fields lists the members of an object's schema.
func (h handbook) Fields(s *huma.Schema) (out []field) {
	if s != nil && s.Ref != "" {
		s = h.Components.Schemas.SchemaFromRef(s.Ref)
	}
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, field{name, s.Properties[name].Description})
	}
	return out
}

// operations returns every operation, by path and then by method.
func (a *app) operations() []*huma.Operation {
	var out []*huma.Operation
	paths := a.api.OpenAPI().Paths
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		p := paths[path]
		for _, op := range []*huma.Operation{p.Get, p.Post, p.Put, p.Patch, p.Delete} {
			if op != nil {
				out = append(out, op)
			}
		}
	}
	return out
}

// Title and About let the page read a kind of problem.
func (k kind) Title() string { return k.title }

// About says what to do about it.
func (k kind) About() string { return k.about }

// Status is the HTTP status.
func (k kind) Status() int { return k.status }

var docsPage = template.Must(template.New("docs").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{.Info.Title}} API {{.Info.Version}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}
code{font-family:ui-monospace,monospace}summary{cursor:pointer}dt{float:left;clear:left;min-width:11rem;font-family:ui-monospace,monospace}
dd{margin-left:12rem}details{margin:.5rem 0}</style>
<h1>{{.Info.Title}} API {{.Info.Version}}</h1><p>{{.Info.Description}} For machines: <a href="/openapi.json">openapi.json</a>.</p>
{{range .Operations}}<details id="{{.OperationID}}"><summary><code>{{.Method}} {{.Path}}</code> {{.Summary}}</summary>
<p>{{.Description}}</p>{{with .Parameters}}<h4>Parameters</h4><dl>{{range .}}<dt>{{.Name}} ({{.In}})</dt><dd>{{.Description}}&nbsp;</dd>{{end}}</dl>{{end}}
{{with .RequestBody}}<h4>Body</h4><p>{{.Description}}</p>{{range $type, $m := .Content}}<p><code>{{$type}}</code></p>
<dl>{{range $.Fields $m.Schema}}<dt>{{.Name}}</dt><dd>{{.About}}&nbsp;</dd>{{end}}</dl>{{end}}{{end}}
<h4>Answers</h4><dl>{{range $code, $r := .Responses}}<dt>{{$code}}</dt><dd>{{$r.Description}}</dd>{{end}}</dl></details>
{{end}}<h2>Problems</h2><dl>{{range $name, $k := .Problems}}<dt id="{{$name}}">{{$name}} ({{$k.Status}})</dt><dd>{{$k.Title}}. {{$k.About}}</dd>{{end}}</dl></html>`))
