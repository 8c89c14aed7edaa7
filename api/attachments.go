package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
)

// Attachments keeps files at incidents.
type Attachments interface {
	Add(ctx context.Context, a incidents.Attachment, data []byte) (incidents.Attachment, error)
	List(ctx context.Context, ref string) ([]incidents.Attachment, error)
	Read(ctx context.Context, ref, id string) (incidents.Attachment, []byte, error)
	Delete(ctx context.Context, ref, id string) error
}

// attachmentBody describes what may be sent.
var attachmentBody = &huma.RequestBody{Description: fmt.Sprintf("One file of at most %d MiB: as it is, with its name in the query, or as a form's file.", incidents.MaxAttachment>>20),
	Content: map[string]*huma.MediaType{
		"multipart/form-data": {Schema: &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{"file": {Type: "string", Format: "binary"}}}, Example: map[string]string{"file": "the file's bytes"}},
		"*/*":                 {Schema: &huma.Schema{Type: "string", Format: "binary"}, Example: "the file's bytes"},
	}}

// MaxForm is the limit of a request that carries an attachment.
const MaxForm = incidents.MaxAttachment + 64<<10

// attaching adds the paths of attachments.
func (a *app) attaching() {
	const one = "/incidents/{ref}/attachments"
	route(a, "GET", one, watchers, "What is attached to an incident", a.listAttachments, fails(404))
	route(a, "POST", one, reporters, "Attach a file to an incident", a.postAttachment, status(201), fails(404, 409), body(attachmentBody))
	route(a, "GET", one+"/{id}", watchers, "An attached file", a.getAttachment, fails(404))
	route(a, "DELETE", one+"/{id}", reporters, "Take an attached file away", a.deleteAttachment, status(204), fails(404))
	got := a.api.OpenAPI().Paths[base+one+"/{id}"].Get.Responses["200"]
	got.Description = "The file, to be saved: no browser shows it within our pages."
	got.Content = map[string]*huma.MediaType{"*/*": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}
}

// attachedTo returns the incident, if the caller sees it and files are kept here.
func (a *app) attachedTo(ctx context.Context, in IncidentPath) (incidents.Incident, error) {
	if a.Attachments == nil {
		return incidents.Incident{}, notHere("attachments")
	}
	inc, err := a.Desk.Get(ctx, in.Ref, actorOf(ctx))
	return inc, in.missing(err)
}

func (a *app) listAttachments(ctx context.Context, in *IncidentPath) (*listOut[incidents.Attachment], error) {
	inc, err := a.attachedTo(ctx, *in)
	if err != nil {
		return nil, err
	}
	list, err := a.Attachments.List(ctx, inc.Ref)
	seen := list[:0]
	for _, one := range list {
		if one.Reads(actorOf(ctx)) {
			seen = append(seen, one)
		}
	}
	return listed(seen, ""), err
}

type attachIn struct {
	IncidentPath
	Name        string `query:"name" maxLength:"200" doc:"What the file is called, unless the form says it"`
	Internal    bool   `query:"internal" doc:"For the desk's eyes only"`
	ContentType string `header:"Content-Type" maxLength:"300"`
	RawBody     []byte
}

type attachmentOut struct {
	ETag string `header:"ETag"`
	Body incidents.Attachment
}

func (a *app) postAttachment(ctx context.Context, in *attachIn) (*attachmentOut, error) {
	inc, err := a.attachedTo(ctx, in.IncidentPath)
	if err != nil {
		return nil, err
	}
	name, data, err := in.file()
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	added, err := a.attach(ctx, inc.Ref, name, data, in.Internal && actor.Role.OnDesk(), actor)
	if err != nil {
		return nil, err
	}
	return &attachmentOut{`"` + added.Hash + `"`, added}, nil
}

