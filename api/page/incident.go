package page

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// openStates are those of incidents that are not at their end.
var openStates = []incidents.State{incidents.New, incidents.InProgress, incidents.Pending}

// openList is what is open: the most urgent first.
type openList struct {
	Rows   []incidents.Incident
	Counts [5]int // by priority; what a site incident stands for is counted with it
	Held   int    // held back: nobody is to be troubled with them
	More   bool   // there are more than the counts say
}

// mostOpen bounds what is looked at for each state and priority, listedOpen what
// is shown of it.
const mostOpen, listedOpen = 100, 25

// open lists what is open at a site, of a device, or everywhere.
func (v *visit) open(site, device string) (list openList, err error) {
	for priority := 1; priority <= 4; priority++ {
		for _, state := range openStates {
			some, err := v.Desk.List(v.ctx(), incidents.Query{Site: site, Device: device, State: state, Priority: priority, Limit: mostOpen}, v.actor)
			if err != nil {
				return list, err
			}
			list.More = list.More || len(some) == mostOpen
			list.add(some)
		}
	}
	slices.SortStableFunc(list.Rows, func(a, b incidents.Incident) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), b.OpenedAt.Compare(a.OpenedAt))
	})
	list.Rows = list.Rows[:min(len(list.Rows), listedOpen)]
	return list, nil
}

// add counts incidents and keeps those that are to be listed.
func (l *openList) add(some []incidents.Incident) {
	for _, inc := range some {
		switch {
		case inc.Parent != "": // the site incident stands for it
		case inc.Held.By != "":
			l.Held++
		default:
			l.Counts[min(max(inc.Priority, 0), 4)]++
			l.Rows = append(l.Rows, inc)
		}
	}
}

// Total is how many are open.
func (l openList) Total() (n int) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// listView is the page of all incidents.
type listView struct {
	Rows               []incidents.Incident
	State, Priority, Q string
	Next               string
}

const incidentsAtOnce = 50

func incidentsPage(v *visit) (*sheet, error) {
	asked := v.r.URL.Query()
	view := listView{State: cmp.Or(asked.Get("state"), "open"), Priority: asked.Get("priority"), Q: strings.TrimSpace(asked.Get("q"))}
	states := openStates
	switch {
	case view.State == "any":
		states = []incidents.State{""}
	case view.State != "open":
		states = []incidents.State{incidents.State(view.State)}
	}
	priority, _ := strconv.Atoi(view.Priority) // what is no number asks for any
	for _, state := range states {
		some, err := v.Desk.List(v.ctx(), incidents.Query{State: state, Priority: priority, Q: view.Q, Before: asked.Get("before"), Limit: incidentsAtOnce + 1}, v.actor)
		if err != nil {
			return nil, err
		}
		view.Rows = append(view.Rows, some...)
	}
	slices.SortFunc(view.Rows, func(a, b incidents.Incident) int { return compareRefs(b.Ref, a.Ref) })
	if len(view.Rows) > incidentsAtOnce {
		view.Rows = view.Rows[:incidentsAtOnce]
		asked.Set("before", view.Rows[len(view.Rows)-1].Ref)
		view.Next = "?" + asked.Encode()
	}
	return &sheet{Title: "Incidents", Name: "incidents", Tab: "incidents", Live: true, Data: view}, nil
}

