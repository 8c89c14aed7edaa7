package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of fault.
type Kind string

// The kinds of fault. In brackets what By and Factor mean for it.
const (
	Offline            Kind = "offline"              // nothing is sent
	Zero               Kind = "zero"                 // rows come, and say that nobody passed
	PoweredNotCounting Kind = "powered_not_counting" // heartbeats, no counts
	NoHeartbeat        Kind = "no_heartbeat"         // counts, no heartbeats
	OneDirectionDead   Kind = "one_direction_dead"   // IN is always 0
	Discrepancy        Kind = "in_out_discrepancy"   // OUT is undercounted (Factor: the share still seen, 0.5)
	Swapped            Kind = "direction_swapped"    // IN and OUT are exchanged
	Stuck              Kind = "stuck"                // the same counts again and again
	Runaway            Kind = "runaway"              // counts far too many (Factor: people per hour, 4000)
	CopiedDay          Kind = "copied_day"           // counts are those of a week before
	ClockSkew          Kind = "clock_skew"           // the device's clock is wrong (By: how far ahead, 1h)
	Late               Kind = "late"                 // all arrives late (By: how late, 6h)
	Backfill           Kind = "backfill"             // silence, then all of it at once when the fault ends
	Flapping           Kind = "flapping"             // silent and back (By: length of a cycle, 2h)
	outermost               = 14 * 24 * time.Hour    // a delay may be so long
	shortest                = time.Minute            // a fault is at least so long
	runawayPerHour          = 4000.0                 // default of Runaway
	discrepancyShare        = 0.5                    // default of Discrepancy
	week                    = 7 * 24 * time.Hour     // a copied day comes from so long ago
)

// Kinds lists all kinds of fault.
var Kinds = []Kind{Offline, Zero, PoweredNotCounting, NoHeartbeat, OneDirectionDead, Discrepancy, Swapped,
	Stuck, Runaway, CopiedDay, ClockSkew, Late, Backfill, Flapping}

// Fault is something wrong with a device, or with all devices of a site, after
// From up to and with To.
type Fault struct {
	Device string // either a device
	Site   string // or a site
	Kind   Kind
	From   time.Time
	To     time.Time
	By     time.Duration // see the kinds; 0 is the kind's default
	Factor float64       // see the kinds; 0 is the kind's default
	Note   string
}

// Scope returns the name of the device or the site.
func (x *Fault) Scope() string {
	if x.Device != "" {
		return x.Device
	}
	return x.Site
}

func (x *Fault) holds(at time.Time) bool { return at.After(x.From) && !at.After(x.To) }

// complete fills in the defaults and returns what is wrong with the fault, or nil.
func (x *Fault) complete() error {
	defaults := map[Kind]time.Duration{ClockSkew: time.Hour, Late: 6 * time.Hour, Flapping: 2 * time.Hour}
	switch {
	case !slices.Contains(Kinds, x.Kind):
		return fmt.Errorf("kind %q; want one of %s", x.Kind, kindNames())
	case (x.Device == "") == (x.Site == ""):
		return fmt.Errorf("device %q and site %q; want either a device or a site", x.Device, x.Site)
	case x.To.Sub(x.From) < shortest:
		return fmt.Errorf("it lasts from %s to %s; want an end after the beginning", x.From.Format(time.RFC3339), x.To.Format(time.RFC3339))
	}
	if x.By == 0 {
		x.By = defaults[x.Kind]
	}
	if x.Factor == 0 {
		x.Factor = map[Kind]float64{Discrepancy: discrepancyShare, Runaway: runawayPerHour}[x.Kind]
	}
	switch {
	case x.By > outermost || x.By < -outermost || x.By < 0 && x.Kind != ClockSkew:
		return fmt.Errorf("by %s; want at most two weeks, and only a clock can be behind", x.By)
	case x.Kind == Discrepancy && (x.Factor < 0 || x.Factor >= 1):
		return fmt.Errorf("factor %g; want the share of OUT that is still counted, below 1", x.Factor)
	case x.Factor < 0:
		return fmt.Errorf("factor %g; want a positive number", x.Factor)
	}
	return nil
}

func kindNames() string {
	names := make([]string, len(Kinds))
	for i, k := range Kinds {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// Inject adds faults to the fleet: all of them, or none when one is wrong.
func (f *Fleet) Inject(faults ...Fault) error {
	checked := slices.Clone(faults)
	for i := range checked {
		x := &checked[i]
		if err := x.complete(); err != nil {
			return fmt.Errorf("fault %d (%s): %w", i+1, x.Scope(), err)
		}
		if _, err := f.struck(x); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	for _, x := range checked {
		members, _ := f.struck(&x)
		for _, m := range members {
			f.devices[m].faults = append(f.devices[m].faults, len(f.faults))
		}
		f.faults = append(f.faults, x)
	}
	return nil
}

// struck returns the devices that a fault befalls.
func (f *Fleet) struck(x *Fault) ([]int, error) {
	if x.Site != "" {
		i, ok := f.bySite[x.Site]
		if !ok {
			return nil, fmt.Errorf("no site %q in the fleet; the first is %s", x.Site, f.sites[0].ID)
		}
		return f.sites[i].members, nil
	}
	i, ok := f.byName[x.Device]
	if !ok {
		return nil, fmt.Errorf("no device %q in the fleet; they are %s to %s", x.Device, f.devices[0].Name, f.devices[len(f.devices)-1].Name)
	}
	return []int{i}, nil
}

// Faults returns the faults that were injected: the truth about the fleet.
func (f *Fleet) Faults() []Fault { return slices.Clone(f.faults) }
