// Package api is belfry's HTTP door: it reads requests, asks the parts that it is
// given, and writes what they answer.
//
// It decides who may do what (the rights beside each route) and nothing else.
// What a caller may not see answers exactly like what does not exist. Errors
// become statuses in one place (problem.go); what is not known there is a 500
// with a plain sentence outside and the whole chain in the log.
//
// The OpenAPI document at /openapi.json is generated from the handlers' types, so
// that it can't drift from them. The package opens no listener: New returns a
// fiber app, which its owner serves on a socket or in memory.
package api

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"belfry/incidents"
)

// Limits of request bodies, in bytes, before and after decompression.
const (
	MaxBody      = 1 << 20
	MaxTelemetry = 32 << 20
	MaxImport    = 256 << 20
)

const base = "/api/v1"

// app is the API under construction and at work.
type app struct {
	Parts
	api             huma.API
	seconds         *prometheus.HistogramVec
	streams         *streams
	paces, refusals *buckets // by token
	zones           zones
	recorded        atomic.Int64 // audit records so far
	flying          sync.Map     // ids of repeatable requests that are being answered
	unready         sync.Map     // part to the error that it was last seen with, "" for none
}

// New returns the API over its parts. It starts nothing and listens nowhere.
func New(parts Parts) *fiber.App {
	if parts.Log == nil {
		parts.Log = slog.New(slog.DiscardHandler)
	}
	if parts.Now == nil {
		parts.Now = time.Now
	}
	a := &app{Parts: parts, seconds: newMetrics(parts.Registerer), streams: newStreams(parts.Feed, parts.Live),
		paces: newBuckets(parts.Rate), refusals: newBuckets(refusals)}
	f := fiber.New(fiber.Config{
		AppName: "belfry", DisableStartupMessage: true, StrictRouting: true, CaseSensitive: true,
		DisablePreParseMultipartForm: true, // forms are read by whoever wants one, within its limits
		Immutable:                    true, // what a request said outlives it on timelines
		BodyLimit:                    MaxImport,
		ReadBufferSize:               16 << 10,         // of a request line with headers: room for every parameter at its longest
		ReadTimeout:                  10 * time.Second, // for the headers; received gives more for the body
		WriteTimeout:                 2 * time.Minute,
		IdleTimeout:                  2 * time.Minute,
		ErrorHandler:                 a.fiberError,
	})
	f.Server().HeaderReceived = received
	f.Use(a.around)
	a.api = humafiber.New(f, a.config())
	a.api.UseMiddleware(a.guard)
	a.routes()
	a.plain(f)
	a.signing(f)
	a.answering(f)
	return f
}

func (a *app) config() huma.Config {
	c := huma.DefaultConfig("belfry", a.Version)
	c.Info.Description = "Telemetry in, incidents out: the API of belfry, which watches fleets of people-counting devices."
	c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", nil // no assets from elsewhere, no $schema members
	c.RejectUnknownQueryParameters = true
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":   {Type: "http", Scheme: "bearer", Description: "A token of the form bf_<id>_<secret>, from POST /api/v1/tokens."},
		"session": {Type: "apiKey", In: "cookie", Name: CookieSession, Description: "Of who is signed in with a browser, at /signin."},
	}
	return c
}

// received lets only the routes that need it receive large bodies, and gives a
// slow client its time for them. It is asked when the headers are in, before the
// body is read. A method that the framework does not know, which it would answer by
// itself, becomes one that no path has.
func received(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if !slices.Contains(fiber.DefaultMethods, string(h.Method())) {
		h.SetMethod(fiber.MethodTrace)
	}
	return fasthttp.RequestConfig{MaxRequestBodySize: limitOf(string(h.RequestURI())), ReadTimeout: 2 * time.Minute}
}

// limitOf returns the limit of a request's address, with or without a host.
func limitOf(uri string) int {
	path, _, _ := strings.Cut(uri, "?")
	switch _, path, _ = strings.Cut(path, base); path {
	case "/telemetry":
		return MaxTelemetry
	case "/devices/import":
		return MaxImport
	}
	if strings.HasPrefix(path, "/incidents/") && strings.HasSuffix(path, "/attachments") {
		return MaxForm
	}
	return MaxBody
}

