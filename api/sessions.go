package api

import (
	"context"
	"errors"

	"belfry/incidents"
)

// whoseSessions is the name whose sessions somebody may see and end: one's own, and
// for an administrator of the whole tenant everybody's ("").
func whoseSessions(ctx context.Context) string {
	if t := tokenOf(ctx); t.Role != incidents.Admin || t.Site != "" {
		return t.Name
	}
	return ""
}

func (a *app) listSessions(ctx context.Context, _ *struct{}) (*listOut[incidents.Session], error) {
	if a.Sessions == nil {
		return nil, notHere("sessions")
	}
	list, err := a.Sessions.Sessions(ctx, a.Tenant, whoseSessions(ctx), a.Now())
	if err != nil {
		return nil, err
	}
	return listed(list, ""), nil
}

type sessionPath struct {
	ID string `path:"id" maxLength:"64" doc:"From the list"`
}

func (a *app) deleteSession(ctx context.Context, in *sessionPath) (*struct{}, error) {
	if a.Sessions == nil {
		return nil, notHere("sessions")
	}
	err := a.Sessions.EndSessionOf(ctx, a.Tenant, whoseSessions(ctx), in.ID)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("session", in.ID)
	}
	return nil, err
}
