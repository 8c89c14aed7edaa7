package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
)

// Who may ask. A right is held by roles; what a role sees is narrowed further by
// the site of its token.
var (
	everybody = incidents.Roles
	admins    = []incidents.Role{incidents.Admin}
	managers  = []incidents.Role{incidents.Admin, incidents.Manager}
	senders   = []incidents.Role{incidents.Admin, incidents.DeviceRole}
	operators = []incidents.Role{incidents.Admin, incidents.Manager, incidents.SecondLine, incidents.NOC}
	staff     = append([]incidents.Role{incidents.FirstLine}, operators...)
	viewers   = append([]incidents.Role{incidents.SiteManager}, staff...)
	desk      = []incidents.Role{incidents.Admin, incidents.Manager, incidents.SecondLine, incidents.FirstLine}
	watchers  = append([]incidents.Role{incidents.ThirdLine}, viewers...)
	workers   = []incidents.Role{incidents.Admin, incidents.Manager, incidents.SecondLine, incidents.FirstLine, incidents.ThirdLine}
	reporters = append([]incidents.Role{incidents.SiteManager}, workers...)
)

// Keys of what the guard needs to know about an operation.
const (
	metaRoles    = "roles"
	metaPatience = "patience"
	metaBody     = "body"
	metaReads    = "reads"   // it changes nothing, whatever its method
	metaCSV      = "csv"     // []string: the columns of a list as a spreadsheet
	metaUnpaced  = "unpaced" // it does not count for the rate limit
)

// option refines an operation.
type option func(*huma.Operation)

// status sets the status of success.
func status(code int) option { return func(op *huma.Operation) { op.DefaultStatus = code } }

// fails adds statuses of failure to those that every operation has.
func fails(codes ...int) option {
	return func(op *huma.Operation) { op.Errors = append(op.Errors, codes...) }
}

// body describes a body that the handler reads by itself.
func body(b *huma.RequestBody) option { return func(op *huma.Operation) { op.Metadata[metaBody] = b } }

// patience is how long the operation may take; 30 s unless said.
func patience(d time.Duration) option {
	return func(op *huma.Operation) { op.Metadata[metaPatience] = d }
}

// unpaced lets it come as often as it likes.
func unpaced() option { return func(op *huma.Operation) { op.Metadata[metaUnpaced] = true } }

// route adds one operation to the API.
func route[I, O any](a *app, method, path string, who []incidents.Role, summary string,
	handler func(context.Context, *I) (*O, error), options ...option) {
	op := huma.Operation{
		Method: method, Path: base + path, Summary: summary, OperationID: operationID(method, path),
		Tags:         []string{strings.Split(path, "/")[1]},
		Description:  "Roles: " + roleNames(who) + ".",
		Errors:       []int{400, 401, 403, 408, 422, 429, 431, 503},
		Security:     []map[string][]string{{"token": {}}, {"session": {}}},
		Metadata:     map[string]any{metaRoles: who, metaPatience: 30 * time.Second},
		MaxBodyBytes: int64(limitOf(base + path)),
	}
	if method != http.MethodGet {
		op.Errors = append(op.Errors, 413, 415)
	}
	if method == http.MethodPost {
		repeatable(&op)
	}
	for _, o := range options {
		o(&op)
	}
	op.Errors = slices.Compact(slices.Sorted(slices.Values(op.Errors)))
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			return nil, a.problemOf(ctx, err)
		}
		return out, nil
	})
	describeBody(a.api.OpenAPI().Paths[op.Path], op.Metadata[metaBody])
	describeCSV(a.api.OpenAPI().Paths[op.Path], op.Metadata[metaCSV])
}

// describeBody mends what the document says about bodies that handlers read raw.
// It comes after the registration: a schema that is there before would be
// enforced on what is no single JSON value.
func describeBody(item *huma.PathItem, described any) {
	if item.Post == nil || item.Post.RequestBody == nil {
		return
	}
	if b, ok := described.(*huma.RequestBody); ok {
		item.Post.RequestBody.Content, item.Post.RequestBody.Description = b.Content, b.Description
	}
	delete(item.Post.RequestBody.Content, "application/octet-stream")
}

func roleNames(who []incidents.Role) string {
	names := map[string]bool{}
	for _, r := range who {
		names[string(r)] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(names)), ", ")
}

// operationID makes "get-incidents-ref-timeline" of a method and a path.
func operationID(method, path string) string {
	path = strings.NewReplacer("{", "", "}", "", "/", "-").Replace(path)
	return strings.ToLower(method) + path
}
