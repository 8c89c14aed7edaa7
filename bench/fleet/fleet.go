// Package fleet simulates people-counting devices with known faults: sites in
// several time zones with their opening hours, doors whose IN and OUT nearly
// balance over a site, heartbeats, and what goes wrong with them.
//
// A Fleet is a pure function of its options and faults: the records of a span of
// time are the same however often and in whatever pieces they are asked for, so
// a demo can load the past at once and then follow the present, and the list of
// injected faults is the truth that findings are held against.
//
// The package never reads the clock, and knows nothing of the log, the warehouse
// or the rules.
package fleet

import (
	"fmt"
	"time"

	"belfry/telemetry"
)

// Options say what a fleet is like.
type Options struct {
	Devices        int           // at least 1; 0 is 300
	Seed           uint64        // another seed, another fleet
	ReadingEvery   time.Duration // interval of the counts; 0 is 15 minutes
	HeartbeatEvery time.Duration // 0 is 15 minutes
	InServiceSince time.Time     // of all devices; zero leaves it open

	// Flat leaves out zones, opening hours and profiles: every device counts a
	// few people around the clock. It is for benchmarks, where millions of
	// devices are wanted and what they count does not matter.
	Flat bool
}

// Fleet is a set of sites and devices with their faults.
type Fleet struct {
	options Options
	sites   []site
	devices []device
	byName  map[string]int
	bySite  map[string]int
	faults  []Fault
}

// site is a site with its way of life.
type site struct {
	telemetry.Site
	plan    plan
	zone    *time.Location
	members []int // places in Fleet.devices
}

// device is a device with its share of its site.
type device struct {
	telemetry.Device
	site     int     // place in Fleet.sites
	in, out  float64 // share of the people who come, and who go, that use this door
	phase    time.Duration
	firmware string
	warmth   float64 // usual temperature
	signal   float64 // usual signal strength
	faults   []int   // places in Fleet.faults
}

// New returns a fleet without faults.
func New(o Options) *Fleet {
	if o.Devices <= 0 {
		o.Devices = 300
	}
	if o.ReadingEvery <= 0 {
		o.ReadingEvery = 15 * time.Minute
	}
	if o.HeartbeatEvery <= 0 {
		o.HeartbeatEvery = 15 * time.Minute
	}
	f := &Fleet{options: o, byName: map[string]int{}, bySite: map[string]int{}}
	f.build()
	return f
}

// Sites returns the sites, in a fixed order.
func (f *Fleet) Sites() []telemetry.Site {
	out := make([]telemetry.Site, len(f.sites))
	for i := range f.sites {
		out[i] = f.sites[i].Site
	}
	return out
}

// Devices returns the devices, in a fixed order.
func (f *Fleet) Devices() []telemetry.Device {
	out := make([]telemetry.Device, len(f.devices))
	for i := range f.devices {
		out[i] = f.devices[i].Device
	}
	return out
}

// doorsOf is how many doors a site has on the average.
const doorsOf = 12

// build lays out sites and devices. Doors come in pairs with opposite habits
// (one is rather an entrance, the other rather an exit), so that single doors
// don't balance and their site does.
func (f *Fleet) build() {
	count := max(1, (f.options.Devices+doorsOf-1)/doorsOf)
	for i := range count {
		s := newSite(i, count)
		f.bySite[s.ID] = i
		f.sites = append(f.sites, s)
	}
	for i := range f.options.Devices {
		at := i * count / f.options.Devices
		f.sites[at].members = append(f.sites[at].members, i)
		f.devices = append(f.devices, f.newDevice(i, at))
		f.byName[f.devices[i].Name] = i
	}
	for _, s := range f.sites {
		f.share(s.members)
	}
}

// newSite makes site i of so many. The last of several is closed.
func newSite(i, count int) site {
	p := plans[i%len(plans)]
	s := site{plan: p, Site: telemetry.Site{
		ID:     fmt.Sprintf("%s-%s", p.kind, p.city),
		Name:   p.name,
		Zone:   p.zone,
		Hours:  p.hours,
		Status: telemetry.SiteOpen,
		Labels: map[string]string{"kind": p.kind},
	}}
	if round := i / len(plans); round > 0 {
		s.ID = fmt.Sprintf("%s-%d", s.ID, round+1)
		s.Name = fmt.Sprintf("%s %d", s.Name, round+1)
	}
	s.Contact = "manager@" + s.ID + ".example"
	if count > 2 && i == count-1 {
		s.Status = telemetry.SiteClosed
	}
	s.zone = s.Location()
	return s
}

func (f *Fleet) newDevice(i, at int) device {
	r := f.random(i, 0, saltDevice)
	d := device{site: at, Device: telemetry.Device{
		Name:           fmt.Sprintf("FC-%05d", 10001+i),
		Site:           f.sites[at].ID,
		Status:         telemetry.DeviceActive,
		HeartbeatEvery: int(f.options.HeartbeatEvery / time.Second),
		ReadingEvery:   int(f.options.ReadingEvery / time.Second),
		InServiceSince: f.options.InServiceSince,
		Labels:         map[string]string{"model": models[i%len(models)], "door": fmt.Sprintf("door %d", len(f.sites[at].members))},
	}}
	// Millisecond steps, as devices have: times survive being written as JSON.
	d.phase = time.Duration(r.Float64()*float64(f.options.HeartbeatEvery/time.Millisecond)) * time.Millisecond
	d.firmware = []string{"5.2.1", "5.2.1", "5.2.1", "5.1.8"}[r.IntN(4)]
	d.warmth = 36 + 8*r.Float64()
	d.signal = -72 + 24*r.Float64()
	return d
}

var models = []string{"Lynx 3D", "Lynx 3D", "Heron", "Heron Mini"}

// share deals out a site's people among its doors.
func (f *Fleet) share(members []int) {
	weights := make([]float64, len(members))
	total := 0.0
	for i := range members {
		if i%2 == 1 {
			weights[i] = weights[i-1]
		} else {
			weights[i] = 0.5 + f.random(members[i], 1, saltDevice).Float64()
		}
		total += weights[i]
	}
	for i, m := range members {
		habit := 0.25
		switch {
		case i%2 == 1:
			habit = -0.25
		case i == len(members)-1:
			habit = 0
		}
		f.devices[m].in = weights[i] / total * (1 + habit)
		f.devices[m].out = weights[i] / total * (1 - habit)
	}
}
