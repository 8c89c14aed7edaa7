package api

import (
	"context"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// NewGate returns the app that stands before those of several tenants. It passes
// each request on to the handler that pick returns for what the request
// shows (a token or a session's secret, "" when there is none), and to home when that is nil. It decides nothing: the
// app behind asks for the token again, so a wrong turn grants nobody anything.
func NewGate(home *fiber.App, pick func(ctx context.Context, token string) fasthttp.RequestHandler) *fiber.App {
	config := home.Config() // of the server, and how it refuses what it can't read
	gate := fiber.New(config)
	gate.Server().HeaderReceived = received
	atHome := home.Handler()
	gate.Use(func(c *fiber.Ctx) error {
		handler := pick(c.UserContext(), shownAtGate(c))
		if handler == nil {
			handler = atHome
		}
		handler(c.Context())
		return nil
	})
	return gate
}

// OfTenant begins what a request shows that says its tenant itself, and nothing else.
const OfTenant = "tenant:"

// shownAtGate is what a request shows, or what somebody is about to sign in with.
func shownAtGate(c *fiber.Ctx) string {
	if c.Method() == fiber.MethodPost && c.Path() == "/signin" {
		return strings.TrimSpace(c.FormValue("token"))
	}
	if rest, ok := strings.CutPrefix(c.Path(), PathAnswer); ok {
		tenant, _, _ := strings.Cut(rest, "/")
		return OfTenant + tenant
	}
	return shown(c).text
}
