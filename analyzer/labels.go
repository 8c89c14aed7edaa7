package analyzer

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"belfry/telemetry"
)

// Label is a span of which somebody knows what was wrong with a device.
type Label struct {
	Dataset, Device string
	Start, End      time.Time
	Kind            string
	Basis, Note     string
}

// ReadLabels reads a CSV file with the columns dataset, device, start, end, kind,
// basis and note; stamps are local times of the device, where 24:00:00 is the end of a
// day, or say their zone (RFC 3339), as those of belfry simulate do. A dataset that is
// not "" leaves the rows of others out.
func ReadLabels(r io.Reader, dataset string, zoneOf func(device string) *time.Location) ([]Label, error) {
	in := csv.NewReader(r)
	head, err := in.Read()
	if want := []string{"dataset", "device", "start", "end", "kind", "basis", "note"}; err != nil || !slices.Equal(head, want) {
		return nil, fmt.Errorf("labels: the columns are %q; want %q (%v)", head, want, err)
	}
	var all []Label
	for {
		row, err := in.Read()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("labels: %w", err)
		}
		if dataset != "" && row[0] != dataset {
			continue
		}
		l := Label{Dataset: row[0], Device: row[1], Kind: row[4], Basis: row[5], Note: row[6]}
		for i, at := range []*time.Time{&l.Start, &l.End} {
			if *at, err = labelTime(row[2+i], zoneOf(l.name())); err != nil {
				line, _ := in.FieldPos(2 + i)
				return nil, fmt.Errorf("labels: line %d: %w", line, err)
			}
		}
		all = append(all, l)
	}
}

func labelTime(text string, zone *time.Location) (time.Time, error) {
	day, clock, _ := strings.Cut(text, "T")
	if clock == "24:00:00" {
		at, err := time.ParseInLocation(time.DateOnly, day, zone)
		return at.AddDate(0, 0, 1), err
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	return time.ParseInLocation("2006-01-02T15:04:05", text, zone)
}

// kindCategories says which categories of rules answer a kind of label. Any other
// kind is answered by the category of its own name.
var kindCategories = map[string][]string{
	"no_rows":                      {"suspected_offline", "feed_outage", "data_gap", "powered_not_counting"},
	"all_channels_zero":            {"zero_counts"},
	"channel_no_rows":              {"direction_dead", "in_out_discrepancy"},
	"one_direction_dead":           {"direction_dead", "zero_counts"},
	"undercount_or_dead_direction": {"direction_dead", "zero_counts", "unusual_low"},
	"direction_imbalance":          {"direction_dead", "in_out_discrepancy", "direction_swapped"},
	"direction_profile_changed":    {"direction_swapped"},
	"copied_day":                   {"duplicate_data"},
	"event_spike":                  {"unusual_high", "group_event"},

	// As belfry simulate calls them.
	"offline":      {"suspected_offline", "feed_outage"},
	"zero":         {"zero_counts"},
	"no_heartbeat": {"heartbeat_missing"},
	"stuck":        {"stuck_value"},
	"runaway":      {"runaway_count"},
	"late":         {"late_delivery"},
	"backfill":     {"suspected_offline", "late_delivery", "data_gap"},
}

// answers reports whether a category of rules answers the label.
func (l Label) answers(category string) bool {
	if known, ok := kindCategories[l.Kind]; ok {
		return slices.Contains(known, category)
	}
	return category == l.Kind
}

// KindScore says how well spans of one kind were found by the rules whose category
// answers it.
type KindScore struct {
	Kind   string  `json:"kind"`
	Spans  int     `json:"spans"`
	Found  int     `json:"found"`
	Recall float64 `json:"recall"`
	// Detect is the median time from a span's start to its first finding, of those
	// found.
	Detect time.Duration  `json:"time_to_detect"`
	By     map[string]int `json:"by"` // spans found, by rule
}

// RuleScore says how many of a rule's findings lie in a span of their device, of
// whatever kind. What nobody labelled counts against it, real or not.
type RuleScore struct {
	Rule      string  `json:"rule"`
	Opened    int     `json:"opened"`
	Labelled  int     `json:"labelled"`
	Precision float64 `json:"precision"`
}

// labelGrace is how long after a span's end a finding still belongs to it: what is
// judged once a day comes the day after.
const labelGrace = 36 * time.Hour

// spell is a stretch in which a rule fired for a scope.
type spell struct {
	rule     string
	category string
	scope    telemetry.Scope
	from, to time.Time
}

func spells(findings []telemetry.Finding, end time.Time) []spell {
	var all []spell
	open := map[string]int{}
	for _, f := range findings {
		key := f.Rule + "\x00" + f.Scope.String()
		i, firing := open[key]
		switch {
		case f.Condition == telemetry.Firing && !firing:
			open[key] = len(all)
			all = append(all, spell{f.Rule, f.Category, f.Scope, f.At, end})
		case f.Condition == telemetry.Clear && firing:
			all[i].to = f.At
			delete(open, key)
		}
	}
	return all
}

// Score holds the report's findings against labels, and fills Kinds and Precision.
// siteOf names the site of a device, so that a finding about a site counts for its
// devices; labels outside the report's span are left out.
func (r *Report) Score(labels []Label, siteOf func(device string) string) {
	all := spells(r.Findings, r.To)
	labels = slices.DeleteFunc(slices.Clone(labels), func(l Label) bool { return l.End.Before(r.From) || l.Start.After(r.To) })
	kinds := map[string]*KindScore{}
	detect := map[string][]float64{}
	for _, l := range labels {
		k := kinds[l.Kind]
		if k == nil {
			k = &KindScore{Kind: l.Kind, By: map[string]int{}}
			kinds[l.Kind] = k
		}
		k.Spans++
		if took, ok := l.found(all, siteOf, k.By); ok {
			k.Found++
			detect[l.Kind] = append(detect[l.Kind], took.Seconds())
		}
	}
	r.Kinds = []KindScore{}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		k := kinds[name]
		k.Recall = float64(k.Found) / float64(k.Spans)
		if k.Found > 0 {
			k.Detect = time.Duration(median(detect[name])) * time.Second
		}
		r.Kinds = append(r.Kinds, *k)
	}
	r.Precision = ruleScores(all, labels, siteOf)
	r.Unlabelled = slices.DeleteFunc(slices.Clone(r.Incidents), func(i RolledUp) bool { return i.labelled(labels, siteOf) })
}

