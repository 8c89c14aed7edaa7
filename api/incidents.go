package api

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// Incident is an incident as the API shows it.
type Incident struct {
	Ref           string                 `json:"ref" example:"INC-000123"`
	Version       int64                  `json:"version"`
	Origin        incidents.Origin       `json:"origin" enum:"rule,person"`
	State         incidents.State        `json:"state" enum:"new,in_progress,pending,resolved,closed,cancelled"`
	Condition     telemetry.Condition    `json:"condition" enum:"firing,clear,unknown,none" doc:"What the analyzer holds to be true"`
	Since         time.Time              `json:"since,omitzero" doc:"When the condition began to hold"`
	EvaluatedAt   time.Time              `json:"evaluated_at,omitzero" doc:"Instant of the newest finding"`
	Kind          incidents.Kind         `json:"kind,omitempty" enum:"incident,service_request,reminder,question,other" doc:"What sort of work it is"`
	PendingReason string                 `json:"pending_reason,omitempty" doc:"While pending: what it waits for"`
	WakeAt        time.Time              `json:"wake_at,omitzero" doc:"While pending: when it wakes by itself"`
	Actions       []incidents.Action     `json:"actions,omitempty" doc:"What people were asked to do"`
	Parent        string                 `json:"parent,omitempty" doc:"The site incident that stands for it"`
	RolledUp      bool                   `json:"rolled_up,omitempty" doc:"It stands for the devices of a site"`
	HeldBack      string                 `json:"held_back,omitempty" doc:"Why nobody is troubled with it"`
	HeldUntil     time.Time              `json:"held_until,omitzero" doc:"While it is held back: until when"`
	Flapping      bool                   `json:"flapping,omitempty" doc:"Its condition changes too often to be told of each time"`
	Vendor        *incidents.VendorCase  `json:"vendor,omitempty" doc:"The case at the supplier"`
	Major         bool                   `json:"major,omitempty"`
	DuplicateOf   string                 `json:"duplicate_of,omitempty" doc:"The incident that it was merged into"`
	Duplicates    []string               `json:"duplicates,omitempty" doc:"The incidents that were merged into it"`
	Reminders     int                    `json:"reminders,omitempty" doc:"How often people came back to it"`
	Satisfaction  *incidents.Score       `json:"satisfaction,omitempty"`
	SLA           string                 `json:"sla,omitempty" enum:"ok,at_risk,breached,paused,met" doc:"How it stands against what was promised to the client"`
	DueAt         time.Time              `json:"due_at,omitzero" doc:"When the resolution is due, while its clock runs"`
	Category      string                 `json:"category"`
	Team          string                 `json:"team,omitempty" doc:"Who looks after the category"`
	Cause         string                 `json:"cause,omitempty" doc:"What the answers to questions point at; resolve takes it when it says no other"`
	Priority      int                    `json:"priority" doc:"1 (most) to 4"`
	Impact        incidents.Impact       `json:"impact,omitempty"`
	Urgency       incidents.Urgency      `json:"urgency,omitempty"`
	Level         int                    `json:"level" doc:"Of support: 1, 2 or 3"`
	Summary       string                 `json:"summary"`
	Description   string                 `json:"description,omitempty"`
	Site          string                 `json:"site,omitempty"`
	Zone          string                 `json:"zone,omitempty" doc:"The site's time zone; all times here are UTC"`
	Device        string                 `json:"device,omitempty"`
	Model         string                 `json:"model,omitempty" doc:"Of the device, when this was opened"`
	Firmware      string                 `json:"firmware,omitempty" doc:"Of the device, when this was opened"`
	Rule          string                 `json:"rule,omitempty"`
	RuleHash      string                 `json:"rule_hash,omitempty"`
	Scope         *telemetry.Scope       `json:"scope,omitempty"`
	Value         *float64               `json:"value,omitempty" doc:"What was seen"`
	Threshold     *float64               `json:"threshold,omitempty" doc:"What it was held against"`
	Score         *float64               `json:"score,omitempty"`
	Expected      string                 `json:"expected,omitempty"`
	Completeness  *float64               `json:"completeness,omitempty" doc:"Readings present over readings expected, when the rule asks for it"`
	Occurrences   int                    `json:"occurrences" doc:"How often the rule has fired"`
	LastFiredAt   time.Time              `json:"last_fired_at,omitzero"`
	Late          bool                   `json:"late,omitempty" doc:"Found after data arrived late"`
	Muted         bool                   `json:"muted,omitempty" doc:"Resolved by force: silent until the condition is clear"`
	Reporter      string                 `json:"reporter,omitempty"`
	Channel       incidents.Source       `json:"channel,omitempty" doc:"By which it was reported"`
	Assignee      string                 `json:"assignee,omitempty"`
	Reopened      int                    `json:"reopened,omitempty" doc:"How often it was reopened"`
	RecurrenceOf  string                 `json:"recurrence_of,omitempty" doc:"The incident of the same rule and scope before it"`
	Resolution    *incidents.Resolution  `json:"resolution,omitempty"`
	OpenedAt      time.Time              `json:"opened_at"`
	UpdatedAt     time.Time              `json:"updated_at"`
	FirstResponse time.Time              `json:"first_response_at,omitzero"`
	ResolvedAt    time.Time              `json:"resolved_at,omitzero"`
	ClosedAt      time.Time              `json:"closed_at,omitzero"`
	Allowed       []incidents.Transition `json:"allowed" doc:"What you may ask for next"`
}

