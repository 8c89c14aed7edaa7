package analyzer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"belfry/telemetry"
)

// Fleet is a snapshot of the registry in a fixed order: a device's place in it
// is its row in every column. It is not changed once made, and analyzers and
// backtests may share it.
type Fleet struct {
	Sites   []telemetry.Site   // ascending by ID
	Devices []telemetry.Device // ascending by telemetry.IDOf(Name)

	ids      []telemetry.DeviceID
	siteOf   []int32   // row of the device's site
	from, to []int64   // in service from <= at < to, milliseconds since 1970
	reading  []float64 // seconds between counts

	calendars  []*calendar
	calendarOf []int32 // by site
	heartbeat  time.Duration
	ten        time.Duration // see tenReadings
}

// NewFleet sorts sites and devices into a Fleet, which owns the slices from then
// on. A device whose site is not given is put under a site of that name, open
// all day in UTC.
func NewFleet(sites []telemetry.Site, devices []telemetry.Device) (*Fleet, error) {
	f := &Fleet{Sites: sites, Devices: devices}
	f.addUnknownSites()
	slices.SortFunc(f.Sites, func(a, b telemetry.Site) int { return cmp.Compare(a.ID, b.ID) })
	for i := 1; i < len(f.Sites); i++ {
		if f.Sites[i].ID == f.Sites[i-1].ID {
			return nil, fmt.Errorf("two sites with the id %q", f.Sites[i].ID)
		}
	}
	if err := f.sortDevices(); err != nil {
		return nil, err
	}
	f.fill()
	return f, f.groupCalendars()
}

func (f *Fleet) addUnknownSites() {
	known := make(map[string]bool, len(f.Sites))
	for i := range f.Sites {
		known[f.Sites[i].ID] = true
	}
	for i := range f.Devices {
		if id := f.Devices[i].Site; !known[id] {
			known[id] = true
			f.Sites = append(f.Sites, telemetry.Site{ID: id, Name: id, Zone: "UTC", Status: telemetry.SiteOpen})
		}
	}
}

func (f *Fleet) sortDevices() error {
	order := make([]int32, len(f.Devices))
	ids := make([]telemetry.DeviceID, len(f.Devices))
	for i := range f.Devices {
		order[i], ids[i] = int32(i), telemetry.IDOf(f.Devices[i].Name)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(ids[a], ids[b]) })
	devices := make([]telemetry.Device, len(order))
	f.ids = make([]telemetry.DeviceID, len(order))
	for row, i := range order {
		devices[row], f.ids[row] = f.Devices[i], ids[i]
		if row > 0 && f.ids[row] == f.ids[row-1] {
			return fmt.Errorf("devices %q and %q have the same identity", devices[row-1].Name, devices[row].Name)
		}
	}
	f.Devices = devices
	return nil
}

func (f *Fleet) fill() {
	n := len(f.Devices)
	f.siteOf, f.from, f.to = make([]int32, n), make([]int64, n), make([]int64, n)
	f.reading = make([]float64, n)
	f.heartbeat = telemetry.DefaultHeartbeatEvery * time.Second
	for i := range f.Devices {
		d := &f.Devices[i]
		f.siteOf[i] = int32(f.siteRow(d.Site))
		f.from[i], f.to[i] = math.MinInt64, math.MaxInt64
		if !d.InServiceSince.IsZero() {
			f.from[i] = d.InServiceSince.UnixMilli()
		}
		switch {
		case !d.RetiredAt.IsZero():
			f.to[i] = d.RetiredAt.UnixMilli()
		case d.Status == telemetry.DeviceRetired:
			f.to[i] = math.MinInt64
		}
		f.reading[i] = float64(cmp.Or(d.ReadingEvery, telemetry.DefaultInterval))
		f.heartbeat = max(f.heartbeat, min(time.Duration(d.HeartbeatEvery)*time.Second, maxHold))
	}
	f.ten = f.tenReadings()
}

// since returns when a device came into service, in seconds since 1970; NaN when that is
// not known.
func (f *Fleet) since(row int) float64 {
	if f.from[row] == math.MinInt64 {
		return missing
	}
	return float64(f.from[row]) / 1e3
}

func (f *Fleet) siteRow(id string) int {
	return sort.Search(len(f.Sites), func(i int) bool { return f.Sites[i].ID >= id })
}

func (f *Fleet) deviceRow(name string) (int, bool) {
	row, ok := slices.BinarySearch(f.ids, telemetry.IDOf(name))
	return row, ok && f.Devices[row].Name == name
}

// groupCalendars gives sites with the same zone, hours, exceptions and holidays one calendar.
func (f *Fleet) groupCalendars() error {
	byKey := map[string]int32{}
	f.calendarOf = make([]int32, len(f.Sites))
	for i := range f.Sites {
		s := &f.Sites[i]
		key, err := json.Marshal(struct {
			Zone       string
			Hours      telemetry.Hours
			Exceptions []telemetry.Exception
			Holidays   telemetry.Holidays
		}{s.Zone, s.Hours, s.Exceptions, s.Holidays})
		if err != nil {
			return fmt.Errorf("calendar of site %s: %w", s.ID, err)
		}
		c, ok := byKey[string(key)]
		if !ok {
			c = int32(len(f.calendars))
			byKey[string(key)] = c
			f.calendars = append(f.calendars, &calendar{site: *s})
		}
		f.calendarOf[i] = c
	}
	return nil
}

// calendarOfDevice returns the row of the device's calendar.
func (f *Fleet) calendarOfDevice(row int) int32 { return f.calendarOf[f.siteOf[row]] }

// inService fills alive with which devices are in service at the instant.
func (f *Fleet) inService(at time.Time, alive []bool) {
	ms := at.UnixMilli()
	for i := range alive {
		alive[i] = f.from[i] <= ms && ms < f.to[i]
	}
}

// peopled counts the sites that have devices.
func (f *Fleet) peopled() int {
	n, has := 0, make([]bool, len(f.Sites))
	for _, site := range f.siteOf {
		if !has[site] {
			has[site], n = true, n+1
		}
	}
	return n
}

// siteNameOf returns the site of a device, "" for one that the fleet does not have.
func (f *Fleet) siteNameOf(device string) string {
	if row, ok := f.deviceRow(device); ok {
		return f.Devices[row].Site
	}
	return ""
}

// devicesAt returns how to ask how many devices a site has.
func (f *Fleet) devicesAt() func(site string) int {
	count := map[string]int{}
	for i := range f.Devices {
		count[f.Devices[i].Site]++
	}
	return func(site string) int { return count[site] }
}