// compareRefs puts INC-999999 before INC-1000000.
func compareRefs(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// incidentView is one incident.
type incidentView struct {
	incidents.Incident
	Zone     *time.Location
	Clocks   []incidents.ClockView
	Timeline []entry
	Cut      bool // the timeline is longer
	Evidence []telemetry.Evidence
	Shown    time.Time // when the evidence was frozen
	Picture  *picture
	Guide    incidents.Guide // what helps with it
	Seeing   bool            // sites and devices are to be seen
}

// SitePath and DevicePath are the pages of what it is about.
func (v incidentView) SitePath() string { return "/sites/" + url.PathEscape(v.Site) }

// DevicePath is the page of its device.
func (v incidentView) DevicePath() string { return "/devices/" + url.PathEscape(v.Device) }

// Signal is what was measured when the rule fired.
func (v incidentView) Signal() string {
	if len(v.Evidence) == 0 {
		return ""
	}
	return v.Evidence[0].What
}

// entry is one entry of a timeline, as people read it.
type entry struct {
	incidents.Event
	What    string
	Changes []change
}

type change struct{ Field, From, To string }

// timelineAtOnce is how much of a timeline is shown.
const timelineAtOnce = 500

func incidentPage(v *visit) (*sheet, error) {
	ref := v.r.PathValue("ref")
	inc, err := v.Desk.Get(v.ctx(), ref, v.actor)
	if err != nil {
		return nil, err
	}
	view := incidentView{Incident: inc, Zone: time.UTC, Seeing: slices.Contains(viewers, v.token.Role)}
	if view.Clocks, err = v.Desk.Clocks(v.ctx(), ref, v.actor, v.at); err != nil {
		return nil, err
	}
	events, next, err := v.Desk.Timeline(v.ctx(), ref, 0, timelineAtOnce, v.actor)
	if err != nil {
		return nil, err
	}
	view.Cut = next > 0
	for _, e := range slices.Backward(events) {
		line, err := entryOf(e)
		if err != nil {
			return nil, err
		}
		view.Timeline = append(view.Timeline, line)
	}
	for after := int64(-1); after != 0; {
		shown, next, err := v.Desk.Evidence(v.ctx(), ref, max(after, 0), timelineAtOnce, v.actor)
		if err != nil {
			return nil, err
		}
		if n := len(shown); n > 0 { // the newest
			view.Evidence, view.Shown = shown[n-1].Evidence, shown[n-1].At
		}
		after = next
	}
	if view.Guide, err = v.Desk.Guide(v.ctx(), ref, incidents.Languages[0], v.actor); err != nil {
		return nil, err
	}
	if err := v.place(&view); err != nil {
		return nil, err
	}
	return &sheet{Title: inc.Ref, Name: "incident", Tab: "incidents", Live: true, Data: view}, nil
}

// place adds what an incident's site and device have to say. Either may be gone
// from the registry.
func (v *visit) place(view *incidentView) error {
	if !view.Seeing || view.Site == "" {
		return nil
	}
	site, err := v.site(view.Site)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	view.Zone = site.Location()
	if view.Device == "" {
		return nil
	}
	device, _, err := v.device(view.Device)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	began, at := view.Since, v.at
	if began.IsZero() {
		began = view.OpenedAt
	}
	if around := began.Add(24 * time.Hour); around.Before(at) {
		at = around
	}
	if view.Picture = v.picture(device, site, at, v.heard(site.ID, device.Name)[device.Name]); view.Picture != nil {
		view.Picture.since = view.Since
		if view.Condition != telemetry.Firing {
			view.Picture.until = view.ConditionAt
		}
	}
	return nil
}

// told are the fields whose changes people want to read, in that order.
var told = []string{"state", "condition", "assignee", "priority", "level", "category", "pending_reason", "wake_at", "value", "occurrences", "site", "device",
	"impact", "urgency", "kind", "parent", "duplicate_of", "major", "reopened"}

// names are fields that hold somebody's or something's name: as it is written.
var names = []string{"assignee", "site", "device", "parent", "duplicate_of"}

func entryOf(e incidents.Event) (entry, error) {
	line := entry{Event: e, What: words(e.Kind)}
	var before, after map[string]any
	if err := errors.Join(json.Unmarshal(e.Before, &before), json.Unmarshal(e.After, &after)); err != nil {
		return line, fmt.Errorf("read event %d of %s: %w", e.Seq, e.Ref, err)
	}
	if e.Seq == 1 { // everything is new then: the page shows it all anyway
		return line, nil
	}
	for _, name := range told {
		if _, changed := after[name]; changed {
			from, to := plainly(before[name]), plainly(after[name])
			if !slices.Contains(names, name) {
				from, to = words(from), words(to)
			}
			line.Changes = append(line.Changes, change{words(name), from, to})
		}
	}
	if r, ok := after["resolution"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(r)) {
			line.Changes = append(line.Changes, change{words(name), "", plainly(r[name])})
		}
	}
	return line, nil
}

// plainly writes a value from a timeline.
func plainly(v any) string {
	switch v := v.(type) {
	case nil:
		return "–"
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			if at.IsZero() {
				return "–"
			}
			return at.UTC().Format("2 Jan 15:04 MST")
		}
		return cmp.Or(v, "–")
	case float64:
		return num(v)
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	}
	return fmt.Sprint(v)
}