func incidentView(i incidents.Incident, actor incidents.Actor) Incident {
	v := Incident{
		Ref: i.Ref, Version: i.Version, Origin: i.Origin, State: i.State, Condition: i.Condition, Since: i.Since,
		EvaluatedAt: i.EvaluatedAt, Category: i.Category, Priority: i.Priority, Impact: i.Impact, Urgency: i.Urgency,
		Level: i.Level, Summary: i.Summary, Description: i.Description, Site: i.Site, Device: i.Device, Model: i.Model, Firmware: i.Firmware, Rule: i.Rule,
		RuleHash: i.RuleHash, Value: i.Value, Threshold: i.Threshold, Score: i.Score, Expected: i.Expected, Completeness: i.Complete,
		Occurrences: i.Occurrences, LastFiredAt: i.LastFiredAt, Late: i.Late, Muted: i.Muted, Reporter: i.Reporter,
		Assignee: i.Assignee, Reopened: i.Reopened, RecurrenceOf: i.RecurrenceOf, OpenedAt: i.OpenedAt,
		UpdatedAt: i.UpdatedAt, FirstResponse: i.FirstResponse, ResolvedAt: i.ResolvedAt, ClosedAt: i.ClosedAt,
		Channel: i.Channel, Team: i.Team, Cause: i.Cause, Kind: i.Kind, PendingReason: i.PendingReason, WakeAt: i.WakeAt, Actions: i.Actions, Major: i.Major, Flapping: i.Flapping, Parent: i.Parent, RolledUp: i.RolledUp,
		DuplicateOf: i.DuplicateOf, Duplicates: i.Duplicates, Reminders: i.Reminders, SLA: i.ClockState(),
		Allowed: incidents.Allowed(i.State, actor),
	}
	for _, k := range i.Clocks {
		if k.Name == "resolve" {
			v.DueAt = k.Due
		}
	}
	if i.Held.By != "" {
		v.HeldBack, v.HeldUntil = "held back because "+i.Held.Why, i.Held.Until
	}
	if i.Vendor.Supplier != "" {
		v.Vendor = &i.Vendor
	}
	if i.Satisfaction.Points > 0 {
		v.Satisfaction = &i.Satisfaction
	}
	if i.Rule != "" {
		v.Scope = &i.Scope
	}
	if i.Resolution.Code != "" {
		v.Resolution = &i.Resolution
	}
	return v
}

type incidentOut struct {
	ETag string `header:"ETag"`
	Body Incident
}

func (a *app) incidentAnswer(ctx context.Context, i incidents.Incident, err error) (*incidentOut, error) {
	if err != nil {
		return nil, err
	}
	view := incidentView(i, actorOf(ctx))
	view.Zone, err = a.zone(ctx, i.Site)
	return &incidentOut{etag(i.Version), view}, err
}

type incidentsIn struct {
	Site         string    `query:"site" maxLength:"128"`
	Device       string    `query:"device" maxLength:"128"`
	Category     string    `query:"category" maxLength:"128"`
	Rule         string    `query:"rule" maxLength:"128"`
	State        string    `query:"state" enum:"new,in_progress,pending,resolved,closed,cancelled"`
	Condition    string    `query:"condition" enum:"firing,clear,unknown,none"`
	Level        int       `query:"level" minimum:"1" maximum:"3"`
	Supplier     string    `query:"supplier" maxLength:"128" doc:"That are with this supplier now"`
	Priority     int       `query:"priority" minimum:"1" maximum:"4"`
	Assignee     string    `query:"assignee" maxLength:"128"`
	Reporter     string    `query:"reporter" maxLength:"128"`
	Parent       string    `query:"parent" maxLength:"64" doc:"What this site incident stands for"`
	Kind         string    `query:"kind" enum:"incident,service_request,reminder,question,other"`
	SLA          string    `query:"sla" enum:"ok,at_risk,breached,paused,met" doc:"How it stands against what was promised to the client"`
	Q            string    `query:"q" maxLength:"200" doc:"Words of the summary"`
	UpdatedSince time.Time `query:"updated_since"`
	Limit        int       `query:"limit" minimum:"1" maximum:"500" default:"50"`
	Cursor       string    `query:"cursor" maxLength:"512"`
	Format       string    `query:"format" enum:"json,csv" doc:"csv for a spreadsheet; the next page is then in the header Link"`
}

