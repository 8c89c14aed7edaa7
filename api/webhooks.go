package api

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	"belfry/incidents"
)

// Notices holds who is told of what, and what became of it.
type Notices interface {
	Webhooks(ctx context.Context, site string) ([]incidents.Webhook, error)
	Webhook(ctx context.Context, id string) (incidents.Webhook, error)
	CreateWebhook(ctx context.Context, w incidents.Webhook) (incidents.Webhook, error)
	UpdateWebhook(ctx context.Context, w incidents.Webhook, version int64) (incidents.Webhook, error)
	DeleteWebhook(ctx context.Context, id string, at time.Time) error
	Notices(ctx context.Context, q incidents.NoticeQuery) ([]incidents.NoticeRow, error)
	Replay(ctx context.Context, webhook string, notice int64, at time.Time) error
	Contacts(ctx context.Context, after string, limit int) ([]incidents.Contact, error)
	Contact(ctx context.Context, name string) (incidents.Contact, error)
	PutContact(ctx context.Context, c incidents.Contact, version int64) (incidents.Contact, error)
}

func (a *app) listWebhooks(ctx context.Context, _ *struct{}) (*listOut[incidents.Webhook], error) {
	if a.Notices == nil {
		return nil, notHere("webhooks")
	}
	list, err := a.Notices.Webhooks(ctx, tokenOf(ctx).Site)
	return listed(list, ""), err
}

type webhookIn struct {
	Body struct {
		URL      string   `json:"url" minLength:"8" maxLength:"2000" example:"https://helpdesk.example/belfry" doc:"What is called, by POST, for each event"`
		Site     string   `json:"site,omitempty" maxLength:"128" doc:"Only what happens on this site"`
		Kinds    []string `json:"kinds,omitempty" maxItems:"64" doc:"Only events of these kinds, such as open, resolve, comment; all when left out"`
		Internal bool     `json:"internal,omitempty" doc:"Internal notes too"`
	}
}

type webhookMade struct {
	ETag string `header:"ETag"`
	Body struct {
		incidents.Webhook
		Secret string `json:"secret" doc:"Signs every call; it is shown this once"`
	}
}

type webhookOut struct {
	ETag string `header:"ETag"`
	Body incidents.Webhook
}

func (a *app) postWebhook(ctx context.Context, in *webhookIn) (*webhookMade, error) {
	if a.Notices == nil {
		return nil, notHere("webhooks")
	}
	site, err := a.siteFor(ctx, in.Body.Site)
	if err != nil {
		return nil, err
	}
	w := incidents.Webhook{URL: in.Body.URL, Site: site, Internal: in.Body.Internal, CreatedBy: tokenOf(ctx).Name, CreatedAt: a.Now().UTC()}
	if err := checkWebhook(&w, in.Body.Kinds); err != nil {
		return nil, err
	}
	w, err = a.Notices.CreateWebhook(ctx, w)
	if err != nil {
		return nil, err
	}
	out := &webhookMade{ETag: etag(w.Version)}
	out.Body.Webhook, out.Body.Secret = w, w.Secret
	return out, nil
}

// siteFor returns the site of what a token makes: the one that is asked for, if
// the token sees it, or the token's own.
func (a *app) siteFor(ctx context.Context, site string) (string, error) {
	only := tokenOf(ctx).Site
	if site == "" {
		return only, nil
	}
	_, err := a.Registry.Site(ctx, site)
	if errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && only != site {
		return "", oneFault("site", "there is no such site")
	}
	return site, err
}

func checkWebhook(w *incidents.Webhook, kinds []string) error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return oneFault("url", "is no address that can be called; want https://host/path, without a password")
	}
	for _, k := range kinds {
		if !slices.Contains(append(incidents.EventKinds(), incidents.Announced), incidents.Transition(k)) {
			return oneFault("kinds", "no kind of event "+strconv.Quote(k))
		}
		w.Kinds = append(w.Kinds, incidents.Transition(k))
	}
	return nil
}

// WebhookPath names a subscription in a path.
type WebhookPath struct {
	ID string `path:"id" maxLength:"64" example:"wh_aaaabbbbccccdddd"`
}