// routes is the whole API: method, path, who may ask, what it does.
func (a *app) routes() {
	route(a, "POST", "/telemetry", senders, "Send readings", a.postTelemetry,
		status(202), fails(400, 413, 415), body(telemetryBody), reads(), unpaced())
	route(a, "GET", "/ingest", operators, "How far ingestion is, by partition", a.getIngest)
	route(a, "POST", "/ingest/pause", operators, "Pause ingestion", a.pauseIngest)
	route(a, "POST", "/ingest/resume", operators, "Let ingestion go on", a.resumeIngest)
	route(a, "GET", "/ingest/dead", operators, "Records that were refused", a.listDead)
	route(a, "GET", "/ingest/dead/{id}", operators, "One refused record", a.getDead, fails(404))
	route(a, "POST", "/ingest/dead/retry", operators, "Send refused records again", a.retryDead, fails(404), patience(10*time.Minute))

	route(a, "GET", "/sites", viewers, "List sites", a.listSites)
	route(a, "POST", "/sites", managers, "Make a site", a.postSite, status(201), fails(409))
	route(a, "GET", "/sites/{id}", viewers, "One site", a.getSite, fails(404))
	route(a, "PATCH", "/sites/{id}", managers, "Change a site", a.patchSite, fails(404, 412, 428))
	route(a, "GET", "/devices", viewers, "List devices", a.listDevices,
		spreadsheet("name", "site", "status", "labels", "heartbeat_every", "reading_every", "in_service_since", "retired_at", "firmware"))
	route(a, "POST", "/devices", managers, "Make a device", a.postDevice, status(201), fails(409))
	route(a, "POST", "/devices/import", managers, "Make or update many sites and devices, all or none", a.importDevices,
		fails(400, 413, 415), body(importBody))
	route(a, "GET", "/devices/{name}", viewers, "One device", a.getDevice, fails(404))
	route(a, "PATCH", "/devices/{name}", managers, "Change a device", a.patchDevice, fails(404, 412, 428))
	route(a, "GET", "/devices/{name}/readings", viewers, "A device's counts", a.getReadings, fails(404))

	route(a, "GET", "/incidents", watchers, "List incidents, the newest first", a.listIncidents,
		spreadsheet("ref", "state", "condition", "priority", "level", "category", "site", "zone", "device", "summary", "assignee", "reporter",
			"occurrences", "opened_at", "updated_at", "first_response_at", "resolved_at", "closed_at"))
	route(a, "POST", "/incidents", reporters, "Report an incident", a.postIncident, status(201))
	route(a, "POST", "/incidents/bulk", reporters, "Move many incidents on, each by itself", a.postBulk)
	route(a, "POST", "/alertmanager", operators, "Turn what an Alertmanager tells into incidents", a.postAlerts, body(notificationBody))
	route(a, "GET", "/incidents/{ref}", watchers, "One incident", a.getIncident, fails(404))
	route(a, "PATCH", "/incidents/{ref}", workers, "Qualify an incident, or give it to somebody", a.patchIncident, fails(404, 409, 412, 428))
	route(a, "POST", "/incidents/{ref}/transitions", reporters, "Move an incident on", a.postTransition, fails(404, 409, 412))
	route(a, "POST", "/incidents/{ref}/actions", workers, "Ask people at the site to do something", a.postActions, fails(404, 409, 412))
	route(a, "GET", "/incidents/{ref}/timeline", watchers, "What happened to an incident", a.getTimeline, fails(404))
	route(a, "GET", "/incidents/{ref}/evidence", watchers, "The readings that show it", a.getEvidence, fails(404))
	route(a, "GET", "/incidents/{ref}/clocks", watchers, "What was promised, and how much of it is used up", a.getClocks, fails(404))
	route(a, "POST", "/incidents/{ref}/comments", reporters, "Say something about an incident", a.postComment, status(201), fails(404))

	a.attaching()
	route(a, "GET", "/events", watchers, "Follow what happens to incidents, as server-sent events", a.getEvents)
	describeEvents(a.api.OpenAPI())

	documents(a, "/calendars", incidents.CalendarDocument, managers, func(c *incidents.Calendar, id, _ string) { c.ID = id })
	documents(a, "/agreements", incidents.AgreementDocument, managers, func(g *incidents.Agreement, id, _ string) { g.ID = id })
	documents(a, "/silences", incidents.SilenceDocument, desk, func(s *incidents.Silence, id, author string) { s.ID, s.Author = id, author })
	documents(a, "/windows", incidents.WindowDocument, managers, func(w *incidents.Window, id, _ string) { w.ID = id })

	a.deskRoutes()

	route(a, "GET", "/rules", staff, "List the running rules", a.listRules)
	route(a, "GET", "/rules/{name}", staff, "One rule", a.getRule, fails(404))
	route(a, "PUT", "/rules/{name}", managers, "Write a rule; it runs from then on", a.putRule, fails(412, 428))
	route(a, "DELETE", "/rules/{name}", managers, "Drop what was written of a rule; that of the files, if any, counts again", a.deleteRule, status(204), fails(404, 412, 428))
	route(a, "GET", "/rules/{name}/versions", staff, "What a rule once was, and who changed it", a.ruleHistory, fails(404))
	route(a, "POST", "/rules/{name}/backtest", operators, "What a rule, as it runs or as it is written here, would have opened", a.backtestRule, fails(404), patience(30*time.Minute), reads())
	route(a, "POST", "/rules/check", staff, "Check rule files", a.checkRules, reads())
	route(a, "POST", "/rules/explain", operators, "What an evaluation asks of the warehouse, and takes", a.explainRules, patience(10*time.Minute), reads())
	route(a, "POST", "/rules/backtest", operators, "Run rules over stored history", a.backtest, patience(30*time.Minute), reads())

	route(a, "GET", "/tokens", admins, "List tokens", a.listTokens)
	route(a, "POST", "/tokens", admins, "Make a token", a.postToken, status(201))
	route(a, "DELETE", "/tokens/{id}", admins, "Revoke a token", a.deleteToken, status(204), fails(404))

	route(a, "GET", "/sessions", watchers, "List who is signed in with a browser: yourself, and for an administrator everybody", a.listSessions)
	route(a, "DELETE", "/sessions/{id}", watchers, "Sign a browser out at once", a.deleteSession, status(204), fails(404))

	route(a, "GET", "/tenants", admins, "List the tenants", a.listTenants)
	route(a, "POST", "/tenants", admins, "Add a tenant", a.postTenant, status(201), fails(409), patience(5*time.Minute))
	route(a, "GET", "/tenants/{name}", admins, "One tenant", a.getTenant, fails(404))
	route(a, "DELETE", "/tenants/{name}", admins, "Drop a tenant with all its data", a.dropTenant, status(204), fails(404, 409), patience(5*time.Minute))

	route(a, "POST", "/backup", admins, "Write tenants into a folder", a.postBackup, patience(2*time.Hour))
	route(a, "POST", "/restore", admins, "Read tenants from a backup", a.postRestore, fails(409), patience(2*time.Hour))

	route(a, "GET", "/webhooks", managers, "List webhooks", a.listWebhooks)
	route(a, "POST", "/webhooks", managers, "Have an outside system told of what happens", a.postWebhook, status(201))
	route(a, "GET", "/webhooks/{id}", managers, "One webhook", a.getWebhook, fails(404))
	route(a, "PATCH", "/webhooks/{id}", managers, "Pause a webhook, or move it", a.patchWebhook, fails(404, 412, 428))
	route(a, "DELETE", "/webhooks/{id}", managers, "End a webhook", a.deleteWebhook, status(204), fails(404, 412, 428))
	route(a, "GET", "/webhooks/{id}/deliveries", managers, "What a webhook was told, and how that went", a.listDeliveries, fails(404))
	route(a, "POST", "/webhooks/{id}/deliveries/{notice}/replay", managers, "Tell it once more", a.replayDelivery, status(204), fails(404))
	route(a, "GET", "/incidents/{ref}/notices", workers, "Who was told of an incident, why, and how that went", a.getNotices, fails(404))
	route(a, "GET", "/contacts", managers, "List how people are reached", a.listContacts)
	route(a, "GET", "/contacts/{name}", managers, "How a person is reached", a.getContact, fails(404))
	route(a, "PUT", "/contacts/{name}", managers, "Say how a person is reached", a.putContact, fails(409, 412, 428))

	route(a, "GET", "/audit", managers, "Who changed what, and who was refused", a.listAudit)

	route(a, "GET", "/version", everybody, "Which belfry this is, and who you are", a.getVersion)
	exemplify(a.api.OpenAPI())
}

// plain are the paths beside the API. They need no token: they listen on
// loopback unless their owner says otherwise, and name nothing of a tenant.
func (a *app) plain(f *fiber.App) {
	f.Get("/healthz", func(c *fiber.Ctx) error { return c.SendString("ok\n") })
	f.Get("/readyz", a.readyz)
	f.Get("/metrics", a.metrics)
	f.Get("/docs", a.docs)
	f.Get("/problems/:name", a.problemPage)
	a.pages(f)
}
