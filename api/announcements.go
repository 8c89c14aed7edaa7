package api

import (
	"context"
	"errors"
	"time"

	"belfry/incidents"
)

// Announcement tells people at some sites what is under way, or planned.
type Announcement struct {
	Ref       string                         `json:"ref" example:"ANN-000001"`
	Version   int64                          `json:"version"`
	State     incidents.AnnouncementState    `json:"state" enum:"draft,published,ended,withdrawn"`
	Planned   bool                           `json:"planned,omitempty" doc:"Work that is planned; else something that has happened"`
	Title     string                         `json:"title"`
	Text      string                         `json:"text,omitempty"`
	Sites     []string                       `json:"sites,omitempty" doc:"Whom it concerns; all when left out"`
	From      time.Time                      `json:"from,omitzero"`
	To        time.Time                      `json:"to,omitzero" doc:"When it is expected to be over"`
	Incident  string                         `json:"incident,omitempty" doc:"The major incident that it is about"`
	Updates   []incidents.AnnouncementUpdate `json:"updates" doc:"What the subscribers were told, each of them once"`
	CreatedBy string                         `json:"created_by"`
	CreatedAt time.Time                      `json:"created_at"`
	UpdatedAt time.Time                      `json:"updated_at"`
}

func announcementView(n incidents.Announcement, only string) Announcement {
	v := Announcement{Ref: n.Ref, Version: n.Version, State: n.State, Planned: n.Planned, Title: n.Title, Text: n.Text, Sites: n.Sites, From: n.From,
		To: n.To, Incident: n.Incident, Updates: n.Updates, CreatedBy: n.CreatedBy, CreatedAt: n.CreatedAt, UpdatedAt: n.UpdatedAt}
	if v.Updates == nil {
		v.Updates = []incidents.AnnouncementUpdate{}
	}
	if only != "" { // which others are concerned, and what happened there, is not theirs to know
		v.Incident = ""
		if len(v.Sites) > 0 {
			v.Sites = []string{only}
		}
	}
	return v
}

type announcementOut struct {
	ETag string `header:"ETag"`
	Body Announcement
}

func announcementAnswer(ctx context.Context, n incidents.Announcement, err error) (*announcementOut, error) {
	if err != nil {
		return nil, err
	}
	return &announcementOut{etag(n.Version), announcementView(n, tokenOf(ctx).Site)}, nil
}

type announcementsIn struct {
	State string `query:"state" enum:"draft,published,ended,withdrawn"`
	RecordList
}

func (a *app) listAnnouncements(ctx context.Context, in *announcementsIn) (*listOut[Announcement], error) {
	q, err := in.query("announcement", in.State)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Desk.Announcements(ctx, q, actorOf(ctx))
	if err != nil {
		return nil, err
	}
	views := make([]Announcement, len(list))
	for i, n := range list {
		views[i] = announcementView(n, tokenOf(ctx).Site)
	}
	return listed(views, toCursor("announcement", next)), nil
}

// AnnouncementPath names an announcement in a path.
type AnnouncementPath struct {
	Ref string `path:"announcement" maxLength:"64" example:"ANN-000001"`
}

func (in AnnouncementPath) missing(err error) error {
	if errors.Is(err, incidents.ErrNotFound) {
		return notFound("announcement", unescaped(in.Ref))
	}
	return err
}

func (a *app) getAnnouncement(ctx context.Context, in *AnnouncementPath) (*announcementOut, error) {
	n, err := a.Desk.Announcement(ctx, in.Ref, actorOf(ctx))
	return announcementAnswer(ctx, n, in.missing(err))
}

// AnnouncementBody is what people write of an announcement that is not out yet.
// What is left out of a change stays.
type AnnouncementBody struct {
	Title   *string                      `json:"title,omitempty" minLength:"1" maxLength:"300"`
	Text    *string                      `json:"text,omitempty" maxLength:"20000"`
	Planned *bool                        `json:"planned,omitempty"`
	Sites   []string                     `json:"sites,omitempty" maxItems:"10000"`
	From    *time.Time                   `json:"from,omitempty"`
	To      *time.Time                   `json:"to,omitempty"`
	State   *incidents.AnnouncementState `json:"state,omitempty" enum:"draft,withdrawn"`
}

func (b *AnnouncementBody) onto(n *incidents.Announcement) {
	over(&n.Title, b.Title)
	over(&n.Text, b.Text)
	over(&n.Planned, b.Planned)
	over(&n.From, b.From)
	over(&n.To, b.To)
	over(&n.State, b.State)
	if b.Sites != nil {
		n.Sites = b.Sites
	}
}

type newAnnouncementIn struct {
	Body struct {
		AnnouncementBody
		Incident string `json:"incident,omitempty" maxLength:"64" doc:"That it is about"`
	}
}

func (a *app) postAnnouncement(ctx context.Context, in *newAnnouncementIn) (*announcementOut, error) {
	n := incidents.Announcement{Incident: in.Body.Incident}
	in.Body.onto(&n)
	n, err := a.Desk.Draft(ctx, n, actorOf(ctx), a.Now())
	return announcementAnswer(ctx, n, err)
}

type announcementIn struct {
	AnnouncementPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    AnnouncementBody
}

func (a *app) patchAnnouncement(ctx context.Context, in *announcementIn) (*announcementOut, error) {
	was, err := a.Desk.Announcement(ctx, in.Ref, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	version, err := needMatch(in.IfMatch, was.Version)
	if err != nil {
		return nil, err
	}
	n, err := a.Desk.ChangeDraft(ctx, in.Ref, version, in.Body.onto, actorOf(ctx), a.Now())
	return announcementAnswer(ctx, n, in.missing(err))
}

type updateIn struct {
	AnnouncementPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for; any version when left out"`
	Body    struct {
		Text string `json:"text,omitempty" maxLength:"20000" doc:"What people are to know; the announcement's text when the first is left out"`
		End  bool   `json:"end,omitempty" doc:"It is over"`
	}
}

func (a *app) postUpdate(ctx context.Context, in *updateIn) (*announcementOut, error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	n, err := a.Desk.Tell(ctx, in.Ref, version, in.Body.Text, in.Body.End, actorOf(ctx), a.Now())
	return announcementAnswer(ctx, n, in.missing(err))
}
