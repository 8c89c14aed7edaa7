package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"belfry/incidents"
)

// documents adds the paths of what managers write, one kind of it: list, read,
// make or change, retire.
func documents[T any](a *app, path string, kind incidents.DocumentKind, writers []incidents.Role,
	sign func(d *T, id, author string), options ...documentOption[T]) {
	d := &documentHandlers[T]{app: a, kind: kind, sign: sign, readers: staff, reads: func(incidents.Actor, *T) bool { return true }}
	for _, o := range options {
		o(d)
	}
	noun, many := string(kind), string(kind)+"s"
	if plural := plurals[kind]; plural != "" {
		many = plural
	}
	article := "a "
	if strings.Contains("aeiou", noun[:1]) {
		article = "an "
	}
	route(a, "GET", path, d.readers, "List "+many, d.list)
	route(a, "GET", path+"/{id}", d.readers, "One "+noun, d.get, fails(404))
	put, retire := fails(409, 412, 428), fails(404, 412, 428)
	if kind == incidents.MatrixDocument { // the one is always there
		put = fails(412, 428)
	}
	if slices.Contains(neededDocuments, kind) {
		retire = fails(404, 409, 412, 428)
	}
	route(a, "PUT", path+"/{id}", writers, "Make or change "+article+noun, d.put, put)
	route(a, "DELETE", path+"/{id}", writers, "Retire "+article+noun+": nothing new is begun under it", d.retire, status(204), retire)
}

// neededDocuments are the kinds that others refer to, and which stay until then.
var neededDocuments = []incidents.DocumentKind{incidents.CalendarDocument, incidents.MatrixDocument, incidents.QuestionnaireDocument, incidents.ArticleDocument}

// plurals of the kinds whose names don't take an s.
var plurals = map[incidents.DocumentKind]string{incidents.CategoryDocument: "categories", incidents.MatrixDocument: "matrices"}

type documentHandlers[T any] struct {
	*app
	kind    incidents.DocumentKind
	sign    func(d *T, id, author string)
	readers []incidents.Role
	reads   func(actor incidents.Actor, d *T) bool
}

// documentOption refines the paths of a kind of document.
type documentOption[T any] func(*documentHandlers[T])

// readBy lets others read them too, those that reads lets through; the others are
// not there for them.
func readBy[T any](who []incidents.Role, reads func(incidents.Actor, *T) bool) documentOption[T] {
	return func(d *documentHandlers[T]) { d.readers, d.reads = who, reads }
}

// DocumentPath names a document in a path.
type DocumentPath struct {
	ID string `path:"id" maxLength:"128"`
}

type documentOut[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

func (d *documentHandlers[T]) view(doc incidents.Document) (*documentOut[T], error) {
	out := &documentOut[T]{ETag: etag(doc.Version)}
	return out, json.Unmarshal(doc.Data, &out.Body)
}

func (d *documentHandlers[T]) list(ctx context.Context, _ *struct{}) (*listOut[T], error) {
	list, err := d.Desk.Documents(ctx, d.kind)
	if err != nil {
		return nil, err
	}
	var views []T
	for _, doc := range list {
		var view T
		if err := json.Unmarshal(doc.Data, &view); err != nil {
			return nil, err
		}
		if d.reads(actorOf(ctx), &view) {
			views = append(views, view)
		}
	}
	return listed(views, ""), nil
}

func (d *documentHandlers[T]) get(ctx context.Context, in *DocumentPath) (*documentOut[T], error) {
	doc, err := d.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	out, err := d.view(doc)
	if err == nil && !d.reads(actorOf(ctx), &out.Body) {
		return nil, notFound(string(d.kind), unescaped(in.ID))
	}
	return out, err
}

func (d *documentHandlers[T]) find(ctx context.Context, id string) (incidents.Document, error) {
	id = unescaped(id)
	doc, err := d.Desk.Document(ctx, d.kind, id)
	if errors.Is(err, incidents.ErrNotFound) {
		return doc, notFound(string(d.kind), id)
	}
	return doc, err
}

type documentIn[T any] struct {
	DocumentPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for; left out to make a new one"`
	Body    T
}

func (d *documentHandlers[T]) put(ctx context.Context, in *documentIn[T]) (*documentOut[T], error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	doc := incidents.Document{Kind: d.kind, ID: unescaped(in.ID), Actor: actorOf(ctx).Name}
	d.sign(&in.Body, doc.ID, doc.Actor)
	data, err := json.Marshal(in.Body)
	if err != nil {
		return nil, err
	}
	doc.Data = data
	want := incidents.Expected{New: true}
	if old, err := d.Desk.Document(ctx, d.kind, doc.ID); err == nil {
		if want.Version, err = needMatch(in.IfMatch, old.Version); err != nil {
			return nil, err
		}
		want.New = false
	} else if !errors.Is(err, incidents.ErrNotFound) {
		return nil, err
	} else if in.IfMatch != "" {
		return nil, newProblem("stale", "If-Match names a version, and there is no such thing any more")
	}
	if doc, err = d.Desk.PutDocument(ctx, doc, want, d.Now()); err != nil {
		return nil, err
	}
	return d.view(doc)
}

type documentGone struct {
	DocumentPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for"`
}

func (d *documentHandlers[T]) retire(ctx context.Context, in *documentGone) (*struct{}, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	old, err := d.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := needMatch(in.IfMatch, old.Version)
	if err != nil {
		return nil, err
	}
	gone := incidents.Document{Kind: d.kind, ID: old.ID, Actor: actorOf(ctx).Name, Retired: true}
	_, err = d.Desk.PutDocument(ctx, gone, incidents.Expected{Version: version}, d.Now())
	return nil, err
}
