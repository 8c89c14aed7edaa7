package incidents

// FeedEvent is an event with its place in the one order of all timelines, which
// is the order in which they were committed.
type FeedEvent struct {
	ID   int64
	Site string // of its incident; "" when it has none
	Event
}

// FeedQuery asks for the events with an ID in (After, To], in their order. Empty fields
// ask for nothing in particular; what an incident is like is as of now.
type FeedQuery struct {
	After, To int64
	Site      string
	Level     int
	Supplier  string
}

// Follow narrows a query to the incidents that the actor may see. It reports false when
// there is nothing to follow.
func (a Actor) Follow(q *FeedQuery) bool { return a.narrow(&q.Site, &q.Level, &q.Supplier) }

// Reads reports whether the actor may read an event of an incident that it sees:
// internal notes are for the desk and the NOC, and the shared ones for the supplier that
// had it when they were written.
func (a Actor) Reads(e *Event) bool {
	own := a.Supplier == "" || e.Supplier == "" || e.Supplier == a.Supplier
	return !e.Internal || a.automatic() || a.Role.OnDesk() || a.Role == NOC || e.Shared && a.Role == ThirdLine && own
}
