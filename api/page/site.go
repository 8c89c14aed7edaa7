package page

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// siteView is one site with its devices.
type siteView struct {
	Site    telemetry.Site
	Zone    *time.Location
	Today   telemetry.Day
	OpenNow bool
	Health  Health
	Known   bool
	Devices []deviceRow
	Next    string // where the list of devices goes on
	Open    openList
}

// Alive is how many of its devices speak.
func (s siteView) Alive() int { return s.Health.Devices - s.Health.Silent }

// deviceRow is a device in a list.
type deviceRow struct {
	telemetry.Device
	Heard  time.Time // zero: never
	Silent bool
	Known  bool // Heard is known
}

// Path is the page of the device.
func (d deviceRow) Path() string { return "/devices/" + url.PathEscape(d.Name) }

// Path is the page of the site.
func (s siteRow) Path() string { return "/sites/" + url.PathEscape(s.ID) }

// devicesAtOnce is how many devices a site's page lists.
const devicesAtOnce = 200

func sitePage(v *visit) (*sheet, error) {
	site, err := v.site(v.r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	view := siteView{Site: site, Zone: site.Location(), Today: site.Day(v.at)}
	for _, s := range view.Today.Open {
		view.OpenNow = view.OpenNow || !v.at.Before(s.From) && v.at.Before(s.To)
	}
	for _, h := range v.health(site.ID) {
		view.Health, view.Known = h, true
	}
	rows, err := v.Registry.Devices(v.ctx(), incidents.DeviceQuery{Site: site.ID, After: v.r.URL.Query().Get("after"), Limit: devicesAtOnce + 1})
	if err != nil {
		return nil, err
	}
	if len(rows) > devicesAtOnce {
		rows = rows[:devicesAtOnce]
		view.Next = "?after=" + url.QueryEscape(rows[len(rows)-1].Name)
	}
	heard := v.heard(site.ID, "")
	for _, r := range rows {
		view.Devices = append(view.Devices, v.deviceRow(r.Device, heard))
	}
	slices.SortStableFunc(view.Devices, func(a, b deviceRow) int { return cmp.Compare(b.rank(), a.rank()) })
	view.Open, err = v.open(site.ID, "")
	return &sheet{Title: site.Name, Name: "site", Tab: "fleet", Live: true, Data: view}, err
}

// rank puts the silent first and the retired last.
func (d deviceRow) rank() int {
	switch {
	case d.Status == telemetry.DeviceRetired:
		return 0
	case d.Silent:
		return 2
	}
	return 1
}

func (v *visit) deviceRow(d telemetry.Device, heard map[string]time.Time) deviceRow {
	row := deviceRow{Device: d, Known: heard != nil, Heard: heard[d.Name]}
	row.Silent = row.Known && d.Status != telemetry.DeviceRetired && v.at.Sub(row.Heard) > SilentAfter
	return row
}

// heard asks when devices were last heard of; nil when nobody can say.
func (v *visit) heard(site, device string) map[string]time.Time {
	if v.Heard == nil {
		return nil
	}
	heard, err := v.Heard(v.ctx(), site, device)
	if err != nil {
		v.Log.Warn("the page could not ask when devices were heard of", "error", err)
		return nil
	}
	if heard == nil {
		heard = map[string]time.Time{}
	}
	return heard
}
