package incidents

import "time"

// AuditRecord says who asked for what through the API, and what became of it.
// There is one for each call that changes something and for each that was
// refused; what a change did stands on the timelines.
type AuditRecord struct {
	ID         int64     `json:"id"`
	At         time.Time `json:"at"`
	Name       string    `json:"name,omitempty"`  // of the principal; "" when it is not known
	Token      string    `json:"token,omitempty"` // its id
	Role       Role      `json:"role,omitempty"`
	Site       string    `json:"site,omitempty"` // the one site that the token sees
	Method     string    `json:"method"`
	Route      string    `json:"route"` // the pattern of the path
	Path       string    `json:"path"`  // cut at 512 bytes
	Status     int       `json:"status"`
	Request    string    `json:"request"` // X-Request-Id
	From       string    `json:"from,omitempty"`
	Unrecorded int       `json:"unrecorded,omitempty"` // refusals of the same caller before it that were too many to be kept
}

// AuditQuery selects audit records, the newest first. Empty fields select
// everything.
type AuditQuery struct {
	Name, Token  string
	Method       string
	Status       int
	Since, Until time.Time // from Since, before Until
	Before       int64     // start after this id; 0 at the newest
	Limit        int
}
