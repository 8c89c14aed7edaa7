package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Audit keeps who asked for what.
type Audit interface {
	Record(ctx context.Context, r incidents.AuditRecord) error
	AuditRecords(ctx context.Context, q incidents.AuditQuery) ([]incidents.AuditRecord, error)
	ForgetRecords(ctx context.Context, before time.Time) error
}

// Of audit records.
const (
	auditKept   = 400 * 24 * time.Hour // a year, and some time to look at it
	sweptEvery  = 1000                 // records between two looks at what is too old
	auditedPath = 512                  // bytes of a path that are kept
)

// refusals is how many refusals of one caller are kept: a flood of them is one
// record now and then that says how many there were.
var refusals = RateLimit{PerSecond: 1, Burst: 20}

// refused are the statuses of calls that were not let in.
var refused = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests}

// reads marks a POST that changes nothing, and telemetry, whose record is the log.
func reads() option { return func(op *huma.Operation) { op.Metadata[metaReads] = true } }

// record writes an audit record of a call that has its answer. It is on disk
// before the answer goes out.
func (a *app) record(c *fiber.Ctx, op *huma.Operation, token incidents.Token, status int) {
	if a.Audit == nil {
		return
	}
	out := slices.Contains(refused, status)
	if reading, _ := op.Metadata[metaReads].(bool); !out && (reading || op.Method == http.MethodGet) {
		return
	}
	a.recordCall(c, op.Method, op.Path, token, status)
}

// recordCall writes the record of one call, of any route.
func (a *app) recordCall(c *fiber.Ctx, method, route string, token incidents.Token, status int) {
	if a.Audit == nil {
		return
	}
	missed := 0
	if slices.Contains(refused, status) {
		var wait time.Duration
		if wait, missed = a.refusals.take(token.ID, a.Now()); wait > 0 {
			return
		}
	}
	path := c.Path()
	r := incidents.AuditRecord{At: a.Now(), Name: token.Name, Token: token.ID, Role: token.Role, Site: token.Site, Method: method,
		Route: route, Path: strings.ToValidUTF8(path[:min(len(path), auditedPath)], "?"), Status: status, Request: requestOf(c),
		From: c.IP(), Unrecorded: missed}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.UserContext()), 10*time.Second)
	defer cancel()
	if err := a.Audit.Record(ctx, r); err != nil {
		a.Log.Error("record a call", "request", requestOf(c), "error", err)
	}
	if a.recorded.Add(1)%sweptEvery == 0 {
		if err := a.Audit.ForgetRecords(ctx, a.Now().Add(-auditKept)); err != nil {
			a.Log.Error("forget old audit records", "error", err)
		}
	}
}

type auditIn struct {
	Name   string    `query:"name" maxLength:"128" doc:"Whose calls"`
	Token  string    `query:"token" maxLength:"64" doc:"By which token, by its id"`
	Method string    `query:"method" enum:"GET,POST,PUT,PATCH,DELETE"`
	Status int       `query:"status" minimum:"100" maximum:"599"`
	Since  time.Time `query:"since"`
	Until  time.Time `query:"until" doc:"Before this time"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string    `query:"cursor" maxLength:"512"`
}

func (a *app) listAudit(ctx context.Context, in *auditIn) (*listOut[incidents.AuditRecord], error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	if a.Audit == nil {
		return nil, notHere("the audit")
	}
	place, err := fromCursor("audit", in.Cursor)
	if err != nil {
		return nil, err
	}
	before, err := strconv.ParseInt("0"+place, 10, 64)
	if err != nil {
		return nil, oneFault("cursor", "is none of this list")
	}
	list, err := a.Audit.AuditRecords(ctx, incidents.AuditQuery{Name: in.Name, Token: in.Token, Method: in.Method, Status: in.Status,
		Since: in.Since, Until: in.Until, Before: before, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.Limit, "audit", func(r incidents.AuditRecord) string { return strconv.FormatInt(r.ID, 10) })
	return listed(list, next), nil
}
