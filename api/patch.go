package api

import (
	"context"

	"belfry/incidents"
)

type incidentPatch struct {
	IncidentPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    struct {
		Kind     incidents.Kind    `json:"kind,omitempty" enum:"incident,service_request,question,other"`
		Category string            `json:"category,omitempty" maxLength:"128"`
		Impact   incidents.Impact  `json:"impact,omitempty" enum:"client,site,device"`
		Urgency  incidents.Urgency `json:"urgency,omitempty" enum:"high,medium,low"`
		Assignee string            `json:"assignee,omitempty" maxLength:"128" doc:"Alone: who works on it"`
	}
}

// patchIncident is the transitions qualify and assign by another name, for those who
// think of fields. One of them is one entry of the timeline.
func (a *app) patchIncident(ctx context.Context, in *incidentPatch) (*incidentOut, error) {
	inc, err := a.Desk.Get(ctx, in.Ref, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	version, err := needMatch(in.IfMatch, inc.Version)
	if err != nil {
		return nil, err
	}
	b := in.Body
	req := incidents.Request{Transition: incidents.Qualify, Version: version, Kind: b.Kind, Category: b.Category, Impact: b.Impact, Urgency: b.Urgency}
	qualifies := b.Kind != "" || b.Category != "" || b.Impact != "" || b.Urgency != ""
	switch {
	case b.Assignee != "" && qualifies:
		return nil, oneFault("assignee", "goes alone; the other fields are another change")
	case b.Assignee != "":
		req = incidents.Request{Transition: incidents.Assign, Version: version, Assignee: b.Assignee}
	case !qualifies:
		return nil, oneFault("body", "changes nothing; want kind, category, impact, urgency or assignee")
	}
	return a.move(ctx, in.IncidentPath, req)
}
