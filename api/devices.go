package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"belfry/incidents"
	"belfry/telemetry"
)

// Device is a device as the API shows it.
type Device struct {
	Name           string                 `json:"name" minLength:"1" maxLength:"128"`
	Site           string                 `json:"site,omitempty" maxLength:"128" doc:"The site's id; unassigned when left out"`
	Status         telemetry.DeviceStatus `json:"status,omitempty" enum:"active,retired"`
	Labels         map[string]string      `json:"labels,omitempty"`
	HeartbeatEvery *int                   `json:"heartbeat_every,omitempty" minimum:"0" maximum:"31536000" doc:"Seconds between heartbeats; 0: it sends none; 900 when left out"`
	ReadingEvery   int                    `json:"reading_every,omitempty" minimum:"0" maximum:"31536000" doc:"Seconds between counts; 60 when left out"`
	InServiceSince time.Time              `json:"in_service_since,omitzero"`
	RetiredAt      time.Time              `json:"retired_at,omitzero"`
	SelfRegistered bool                   `json:"self_registered,omitempty" readOnly:"true" doc:"It was heard before anybody told of it"`
	Firmware       string                 `json:"firmware,omitempty" readOnly:"true" doc:"As its newest heartbeat says"`
	FirmwareSince  time.Time              `json:"firmware_since,omitzero" readOnly:"true" doc:"The heartbeat in which belfry first saw it"`
}

func deviceView(d incidents.DeviceRow) Device {
	return Device{d.Name, d.Site, d.Status, d.Labels, &d.HeartbeatEvery, d.ReadingEvery, d.InServiceSince, d.RetiredAt, d.SelfRegistered, d.Firmware.Version, d.Since}
}

func (d Device) device() telemetry.Device {
	out := telemetry.Device{Name: d.Name, Site: d.Site, Status: d.Status, Labels: d.Labels,
		HeartbeatEvery: telemetry.DefaultHeartbeatEvery, ReadingEvery: d.ReadingEvery,
		InServiceSince: d.InServiceSince, RetiredAt: d.RetiredAt}
	set(&out.HeartbeatEvery, d.HeartbeatEvery)
	return out
}

type deviceOut struct {
	ETag string `header:"ETag"`
	Body Device
}

func deviceAnswer(row incidents.DeviceRow, err error) (*deviceOut, error) {
	if err != nil {
		return nil, err
	}
	return &deviceOut{etag(row.Version), deviceView(row)}, nil
}

type devicesIn struct {
	Site   string `query:"site" maxLength:"128"`
	Status string `query:"status" enum:"active,retired"`
	Q      string `query:"q" maxLength:"200" doc:"Words of the name"`
	Limit  int    `query:"limit" minimum:"1" maximum:"10000" default:"100"`
	Cursor string `query:"cursor" maxLength:"512"`
	Format string `query:"format" enum:"json,csv" doc:"csv for a spreadsheet; the next page is then in the header Link"`
}

