package analyzer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"text/template"
	"time"

	"belfry/telemetry"
)

// File is a rule file: its name, as faults print it, and its bytes.
type File struct {
	Name string
	Data []byte
}

// RuleSet is a set of rules that were checked together.
type RuleSet struct {
	Rules []*Rule // in the order of the files
}

// Rule returns the rule of that name, or nil.
func (s *RuleSet) Rule(name string) *Rule {
	i := slices.IndexFunc(s.Rules, func(r *Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return s.Rules[i]
}

// Rule is one checked rule. It is read-only once loaded.
type Rule struct {
	Name  string          `json:"name"`
	About string          `json:"about,omitempty"`
	Scope telemetry.Level `json:"scope"`
	Group string          `json:"group,omitempty"` // label whose values make the groups
	Where Filter          `json:"where,omitempty"`
	Peers string          `json:"peers,omitempty"` // label whose devices are held against each other; "": those of a site

	Query   string `json:"query,omitempty"` // SQL that gives value() for each scope
	When    string `json:"when"`
	Recover string `json:"recover,omitempty"`
	Unless  string `json:"unless,omitempty"`

	OnMissing OnMissing `json:"on_missing"`
	YieldsTo  []string  `json:"yields_to,omitempty"` // rules whose findings explain its own
	Schedule  Schedule  `json:"schedule"`

	For           time.Duration `json:"for,omitempty"`
	KeepFiringFor time.Duration `json:"keep_firing_for,omitempty"`

	Learned bool `json:"learned,omitempty"` // what is counted while it fires is learned as usual

	Category  string        `json:"category"`
	Cap       int           `json:"cap,omitempty"` // findings at once, before one stands for the others; 0: no matter how many
	Impact    string        `json:"impact"`
	Urgency   string        `json:"urgency"`
	Renotify  time.Duration `json:"renotify,omitempty"`
	Summary   string        `json:"summary,omitempty"`
	Params    []Param       `json:"params,omitempty"`
	Overrides []Override    `json:"override,omitempty"`

	Hash      string `json:"-"` // of everything above, not of comments and layout
	File      string `json:"-"` // where it stands
	Line      int    `json:"-"`
	QueryLine int    `json:"-"` // of its query; 0: it has none

	when, recover, unless *node
	summary               *template.Template
}

// Param is a named number of a rule.
type Param struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"` // in the unit's base: seconds, or 1 for 100 %
	Unit  Unit    `json:"unit"`
}

// Override gives parameters another value where its filter matches; of several
// that match, the last one counts.
type Override struct {
	Where  Filter  `json:"where"`
	Params []Param `json:"params"`
}

// OnMissing says what becomes of a scope in service whose condition cannot be
// computed for lack of data.
type OnMissing string

// What a rule may do without data.
const (
	MissingKeep    OnMissing = "keep"    // stay as it was
	MissingUnknown OnMissing = "unknown" // as with `unless`
	MissingFire    OnMissing = "fire"    // as if `when` held
	MissingResolve OnMissing = "resolve" // as if it had recovered
)

// hash identifies what the rule says.
func (r *Rule) hash() string {
	text, err := json.Marshal(r)
	if err != nil {
		return "" // a checked rule holds finite numbers and strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// exprs lists the rule's expressions that are there.
func (r *Rule) exprs() []*node {
	var all []*node
	for _, n := range []*node{r.when, r.recover, r.unless} {
		if n != nil {
			all = append(all, n)
		}
	}
	return all
}

// uses lists the rule's signals, each once.
func (r *Rule) uses() []use {
	var all []use
	for _, n := range r.exprs() {
		for _, u := range usesOf(n) {
			if !slices.Contains(all, u) {
				all = append(all, u)
			}
		}
	}
	return all
}

// read lists the signals that are read for the rule: its own, and those that stand
// in the conditions of share.
func (r *Rule) read() []use {
	all := r.uses()
	for _, u := range all {
		if u.cond != nil {
			all = append(all, usesOf(u.cond)...)
		}
	}
	return all
}

// closing lists the signals of scans that a rule about devices needs for `recover`
// alone.
func (r *Rule) closing() []use {
	if r.recover == nil || r.Scope != telemetry.LevelDevice {
		return nil
	}
	others := usesOf(r.when)
	if r.unless != nil {
		others = append(others, usesOf(r.unless)...)
	}
	var all []use
	for _, u := range usesOf(r.recover) {
		if u.sig.column != nil && !u.sig.daily && !slices.Contains(others, u) && !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	return all
}

// absence reports whether the rule is about what did not come.
func (r *Rule) absence() bool {
	return slices.ContainsFunc(r.read(), func(u use) bool { return u.sig.absence })
}

// anyone reports whether the rule is about devices out of service too.
func (r *Rule) anyone() bool {
	return slices.ContainsFunc(r.read(), func(u use) bool { return u.sig.anyone })
}
