package analyzer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// finding says what a move means to the world.
func (j *judgement) finding(row int, s *State, m move, v verdict, shown shown) telemetry.Finding {
	r := j.bound.rule
	scope, site := j.bound.scope(j.fleet, row)
	f := telemetry.Finding{
		Rule: r.Name, RuleHash: r.Hash, Scope: scope, Site: site, At: j.at, Since: s.Since,
		Value: shown.value, Threshold: shown.threshold, Expected: shown.expected(),
		Category: r.Category, Impact: r.Impact, Urgency: r.Urgency, Renotify: r.Renotify,
	}
	if j.columns != nil {
		f.Completeness = j.completeness(row)
		f.Evidence = append(j.why(m, shown), j.evidence(row)...)
	}
	if shown.value != nil && shown.threshold != nil && *shown.threshold != 0 {
		f.Score = number(*shown.value / *shown.threshold)
	}
	switch m {
	case moveFire, moveAgain:
		f.Condition = telemetry.Firing
	case moveClear:
		f.Condition, f.Since = telemetry.Clear, j.at
		if !s.Calm.IsZero() {
			f.Since = s.Calm
		}
	case moveUnknown:
		f.Condition, f.Since = telemetry.Unknown, j.at
	}
	f.Reason = j.reason(row, m, v)
	if y := j.explainedBy(row); m == moveUnknown && y != nil {
		f.Explained = j.cause(j.bound, y, row)
	}
	f.Summary = summarise(r, &f)
	return f
}

// completeness returns how much there was of what a row was judged by, where the
// rule asks for that.
func (j *judgement) completeness(row int) *float64 {
	for i, u := range j.bound.program.uses {
		if u.sig.name == "completeness" {
			return number(j.columns[i][row])
		}
	}
	return nil
}

// why says in one plain sentence why a rule fired.
func (j *judgement) why(m move, shown shown) []telemetry.Evidence {
	if m != moveFire {
		return nil
	}
	text := "the rule fires without data"
	if shown.value != nil {
		text = fmt.Sprintf("%s is %s", shown.leaf.text, exactly(shown.leaf.unit, *shown.value))
		if shown.threshold != nil && bounds[shown.leaf.op] != "" {
			text += ", and " + bounds[shown.leaf.op] + exactly(shown.leaf.unit, *shown.threshold) + " is expected"
		}
		if shown.leaf.about != "" {
			text += ": " + shown.leaf.about
		}
		if shown.leaf.hint != nil {
			if hint := shown.leaf.hint(*shown.value); hint != "" {
				text += "; " + hint
			}
		}
	}
	return []telemetry.Evidence{{At: j.at, What: "why", Note: text + "."}}
}

// reason says why a condition changed when it was not by the rule's `when`.
func (j *judgement) reason(row int, m move, v verdict) string {
	switch {
	case v == verdictGone && j.bound.covered != nil && !j.bound.covered[row]:
		return "no longer chosen by the rule's where"
	case v == verdictGone:
		return "retired"
	case m == moveUnknown && j.masks != nil && j.masks[row] == restDay:
		return "no alarms on " + j.dayOf(row) + ", by the site's calendar"
	case m == moveUnknown && j.explainedBy(row) != nil:
		return "suppressed by " + j.explainedBy(row).rule.Name
	case m == moveUnknown && j.bound.rule.Unless != "":
		return "unless: " + j.bound.rule.Unless
	case m == moveUnknown:
		return "no data"
	case m == moveAgain:
		return "known again"
	}
	return ""
}

// bounds says what is expected where a comparison is not to hold.
var bounds = map[string]string{">": "at most ", ">=": "less than ", "<": "at least ", "<=": "more than ", "==": "anything but ", "!=": ""}

// exactly writes a value so that it can be told from a limit next to it: of durations
// up to ten days also the minutes.
func exactly(u Unit, v float64) string {
	if u != Duration || v < 3600 || v >= 10*86400 {
		return u.format(v)
	}
	text := fmt.Sprintf("%dh", int(v)/3600)
	if minutes := int(v) % 3600 / 60; minutes > 0 {
		text += fmt.Sprintf(" %dm", minutes)
	}
	return text
}

// expected says what would have been right, in the unit of the comparison.
func (s shown) expected() string {
	if s.threshold == nil {
		return ""
	}
	return bounds[s.leaf.op] + s.leaf.unit.format(*s.threshold)
}

// summarise fills the rule's template; a rule without one gets a plain sentence.
func summarise(r *Rule, f *telemetry.Finding) string {
	device, name := "", f.Scope.Name
	if f.Scope.Level == telemetry.LevelDevice {
		device = name
	}
	if r.summary != nil {
		var b strings.Builder
		if err := r.summary.Execute(&b, summaryData(device, f.Site, name, f.Value, f.Threshold, f.Since)); err == nil {
			return b.String()
		} // checked when loaded with numbers and without; what still fails falls back
	}
	if name == "" {
		return fmt.Sprintf("%s: %s", f.Scope.Level, r.Name)
	}
	return fmt.Sprintf("%s %s: %s", f.Scope.Level, name, r.Name)
}

// evidence lists the values of the rule's signals for a row.
func (j *judgement) evidence(row int) []telemetry.Evidence {
	all := make([]telemetry.Evidence, 0, len(j.bound.program.uses))
	for i, u := range j.bound.program.uses {
		if v := j.columns[i][row]; v != v && slices.Contains(j.bound.closing, u) {
			continue // not asked for
		}
		e := telemetry.Evidence{At: j.at, What: u.String(), Value: number(j.columns[i][row])}
		if j.bound.scopeOf == nil && j.begins[i] != nil && j.begins[i][row] == j.begins[i][row] {
			zone := j.fleet.calendars[j.fleet.calendarOfDevice(row)].site.Location()
			e.Note = "began " + time.UnixMilli(int64(j.begins[i][row]*1e3)).In(zone).Format("2006-01-02 15:04 MST")
		}
		if c := j.bound.calendarOf(j.fleet, row); c >= 0 && (u.window.kind == windowDay || u.window.kind == windowOpen) {
			if spans := j.spans(j.task, u, c); len(spans) > 0 {
				e.At = spans[len(spans)-1].to
			} else {
				e.Note = "closed all day"
			}
		}
		all = append(all, e)
	}
	return all
}

// String writes the signal as a rule does: "sum(in, day)"; and what else than a site a
// device is held against: "outlier() in group(region)".
func (u use) String() string {
	var args []string
	switch {
	case u.among != "":
		within := u.among
		u.among = ""
		return u.String() + " in group(" + within + ")"
	case u.cond != nil && u.habit > 0:
		return u.sig.name + "(" + u.cond.String() + ", " + formatPercent(u.habit) + ")"
	case u.cond != nil:
		return u.sig.name + "(" + u.cond.String() + ")"
	case u.test == "sum":
		return u.sig.name + "(sum(" + u.word + ", 1h))"
	case u.test != "":
		return u.sig.name + "(" + u.test + "(" + u.word + "))"
	case u.habit > 0:
		args = append(args, strings.ReplaceAll(formatPercent(u.habit), " ", ""))
	}
	if u.word != "" && u.test == "" {
		args = append(args, u.word)
	}
	switch u.window.kind {
	case windowTrailing:
		args = append(args, strings.ReplaceAll(formatSeconds(u.window.length.Seconds()), " ", ""))
	case windowDay:
		args = append(args, "day")
	case windowOpen:
		args = append(args, "open")
	}
	return u.sig.name + "(" + strings.Join(args, ", ") + ")"
}
