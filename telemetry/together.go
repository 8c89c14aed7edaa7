package telemetry

import "time"

// What a desk makes of findings, and a report over the past therefore counts: which
// of them are one incident.
const (
	// ReopenWindow is how long after its end an incident takes up again what fires
	// anew for the same rule and scope.
	ReopenWindow = 24 * time.Hour
	// RollUpWindow is within how long the devices of a site must fail for one incident
	// to stand for all of them.
	RollUpWindow = 15 * time.Minute
)

// RollsUp reports whether one incident is to stand for so many failing devices of a
// site: for three at the least, and for half of those that it has.
func RollsUp(failing, devices int) bool {
	return devices > 0 && failing >= max(3, (devices+1)/2)
}
