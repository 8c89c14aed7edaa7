package api

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
	"belfry/telemetry"
)

// Site is a site as the API shows it.
type Site struct {
	ID         string                `json:"id" minLength:"1" maxLength:"128" doc:"What others refer to it by"`
	Name       string                `json:"name,omitempty" maxLength:"300"`
	Zone       string                `json:"zone,omitempty" maxLength:"64" doc:"IANA time zone, such as Europe/Paris; UTC when left out"`
	Status     telemetry.SiteStatus  `json:"status,omitempty" enum:"open,closed,refit"`
	Hours      map[string]string     `json:"hours,omitempty" doc:"Opening hours by day or range of days: {\"mon-fri\": \"09:00-12:00,13:00-18:30\"}; none means around the clock"`
	Exceptions []telemetry.Exception `json:"exceptions,omitempty" maxItems:"1000" doc:"Dates with other hours"`
	Holidays   *Holidays             `json:"holidays,omitempty"`
	Labels     map[string]string     `json:"labels,omitempty"`
	Contact    string                `json:"contact,omitempty" maxLength:"320" doc:"The site manager's e-mail address"`
}

// Holidays are the public holidays of where a site is.
type Holidays struct{ telemetry.Holidays }

// Schema lets them be written as an object, or in short as a string.
func (Holidays) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "The public holidays of a country or a part of it by ISO 3166, such as US or AU-VIC, and what they are to the site; like Sundays when nothing is said. In short a string: \"US\", \"AU-VIC, closed, no alarms\"; \"\" for none. Exceptions of the same date count before them",
		OneOf:       []*huma.Schema{{Type: huma.TypeString, MaxLength: new(200)}, r.Schema(reflect.TypeFor[telemetry.Holidays](), true, "Holidays")},
	}
}

func siteView(s telemetry.Site) Site {
	hours := map[string]string{}
	for day, name := range [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} {
		var spans []string
		for _, span := range s.Hours[day] {
			spans = append(spans, span.String())
		}
		if len(spans) > 0 {
			hours[name] = strings.Join(spans, ",")
		}
	}
	var holidays *Holidays
	if s.Holidays.Of != "" {
		holidays = &Holidays{s.Holidays}
	}
	return Site{s.ID, s.Name, s.Zone, s.Status, hours, s.Exceptions, holidays, s.Labels, s.Contact}
}

// site returns the word that is meant, or what is wrong with it.
func (s Site) site() (telemetry.Site, error) {
	out := telemetry.Site{ID: s.ID, Name: s.Name, Zone: s.Zone, Status: s.Status,
		Exceptions: s.Exceptions, Labels: s.Labels, Contact: s.Contact}
	if s.Holidays != nil {
		out.Holidays = s.Holidays.Holidays
	}
	for _, days := range slices.Sorted(maps.Keys(s.Hours)) {
		if err := out.Hours.Add(days, s.Hours[days]); err != nil {
			return out, oneFault("hours", err.Error())
		}
	}
	return out, nil
}

type siteOut struct {
	ETag string `header:"ETag"`
	Body Site
}

func siteAnswer(row incidents.SiteRow, err error) (*siteOut, error) {
	if err != nil {
		return nil, err
	}
	return &siteOut{etag(row.Version), siteView(row.Site)}, nil
}

type sitesIn struct {
	Status string `query:"status" enum:"open,closed,refit"`
	Q      string `query:"q" maxLength:"200" doc:"Words of the id or the name"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"512"`
}

func (a *app) listSites(ctx context.Context, in *sitesIn) (*listOut[Site], error) {
	after, err := fromCursor("site", in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, err := a.Registry.Sites(ctx, incidents.SiteQuery{Only: tokenOf(ctx).Site,
		Status: telemetry.SiteStatus(in.Status), Q: in.Q, After: after, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page(rows, in.Limit, "site", func(r incidents.SiteRow) string { return r.ID })
	views := make([]Site, len(rows))
	for i, r := range rows {
		views[i] = siteView(r.Site)
	}
	return listed(views, next), nil
}

// SitePath names a site in a path.
type SitePath struct {
	ID string `path:"id" maxLength:"512"`
}

// seenSite returns a site that the token may see.
func (a *app) seenSite(ctx context.Context, segment string) (incidents.SiteRow, error) {
	id := unescaped(segment)
	row, err := a.Registry.Site(ctx, id)
	if only := tokenOf(ctx).Site; errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && only != id {
		return incidents.SiteRow{}, notFound("site", id)
	}
	return row, err
}

func (a *app) getSite(ctx context.Context, in *SitePath) (*siteOut, error) {
	return siteAnswer(a.seenSite(ctx, in.ID))
}

type siteIn struct{ Body Site }

func (a *app) postSite(ctx context.Context, in *siteIn) (*siteOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	site, err := in.Body.site()
	if err != nil {
		return nil, err
	}
	if err := site.Check(); err != nil {
		return nil, oneFault("site", err.Error())
	}
	return siteAnswer(a.Registry.CreateSite(ctx, site))
}

// wholeFleet refuses tokens of one site where an answer would tell about others:
// that a name is taken, for instance.
func wholeFleet(ctx context.Context) error {
	if site := tokenOf(ctx).Site; site != "" {
		return newProblem("forbidden", "this token is for the site %q alone; this needs one for all", site)
	}
	return nil
}

// SiteChange holds the members of a site that are to change.
type SiteChange struct {
	Name       *string                `json:"name,omitempty" maxLength:"300"`
	Zone       *string                `json:"zone,omitempty" maxLength:"64"`
	Status     *telemetry.SiteStatus  `json:"status,omitempty" enum:"open,closed,refit"`
	Hours      *map[string]string     `json:"hours,omitempty"`
	Exceptions *[]telemetry.Exception `json:"exceptions,omitempty" maxItems:"1000"`
	Holidays   *Holidays              `json:"holidays,omitempty"`
	Labels     *map[string]string     `json:"labels,omitempty"`
	Contact    *string                `json:"contact,omitempty" maxLength:"320"`
}

func (c SiteChange) on(s *Site) {
	set(&s.Name, c.Name)
	set(&s.Zone, c.Zone)
	set(&s.Status, c.Status)
	set(&s.Hours, c.Hours)
	set(&s.Exceptions, c.Exceptions)
	if c.Holidays != nil {
		s.Holidays = c.Holidays
	}
	set(&s.Labels, c.Labels)
	set(&s.Contact, c.Contact)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

type sitePatch struct {
	SitePath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    SiteChange
}

func (a *app) patchSite(ctx context.Context, in *sitePatch) (*siteOut, error) {
	row, err := a.seenSite(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := needMatch(in.IfMatch, row.Version)
	if err != nil {
		return nil, err
	}
	view := siteView(row.Site)
	in.Body.on(&view)
	site, err := view.site()
	if err != nil {
		return nil, err
	}
	if err := site.Check(); err != nil {
		return nil, oneFault("site", err.Error())
	}
	return siteAnswer(a.Registry.UpdateSite(ctx, site, version))
}
