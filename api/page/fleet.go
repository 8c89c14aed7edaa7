package page

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// mostSites is how many sites the first page lists, the worst first.
const mostSites = 50

// fleetView is the first page: how the fleet is, and what is open.
type fleetView struct {
	Devices, Silent, Never, Sites int
	Known                         bool // whether the warehouse said how the devices are
	Lag                           time.Duration
	Lagging                       bool
	Rows                          []siteRow
	More                          int // sites that are not listed
	Query                         string
	Open                          openList
}

// Alive is how many devices speak.
func (f fleetView) Alive() int { return f.Devices - f.Silent }

// siteRow is a site in a list.
type siteRow struct {
	telemetry.Site
	Health
	Counted bool // Health is known
}

// Alive is how many of its devices speak.
func (s siteRow) Alive() int { return s.Devices - s.Silent }

// Share is how much of it speaks, in percent.
func (s siteRow) Share() int {
	if s.Devices == 0 {
		return 0
	}
	return 100 * (s.Devices - s.Silent) / s.Devices
}

func fleetPage(v *visit) (*sheet, error) {
	view := fleetView{Query: strings.TrimSpace(v.r.URL.Query().Get("q"))}
	if v.Lag != nil {
		view.Lag = v.Lag()
		view.Lagging = view.Lag > 2*time.Minute
	}
	health := v.health(v.token.Site)
	view.Known = health != nil
	for _, h := range health {
		view.Devices, view.Silent, view.Never = view.Devices+h.Devices, view.Silent+h.Silent, view.Never+h.Never
	}
	view.Sites = len(health)
	var err error
	if view.Rows, err = v.siteRows(health, view.Query); err != nil {
		return nil, err
	}
	if view.Query == "" {
		view.More = max(0, len(health)-len(view.Rows))
	}
	view.Open, err = v.open("", "")
	return &sheet{Title: "Fleet", Name: "fleet", Tab: "fleet", Live: true, Data: view}, err
}

// health asks the warehouse; nil when it can't be asked, which is no reason not
// to show what is open.
func (v *visit) health(site string) []Health {
	if v.Fleet.Health == nil {
		return nil
	}
	list, err := v.Fleet.Health(v.ctx(), site, v.at)
	if err != nil {
		v.Log.Warn("the page could not ask how devices are", "error", err)
		return nil
	}
	return append([]Health{}, list...)
}

// siteRows returns the sites that a query names, or those that are worst off.
func (v *visit) siteRows(health []Health, query string) ([]siteRow, error) {
	of := map[string]Health{}
	for _, h := range health {
		of[h.Site] = h
	}
	found, err := v.Registry.Sites(v.ctx(), incidents.SiteQuery{Only: v.token.Site, Q: query, Limit: mostSites})
	if err != nil {
		return nil, err
	}
	listed := map[string]telemetry.Site{}
	for _, s := range found {
		listed[s.ID] = s.Site
	}
	if query == "" {
		if err := v.addWorst(listed, health); err != nil {
			return nil, err
		}
	}
	var rows []siteRow
	for id, s := range listed {
		h, counted := of[id]
		if counted || id != telemetry.Unassigned { // nobody made that one: it is there for devices that need it
			rows = append(rows, siteRow{s, h, counted})
		}
	}
	slices.SortFunc(rows, func(a, b siteRow) int {
		return cmp.Or(cmp.Compare(b.Silent, a.Silent), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return rows[:min(len(rows), mostSites)], nil
}

// addWorst adds the sites with the most silent devices.
func (v *visit) addWorst(listed map[string]telemetry.Site, health []Health) error {
	worst := slices.SortedFunc(slices.Values(health), func(a, b Health) int { return cmp.Compare(b.Silent, a.Silent) })
	for _, h := range worst[:min(len(worst), mostSites)] {
		if _, there := listed[h.Site]; there {
			continue
		}
		s, err := v.site(h.Site)
		if errors.Is(err, incidents.ErrNotFound) {
			continue // the warehouse's copy of the registry is a second old
		}
		if err != nil {
			return err
		}
		listed[h.Site] = s
	}
	return nil
}

// site returns a site that the token may see.
func (v *visit) site(id string) (telemetry.Site, error) {
	if !v.sees(id) {
		return telemetry.Site{}, incidents.ErrNotFound
	}
	row, err := v.Registry.Site(v.ctx(), id)
	return row.Site, err
}