func (a *app) listIncidents(ctx context.Context, in *incidentsIn) (*listOut[Incident], error) {
	before, err := fromCursor("incident", in.Cursor)
	if err != nil {
		return nil, err
	}
	actor := actorOf(ctx)
	list, err := a.Desk.List(ctx, incidents.Query{
		Site: in.Site, Device: in.Device, Category: in.Category, Rule: in.Rule, State: incidents.State(in.State),
		Condition: telemetry.Condition(in.Condition), Level: in.Level, Supplier: in.Supplier, Priority: in.Priority, Assignee: in.Assignee, Reporter: in.Reporter,
		Kind: incidents.Kind(in.Kind), Clock: in.SLA, Parent: in.Parent, Q: in.Q, UpdatedSince: in.UpdatedSince, Before: before, Limit: in.Limit + 1,
	}, actor)
	if err != nil {
		return nil, err
	}
	list, next := page(list, in.Limit, "incident", func(i incidents.Incident) string { return i.Ref })
	views := make([]Incident, len(list))
	for n, i := range list {
		views[n] = incidentView(i, actor)
		if views[n].Zone, err = a.zone(ctx, i.Site); err != nil {
			return nil, err
		}
	}
	return listed(views, next), nil
}

// IncidentPath names an incident in a path.
type IncidentPath struct {
	Ref string `path:"ref" maxLength:"64" example:"INC-000123"`
}

func (in IncidentPath) missing(err error) error {
	if errors.Is(err, incidents.ErrNotFound) {
		return notFound("incident", unescaped(in.Ref))
	}
	return err
}

func (a *app) getIncident(ctx context.Context, in *IncidentPath) (*incidentOut, error) {
	inc, err := a.Desk.Get(ctx, in.Ref, actorOf(ctx))
	return a.incidentAnswer(ctx, inc, in.missing(err))
}

type reportIn struct {
	Body struct {
		Summary     string            `json:"summary" minLength:"1" maxLength:"300" doc:"One sentence"`
		Description string            `json:"description,omitempty" maxLength:"20000"`
		Category    string            `json:"category,omitempty" maxLength:"128" doc:"user_report/other when left out"`
		Site        string            `json:"site,omitempty" maxLength:"128" doc:"Needed, unless a device or the token says it"`
		Device      string            `json:"device,omitempty" maxLength:"128"`
		Kind        incidents.Kind    `json:"kind,omitempty" enum:"incident,service_request,question,other"`
		Impact      incidents.Impact  `json:"impact,omitempty" enum:"client,site,device"`
		Urgency     incidents.Urgency `json:"urgency,omitempty" enum:"high,medium,low"`
		Channel     incidents.Source  `json:"channel,omitempty" enum:"api,portal,email,phone,visit,scan" doc:"By which it came"`
		Reporter    string            `json:"reporter,omitempty" maxLength:"128" doc:"On whose behalf the desk reports it"`
	}
}

func (a *app) postIncident(ctx context.Context, in *reportIn) (*incidentOut, error) {
	b := in.Body
	site, err := a.placeOf(ctx, b.Site, b.Device)
	if err != nil {
		return nil, err
	}
	inc, err := a.Desk.Report(ctx, incidents.NewReport{
		Summary: b.Summary, Description: b.Description, Category: b.Category, Site: site, Device: b.Device,
		Kind: b.Kind, Impact: b.Impact, Urgency: b.Urgency, Channel: b.Channel, Reporter: b.Reporter,
	}, actorOf(ctx), a.Now())
	return a.incidentAnswer(ctx, inc, err)
}

// placeOf returns the site of a report, and refuses places that are not there
// or not the token's to see.
func (a *app) placeOf(ctx context.Context, site, device string) (string, error) {
	only := tokenOf(ctx).Site
	if device != "" {
		row, err := a.Registry.Device(ctx, device)
		if errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && row.Site != only {
			return "", oneFault("device", "there is no such device")
		}
		if err == nil && site != "" && site != row.Site {
			return "", oneFault("site", "the device is not there")
		}
		return row.Site, err
	}
	if site == "" {
		site = only
	}
	if site == "" {
		return "", oneFault("site", "is missing; want a site or a device")
	}
	_, err := a.Registry.Site(ctx, site)
	if errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && site != only {
		return "", oneFault("site", "there is no such site")
	}
	return site, err
}

