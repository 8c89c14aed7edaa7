package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/incidents"
)

// TransitionBody says what is to happen to an incident.
type TransitionBody struct {
	Transition incidents.Transition `json:"transition" enum:"qualify,take,assign,ask,answer,withdraw,hold,wake,escalate,return,resolve,approve,reject,rate,close,merge,cancel,declare_major" doc:"What is to happen"`
	Kind       incidents.Kind       `json:"kind,omitempty" enum:"incident,service_request,reminder,question,other" doc:"qualify: what sort of work it is; a reminder goes into another incident"`
	Category   string               `json:"category,omitempty" maxLength:"128" doc:"qualify"`
	Impact     incidents.Impact     `json:"impact,omitempty" enum:"client,site,device" doc:"qualify"`
	Urgency    incidents.Urgency    `json:"urgency,omitempty" enum:"high,medium,low" doc:"qualify"`
	Assignee   string               `json:"assignee,omitempty" maxLength:"128" doc:"assign: to whom"`
	Actions    []NewAction          `json:"actions,omitempty" maxItems:"20" doc:"ask: what people at the site are to do"`
	Channel    incidents.Source     `json:"channel,omitempty" enum:"api,portal,email,phone,visit,scan" doc:"By which it came"`
	Answers    []GivenAnswer        `json:"answers,omitempty" maxItems:"50" doc:"answer: to the action's questions, in their order"`
	Action     int                  `json:"action,omitempty" minimum:"1" maximum:"10000" doc:"answer, withdraw: which action"`
	Until      time.Time            `json:"until,omitzero" doc:"hold: when it wakes"`
	Supplier   string               `json:"supplier,omitempty" maxLength:"128" doc:"hold for a vendor, escalate to level 3: whose case it is"`
	Reference  string               `json:"reference,omitempty" maxLength:"128" doc:"The supplier's own reference"`
	Override   string               `json:"override,omitempty" maxLength:"20000" doc:"escalate: why although actions are open, or the category's questionnaire is not done"`
	Into       string               `json:"into,omitempty" maxLength:"64" doc:"merge, and qualify as a reminder: the incident that stays"`
	Code       string               `json:"code,omitempty" maxLength:"64" doc:"resolve: the resolution code; cancel: why"`
	Cause      string               `json:"cause,omitempty" maxLength:"128" doc:"resolve: the cause code; what the answers to questions point at when left out"`
	Summary    string               `json:"summary,omitempty" maxLength:"20000" doc:"resolve: what was done; return: a solution for the line below"`
	Workaround string               `json:"workaround,omitempty" maxLength:"20000" doc:"resolve with the code workaround: how to live with it"`
	Item       string               `json:"item,omitempty" maxLength:"128" doc:"resolve: the device or site that it was about, confirmed"`
	Force      bool                 `json:"force,omitempty" doc:"resolve: although the condition is not clear"`
	Reason     string               `json:"reason,omitempty" maxLength:"20000" doc:"Why; hold: requester, vendor, change, site_visit or scheduled"`
	Points     int                  `json:"points,omitempty" minimum:"1" maximum:"5" doc:"approve, rate: 1 (bad) to 5 (good)"`
	Text       string               `json:"text,omitempty" maxLength:"20000" doc:"hold: the note for the requester; answer: what was found; approve, rate: what else is to be said"`
}

// NewAction is what somebody at the site is to do.
type NewAction struct {
	Text     string    `json:"text,omitempty" maxLength:"20000" doc:"The questionnaire's name when left out"`
	Assignee string    `json:"assignee,omitempty" maxLength:"128" doc:"A site manager of the site; whoever looks after it when left out"`
	Due      time.Time `json:"due"`

	Questionnaire string `json:"questionnaire,omitempty" maxLength:"128" doc:"What is asked; the category's when there is no text either"`
	Language      string `json:"language,omitempty" enum:"en,fr,ro" doc:"Of the questions; English when left out"`
}

func (b TransitionBody) request() incidents.Request {
	r := incidents.Request{
		Transition: b.Transition, Kind: b.Kind, Category: b.Category, Impact: b.Impact, Urgency: b.Urgency, Assignee: b.Assignee,
		Action: b.Action, Until: b.Until, Supplier: b.Supplier, Reference: b.Reference, Override: b.Override, Into: b.Into,
		Code: b.Code, Cause: b.Cause, Summary: b.Summary, Workaround: b.Workaround, Item: b.Item, Force: b.Force,
		Reason: b.Reason, Points: b.Points, Text: b.Text, Answers: givenOf(b.Answers), Channel: b.Channel,
	}
	for _, a := range b.Actions {
		r.Actions = append(r.Actions, incidents.NewAction{Text: a.Text, Assignee: a.Assignee, Due: a.Due, Questionnaire: a.Questionnaire, Language: a.Language})
	}
	return r
}

