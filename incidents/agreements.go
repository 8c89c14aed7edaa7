package incidents

import (
	"slices"
	"time"
)

// AgreementKind says who promised what to whom.
type AgreementKind string

// The kinds of agreements.
const (
	SLA AgreementKind = "sla" // with the client
	OLA AgreementKind = "ola" // between the levels of support
	UC  AgreementKind = "uc"  // with a supplier
)

// Targets are the promises for one priority, in minutes that count; 0 means that
// nothing is promised.
type Targets struct {
	Respond int `json:"respond_minutes,omitempty" minimum:"0" maximum:"1000000" doc:"To the first human response (sla)"`
	Resolve int `json:"resolve_minutes,omitempty" minimum:"0" maximum:"1000000" doc:"To the resolution, or to the level's or supplier's own end"`
	Update  int `json:"update_minutes,omitempty" minimum:"0" maximum:"1000000" doc:"Between two words to whoever reported it, in the hours of the office (sla)"`
}

// Agreement is a promise of how fast. A change makes another version; clocks that
// run keep to the version that they began with.
type Agreement struct {
	ID       string          `json:"id,omitempty" maxLength:"128"`
	Name     string          `json:"name,omitempty" maxLength:"300"`
	Kind     AgreementKind   `json:"kind" enum:"sla,ola,uc"`
	Calendar string          `json:"calendar" maxLength:"128" doc:"Which time counts"`
	Sites    []string        `json:"sites,omitempty" maxItems:"10000" doc:"Where it holds; everywhere when left out"`
	Category string          `json:"category,omitempty" maxLength:"128" doc:"For what it holds; for everything when left out"`
	Class    string          `json:"class,omitempty" maxLength:"128" doc:"For the categories of this class; for all when left out"`
	Level    int             `json:"level,omitempty" minimum:"0" maximum:"3" doc:"ola: of which level"`
	Supplier string          `json:"supplier,omitempty" maxLength:"128" doc:"uc: of which supplier; of any when left out"`
	Targets  map[int]Targets `json:"targets" doc:"By priority, 1 to 4"`
	Escalate bool            `json:"escalate,omitempty" doc:"ola of level 1: what is not done in time goes to level 2 by itself"`

	ref      string    // id@version
	calendar *Calendar // as it was when the agreement was loaded
	calRef   string
}

// thresholds are the parts of a target, in percent, whose passing is noted.
var thresholds = [...]int{75, 100}

// Check returns what is wrong with the agreement. That its calendar exists is
// for the book to know.
func (a *Agreement) Check() error {
	var f faults
	f.name("id", a.ID)
	if !slices.Contains([]AgreementKind{SLA, OLA, UC}, a.Kind) {
		f.add("kind", "no kind %q; want sla, ola or uc", a.Kind)
	}
	f.name("calendar", a.Calendar)
	if a.Kind == OLA && (a.Level < 1 || a.Level > 3) {
		f.add("level", "is %d; an ola is for level 1, 2 or 3", a.Level)
	}
	if len(a.Targets) == 0 {
		f.add("targets", "are missing")
	}
	for priority, t := range a.Targets {
		if priority < 1 || priority > 4 {
			f.add("targets", "no priority %d; want 1 to 4", priority)
		}
		if t.Respond < 0 || t.Resolve < 0 || t.Update < 0 {
			f.add("targets", "of priority %d are below 0", priority)
		}
	}
	return f.err()
}

// fits returns how closely an agreement fits an incident; below 0: not at all.
func (a *Agreement) fits(inc *Incident, class string) int {
	score := 0
	if a.Class != "" {
		if a.Class != class {
			return -1
		}
		score++
	}
	if len(a.Sites) > 0 {
		if !slices.Contains(a.Sites, inc.Site) {
			return -1
		}
		score += 2
	}
	if a.Category != "" {
		if a.Category != inc.Category {
			return -1
		}
		score++
	}
	if a.Supplier != "" {
		if a.Supplier != inc.Vendor.Supplier {
			return -1
		}
		score += 4
	}
	return score
}

func minutes(n int) time.Duration { return time.Duration(n) * time.Minute }
