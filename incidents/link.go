package incidents

import "time"

// Link lets whoever has it say once, without signing in, whether a solution is
// good. Its secret stands in a message and is kept nowhere.
type Link struct {
	Ref       string
	Name      string // in whose name
	Language  string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero while it can be used
}

// LinkLasts is how long a link can be used.
const LinkLasts = 21 * 24 * time.Hour

// Lives reports whether the link can be used at that time.
func (l Link) Lives(at time.Time) bool { return l.UsedAt.IsZero() && at.Before(l.ExpiresAt) }

// Actor is who acts by the link: one of the people concerned, at the incident's site.
func (l Link) Actor(inc Incident, request string) Actor {
	return Actor{Name: l.Name, Role: SiteManager, Site: inc.Site, Source: ByLink, Request: request}
}

// AsksForApproval reports whether a notice with that template asks its recipient
// to say whether the solution is good.
func AsksForApproval(template string) bool {
	return template == string(Resolved) || template == string(Chase) || template == string(Closed)
}