// seenWebhook returns a subscription that the token may see.
func (a *app) seenWebhook(ctx context.Context, id string) (incidents.Webhook, error) {
	if a.Notices == nil {
		return incidents.Webhook{}, notHere("webhooks")
	}
	w, err := a.Notices.Webhook(ctx, id)
	if only := tokenOf(ctx).Site; errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && only != w.Site {
		return w, notFound("webhook", id)
	}
	return w, err
}

func (a *app) getWebhook(ctx context.Context, in *WebhookPath) (*webhookOut, error) {
	w, err := a.seenWebhook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &webhookOut{etag(w.Version), w}, nil
}

type webhookPatch struct {
	WebhookPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    struct {
		Paused *bool   `json:"paused,omitempty" doc:"Whether it hears nothing for the time being"`
		URL    *string `json:"url,omitempty" minLength:"8" maxLength:"2000"`
	}
}

func (a *app) patchWebhook(ctx context.Context, in *webhookPatch) (*webhookOut, error) {
	w, err := a.seenWebhook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := needMatch(in.IfMatch, w.Version)
	if err != nil {
		return nil, err
	}
	set(&w.Paused, in.Body.Paused)
	set(&w.URL, in.Body.URL)
	if err := checkWebhook(&w, nil); err != nil {
		return nil, err
	}
	w, err = a.Notices.UpdateWebhook(ctx, w, version)
	return &webhookOut{etag(w.Version), w}, err
}

type webhookGone struct {
	WebhookPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that it is meant for"`
}

func (a *app) deleteWebhook(ctx context.Context, in *webhookGone) (*struct{}, error) {
	w, err := a.seenWebhook(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := needMatch(in.IfMatch, w.Version); err != nil {
		return nil, err
	}
	err = a.Notices.DeleteWebhook(ctx, in.ID, a.Now())
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("webhook", in.ID)
	}
	return nil, err
}

type deliveriesIn struct {
	WebhookPath
	Outcome string `query:"outcome" enum:"waiting,sent,given_up,dropped"`
	Limit   int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor  string `query:"cursor" maxLength:"512"`
}

func (a *app) listDeliveries(ctx context.Context, in *deliveriesIn) (*listOut[incidents.NoticeRow], error) {
	if _, err := a.seenWebhook(ctx, in.ID); err != nil {
		return nil, err
	}
	return a.noticesPage(ctx, incidents.NoticeQuery{Webhook: in.ID, Outcome: incidents.Outcome(in.Outcome), Limit: in.Limit}, in.Cursor)
}

func (a *app) noticesPage(ctx context.Context, q incidents.NoticeQuery, cursor string) (*listOut[incidents.NoticeRow], error) {
	place, err := fromCursor("notice", cursor)
	if err != nil {
		return nil, err
	}
	if q.Before, err = strconv.ParseInt("0"+place, 10, 64); err != nil {
		return nil, oneFault("cursor", "is none of this list")
	}
	limit := q.Limit
	q.Limit++
	list, err := a.Notices.Notices(ctx, q)
	if err != nil {
		return nil, err
	}
	list, next := page(list, limit, "notice", func(n incidents.NoticeRow) string { return strconv.FormatInt(n.ID, 10) })
	return listed(list, next), nil
}

type replayIn struct {
	WebhookPath
	Notice int64 `path:"notice" minimum:"1" maximum:"9007199254740991" doc:"The id from the list of deliveries"`
}

func (a *app) replayDelivery(ctx context.Context, in *replayIn) (*struct{}, error) {
	if _, err := a.seenWebhook(ctx, in.ID); err != nil {
		return nil, err
	}
	err := a.Notices.Replay(ctx, in.ID, in.Notice, a.Now())
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("delivery", strconv.FormatInt(in.Notice, 10))
	}
	return nil, err
}

type noticesIn struct {
	IncidentPath
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor string `query:"cursor" maxLength:"512"`
}

// getNotices is who was told of an incident, why, and what became of it.
func (a *app) getNotices(ctx context.Context, in *noticesIn) (*listOut[incidents.NoticeRow], error) {
	if _, err := a.Desk.Get(ctx, in.Ref, actorOf(ctx)); err != nil {
		return nil, in.missing(err)
	}
	if a.Notices == nil {
		return nil, notHere("notices")
	}
	return a.noticesPage(ctx, incidents.NoticeQuery{Ref: in.Ref, Limit: in.Limit}, in.Cursor)
}