// attach keeps a file, and says so on the timeline.
func (a *app) attach(ctx context.Context, ref, name string, data []byte, internal bool, actor incidents.Actor) (incidents.Attachment, error) {
	added, err := a.Attachments.Add(ctx, incidents.Attachment{Ref: ref, Name: incidents.FileName(name), Type: http.DetectContentType(data),
		Internal: internal, CreatedBy: actor.Name, CreatedAt: a.Now().UTC()}, data)
	if err != nil {
		return added, err
	}
	_, err = a.Desk.Comment(ctx, ref, incidents.Request{Text: "attached " + added.Name, Internal: internal}, actor, a.Now())
	return added, err
}

// file returns the name and the bytes that were sent.
func (in *attachIn) file() (name string, data []byte, err error) {
	name, data = in.Name, in.RawBody
	if kind, params, err := mime.ParseMediaType(in.ContentType); err == nil && kind == "multipart/form-data" {
		if name, data, err = formFile(in.RawBody, params["boundary"], in.Name); err != nil {
			return "", nil, err
		}
	}
	switch {
	case len(data) == 0:
		return "", nil, oneFault("body", "is empty; want a file")
	case len(data) > incidents.MaxAttachment:
		return "", nil, newProblem("too-large", "the file has %d bytes; want at most %d", len(data), incidents.MaxAttachment)
	}
	return name, data, nil
}

// formFile returns the first file of a form.
func formFile(body []byte, boundary, name string) (string, []byte, error) {
	for form := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := form.NextPart()
		if err != nil {
			return "", nil, newProblem("bad-request", "the form can't be read, or holds no file")
		}
		if part.FileName() == "" {
			continue
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return "", nil, newProblem("bad-request", "the form's file is cut off")
		}
		return orElse(name, part.FileName()), data, nil
	}
}

// AttachmentPath names an attachment in a path.
type AttachmentPath struct {
	IncidentPath
	ID string `path:"id" maxLength:"64" example:"at_aaaabbbbccccdddd"`
}

type fileOut struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Policy      string `header:"Content-Security-Policy"`
	ETag        string `header:"ETag"`
	Body        []byte
}

// getAttachment hands a file out so that no browser runs what is in it.
func (a *app) getAttachment(ctx context.Context, in *AttachmentPath) (*fileOut, error) {
	one, data, err := a.readAttachment(ctx, in)
	if err != nil {
		return nil, err
	}
	kind := one.Type
	if strings.Contains(kind, "html") || strings.Contains(kind, "xml") {
		kind = "text/plain; charset=utf-8"
	}
	return &fileOut{ContentType: kind, Disposition: mime.FormatMediaType("attachment", map[string]string{"filename": one.Name}),
		Policy: "default-src 'none'; sandbox; frame-ancestors 'none'", ETag: `"` + one.Hash + `"`, Body: data}, nil
}

func (a *app) readAttachment(ctx context.Context, in *AttachmentPath) (incidents.Attachment, []byte, error) {
	inc, err := a.attachedTo(ctx, in.IncidentPath)
	if err != nil {
		return incidents.Attachment{}, nil, err
	}
	one, data, err := a.Attachments.Read(ctx, inc.Ref, in.ID)
	if errors.Is(err, incidents.ErrNotFound) || err == nil && !one.Reads(actorOf(ctx)) {
		return one, nil, notFound("attachment", in.ID)
	}
	return one, data, err
}

// deleteAttachment is for the desk, and for whoever attached it.
func (a *app) deleteAttachment(ctx context.Context, in *AttachmentPath) (*struct{}, error) {
	one, _, err := a.readAttachment(ctx, in)
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	if !actor.Role.OnDesk() && one.CreatedBy != actor.Name {
		return nil, newProblem("forbidden", "%s attached it; the desk may take it away too", one.CreatedBy)
	}
	if err := a.Attachments.Delete(ctx, one.Ref, one.ID); err != nil {
		return nil, err
	}
	_, err = a.Desk.Comment(ctx, one.Ref, incidents.Request{Text: "took the attachment " + one.Name + " away", Internal: one.Internal}, actor, a.Now())
	return nil, err
}
