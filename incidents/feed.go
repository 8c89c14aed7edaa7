package incidents

// FeedEvent is an event with its place in the one order of all timelines, which
// is the order in which they were committed.
type FeedEvent struct {
	ID   int64
	Site string // of its incident; "" when it has none
	Event
}

// Reads reports whether the actor may read an event of an incident that it sees:
// internal notes are for the desk and the NOC, and the shared ones for the supplier.
func (a Actor) Reads(e *Event) bool {
	return !e.Internal || a.automatic() || a.Role.OnDesk() || a.Role == NOC || e.Shared && a.Role == ThirdLine
}
