package incidents

// Impact says how much is hurt.
type Impact string

// Urgency says how soon it hurts.
type Urgency string

// The impacts and urgencies, from the greatest to the least.
const (
	ImpactClient Impact = "client"
	ImpactSite   Impact = "site"
	ImpactDevice Impact = "device"

	UrgencyHigh   Urgency = "high"
	UrgencyMedium Urgency = "medium"
	UrgencyLow    Urgency = "low"
)

// Matrix gives the priority, 1 (most) to 4, of each impact and urgency.
type Matrix map[Impact]map[Urgency]int

// DefaultMatrix is the matrix of a new tenant.
var DefaultMatrix = Matrix{
	ImpactClient: {UrgencyHigh: 1, UrgencyMedium: 2, UrgencyLow: 3},
	ImpactSite:   {UrgencyHigh: 2, UrgencyMedium: 3, UrgencyLow: 4},
	ImpactDevice: {UrgencyHigh: 3, UrgencyMedium: 4, UrgencyLow: 4},
}

// Priority returns the priority of an impact and an urgency. What the matrix
// doesn't know counts as a device at medium urgency, so that a rule without an
// impact still opens an incident that somebody will see.
func (m Matrix) Priority(impact Impact, urgency Urgency) int {
	row, ok := m[impact]
	if !ok {
		row = m[ImpactDevice]
	}
	if p, ok := row[urgency]; ok {
		return p
	}
	if p, ok := row[UrgencyMedium]; ok {
		return p
	}
	return 4
}
