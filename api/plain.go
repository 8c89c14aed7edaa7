package api

import (
	"context"
	"time"

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

		Supplier string `json:"supplier,omitempty" doc:"Whose cases alone it sees"`
	}
}

func (a *app) getVersion(ctx context.Context, _ *struct{}) (*versionOut, error) {
	t, out := tokenOf(ctx), &versionOut{}
	out.Body.Version, out.Body.Tenant = a.Version, a.Tenant
	out.Body.Name, out.Body.Role, out.Body.Site = t.Name, t.Role, t.Site
	out.Body.Supplier = t.Supplier
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
