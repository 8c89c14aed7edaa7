package telemetry

import "time"

// Condition is what the analyzer holds to be true of a scope.
type Condition string

// The conditions. None is that of an incident which a person reported.
const (
	Firing  Condition = "firing"
	Clear   Condition = "clear"
	Unknown Condition = "unknown"
	None    Condition = "none"
)

// Level says what a scope is.
type Level string

// The levels, from the lowest to the highest.
const (
	LevelDevice Level = "device"
	LevelSite   Level = "site"
	LevelGroup  Level = "group"
	LevelTenant Level = "tenant"
)

// Scope is what a rule says something about: a device, a site, a group of
// devices with one value of a label, or the whole tenant (whose name is "").
type Scope struct {
	Level Level  `json:"level"`
	Name  string `json:"name"`
}

// String returns "level:name".
func (s Scope) String() string { return string(s.Level) + ":" + s.Name }

// Evidence is a reading, or a sum of readings, that shows a finding.
type Evidence struct {
	At    time.Time `json:"at"`             // end of the reading's interval, or of the window
	What  string    `json:"what"`           // the signal, such as "sum(in, day)"
	Value *float64  `json:"value"`          // nil when there was none
	Note  string    `json:"note,omitempty"` // one plain sentence, if the number needs it

	// Of readings: who was counted, and between what limits In + Out usually lies.
	In   *float64 `json:"in,omitempty"`
	Out  *float64 `json:"out,omitempty"`
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
}

// Cause is another finding, which explains one: its rule and scope tell its incident.
type Cause struct {
	Rule  string `json:"rule"`
	Scope Scope  `json:"scope"`
}

// Finding says that the condition of one rule for one scope changed. Findings
// with the same Rule and Scope belong to the same incident.
type Finding struct {
	Rule      string    `json:"rule"`
	RuleHash  string    `json:"rule_hash"` // of the rule's text, so that a changed rule can be told
	Scope     Scope     `json:"scope"`
	Site      string    `json:"site"` // where the scope is; "" for a group over several sites
	Condition Condition `json:"condition"`
	At        time.Time `json:"at"`                     // the instant that the evaluation was for
	Since     time.Time `json:"since"`                  // when the condition began to hold, in event time
	Began     time.Time `json:"began,omitzero"`         // when what it is about began, if that is known to be before Since
	Late      bool      `json:"late,omitempty"`         // found after data arrived late
	Explained *Cause    `json:"explained_by,omitempty"` // what stands for it from now on; nil: nothing does
	Reason    string    `json:"reason,omitempty"`       // why it changed, when not by the rule: "backfilled", "suppressed by feed-outage"

	Value     *float64 `json:"value"`     // what was seen; nil when missing
	Threshold *float64 `json:"threshold"` // what it was held against
	Score     *float64 `json:"score"`     // value over threshold
	Expected  string   `json:"expected,omitempty"`

	Completeness *float64 `json:"completeness,omitempty"` // readings present over readings expected; nil when the rule does not ask

	Category string        `json:"category"`
	Impact   string        `json:"impact"`  // device, site or client
	Urgency  string        `json:"urgency"` // high, medium or low
	Summary  string        `json:"summary"` // one sentence for the helpdesk
	Renotify time.Duration `json:"renotify,omitempty"`
	Evidence []Evidence    `json:"evidence,omitempty"`
}
