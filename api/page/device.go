package page

import (
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// deviceView is one device: what it counts, and its incidents.
type deviceView struct {
	deviceRow
	Site    siteRow
	Zone    *time.Location
	Picture *picture    // nil: there are no readings, or nobody knows
	Vitals  *vitalsView // nil: nobody knows
	Open    openList
	Earlier []incidents.Incident
}

func devicePage(v *visit) (*sheet, error) {
	row, site, err := v.device(v.r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	view := deviceView{deviceRow: v.deviceRow(row, v.heard(site.ID, row.Name)), Site: siteRow{Site: site}, Zone: site.Location()}
	view.Picture = v.picture(row, site, v.at, view.Heard)
	view.Vitals = v.vitals(row, site, view.Heard)
	if view.Open, err = v.open("", row.Name); err != nil {
		return nil, err
	}
	list, err := v.Desk.List(v.ctx(), incidents.Query{Device: row.Name, Limit: 50}, v.actor)
	for _, inc := range list {
		if inc.State.Ended() {
			view.Earlier = append(view.Earlier, inc)
		}
	}
	return &sheet{Title: row.Name, Name: "device", Tab: "fleet", Live: true, Data: view}, err
}

// device returns a device that the token may see, and its site.
func (v *visit) device(name string) (telemetry.Device, telemetry.Site, error) {
	row, err := v.Registry.Device(v.ctx(), name)
	if err != nil {
		return telemetry.Device{}, telemetry.Site{}, err
	}
	site, err := v.site(row.Site)
	return row.Device, site, err
}

// lastDays returns the instant before which days are shown, and whether it is that
// at which a device fell silent.
func lastDays(at, heard time.Time) (until time.Time, ends bool) {
	if !heard.IsZero() && heard.Add(48*time.Hour).Before(at) {
		return heard.Add(24 * time.Hour), true
	}
	return at, false
}

// picture returns what a device counted in the days before an instant, or before
// it fell silent; nil when there is nothing to draw.
func (v *visit) picture(d telemetry.Device, s telemetry.Site, at, heard time.Time) *picture {
	if v.Hours == nil {
		return nil
	}
	at, ends := lastDays(at, heard)
	hours, err := v.Hours(v.ctx(), d, s, at)
	if err != nil {
		v.Log.Warn("the page could not draw a device", "error", err)
		return nil
	}
	for _, h := range hours {
		if h.Known {
			return &picture{hours: hours, site: s, Ends: ends}
		}
	}
	return nil
}
