package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gofiber/fiber/v2"

	"belfry/incidents"
)

// Problem is the body of every refusal, as RFC 9457 has it.
type Problem struct {
	Type   string `json:"type" doc:"What kind of problem; the path of a page about it"`
	Title  string `json:"title" doc:"The kind in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Detail string `json:"detail,omitempty" doc:"What is wrong here, in one sentence"`

	Errors   []incidents.Fault      `json:"errors,omitempty" doc:"Every fault, by field"`
	State    incidents.State        `json:"state,omitempty" doc:"The incident's state, when that is what stands against it"`
	Allowed  []incidents.Transition `json:"allowed,omitempty" doc:"What is possible instead"`
	Accepted *int                   `json:"accepted,omitempty" doc:"How many readings were taken all the same"`
	Bad      int                    `json:"bad,omitempty" doc:"How many lines were refused"`
	Lines    []BadLine              `json:"lines,omitempty" doc:"The refused lines, the first 1000 of them"`
	Files    []FileFault            `json:"files,omitempty" doc:"The faults in rule files"`

	retryAfter string
	challenge  bool
}

// Error returns the sentence.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter != "" {
		h.Set("Retry-After", p.retryAfter)
	}
	if p.challenge {
		h.Set("WWW-Authenticate", `Bearer realm="belfry"`)
	}
	return h
}

// kind is one kind of problem.
type kind struct {
	status int
	title  string
	about  string
}

// kinds are all the problems there are, by the last part of their type.
var kinds = map[string]kind{
	"bad-request":              {400, "The request can't be read", "The request line, a header or the body is not what it should be. Nothing was done."},
	"bad-lines":                {400, "Some readings were refused", "The lines listed were refused, and belfry does not keep them; the others were accepted. Send the refused ones again when they are mended."},
	"unauthorized":             {401, "A valid token is needed", "Send Authorization: Bearer bf_... with a token that has neither expired nor been revoked."},
	"forbidden":                {403, "Not yours to do", "The token's role may not do this."},
	"end-user-cannot-escalate": {403, "Escalating is for the desk", "Say in a comment what is urgent; the first line escalates."},
	"not-found":                {404, "There is no such thing", "It does not exist, or the token may not see it."},
	"method-not-allowed":       {405, "This path has no such method", "See /docs for what each path understands."},
	"timeout":                  {408, "The request took too long to arrive", "The client was too slow."},
	"conflict":                 {409, "Not possible as things are", "The state of the thing stands against it; allowed lists what is possible."},
	"exists":                   {409, "There is one already", "Something of that name exists."},
	"in-flight":                {409, "The same request is under way", "It came before under the same Idempotency-Key and has no answer yet. Wait as long as Retry-After says, then send it again."},
	"stale":                    {412, "It has changed in the meantime", "Read it again and send the new ETag in If-Match."},
	"too-large":                {413, "The body is too large", "Send it in parts."},
	"unsupported-media-type":   {415, "The body's form is not understood", "Send JSON, as it is or with Content-Encoding: gzip."},
	"invalid":                  {422, "The request is wrong in itself", "errors lists every fault by field."},
	"idempotency-key-reused":   {422, "The idempotency key belongs to another request", "A key may come again only with the same request. Use a fresh one."},
	"precondition-required":    {428, "If-Match is needed", "Read the thing and send its ETag in If-Match, so that nobody's change is overwritten."},
	"too-many-requests":        {429, "Too much at once", "Wait as long as Retry-After says, then send it again."},
	"headers-too-large":        {431, "The headers are too large", "Send fewer or shorter headers."},
	"internal":                 {500, "Something went wrong here", "It is in the log under the X-Request-Id of the answer."},
	"unavailable":              {503, "Not to be had just now", "A part that is needed does not answer, or this process does not run it. Retry-After says when to try again."},
}

// byStatus names the usual kind of each status.
var byStatus = func() map[int]string {
	out := map[int]string{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(kinds))) {
		out[kinds[name].status] = name
	}
	out[400], out[403], out[409], out[422] = "bad-request", "forbidden", "conflict", "invalid"
	return out
}()

// waits are the Retry-After of problems that pass.
var waits = map[string]string{"too-many-requests": "5", "unavailable": "5", "in-flight": "1"}

func newProblem(name, format string, args ...any) *Problem {
	k := kinds[name]
	return &Problem{Type: "/problems/" + name, Title: k.title, Status: k.status, Detail: fmt.Sprintf(format, args...),
		challenge: k.status == 401, retryAfter: waits[name]}
}

func init() {
	// The library's own errors (a parameter out of bounds, a body that is no JSON)
	// take our form. This hook is its only way to say so.
	huma.NewError = func(code int, msg string, errs ...error) huma.StatusError {
		name, ok := byStatus[code]
		if !ok {
			name = map[bool]string{true: "internal", false: "bad-request"}[code >= 500]
		}
		p := newProblem(name, "%s", msg)
		if p.Status == 500 {
			return p // its errors are for the log
		}
		for _, err := range errs {
			p.Errors = append(p.Errors, faultOf(err))
		}
		// The library finds unknown members in the order of a map.
		slices.SortStableFunc(p.Errors, func(a, b incidents.Fault) int { return cmp.Compare(a.Field, b.Field) })
		return p
	}
}

func faultOf(err error) incidents.Fault {
	var d huma.ErrorDetailer
	if errors.As(err, &d) {
		detail := d.ErrorDetail()
		return incidents.Fault{Field: strings.TrimPrefix(detail.Location, "body."), Wrong: detail.Message}
	}
	return incidents.Fault{Wrong: err.Error()}
}

// notFound is what is said of everything that isn't there or may not be seen.
func notFound(what, name string) *Problem {
	return newProblem("not-found", "there is no %s %q", what, name)
}

// problemOf is the one place where errors become statuses.
func (a *app) problemOf(ctx context.Context, err error) error {
	var (
		problem   *Problem
		conflict  *incidents.ConflictError
		forbidden *incidents.ForbiddenError
		invalid   *incidents.InvalidError
	)
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &conflict):
		p := newProblem("conflict", "%s", conflict.Detail)
		p.State, p.Allowed = conflict.State, conflict.Allowed
		return p
	case errors.As(err, &forbidden):
		if kinds[forbidden.Code].status == 403 {
			return newProblem(forbidden.Code, "%s", forbidden.Detail)
		}
		return newProblem("forbidden", "%s", forbidden.Detail)
	case errors.As(err, &invalid):
		p := newProblem("invalid", "%s", faultsOf(len(invalid.Faults)))
		p.Errors = invalid.Faults
		return p
	case errors.Is(err, incidents.ErrNotFound):
		return newProblem("not-found", "there is no such thing")
	case errors.Is(err, incidents.ErrStale):
		return newProblem("stale", "it has changed since the version that If-Match names")
	case errors.Is(err, incidents.ErrExists):
		return newProblem("exists", "there is one of that name")
	case errors.Is(err, incidents.ErrKeyReused):
		return newProblem("idempotency-key-reused", "this Idempotency-Key came with another request before")
	case errors.Is(err, ErrAway):
		return newProblem("unavailable", "the log does not answer; /api/v1/ingest says why")
	case errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return newProblem("unavailable", "it took too long and was given up")
	}
	a.Log.Error("request failed", "request", requestID(ctx), "error", err)
	return newProblem("internal", "something went wrong here; the log has it under this request's id")
}

// fiberError answers what fails before or beside the handlers.
func (a *app) fiberError(c *fiber.Ctx, err error) error {
	var p *Problem
	var fe *fiber.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &fe) && byStatus[fe.Code] != "" && fe.Code < 500:
		p = newProblem(byStatus[fe.Code], "%s: %s", c.Path(), strings.ToLower(fiberSays(fe.Code)))
	case errors.As(err, &fe) && fe.Code < 500:
		p = newProblem("bad-request", "%s", fe.Message)
	default:
		a.Log.Error("request failed", "request", c.GetRespHeader(headerRequest), "error", err)
		p = newProblem("internal", "something went wrong here; the log has it under this request's id")
	}
	return p.send(c)
}

func fiberSays(code int) string { return kinds[byStatus[code]].title }

func (p *Problem) send(c *fiber.Ctx) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	for name, values := range p.GetHeaders() {
		c.Set(name, values[0])
	}
	c.Set(fiber.HeaderContentType, p.ContentType(""))
	return c.Status(p.Status).Send(text)
}

// problemPage explains a kind of problem.
func (a *app) problemPage(c *fiber.Ctx) error {
	name := c.Params("name")
	k, ok := kinds[name]
	if !ok {
		return notFound("problem", name)
	}
	return c.SendString(fmt.Sprintf("%s (%d)\n\n%s\n", k.title, k.status, k.about))
}

// faultsOf says how many faults there are.
func faultsOf(n int) string {
	if n == 1 {
		return "1 fault"
	}
	return fmt.Sprintf("%d faults", n)
}
