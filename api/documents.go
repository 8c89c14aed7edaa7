package api

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"belfry/incidents"
)

// documents adds the paths of what managers write, one kind of it: list, read,
// make or change, retire.
func documents[T any](a *app, path string, kind incidents.DocumentKind, writers []incidents.Role,
	sign func(d *T, id, author string)) {
	d := &documentHandlers[T]{a, kind, sign}
	noun := string(kind)
	article := "a "
	if strings.Contains("aeiou", noun[:1]) {
		article = "an "
	}
	route(a, "GET", path, staff, "List "+noun+"s", d.list)
	route(a, "GET", path+"/{id}", staff, "One "+noun, d.get, fails(404))
	route(a, "PUT", path+"/{id}", writers, "Make or change "+article+noun, d.put, fails(409, 412, 428))
	route(a, "DELETE", path+"/{id}", writers, "Retire "+article+noun+": nothing new is begun under it", d.retire,
		status(204), fails(404, 409, 412, 428))
}

type documentHandlers[T any] struct {
	*app
	kind incidents.DocumentKind
	sign func(d *T, id, author string)
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
	views := make([]T, len(list))
	for i, doc := range list {
		if err := json.Unmarshal(doc.Data, &views[i]); err != nil {
			return nil, err
		}
	}
	return listed(views, ""), nil
}

func (d *documentHandlers[T]) get(ctx context.Context, in *DocumentPath) (*documentOut[T], error) {
	doc, err := d.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return d.view(doc)
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
