package api

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// Contact is how a person is reached, as the API shows it.
type Contact struct {
	Name     string            `json:"name,omitempty" readOnly:"true" doc:"As on timelines"`
	Email    string            `json:"email" minLength:"3" maxLength:"254" example:"rosa@rome.example"`
	Language string            `json:"language,omitempty" enum:"en,fr,ro" doc:"en when left out"`
	Zone     string            `json:"zone,omitempty" maxLength:"64" example:"Europe/Rome" doc:"UTC when left out; without hours, the office calendar's"`
	Hours    map[string]string `json:"hours,omitempty" doc:"No message outside them, such as {\"mon-fri\":\"09:00-17:00\"}; the office calendar's when left out, but for what has priority 1 or is major"`
	Topics   []incidents.Topic `json:"topics,omitempty" maxItems:"2" doc:"What the person is told of besides: escalations (what managers are told: priority 1, major, agreements at risk and broken), announcements"`
	Sites    []string          `json:"sites,omitempty" maxItems:"1000" doc:"Of the topics: at these sites alone; at all when left out"`
}

type contactOut struct {
	ETag string `header:"ETag"`
	Body Contact
}

func contactView(c incidents.Contact) Contact {
	return Contact{c.Name, c.Email, c.Language, c.Zone, siteView(telemetry.Site{Hours: c.Hours}).Hours, c.Topics, c.Sites}
}

type contactsIn struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"512"`
}

func (a *app) listContacts(ctx context.Context, in *contactsIn) (*listOut[Contact], error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	if a.Notices == nil {
		return nil, notHere("contacts")
	}
	after, err := fromCursor("contact", in.Cursor)
	if err != nil {
		return nil, err
	}
	list, err := a.Notices.Contacts(ctx, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.Limit, "contact", func(c incidents.Contact) string { return c.Name })
	views := make([]Contact, len(list))
	for i, c := range list {
		views[i] = contactView(c)
	}
	return listed(views, next), nil
}

// ContactPath names a contact in a path.
type ContactPath struct {
	Name string `path:"name" maxLength:"512"`
}

func (a *app) getContact(ctx context.Context, in *ContactPath) (*contactOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	if a.Notices == nil {
		return nil, notHere("contacts")
	}
	name := unescaped(in.Name)
	c, err := a.Notices.Contact(ctx, name)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("contact", name)
	}
	return &contactOut{etag(c.Version), contactView(c)}, err
}

type contactIn struct {
	ContactPath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag of what is there; not needed for a new one"`
	Body    Contact
}

func (a *app) putContact(ctx context.Context, in *contactIn) (*contactOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	if a.Notices == nil {
		return nil, notHere("contacts")
	}
	c, err := in.Body.contact(unescaped(in.Name))
	if err != nil {
		return nil, err
	}
	was, err := a.Notices.Contact(ctx, c.Name)
	version := int64(0)
	if err == nil {
		version, err = needMatch(in.IfMatch, was.Version)
	} else if errors.Is(err, incidents.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return nil, err
	}
	c, err = a.Notices.PutContact(ctx, c, version)
	return &contactOut{etag(c.Version), contactView(c)}, err
}

// contact reads what a person wrote.
func (c Contact) contact(name string) (incidents.Contact, error) {
	out := incidents.Contact{Name: name, Email: c.Email, Language: orElse(c.Language, incidents.Languages[0]), Zone: c.Zone, Topics: c.Topics, Sites: c.Sites}
	if name == "" || len(name) > 128 {
		return out, oneFault("name", "want 1 to 128 bytes")
	}
	if a, err := mail.ParseAddress(c.Email); err != nil || a.Address != c.Email || strings.ContainsAny(c.Email, "\r\n") {
		return out, oneFault("email", "is no e-mail address")
	}
	if _, err := time.LoadLocation(c.Zone); err != nil || c.Zone == "Local" {
		return out, oneFault("zone", "no time zone "+strconv.Quote(c.Zone)+"; want an IANA name such as Europe/Paris")
	}
	for i, topic := range c.Topics {
		if !slices.Contains(incidents.Topics, topic) {
			return out, oneFault(fmt.Sprintf("topics[%d]", i), fmt.Sprintf("no topic %q; want one of %v", topic, incidents.Topics))
		}
	}
	var hours telemetry.Hours
	for days, span := range c.Hours {
		if err := hours.Add(days, span); err != nil {
			return out, oneFault("hours", err.Error())
		}
	}
	out.Hours = hours
	return out, nil
}