// versionOf reads the one version that If-Match names; 0 for any. The store
// compares it in the transaction that makes the change.
func versionOf(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	version, err := strconv.ParseInt(strings.Trim(header, `"`), 10, 64)
	if err != nil || etag(version) != header || version < 1 {
		return 0, newProblem("stale", "If-Match names %s, which is no version of it", header)
	}
	return version, nil
}

// Event is an entry of a timeline as the API shows it.
type Event struct {
	Seq     int64                `json:"seq"`
	At      time.Time            `json:"at"`
	Actor   string               `json:"actor"`
	Source  incidents.Source     `json:"source"`
	Request string               `json:"request,omitempty" doc:"X-Request-Id of the request that made it"`
	Kind    incidents.Transition `json:"kind"`
	Before  map[string]any       `json:"before" doc:"The fields that changed, as they were"`
	After   map[string]any       `json:"after" doc:"The same fields, as they became"`
	Text    string               `json:"text,omitempty"`
	Private bool                 `json:"internal,omitempty" doc:"For the desk's eyes only"`
	Shared  bool                 `json:"shared,omitempty" doc:"An internal note that the supplier reads too"`
}

// bookkeeping are fields that only the machine reads.
var bookkeeping = []string{"key", "open_key", "evaluated", "touched", "timer_at", "clocks", "flips", "told_at", "renotify", "digest"}

func eventView(e incidents.Event) (Event, error) {
	v := Event{Seq: e.Seq, At: e.At, Actor: e.Actor, Source: e.Source, Request: e.Request, Kind: e.Kind, Text: e.Text, Private: e.Internal, Shared: e.Shared}
	for _, side := range []struct {
		text json.RawMessage
		into *map[string]any
	}{{e.Before, &v.Before}, {e.After, &v.After}} {
		if err := json.Unmarshal(side.text, side.into); err != nil {
			return v, err
		}
		for _, name := range bookkeeping {
			delete(*side.into, name)
		}
	}
	return v, nil
}

type timelineIn struct {
	IncidentPath
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"200"`
	Cursor string `query:"cursor" maxLength:"512"`
}

// after is the entry that a page comes after; 0 at the beginning.
func (in *timelineIn) after() (int64, error) {
	place, err := fromCursor("event", in.Cursor)
	if err != nil {
		return 0, err
	}
	after, err := strconv.ParseInt("0"+place, 10, 64)
	if err != nil {
		return 0, oneFault("cursor", "is none of this list")
	}
	return after, nil
}

// eventCursor is where to go on after an entry; "" at the end.
func eventCursor(last int64) string {
	if last == 0 {
		return ""
	}
	return toCursor("event", strconv.FormatInt(last, 10))
}

func (a *app) getTimeline(ctx context.Context, in *timelineIn) (*listOut[Event], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	events, last, err := a.Desk.Timeline(ctx, in.Ref, after, in.Limit, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	views := make([]Event, len(events))
	for i, e := range events {
		if views[i], err = eventView(e); err != nil {
			return nil, err
		}
	}
	return listed(views, eventCursor(last)), nil
}

// Shown is what showed a finding, each time the rule fired.
type Shown struct {
	Seq      int64                `json:"seq" doc:"The entry of the timeline"`
	At       time.Time            `json:"at"`
	Evidence []telemetry.Evidence `json:"evidence"`
}

func (a *app) getEvidence(ctx context.Context, in *timelineIn) (*listOut[Shown], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	events, last, err := a.Desk.Evidence(ctx, in.Ref, after, in.Limit, actorOf(ctx))
	if err != nil {
		return nil, in.missing(err)
	}
	views := make([]Shown, len(events))
	for i, e := range events {
		views[i] = Shown{e.Seq, e.At, e.Evidence}
	}
	return listed(views, eventCursor(last)), nil
}

type commentIn struct {
	IncidentPath
	Body struct {
		Text     string `json:"text" minLength:"1" maxLength:"20000"`
		Internal bool   `json:"internal,omitempty" doc:"For the desk's eyes only"`
		Shared   bool   `json:"shared,omitempty" doc:"An internal note that the supplier reads and writes too"`

		Channel incidents.Source `json:"channel,omitempty" enum:"api,portal,email,phone,visit,scan" doc:"By which it came"`
	}
}

type commentOut struct{ Body Event }

func (a *app) postComment(ctx context.Context, in *commentIn) (*commentOut, error) {
	event, err := a.Desk.Comment(ctx, in.Ref, incidents.Request{Text: in.Body.Text, Internal: in.Body.Internal, Shared: in.Body.Shared, Channel: in.Body.Channel}, actorOf(ctx), a.Now())
	if err != nil {
		return nil, in.missing(err)
	}
	view, err := eventView(event)
	return &commentOut{view}, err
}
