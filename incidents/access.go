package incidents

import (
	"regexp"
	"slices"
	"time"
)

// Role says what a principal may do.
type Role string

// The roles. A device may send telemetry and nothing else.
const (
	Admin       Role = "admin"
	Manager     Role = "manager"
	FirstLine   Role = "first_line"
	SecondLine  Role = "second_line"
	ThirdLine   Role = "third_line" // a supplier's people, or an own third line; see Actor.Sees
	NOC         Role = "noc"
	SiteManager Role = "site_manager"
	DeviceRole  Role = "device"
)

// Roles are all roles, from the one that may do most.
var Roles = []Role{Admin, Manager, SecondLine, FirstLine, ThirdLine, NOC, SiteManager, DeviceRole}

// The rights of the life cycle. The desk works on everything, the workers also
// on what is theirs to see; the asked answer; the concerned say whether it is well.
var (
	desk      = []Role{Admin, Manager, SecondLine, FirstLine}
	workers   = []Role{Admin, Manager, SecondLine, FirstLine, ThirdLine}
	reporters = []Role{Admin, Manager, SecondLine, FirstLine, ThirdLine, SiteManager}
	asked     = []Role{Admin, SecondLine, FirstLine, SiteManager}
	concerned = []Role{Admin, FirstLine, SiteManager}
	upper     = []Role{Admin, Manager, SecondLine, ThirdLine}
)

// Known reports whether there is such a role.
func (r Role) Known() bool { return slices.Contains(Roles, r) }

// OnDesk reports whether the role works on incidents, and so reads internal notes.
func (r Role) OnDesk() bool { return slices.Contains(desk, r) }

// Source says which way an event came in.
type Source string

// The sources.
const (
	ByAnalyzer Source = "analyzer"
	ByTimer    Source = "timer"
	ByAPI      Source = "api"
	ByLink     Source = "link"  // somebody who followed a link in a message
	ByMail     Source = "email" // somebody who wrote to the desk
	ByPortal   Source = "portal"
	ByPhone    Source = "phone" // somebody who rang the desk
	ByVisit    Source = "visit" // somebody who came by
	ByScan     Source = "scan"  // somebody who scanned the label of a device
)

// Actor is who or what does something. The zero Actor may do nothing.
type Actor struct {
	Name   string // of the principal, or of the part of belfry that acts by itself
	Role   Role   // "" for what acts by itself
	Site   string // the one site that the principal sees; "" for all
	Source Source

	Supplier string // whose cases alone one of the third line sees; "" for an own third line, which sees all of level 3

	Request string // id of the request, for the timeline
}

// automatic reports whether the actor is belfry itself.
func (a Actor) automatic() bool { return a.Source == ByAnalyzer || a.Source == ByTimer }

// Sees reports whether the actor may know that the incident exists. The third line
// sees what is at level 3; a supplier's people what is with their supplier, and only
// as long as it is.
func (a Actor) Sees(inc *Incident) bool {
	switch {
	case a.Supplier != "" && a.Supplier != inc.With():
		return false
	case a.Supplier == "" && a.Role == ThirdLine && inc.Level < 3:
		return false
	}
	return a.Site == "" || a.Site == inc.Site
}

// narrow keeps what is asked for to what Sees lets through. It reports false when
// nothing is left.
func (a Actor) narrow(site *string, level *int, supplier *string) bool {
	for _, own := range []struct {
		is    string
		asked *string
	}{{a.Site, site}, {a.Supplier, supplier}} {
		if own.is != "" {
			if *own.asked != "" && *own.asked != own.is {
				return false
			}
			*own.asked = own.is
		}
	}
	if a.Role == ThirdLine && a.Supplier == "" {
		if *level != 0 && *level != 3 {
			return false
		}
		*level = 3
	}
	return true
}

// Token is a key to the API, without its secret.
type Token struct {
	ID        string    `json:"id"`   // eight characters; the token reads bf_<id>_<secret>
	Name      string    `json:"name"` // of the principal; stands on timelines
	Role      Role      `json:"role"`
	Tenant    string    `json:"tenant"`
	Site      string    `json:"site,omitempty"`     // the one site that it sees; "" for all
	Supplier  string    `json:"supplier,omitempty"` // of the third line: whose cases it sees; "" for all of level 3
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	LastUsed  time.Time `json:"last_used,omitzero"` // to the minute
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	Scopes    []string  `json:"scopes,omitempty"`   // what of the role's it may do; all of it when empty
	Provider  bool      `json:"provider,omitempty"` // an administrator's, who also manages the tenants
}

// Actor returns the token's owner as one who acts by the API.
func (t Token) Actor(request string) Actor {
	return Actor{Name: t.Name, Role: t.Role, Site: t.Site, Supplier: t.Supplier, Source: ByAPI, Request: request}
}

// SameView reports whether both tokens see and may do the same.
func (t Token) SameView(other Token) bool {
	return t.Role == other.Role && t.Site == other.Site && t.Supplier == other.Supplier
}

// Session is somebody who is signed in with a browser.
type Session struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      Role      `json:"role"`
	Site      string    `json:"site,omitempty"`     // the one site that is seen; "" for all
	Supplier  string    `json:"supplier,omitempty"` // whose cases alone are seen
	Token     string    `json:"token,omitempty"`    // id of the token that it was opened with; "" when a provider of identities vouched
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Lives reports whether the token can be used at that time.
func (t Token) Lives(at time.Time) bool {
	return t.RevokedAt.IsZero() && (t.ExpiresAt.IsZero() || at.Before(t.ExpiresAt))
}

var scopeForm = regexp.MustCompile(`^(read|[a-z]{1,32}:(read|write))$`)

// Covers reports whether the token's scopes let it read or write what an area of
// the API is about, such as incidents. Who may write may read.
func (t Token) Covers(area string, write bool) bool {
	return len(t.Scopes) == 0 || slices.Contains(t.Scopes, area+":write") ||
		!write && (slices.Contains(t.Scopes, "read") || slices.Contains(t.Scopes, area+":read"))
}

// Check returns what is wrong with a token that is to be made at that time.
func (t Token) Check(at time.Time) error {
	var f faults
	if t.Name == "" || len(t.Name) > 128 {
		f.add("name", "has %d bytes; want 1 to 128", len(t.Name))
	}
	if !t.Role.Known() {
		f.add("role", "no role %q; want one of %v", t.Role, Roles)
	}
	if t.Role == SiteManager && t.Site == "" {
		f.add("site", "is missing; a site manager's token needs one")
	}
	if t.Supplier != "" {
		if f.name("supplier", t.Supplier); t.Role != ThirdLine {
			f.add("supplier", "is for the role %q alone", ThirdLine)
		}
	}
	if t.Provider && (t.Role != Admin || t.Site != "") {
		f.add("provider", "is for administrators of a whole tenant")
	}
	for _, scope := range t.Scopes {
		if !scopeForm.MatchString(scope) {
			f.add("scopes", "%q is no scope; want read, or what and how, such as incidents:read or devices:write", scope)
		}
	}
	if !t.ExpiresAt.IsZero() && !t.ExpiresAt.After(at) {
		f.add("expires_at", "is in the past")
	}
	return f.err()
}
