// Package incidents turns findings and people's reports into work.
//
// A finding says that something needs attention; it comes from the analyzer. A
// report comes from a person. Findings with the same key fold into one Incident,
// so a flapping counter asks for help once rather than ninety times, and an
// Incident moves only through the transitions in lifecycle.go. Every move is
// appended to the incident's timeline and never rewritten: the row is only what
// the timeline adds up to (Replay).
//
// An incident has two axes. Its condition says what the analyzer holds to be
// true and is written by findings alone; its state says how far the work has got
// and is written by people and timers. A finding that clears does not close what
// a person owns.
//
// The package knows nothing of series, rules, SQL or HTTP. It is given the time
// of each event and never reads the clock, so a replayed day opens the same
// incidents as the day itself did. It keeps its incidents in a Store, which it
// declares, and also holds the words of who may do what (Role, Actor) and of the
// registry of sites and devices, which lives in the same database.
package incidents

import (
	"time"

	"belfry/telemetry"
)

// State says how far the work on an incident has got.
type State string

// The states. Absent is that of an incident before its first event.
const (
	Absent     State = ""
	New        State = "new"
	InProgress State = "in_progress"
	Pending    State = "pending"
	Resolved   State = "resolved"
	Closed     State = "closed"
	Cancelled  State = "cancelled"
)

// States are the states that an incident can be in, in the order of work.
var States = []State{New, InProgress, Pending, Resolved, Closed, Cancelled}

// Origin says where an incident comes from.
type Origin string

// The origins.
const (
	FromRule   Origin = "rule"
	FromPerson Origin = "person"
)