type transitionIn struct {
	IncidentPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for; any version when left out"`
	Body    TransitionBody
}

func (a *app) postTransition(ctx context.Context, in *transitionIn) (*incidentOut, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	req := in.Body.request()
	req.Version = version
	return a.move(ctx, in.IncidentPath, req)
}

func (a *app) move(ctx context.Context, path IncidentPath, req incidents.Request) (*incidentOut, error) {
	if err := a.assignees(ctx, path.Ref, req.Actions); err != nil {
		return nil, path.missing(err)
	}
	inc, err := a.Desk.Transition(ctx, path.Ref, req, actorOf(ctx), a.Now())
	return a.incidentAnswer(ctx, inc, path.missing(err))
}

// assignees refuses actions for people who don't look after the incident's site.
func (a *app) assignees(ctx context.Context, ref string, actions []incidents.NewAction) error {
	var named []int
	for i := range actions {
		if actions[i].Assignee != "" {
			named = append(named, i)
		}
	}
	if len(named) == 0 {
		return nil
	}
	inc, err := a.Desk.Get(ctx, ref, actorOf(ctx))
	if err != nil {
		return err
	}
	tokens, err := a.Tokens.Tokens(ctx, a.Tenant)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, t := range tokens {
		there[t.Name] = there[t.Name] || t.Role == incidents.SiteManager && t.Site == inc.Site && t.RevokedAt.IsZero()
	}
	invalid := &incidents.InvalidError{}
	for _, i := range named {
		if !there[actions[i].Assignee] {
			invalid.Faults = append(invalid.Faults, incidents.Fault{Field: fmt.Sprintf("actions[%d].assignee", i),
				Wrong: "is no site manager of the incident's site"})
		}
	}
	if len(invalid.Faults) > 0 {
		return invalid
	}
	return nil
}

type askIn struct {
	IncidentPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for; any version when left out"`
	Body    struct {
		Actions []NewAction `json:"actions" minItems:"1" maxItems:"20"`
	}
}

// postActions is the transition ask by another name.
func (a *app) postActions(ctx context.Context, in *askIn) (*incidentOut, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	req := TransitionBody{Transition: incidents.Ask, Actions: in.Body.Actions}.request()
	req.Version = version
	return a.move(ctx, in.IncidentPath, req)
}

type bulkIn struct {
	Body struct {
		Refs []string `json:"refs" minItems:"1" maxItems:"500" doc:"The incidents, each once"`
		TransitionBody
	}
}

// BulkItem is what a bulk request did to one incident: incident when it was
// done, else problem.
type BulkItem struct {
	Ref      string    `json:"ref"`
	Status   int       `json:"status" doc:"What the same request for this incident alone would have answered"`
	Incident *Incident `json:"incident,omitempty"`
	Problem  *Problem  `json:"problem,omitempty"`
}

func (a *app) postBulk(ctx context.Context, in *bulkIn) (*listOut[BulkItem], error) {
	seen := map[string]bool{}
	for i, ref := range in.Body.Refs {
		if seen[ref] {
			return nil, oneFault(fmt.Sprintf("refs[%d]", i), ref+" is here twice")
		}
		seen[ref] = true
	}
	req, actor := in.Body.request(), actorOf(ctx)
	for i := range req.Actions {
		if req.Actions[i].Assignee != "" {
			return nil, oneFault(fmt.Sprintf("actions[%d].assignee", i), "can't be named in bulk; leave it out for whoever looks after each site")
		}
	}
	items := make([]BulkItem, len(in.Body.Refs))
	for i, r := range a.Desk.Bulk(ctx, in.Body.Refs, req, actor, a.Now()) {
		items[i] = BulkItem{Ref: r.Ref, Status: 200}
		if r.Err == nil {
			view := incidentView(r.Incident, actor)
			items[i].Incident = &view
			continue
		}
		errors.As(a.problemOf(ctx, IncidentPath{r.Ref}.missing(r.Err)), &items[i].Problem) // problemOf returns nothing else
		items[i].Status = items[i].Problem.Status
	}
	return listed(items, ""), nil
}