// found notes which rules fired within a label's span, and how soon the first.
func (l Label) found(all []spell, siteOf func(string) string, by map[string]int) (time.Duration, bool) {
	first, rules := time.Time{}, map[string]bool{}
	for _, s := range all {
		if !l.answers(s.category) || !l.about(s.scope, siteOf) || !s.from.Before(l.End.Add(labelGrace)) || !s.to.After(l.Start) {
			continue
		}
		if rules[s.rule] = true; first.IsZero() || s.from.Before(first) {
			first = s.from
		}
	}
	for rule := range rules {
		by[rule]++
	}
	return max(0, first.Sub(l.Start)), len(rules) > 0
}

// name is the device's; "counter/channel" is the device "counter".
func (l Label) name() string {
	device, _, _ := strings.Cut(l.Device, "/")
	return device
}

// about reports whether the label's device is in a scope. A label that names no device
// is about a site, and each of its devices.
func (l Label) about(s telemetry.Scope, siteOf func(string) string) bool {
	device := l.name()
	site := siteOf(device)
	switch {
	case s.Level == telemetry.LevelDevice && site == "":
		return s.Name == device || siteOf(s.Name) == device
	case s.Level == telemetry.LevelDevice:
		return s.Name == device || s.Name == l.Device
	case s.Level == telemetry.LevelSite:
		return s.Name == site || site == "" && s.Name == device
	}
	return true
}

func ruleScores(all []spell, labels []Label, siteOf func(string) string) []RuleScore {
	byRule := map[string]*RuleScore{}
	for _, s := range all {
		r := byRule[s.rule]
		if r == nil {
			r = &RuleScore{Rule: s.rule}
			byRule[s.rule] = r
		}
		r.Opened++
		if slices.ContainsFunc(labels, func(l Label) bool {
			return l.about(s.scope, siteOf) && s.from.After(l.Start) && s.from.Before(l.End.Add(labelGrace))
		}) {
			r.Labelled++
		}
	}
	var scores []RuleScore
	for _, r := range byRule {
		r.Precision = float64(r.Labelled) / float64(r.Opened)
		scores = append(scores, *r)
	}
	slices.SortFunc(scores, func(a, b RuleScore) int { return cmp.Compare(a.Rule, b.Rule) })
	return scores
}