// Incident is one piece of work for the helpdesk. It is a value: whoever holds
// one may keep it, and nothing but Apply makes the next version of it.
type Incident struct {
	Ref     string `json:"ref"`     // INC-000123
	Version int64  `json:"version"` // number of events so far
	Origin  Origin `json:"origin"`

	// What is wrong, as the analyzer sees it.
	Condition   telemetry.Condition `json:"condition"`
	Since       time.Time           `json:"since,omitzero"`        // when the condition began to hold, in event time
	ConditionAt time.Time           `json:"condition_at,omitzero"` // when the condition was last seen to change
	EvaluatedAt time.Time           `json:"evaluated_at,omitzero"` // instant of the newest finding taken in
	Evaluated   []Seen              `json:"evaluated,omitempty"`   // findings taken in for that very instant, and late ones
	Value       *float64            `json:"value,omitempty"`
	Threshold   *float64            `json:"threshold,omitempty"`
	Score       *float64            `json:"score,omitempty"`
	Expected    string              `json:"expected,omitempty"`
	Complete    *float64            `json:"completeness,omitempty"` // readings present over readings expected; nil when the rule does not ask
	Occurrences int                 `json:"occurrences,omitempty"`  // how often the rule has fired
	LastFiredAt time.Time           `json:"last_fired_at,omitzero"`
	Renotify    time.Duration       `json:"renotify,omitempty"` // the rule's: that it fires again is told at most so often
	ToldAt      time.Time           `json:"told_at,omitzero"`   // when that it fires was last told, where renotify limits it
	Late        bool                `json:"late,omitempty"`     // found after data arrived late
	Muted       bool                `json:"muted,omitempty"`    // resolved by force: findings are held back until the condition is clear

	// What it is about.
	Key      string          `json:"key,omitempty"`      // fingerprint: rule and scope; "" when a person reported it
	OpenKey  string          `json:"open_key,omitempty"` // Key while it can absorb findings, else ""
	Rule     string          `json:"rule,omitempty"`
	RuleHash string          `json:"rule_hash,omitempty"`
	Scope    telemetry.Scope `json:"scope,omitzero"`
	Site     string          `json:"site,omitempty"`
	Device   string          `json:"device,omitempty"`
	Model    string          `json:"model,omitempty"`    // of the device, as the registry had it when this was opened
	Firmware string          `json:"firmware,omitempty"` // likewise

	// How it is worked on.
	State         State       `json:"state"`
	Kind          Kind        `json:"kind,omitempty"`           // what sort of work it is; "" counts as incident
	PendingReason string      `json:"pending_reason,omitempty"` // while pending: AwaitingEndUser or one of HoldReasons
	WakeAt        time.Time   `json:"wake_at,omitzero"`         // while pending: when it wakes by itself
	Actions       []Action    `json:"actions,omitempty"`        // what people were asked to do
	Vendor        VendorCase  `json:"vendor,omitzero"`          // the case at the supplier
	Major         bool        `json:"major,omitempty"`
	Parent        string      `json:"parent,omitempty"`       // the site incident that it is a part of
	RolledUp      bool        `json:"rolled_up,omitempty"`    // it stands for the devices of a site
	Held          Held        `json:"held,omitzero"`          // why it is kept from people's attention
	Flips         []time.Time `json:"flips,omitempty"`        // when its condition last changed to and fro, the newest last
	Flapping      bool        `json:"flapping,omitempty"`     // it changes too often to be told of each time
	Digest        Digest      `json:"digest,omitzero"`        // while it flaps: what is told instead
	DuplicateOf   string      `json:"duplicate_of,omitempty"` // the incident that it was merged into
	Duplicates    []string    `json:"duplicates,omitempty"`   // the incidents that were merged into it
	Reminders     int         `json:"reminders,omitempty"`    // how often people came back to it
	Chased        int         `json:"chased,omitempty"`       // how often its approval was asked for again
	Satisfaction  Score       `json:"satisfaction,omitzero"`
	Category      string      `json:"category,omitempty"`
	Team          string      `json:"team,omitempty"`  // who looks after the category
	Cause         string      `json:"cause,omitempty"` // what the answers to questions point at; one of CauseCodes
	Impact        Impact      `json:"impact,omitempty"`
	Urgency       Urgency     `json:"urgency,omitempty"`
	Priority      int         `json:"priority,omitempty"` // 1 (most) to 4
	Level         int         `json:"level,omitempty"`    // of support: 1, 2 or 3
	Highest       int         `json:"highest,omitempty"`  // the highest level that it ever was at; 0 for one that never went up
	Summary       string      `json:"summary,omitempty"`
	Description   string      `json:"description,omitempty"`
	Reporter      string      `json:"reporter,omitempty"`
	Channel       Source      `json:"channel,omitempty"` // by which it was reported
	Assignee      string      `json:"assignee,omitempty"`
	Touched       bool        `json:"touched,omitempty"` // a person has acted on it
	Reopened      int         `json:"reopened,omitempty"`
	RecurrenceOf  string      `json:"recurrence_of,omitempty"`
	Resolution    Resolution  `json:"resolution,omitzero"`
	OpenedAt      time.Time   `json:"opened_at,omitzero"`
	UpdatedAt     time.Time   `json:"updated_at,omitzero"` // newest time on the timeline
	FirstResponse time.Time   `json:"first_response,omitzero"`
	LastWord      time.Time   `json:"last_word,omitzero"` // when its reporter was last told something
	ResolvedAt    time.Time   `json:"resolved_at,omitzero"`
	ClosedAt      time.Time   `json:"closed_at,omitzero"`
	Clocks        []Clock     `json:"clocks,omitempty"`
	TimerAt       time.Time   `json:"timer_at,omitzero"` // when belfry next does something about it by itself
}

// Kind says what sort of work an incident is.
type Kind string

// The kinds.
const (
	KindIncident Kind = "incident"
	KindRequest  Kind = "service_request"
	KindReminder Kind = "reminder"
	KindQuestion Kind = "question"
	KindOther    Kind = "other"
)

// Kinds are the kinds that an incident can be qualified as.
var Kinds = []Kind{KindIncident, KindRequest, KindReminder, KindQuestion, KindOther}

// Digest is what is told each day of an incident that flaps.
type Digest struct {
	Due   time.Time `json:"due"`
	Fired int       `json:"fired"` // occurrences when it was last told
}

