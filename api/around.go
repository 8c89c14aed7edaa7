package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/incidents"
)

const headerRequest = "X-Request-Id"

// Keys of what a request carries.
type (
	requestKey    struct{}
	tokenKey      struct{}
	credentialKey struct{}
	routeKey      struct{}
)

func requestID(ctx context.Context) string { id, _ := ctx.Value(requestKey{}).(string); return id }

func tokenOf(ctx context.Context) incidents.Token {
	t, _ := ctx.Value(tokenKey{}).(incidents.Token)
	return t
}

// actorOf returns who asks, for the core.
func actorOf(ctx context.Context) incidents.Actor {
	return tokenOf(ctx).Actor(requestID(ctx))
}

func newMetrics(reg prometheus.Registerer) *prometheus.HistogramVec {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "belfry_api_request_seconds", Help: "Time to answer a request, by the pattern of its path.",
		Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 10, 60},
	}, []string{"route", "method", "status"})
	if reg != nil {
		reg.MustRegister(seconds)
	}
	return seconds
}

// around is about every request: its id, the headers that are always the same,
// the time it took, and the panic that must not hurt its neighbours.
func (a *app) around(c *fiber.Ctx) error {
	began := time.Now()
	id := c.Get(headerRequest)
	if !plainID(id) {
		id = rand.Text()
	}
	c.Locals(requestKey{}, id)
	c.Set(headerRequest, id)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	if err := a.safely(c); err != nil {
		if err := a.fiberError(c, err); err != nil {
			return err
		}
	}
	a.observe(c, time.Since(began))
	return nil
}

// plainID reports whether an id from outside may go into the log and back.
func plainID(id string) bool {
	return len(id) > 0 && len(id) <= 64 && strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}) < 0
}

func (a *app) safely(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			a.Log.Error("handler panicked", "request", requestOf(c), "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err = newProblem("internal", "something went wrong here; the log has it under this request's id")
		}
	}()
	if _, err := url.ParseRequestURI(string(c.Request().RequestURI())); err != nil {
		return newProblem("bad-request", "the address can't be read")
	}
	return c.Next()
}

func requestOf(c *fiber.Ctx) string { id, _ := c.Locals(requestKey{}).(string); return id }

// observe measures by the pattern of the route; what matches none shares one
// label, for anybody can make up paths.
func (a *app) observe(c *fiber.Ctx, took time.Duration) {
	route, _ := c.Locals(routeKey{}).(string)
	if route == "" {
		switch c.Path() {
		case "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/signin", "/signout":
			route = c.Path()
		default:
			route = "other"
		}
	}
	status := strconv.Itoa(c.Response().StatusCode())
	a.seconds.WithLabelValues(route, c.Method(), status).Observe(took.Seconds())
}

// guard stands before each operation: who asks, may they, not too often, and how
// long may it take. The body is unpacked only for those who may. What changes
// something and what is refused is recorded.
func (a *app) guard(ctx huma.Context, next func(huma.Context)) {
	op, c, began := ctx.Operation(), humafiber.Unwrap(ctx), time.Now()
	c.Locals(routeKey{}, op.Path)
	token, problem := a.admit(ctx)
	var again *repeat
	if problem == nil && a.Answers != nil {
		again, problem = repeatOf(c, op, token)
	}
	if problem != nil {
		if err := problem.send(c); err != nil {
			a.Log.Error("refuse a request", "request", requestOf(c), "error", err)
		}
		a.record(c, op, token, problem.Status)
		return
	}
	status := fiber.StatusInternalServerError // unless the handler comes back
	defer func() { a.record(c, op, token, status) }()
	limited, cancel := context.WithTimeout(ctx.Context(), op.Metadata[metaPatience].(time.Duration))
	defer cancel()
	known := context.WithValue(context.WithValue(limited, tokenKey{}, token), credentialKey{}, shown(c))
	if again == nil {
		next(huma.WithContext(ctx, known))
	} else {
		a.once(known, c, again, func(known context.Context) { next(huma.WithContext(ctx, known)) })
	}
	if err := asCSV(c, op); err != nil {
		panic(err) // our own answer can't be read: as good as a broken handler
	}
	status = c.Response().StatusCode()
	level(limited, token, status, began)
}

// admit returns the token of a request that may go on. The token of one that may
// not is returned too, when it is known.
func (a *app) admit(ctx huma.Context) (incidents.Token, *Problem) {
	op := ctx.Operation()
	token, problem := a.caller(humafiber.Unwrap(ctx))
	if problem != nil {
		return token, problem
	}
	if op.Metadata[metaUnpaced] == nil {
		problem = a.pace(token.ID)
	}
	if problem == nil && !slices.Contains(op.Metadata[metaRoles].([]incidents.Role), token.Role) {
		problem = newProblem("forbidden", "the role %q may not do this", token.Role)
	}
	if write := op.Method != http.MethodGet && op.Metadata[metaReads] != true; problem == nil && !token.Covers(op.Tags[0], write) {
		problem = newProblem("forbidden", "the token's scopes (%s) don't cover this", strings.Join(token.Scopes, ", "))
	}
	if problem == nil {
		problem = unpack(humafiber.Unwrap(ctx), int(op.MaxBodyBytes))
	}
	return token, problem
}

// unpack inflates a compressed body, up to its limit: the framework would do so
// without one.
func unpack(c *fiber.Ctx, limit int) *Problem {
	encoding := strings.ToLower(strings.TrimSpace(c.Get(fiber.HeaderContentEncoding)))
	c.Request().Header.Del(fiber.HeaderContentEncoding)
	switch encoding {
	case "", "identity":
		return nil
	case "gzip":
	default:
		return newProblem("unsupported-media-type", "the content encoding %q; want gzip or none", encoding)
	}
	z, err := gzip.NewReader(bytes.NewReader(c.Request().Body()))
	if err != nil {
		return newProblem("bad-request", "the body is not gzip")
	}
	plain, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil {
		return newProblem("bad-request", "the gzip body is broken")
	}
	if len(plain) > limit {
		return newProblem("too-large", "the body unpacks to more than %d bytes", limit)
	}
	c.Request().SetBodyRaw(plain)
	return nil
}
