package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// crowd makes incidents of every sort: reported and found, taken, held, escalated,
// resolved, with clocks that run, pause and are late.
func (h *house) crowd(r *rand.Rand, n int) []incidents.Incident {
	h.t.Helper()
	ctx, desk := context.Background(), h.parts.Desk
	words := []string{"door", "dark", "café", "silent", "flood", "north", "south"}
	manager := incidents.Actor{Name: "m", Role: incidents.Manager, Source: incidents.ByAPI}
	for i := range n {
		at := noon.Add(time.Duration(r.IntN(2000)-2000) * time.Minute)
		device := pick(r, "FC-1", "FC-2", "")
		site := map[string]string{"FC-1": "paris", "FC-2": "rome"}[device]
		if site == "" {
			site = pick(r, "paris", "rome")
		}
		inc, err := desk.Report(ctx, incidents.NewReport{Summary: fmt.Sprintf("%s %s %d", pick(r, words...), pick(r, words...), i), Site: site, Device: device,
			Category: pick(r, "user_report/other", "data_gap", "clock_skew"), Urgency: pick(r, incidents.UrgencyHigh, incidents.UrgencyLow)}, manager, at)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, req := range [][]incidents.Request{
			{}, {{Transition: incidents.Assign, Assignee: pick(r, "anna", "bob")}},
			{{Transition: incidents.Assign, Assignee: "anna"}, {Transition: incidents.Escalate, Reason: "hard", Override: "known"}},
			{{Transition: incidents.Assign, Assignee: "bob"}, {Transition: incidents.Hold, Reason: "requester", Text: "wait", Until: at.Add(9000 * time.Hour)}},
			{{Transition: incidents.Assign, Assignee: "bob"}, {Transition: incidents.Resolve, Code: "fixed", Cause: "power", Summary: "done", Item: orElse(device, site)}},
		}[r.IntN(5)] {
			if _, err := desk.Transition(ctx, inc.Ref, req, manager, at.Add(time.Minute)); err != nil {
				h.t.Fatalf("%s %s: %v", inc.Ref, req.Transition, err)
			}
		}
	}
	if _, err := desk.Tick(ctx, noon); err != nil {
		h.t.Fatal(err)
	}
	all, err := desk.List(ctx, incidents.Query{Limit: 10 * n}, incidents.Actor{Role: incidents.Admin})
	if err != nil {
		h.t.Fatal(err)
	}
	return all
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// naive says by looking whether an incident is what a query asks for.
func naive(i incidents.Incident, q url.Values) bool {
	for name, values := range q {
		value, ok := values[0], false
		switch name {
		case "site":
			ok = i.Site == value
		case "device":
			ok = i.Device == value
		case "category":
			ok = i.Category == value
		case "state":
			ok = string(i.State) == value
		case "condition":
			ok = i.Condition == telemetry.Condition(value)
		case "level":
			ok = strconv.Itoa(i.Level) == value
		case "priority":
			ok = strconv.Itoa(i.Priority) == value
		case "assignee":
			ok = i.Assignee == value
		case "sla":
			ok = i.ClockState() == value
		case "q":
			ok = !slices.ContainsFunc(strings.Fields(value), func(w string) bool { return !slices.Contains(strings.Fields(i.Summary), w) })
		case "updated_since":
			at, err := time.Parse(time.RFC3339, value)
			ok = err == nil && !i.UpdatedAt.Before(at)
		}
		if !ok {
			return false
		}
	}
	return true
}

// TestFiltersAloneAndTogetherGiveWhatLookingGives compares pages of three, followed
// by their cursors, with a look at every incident.
func TestFiltersAloneAndTogetherGiveWhatLookingGives(t *testing.T) {
	h := newHouse(t)
	r := rand.New(rand.NewPCG(1, 2))
	all := h.crowd(r, 60)
	choices := map[string][]string{
		"site": {"paris", "rome", "nowhere"}, "device": {"FC-1", "FC-2"}, "category": {"user_report/other", "data_gap", "suspected_offline"},
		"state": {"new", "in_progress", "pending", "resolved", "closed"}, "condition": {"firing", "none"}, "level": {"1", "2"}, "priority": {"1", "2", "3", "4"},
		"assignee": {"anna", "bob"}, "sla": {"ok", "at_risk", "breached", "paused", "met"}, "q": {"door", "café", "silent dark", "north"},
		"updated_since": {noon.Add(-20 * time.Hour).Format(time.RFC3339), noon.Add(-time.Hour).Format(time.RFC3339)},
	}
	names := []string{"site", "device", "category", "state", "condition", "level", "priority", "assignee", "sla", "q", "updated_since"}
	var queries []url.Values
	for _, name := range names {
		for _, value := range choices[name] {
			queries = append(queries, url.Values{name: {value}})
		}
	}
	for range 150 {
		q := url.Values{}
		for range 2 + r.IntN(2) {
			name := pick(r, names...)
			q.Set(name, pick(r, choices[name]...))
		}
		queries = append(queries, q)
	}
	hits := map[string]int{}
	for _, q := range queries {
		var want []string
		for _, i := range all {
			if naive(i, q) {
				want = append(want, i.Ref)
			}
		}
		if got := h.pages("/api/v1/incidents?limit=3&" + q.Encode()); !slices.Equal(got, want) {
			t.Errorf("%s gives %v, want %v", q.Encode(), got, want)
		}
		for name := range q {
			hits[name] += len(want)
		}
	}
	for _, name := range names {
		if hits[name] == 0 {
			t.Errorf("nothing was found by %s: the test says nothing about it", name)
		}
	}
}

// pages returns the references of a list, page after page.
func (h *house) pages(path string) (refs []string) {
	h.t.Helper()
	for cursor := ""; ; {
		page := h.call("admin", "GET", path+"&cursor="+cursor, "").want(h.t, 200, "")
		for _, item := range page.items() {
			refs = append(refs, item.(map[string]any)["ref"].(string))
		}
		if cursor, _ = page.json["next"].(string); cursor == "" {
			return refs
		}
		if len(refs) > 1000 {
			h.t.Fatalf("%s never ends", path)
		}
	}
}