func (a *app) listDevices(ctx context.Context, in *devicesIn) (*listOut[Device], error) {
	after, err := fromCursor("device", in.Cursor)
	if err != nil {
		return nil, err
	}
	site := in.Site
	if only := tokenOf(ctx).Site; only != "" {
		if site != "" && site != only {
			return listed[Device](nil, ""), nil
		}
		site = only
	}
	rows, err := a.Registry.Devices(ctx, incidents.DeviceQuery{Site: site,
		Status: telemetry.DeviceStatus(in.Status), Q: in.Q, After: after, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	rows, next := page(rows, in.Limit, "device", func(r incidents.DeviceRow) string { return r.Name })
	views := make([]Device, len(rows))
	for i, r := range rows {
		views[i] = deviceView(r)
	}
	return listed(views, next), nil
}

// DevicePath names a device in a path.
type DevicePath struct {
	Name string `path:"name" maxLength:"512"`
}

// seenDevice returns a device that the token may see.
func (a *app) seenDevice(ctx context.Context, segment string) (incidents.DeviceRow, error) {
	name := unescaped(segment)
	row, err := a.Registry.Device(ctx, name)
	if only := tokenOf(ctx).Site; errors.Is(err, incidents.ErrNotFound) || err == nil && only != "" && only != row.Site {
		return incidents.DeviceRow{}, notFound("device", name)
	}
	return row, err
}

func (a *app) getDevice(ctx context.Context, in *DevicePath) (*deviceOut, error) {
	return deviceAnswer(a.seenDevice(ctx, in.Name))
}

type deviceIn struct{ Body Device }

func (a *app) postDevice(ctx context.Context, in *deviceIn) (*deviceOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	device := in.Body.device()
	if err := device.Check(); err != nil {
		return nil, oneFault("device", err.Error())
	}
	return deviceAnswer(a.Registry.CreateDevice(ctx, device))
}

// DeviceChange holds the members of a device that are to change.
type DeviceChange struct {
	Site           *string                 `json:"site,omitempty" maxLength:"128"`
	Status         *telemetry.DeviceStatus `json:"status,omitempty" enum:"active,retired"`
	Labels         *map[string]string      `json:"labels,omitempty"`
	HeartbeatEvery *int                    `json:"heartbeat_every,omitempty" minimum:"0" maximum:"31536000"`
	ReadingEvery   *int                    `json:"reading_every,omitempty" minimum:"1" maximum:"31536000"`
	InServiceSince *time.Time              `json:"in_service_since,omitempty"`
	RetiredAt      *time.Time              `json:"retired_at,omitempty"`
}

func (c DeviceChange) on(d *telemetry.Device) {
	set(&d.Site, c.Site)
	set(&d.Status, c.Status)
	set(&d.Labels, c.Labels)
	set(&d.HeartbeatEvery, c.HeartbeatEvery)
	set(&d.ReadingEvery, c.ReadingEvery)
	set(&d.InServiceSince, c.InServiceSince)
	set(&d.RetiredAt, c.RetiredAt)
}

type devicePatch struct {
	DevicePath
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is meant for"`
	Body    DeviceChange
}

func (a *app) patchDevice(ctx context.Context, in *devicePatch) (*deviceOut, error) {
	row, err := a.seenDevice(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	version, err := needMatch(in.IfMatch, row.Version)
	if err != nil {
		return nil, err
	}
	in.Body.on(&row.Device)
	if row.Site != telemetry.Unassigned {
		row.SelfRegistered = false // somebody has given it its place
	}
	if only := tokenOf(ctx).Site; only != "" && row.Site != only {
		return nil, oneFault("site", fmt.Sprintf("device %s: no site %q", row.Name, row.Site))
	}
	if err := row.Check(); err != nil {
		return nil, oneFault("device", err.Error())
	}
	return deviceAnswer(a.Registry.UpdateDevice(ctx, row.Device, version))
}

var importBody = &huma.RequestBody{
	Description: "Sites and devices, in the forms of POST /sites and POST /devices. What exists is brought up to date.",
	Content: map[string]*huma.MediaType{"application/json": {
		Schema: &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{
			"sites":   {Type: "array", Items: &huma.Schema{Ref: "#/components/schemas/Site"}},
			"devices": {Type: "array", Items: &huma.Schema{Ref: "#/components/schemas/Device"}},
		}},
		Example: map[string]any{"sites": []any{map[string]any{"id": "paris", "zone": "Europe/Paris"}},
			"devices": []any{map[string]any{"name": "FC-10042", "site": "paris"}}},
	}},
}

// importIn is read by ourselves: validating a million devices against a schema
// takes longer than storing them, and stops at the first hundred faults.
type importIn struct{ RawBody []byte }

type importOut struct{ Body Imported }

// Imported is the answer to an import.
type Imported struct {
	Sites   int `json:"sites"`
	Devices int `json:"devices"`
}

func (a *app) importDevices(ctx context.Context, in *importIn) (*importOut, error) {
	if err := wholeFleet(ctx); err != nil {
		return nil, err
	}
	var file struct {
		Sites   []Site   `json:"sites"`
		Devices []Device `json:"devices"`
	}
	d := json.NewDecoder(bytes.NewReader(in.RawBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, newProblem("bad-request", "byte %d: %s", d.InputOffset(), err)
	}
	sites, devices, err := words(file.Sites, file.Devices)
	if err != nil {
		return nil, err
	}
	if err := a.Registry.Import(ctx, sites, devices); err != nil {
		return nil, err
	}
	return &importOut{Imported{len(sites), len(devices)}}, nil
}

// words turns views into what they mean. When hours can't be read, the error has
// that and whatever else can be told without the registry.
func words(siteViews []Site, deviceViews []Device) (sites []telemetry.Site, devices []telemetry.Device, err error) {
	var unread, other []incidents.Fault
	for i, view := range siteViews {
		site, err := view.site()
		if err != nil {
			unread = append(unread, incidents.Fault{Field: fmt.Sprintf("sites[%d]", i), Wrong: err.Error()})
		} else if err := site.Check(); err != nil {
			other = append(other, incidents.Fault{Field: fmt.Sprintf("sites[%d]", i), Wrong: err.Error()})
		}
		sites = append(sites, site)
	}
	devices = make([]telemetry.Device, len(deviceViews))
	for i := range deviceViews {
		devices[i] = deviceViews[i].device()
		if err := devices[i].Check(); err != nil {
			other = append(other, incidents.Fault{Field: fmt.Sprintf("devices[%d]", i), Wrong: err.Error()})
		}
	}
	if len(unread) > 0 {
		return nil, nil, &incidents.InvalidError{Faults: append(unread, other...)}
	}
	return sites, devices, nil // the registry finds the other faults again, beside those that only it can find
}

// maxReadings is how many steps one answer holds.
const maxReadings = 10_000

type readingsIn struct {
	DevicePath
	From time.Time `query:"from" required:"true" doc:"Start of the span, itself left out"`
	To   time.Time `query:"to" required:"true" doc:"End of the span"`
	Step string    `query:"step" maxLength:"16" example:"1h" doc:"Sum over steps of this length (15m, 1h, 24h); as they were sent when left out"`
}

type readingsOut struct {
	Body struct {
		Device   string    `json:"device"`
		Readings []Reading `json:"readings"`
	}
}

func (a *app) getReadings(ctx context.Context, in *readingsIn) (*readingsOut, error) {
	row, err := a.seenDevice(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if a.Readings == nil {
		return nil, notHere("readings")
	}
	q, err := in.query(row.Name)
	if err != nil {
		return nil, err
	}
	list, err := a.Readings(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(list) > maxReadings {
		return nil, oneFault("to", fmt.Sprintf("there are more than %d readings; ask for a shorter span or a longer step", maxReadings))
	}
	out := &readingsOut{}
	out.Body.Device, out.Body.Readings = row.Name, append([]Reading{}, list...)
	return out, nil
}

func (in *readingsIn) query(device string) (ReadingsQuery, error) {
	q := ReadingsQuery{Device: device, From: in.From.UTC(), To: in.To.UTC(), Limit: maxReadings + 1}
	if !q.To.After(q.From) {
		return q, oneFault("to", "is not after from")
	}
	if in.Step == "" {
		return q, nil
	}
	step, err := time.ParseDuration(in.Step)
	if err != nil || step < time.Second {
		return q, oneFault("step", fmt.Sprintf("%q; want a duration of at least 1s, such as 15m", in.Step))
	}
	if q.To.Sub(q.From)/step > maxReadings {
		return q, oneFault("step", fmt.Sprintf("makes more than %d steps", maxReadings))
	}
	q.Step = step
	return q, nil
}
