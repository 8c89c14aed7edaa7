package api

import (
	"context"
	"errors"
	"time"

	"belfry/incidents"
)

// ProblemRecord is the cause behind incidents. (The word problem alone is that of
// the API for a refusal.)
type ProblemRecord struct {
	Ref        string                 `json:"ref" example:"PRB-000001"`
	Version    int64                  `json:"version"`
	State      incidents.ProblemState `json:"state" enum:"proposed,open,known_error,closed,rejected"`
	Title      string                 `json:"title"`
	Why        string                 `json:"why,omitempty" doc:"Why belfry proposed it"`
	Major      bool                   `json:"major,omitempty" doc:"Behind a major incident"`
	Category   string                 `json:"category,omitempty"`
	Site       string                 `json:"site,omitempty"`
	Incidents  []string               `json:"incidents"`
	Owner      string                 `json:"owner,omitempty"`
	Symptom    string                 `json:"symptom,omitempty"`
	Cause      string                 `json:"cause,omitempty"`
	Workaround string                 `json:"workaround,omitempty"`
	Fix        string                 `json:"fix,omitempty"`
	Reason     string                 `json:"reason,omitempty" doc:"Why it was closed or rejected"`
	Models     []string               `json:"models,omitempty" doc:"That have it"`
	Firmware   []string               `json:"firmware,omitempty" doc:"That has it"`
	OpenedBy   string                 `json:"opened_by"`
	OpenedAt   time.Time              `json:"opened_at"`
	UpdatedBy  string                 `json:"updated_by"`
	UpdatedAt  time.Time              `json:"updated_at"`
	EndedAt    time.Time              `json:"ended_at,omitzero"`
}

func problemView(p incidents.Problem) ProblemRecord {
	v := ProblemRecord{Ref: p.Ref, Version: p.Version, State: p.State, Title: p.Title, Why: p.Why, Major: p.Major, Category: p.Category, Site: p.Site,
		Incidents: p.Incidents, Owner: p.Owner, Symptom: p.Symptom, Cause: p.Cause, Workaround: p.Workaround, Fix: p.Fix, Reason: p.Reason,
		Models: p.Models, Firmware: p.Firmware, OpenedBy: p.OpenedBy, OpenedAt: p.OpenedAt, UpdatedBy: p.UpdatedBy, UpdatedAt: p.UpdatedAt, EndedAt: p.EndedAt}
	if v.Incidents == nil {
		v.Incidents = []string{}
	}
	return v
}

type problemOut struct {
	ETag string `header:"ETag"`
	Body ProblemRecord
}

func problemAnswer(p incidents.Problem, err error) (*problemOut, error) {
	if err != nil {
		return nil, err
	}
	return &problemOut{etag(p.Version), problemView(p)}, nil
}

// RecordList is what lists of problems and announcements have in common.
type RecordList struct {
	Live   bool   `query:"live" doc:"Only what has not ended"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor string `query:"cursor" maxLength:"512"`
}

func (in RecordList) query(kind, state string) (incidents.RecordQuery, error) {
	before, err := fromCursor(kind, in.Cursor)
	return incidents.RecordQuery{State: state, Live: in.Live, Before: before, Limit: in.Limit}, err
}

type problemsIn struct {
	State string `query:"state" enum:"proposed,open,known_error,closed,rejected"`
	RecordList
}

func (a *app) listProblems(ctx context.Context, in *problemsIn) (*listOut[ProblemRecord], error) {
	q, err := in.query("problem", in.State)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Desk.Problems(ctx, q, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	views := make([]ProblemRecord, len(list))
	for i, p := range list {
		views[i] = problemView(p)
	}
	return listed(views, toCursor("problem", next)), nil
}

// ProblemPath names a problem in a path.
type ProblemPath struct {
	Ref string `path:"problem" maxLength:"64" example:"PRB-000001"`
}

func (in ProblemPath) missing(err error) error {
	if errors.Is(err, incidents.ErrNotFound) {
		return notFound("problem", unescaped(in.Ref))
	}
	return err
}

func (a *app) getProblem(ctx context.Context, in *ProblemPath) (*problemOut, error) {
	p, err := a.Desk.Problem(ctx, in.Ref, actorOf(ctx))
	return problemAnswer(p, in.missing(err))
}

// ProblemBody is what people write of a problem. What is left out of a change
// stays.
type ProblemBody struct {
	Title      *string                 `json:"title,omitempty" minLength:"1" maxLength:"300"`
	State      *incidents.ProblemState `json:"state,omitempty" enum:"open,known_error,closed,rejected" doc:"A known error says symptom, cause and workaround or fix; an end its reason, unless there is a fix"`
	Category   *string                 `json:"category,omitempty" maxLength:"128"`
	Site       *string                 `json:"site,omitempty" maxLength:"128"`
	Incidents  []string                `json:"incidents,omitempty" maxItems:"200"`
	Owner      *string                 `json:"owner,omitempty" maxLength:"128"`
	Symptom    *string                 `json:"symptom,omitempty" maxLength:"20000"`
	Cause      *string                 `json:"cause,omitempty" maxLength:"20000"`
	Workaround *string                 `json:"workaround,omitempty" maxLength:"20000"`
	Fix        *string                 `json:"fix,omitempty" maxLength:"20000"`
	Reason     *string                 `json:"reason,omitempty" maxLength:"20000"`
	Models     []string                `json:"models,omitempty" maxItems:"200"`
	Firmware   []string                `json:"firmware,omitempty" maxItems:"200"`
}

// onto writes what is there over a problem.
func (b *ProblemBody) onto(p *incidents.Problem) {
	over(&p.Title, b.Title)
	over(&p.State, b.State)
	over(&p.Category, b.Category)
	over(&p.Site, b.Site)
	over(&p.Owner, b.Owner)
	over(&p.Symptom, b.Symptom)
	over(&p.Cause, b.Cause)
	over(&p.Workaround, b.Workaround)
	over(&p.Fix, b.Fix)
	over(&p.Reason, b.Reason)
	for _, list := range []struct {
		into *[]string
		from []string
	}{{&p.Incidents, b.Incidents}, {&p.Models, b.Models}, {&p.Firmware, b.Firmware}} {
		if list.from != nil {
			*list.into = list.from
		}
	}
}

func over[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

type newProblemIn struct {
	Body ProblemBody
}

func (a *app) postProblem(ctx context.Context, in *newProblemIn) (*problemOut, error) {
	p := incidents.Problem{Site: tokenOf(ctx).Site}
	in.Body.onto(&p)
	if only := tokenOf(ctx).Site; only != "" && p.Site != only {
		return nil, oneFault("site", "there is no such site")
	}
	return problemAnswer(a.Desk.OpenProblem(ctx, p, actorOf(ctx), a.Now()))
}

type problemIn struct {
	ProblemPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    ProblemBody
}

func (a *app) patchProblem(ctx context.Context, in *problemIn) (*problemOut, error) {
	was, err := a.Desk.Problem(ctx, in.Ref, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	version, err := needMatch(in.IfMatch, was.Version)
	if err != nil {
		return nil, err
	}
	if only := tokenOf(ctx).Site; only != "" && in.Body.Site != nil && *in.Body.Site != only {
		return nil, oneFault("site", "there is no such site")
	}
	p, err := a.Desk.ChangeProblem(ctx, in.Ref, version, in.Body.onto, actorOf(ctx), a.Now())
	return problemAnswer(p, in.missing(err))
}
