package incidents

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// HoldReason says what waiting for a reason means.
type HoldReason struct {
	About  string
	Pauses bool // the client's clock stands still
	Vendor bool // the supplier's clock runs
}

// HoldReasons are the reasons to hold an incident. Waiting for a supplier is no
// reason for the client's clock to stand still.
var HoldReasons = map[string]HoldReason{
	"requester":  {About: "whoever reported it has to say something", Pauses: true},
	"vendor":     {About: "a supplier works on it", Vendor: true},
	"change":     {About: "a planned change will mend it"},
	"site_visit": {About: "somebody goes there"},
	"scheduled":  {About: "the requester wants it at another time", Pauses: true},
}

// pauses reports whether the incident waits for the client.
func (inc *Incident) pauses() bool {
	return inc.State == Pending && (inc.PendingReason == AwaitingEndUser || HoldReasons[inc.PendingReason].Pauses)
}

// atVendor reports whether a supplier works on it.
func (inc *Incident) atVendor() bool {
	return inc.Vendor.Supplier != "" &&
		(inc.Level == 3 && slices.Contains(active, inc.State) || inc.State == Pending && HoldReasons[inc.PendingReason].Vendor)
}

func (c *change) holdable() error {
	var f faults
	reason, ok := HoldReasons[c.req.Reason]
	if !ok {
		f.add("reason", "%q is none; want one of %s", c.req.Reason, strings.Join(slices.Sorted(maps.Keys(HoldReasons)), ", "))
	}
	if strings.TrimSpace(c.req.Text) == "" {
		f.add("text", "is missing; want what the requester is to know")
	}
	f.text("text", c.req.Text)
	f.year("until", c.req.Until)
	if !c.req.Until.After(c.at) {
		f.add("until", "is missing or in the past; want when it wakes")
	}
	if reason.Vendor && c.inc.Vendor.Supplier == "" {
		f.name("supplier", c.req.Supplier)
	}
	if own := c.actor.Supplier; own != "" && reason.Vendor && c.req.Supplier != "" && c.req.Supplier != own {
		f.add("supplier", "is another than yours; return it to the desk with what you know, which passes it on")
	}
	return f.err()
}

func (c *change) hold() {
	c.inc.PendingReason, c.inc.WakeAt = c.req.Reason, millis(c.req.Until)
	if HoldReasons[c.req.Reason].Vendor {
		c.openVendorCase()
	}
	c.respond()
}

// wake ends the waiting, whatever it was for: other wake timers go with it.
func (c *change) wake() { c.inc.PendingReason, c.inc.WakeAt = "", time.Time{} }

// openVendorCase opens the case at the supplier, or adds what is new about it.
func (c *change) openVendorCase() {
	v := &c.inc.Vendor
	if c.req.Supplier != "" && c.req.Supplier != v.Supplier {
		*v = VendorCase{Supplier: c.req.Supplier, OpenedAt: c.at}
	}
	if c.req.Reference != "" {
		v.Reference = c.req.Reference
	}
}

// sharedWith returns the supplier for whose eyes a shared note is.
func (c *change) sharedWith() string {
	if !c.req.Shared {
		return ""
	}
	return c.inc.With()
}

// handBack takes it from the supplier's people once it is no longer with them: nobody
// has what they can't see. Work without an owner is new again.
func (c *change) handBack(before *Incident) {
	was := before.With()
	if was == "" || c.inc.With() == was || c.inc.Assignee == "" || c.inc.Assignee != before.Vendor.Worker {
		return
	}
	c.inc.Assignee = ""
	if c.inc.State == InProgress {
		c.inc.State = New
	}
}

// workedBy notes who of the supplier's people has it; "" when somebody else has.
func (c *change) workedBy() {
	c.inc.Vendor.Worker = ""
	if c.actor.Supplier != "" {
		c.inc.Vendor.Worker = c.inc.Assignee
	}
}