// VendorCase is a supplier's side of an incident.
type VendorCase struct {
	Supplier  string    `json:"supplier"`
	Reference string    `json:"reference,omitempty"` // the supplier's own
	OpenedAt  time.Time `json:"opened_at"`
	Worker    string    `json:"worker,omitempty"` // who of the supplier's people has it
}

// With returns the supplier that has the incident now, and so sees it: the one whose
// case it is while it is at level 3, its end included, or waits for a supplier; "" for
// none.
func (inc *Incident) With() string {
	if inc.Level == 3 || inc.State == Pending && HoldReasons[inc.PendingReason].Vendor {
		return inc.Vendor.Supplier
	}
	return ""
}

// Score is what the people concerned think of how an incident ended.
type Score struct {
	Points int       `json:"points"` // 1 (bad) to 5 (good)
	Text   string    `json:"text,omitempty"`
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Seen remembers a finding that was taken in, so that it does nothing when it
// comes again.
type Seen struct {
	At        time.Time           `json:"at"`
	Condition telemetry.Condition `json:"condition"`
	Late      bool                `json:"late,omitempty"`
}

// Resolution says how an incident ended. The zero Resolution is that of one
// that has not ended.
type Resolution struct {
	Code    string `json:"code"`              // one of ResolutionCodes
	Cause   string `json:"cause,omitempty"`   // cause code
	Summary string `json:"summary,omitempty"` // what was done, for the next one who meets this
	Item    string `json:"item,omitempty"`    // the device or site that it was about, as the solver confirmed it
	By      string `json:"by,omitempty"`      // who resolved it; "" when it did by itself

	Workaround string `json:"workaround,omitempty"` // how to live with a cause that is still there
	Forced     string `json:"forced,omitempty"`     // why it was resolved though the condition was not clear
}

// Recovered is the resolution code of what ended by itself.
const Recovered = "recovered"

// ResolutionCodes are the codes that a person may resolve with, and what they mean.
var ResolutionCodes = map[string]string{
	"fixed":          "the cause was found and removed",
	"workaround":     "it works again; the cause is still there",
	Recovered:        "it came back by itself",
	"site_closed":    "the site is shut; nothing was wrong",
	"replaced":       "the device was exchanged",
	"configuration":  "the device, the registry or the rule was set wrongly",
	"false_positive": "nothing was wrong; the rule should not have fired",
	"duplicate":      "another incident covers it",
	"no_action":      "nothing could or needed to be done",
}

// CauseCodes are the causes that a person may find, and what they mean.
var CauseCodes = map[string]string{
	"power":         "no electricity, or a broken power supply",
	"network":       "the network at the site or beyond",
	"cabling":       "a cable is loose, cut or in the wrong place",
	"hardware":      "the device is broken",
	"firmware":      "the device's software",
	"configuration": "the device, the registry or the rule was set wrongly",
	"obstruction":   "something stands in the device's view",
	"environment":   "light, heat, water or building work",
	"site_closed":   "the site was shut",
	"data_feed":     "the way of the readings from the device to here",
	"rule":          "the rule itself",
	"people":        "somebody did something by mistake",
	"none":          "nothing was wrong",
	"unknown":       "nobody found out",
}

// CancelCodes are the codes that an incident may be cancelled with.
var CancelCodes = map[string]string{
	"false_positive": "nothing was wrong; the rule should not have fired",
	"site_closed":    "the site is shut for good or for long",
	"mistake":        "it was reported by mistake",
}

// KeyOf returns the fingerprint of a rule and a scope. Findings with the same
// key belong to the same incident while it can absorb them. The separator can't
// be part of a name: names have no control characters.
func KeyOf(rule string, scope telemetry.Scope) string {
	return rule + "\x1f" + string(scope.Level) + "\x1f" + scope.Name
}

// Ended reports whether no work on the incident remains.
func (s State) Ended() bool { return s == Resolved || s == Closed || s == Cancelled }
