package fleet

import (
	"time"

	"belfry/telemetry"
)

// scattered is what Scatter deals out: how long after the start of the span, as
// a share of it, and for how long. A fault that would end after the span lasts
// beyond it, so that a demo has some that are still there.
var scattered = []struct {
	kind   Kind
	onSite bool
	after  float64
	days   float64 // 0: it lasts
	note   string
}{
	{Offline, false, 0.30, 5, "power supply changed on the sixth day"},
	{Discrepancy, true, 0.45, 4, "a display hides the exits"},
	{Offline, false, 0.80, 0, "still dark"},
	{PoweredNotCounting, false, 0.50, 3, "counting process hangs"},
	{OneDirectionDead, false, 0.55, 6, "one lens covered"},
	{Stuck, false, 0.35, 2, ""},
	{Runaway, false, 0.60, 0.5, "sees its own reflection"},
	{ClockSkew, false, 0.40, 7, "zone set wrong"},
	{Flapping, false, 0.70, 2, "loose cable"},
	{Backfill, false, 0.25, 3, "gateway without uplink"},
	{Zero, false, 0.65, 2, "turned to the wall"},
	{Late, false, 0.75, 2, "slow uplink"},
	{Swapped, false, 0.20, 9, "mounted the other way round"},
	{NoHeartbeat, false, 0.58, 4, ""},
	{CopiedDay, false, 0.68, 1, ""},
	{Discrepancy, true, 0.93, 0, "still there"},
}

// Scatter returns faults of every kind for a span of time, chosen by the fleet's
// seed: no device and no site has two of them. They are not injected yet.
func (f *Fleet) Scatter(from, to time.Time) []Fault {
	used := map[string]bool{}
	var faults []Fault
	for i, s := range scattered {
		x := Fault{Kind: s.kind, Note: s.note, From: from.Add(time.Duration(s.after * float64(to.Sub(from)))).Truncate(time.Hour)}
		x.To = x.From.Add(time.Duration(s.days * float64(24*time.Hour)))
		if s.days == 0 {
			x.To = to.Add(outermost)
		}
		if s.onSite {
			x.Site = f.pickSite(i, used)
			x.Factor = 0.7
		} else {
			x.Device = f.pickDevice(i, used)
		}
		if x.Scope() != "" {
			faults = append(faults, x)
		}
	}
	return faults
}

// pickSite returns a busy site that has no fault, "" when there is none.
func (f *Fleet) pickSite(salt int, used map[string]bool) string {
	r := f.random(salt, 0, saltScatter)
	for range 100 {
		s := &f.sites[r.IntN(len(f.sites))]
		if used[s.ID] || s.Status != telemetry.SiteOpen || s.plan.perDoor < 300 || len(s.members) < 2 {
			continue
		}
		used[s.ID] = true
		return s.ID
	}
	return ""
}

// pickDevice returns a device of an open site, neither of which has a fault.
func (f *Fleet) pickDevice(salt int, used map[string]bool) string {
	r := f.random(salt, 0, saltScatter)
	for range 100 {
		d := &f.devices[r.IntN(len(f.devices))]
		if used[d.Name] || used[d.Site] || f.sites[d.site].Status != telemetry.SiteOpen {
			continue
		}
		used[d.Name] = true
		return d.Name
	}
	return ""
}
