package incidents

import (
	"time"

	"belfry/telemetry"
)

// SiteRow is a site as the registry holds it.
type SiteRow struct {
	telemetry.Site
	Version  int64 // of this site, from 1
	Revision int64 // of the registry, when the site last changed
}

// DeviceRow is a device as the registry holds it.
type DeviceRow struct {
	telemetry.Device
	Version  int64 // of this device, from 1
	Revision int64 // of the registry, when the device last changed
	Firmware
}

// Firmware is what a device's newest heartbeat says of its software.
type Firmware struct {
	Version string    // "" when it says nothing
	Since   time.Time // of the heartbeat in which belfry first saw it
}

// Make is what devices have in common that fail alike.
type Make struct{ Model, Firmware string }

// SiteQuery selects sites, in the order of their ids.
type SiteQuery struct {
	Only   string               // one site alone; "" for all
	Status telemetry.SiteStatus // "" for any
	Q      string               // part of the id or the name
	After  string               // start after this id
	Limit  int
}

// DeviceQuery selects devices, in the order of their names.
type DeviceQuery struct {
	Site   string                 // "" for any
	Status telemetry.DeviceStatus // "" for any
	Q      string                 // part of the name
	After  string                 // start after this name
	Limit  int
}
