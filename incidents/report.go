package incidents

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ReportQuery asks for figures about the incidents that were opened in [From, To),
// as they stand now.
type ReportQuery struct {
	From, To time.Time
	By       string // one of ReportGroups; "" for all in one
	Site     string // only of this site
}

// ReportGroups are what figures can be split by.
var ReportGroups = []string{"site", "category", "level", "rule", "priority"}

// Figures are what became of some incidents. Times are in seconds; business time
// is what of it lies in the calendar of the office.
type Figures struct {
	Group     string `json:"group"` // "" for all
	Opened    int    `json:"opened"`
	Open      int    `json:"open"`
	Resolved  int    `json:"resolved"` // resolved or closed
	Cancelled int    `json:"cancelled"`

	Responded        int    `json:"responded"`
	ResponseMedian   *int64 `json:"response_median"`
	ResponseP90      *int64 `json:"response_p90"`
	ResponseBusiness *int64 `json:"response_business_median"`
	ResolveMedian    *int64 `json:"resolve_median"`
	ResolveP90       *int64 `json:"resolve_p90"`
	ResolveBusiness  *int64 `json:"resolve_business_median"`
	ResolveP90Office *int64 `json:"resolve_business_p90"`

	RespondBreaches int `json:"respond_breaches"`
	ResolveBreaches int `json:"resolve_breaches"`
	Reopened        int `json:"reopened"`   // incidents that were
	Reopenings      int `json:"reopenings"` // how often, together

	BySolver          int      `json:"resolved_by_people"`
	FirstContact      int      `json:"first_contact"`
	FirstContactShare *float64 `json:"first_contact_share"` // of what people resolved
	Judged            int      `json:"judged"`              // of rules, and ended by people
	FalsePositives    int      `json:"false_positives"`
	FalsePositiveRate *float64 `json:"false_positive_share"` // of what was judged
	Rated             int      `json:"rated"`
	Satisfaction      *float64 `json:"satisfaction"` // mean, 1 to 5
}

// tallying is a group's figures under way.
type tallying struct {
	Figures
	points                                           int
	response, responseOffice, resolve, resolveOffice []int64
}

// Figures returns the figures of the incidents that the actor may see: of each
// group in order, and last, under the group "", of all together.
func (d *Desk) Figures(ctx context.Context, q ReportQuery, actor Actor) ([]Figures, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	o := OpenedQuery{From: q.From, To: q.To, Site: q.Site}
	if !actor.narrow(&o.Site, &o.Level, &o.Supplier) {
		return (&reporter{all: &tallying{}}).figures(), nil
	}
	book, err := d.readBook(ctx)
	if err != nil {
		return nil, err
	}
	r := &reporter{by: q.By, office: book.business(), all: &tallying{}, groups: map[string]*tallying{}}
	if err := d.store.Opened(ctx, o, r.take); err != nil {
		return nil, fmt.Errorf("add up the incidents from %s to %s: %w", q.From.Format(time.RFC3339), q.To.Format(time.RFC3339), err)
	}
	return r.figures(), nil
}

func (q *ReportQuery) check() error {
	var f faults
	if q.From.IsZero() || !q.To.After(q.From) {
		f.add("to", "is not after from")
	}
	if q.By != "" && !slices.Contains(ReportGroups, q.By) {
		f.add("by", "no group %q; want one of %v", q.By, ReportGroups)
	}
	return f.err()
}

// reporter adds incidents up.
type reporter struct {
	by     string
	office *Calendar
	all    *tallying
	groups map[string]*tallying
}

func (r *reporter) take(inc *Incident) error {
	r.add(r.all, inc)
	if r.by == "" {
		return nil
	}
	group := r.groupOf(inc)
	t := r.groups[group]
	if t == nil {
		t = &tallying{Figures: Figures{Group: group}}
		r.groups[group] = t
	}
	r.add(t, inc)
	return nil
}

func (r *reporter) groupOf(inc *Incident) string {
	group := map[string]string{"site": inc.Site, "category": inc.Category, "rule": inc.Rule,
		"level": strconv.Itoa(inc.highest()), "priority": strconv.Itoa(inc.Priority)}[r.by]
	return cmp.Or(group, "-")
}

// highest is the highest level that worked on it. Of what went up before that was noted
// the clocks of the levels tell, where there was an agreement.
func (inc *Incident) highest() int {
	level := max(inc.Level, inc.Highest)
	for i := range inc.Clocks {
		for l := level + 1; l <= 3; l++ {
			if inc.Clocks[i].Name == levelClock(l) {
				level = l
			}
		}
	}
	return level
}

// firstContact reports whether the first line alone resolved it, asked nobody
// else, and it stayed so.
func (inc *Incident) firstContact() bool {
	return inc.highest() == 1 && inc.Reopened == 0 && len(inc.Actions) == 0 && inc.Vendor.Supplier == ""
}

// EndedByPerson reports whether a person has ended it.
func (inc *Incident) EndedByPerson() bool {
	return inc.State.Ended() && inc.Resolution.By != "" && inc.Resolution.By != belfry.Name
}

// Solved reports whether a person has ended it and said how, for the next one who
// meets the like of it.
func (inc *Incident) Solved() bool {
	return inc.EndedByPerson() && inc.State != Cancelled && inc.Resolution.Summary != ""
}

func (r *reporter) add(t *tallying, inc *Incident) {
	t.Opened++
	switch inc.State {
	case Cancelled:
		t.Cancelled++
	case Resolved, Closed:
		t.Resolved++
		r.resolved(t, inc)
	default:
		t.Open++
	}
	if !inc.FirstResponse.IsZero() {
		t.Responded++
		t.response = append(t.response, seconds(inc.FirstResponse.Sub(inc.OpenedAt)))
		t.responseOffice = append(t.responseOffice, seconds(r.office.Between(inc.OpenedAt, inc.FirstResponse)))
	}
	for i := range inc.Clocks {
		k := &inc.Clocks[i]
		t.RespondBreaches += one(k.Kind == SLA && k.Name == "respond" && k.Breached())
		t.ResolveBreaches += one(k.Kind == SLA && k.Name == "resolve" && k.Breached())
	}
	t.Reopened += one(inc.Reopened > 0)
	t.Reopenings += inc.Reopened
	if inc.EndedByPerson() && inc.Rule != "" {
		t.Judged++
		t.FalsePositives += one(inc.Resolution.Code == "false_positive")
	}
	if inc.Satisfaction.Points > 0 {
		t.Rated++
		t.points += inc.Satisfaction.Points
	}
}

func (r *reporter) resolved(t *tallying, inc *Incident) {
	if inc.EndedByPerson() {
		t.BySolver++
		t.FirstContact += one(inc.firstContact())
	}
	if !inc.ResolvedAt.IsZero() {
		t.resolve = append(t.resolve, seconds(inc.ResolvedAt.Sub(inc.OpenedAt)))
		t.resolveOffice = append(t.resolveOffice, seconds(r.office.Between(inc.OpenedAt, inc.ResolvedAt)))
	}
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }

func (r *reporter) figures() []Figures {
	var out []Figures
	for _, group := range slices.Sorted(maps.Keys(r.groups)) {
		out = append(out, r.groups[group].done())
	}
	return append(out, r.all.done())
}

func (t *tallying) done() Figures {
	f := t.Figures
	f.ResponseMedian, f.ResponseP90, f.ResponseBusiness = quantile(t.response, 50), quantile(t.response, 90), quantile(t.responseOffice, 50)
	f.ResolveMedian, f.ResolveP90 = quantile(t.resolve, 50), quantile(t.resolve, 90)
	f.ResolveBusiness, f.ResolveP90Office = quantile(t.resolveOffice, 50), quantile(t.resolveOffice, 90)
	f.FirstContactShare = share(f.FirstContact, f.BySolver)
	f.FalsePositiveRate = share(f.FalsePositives, f.Judged)
	f.Satisfaction = share(t.points, f.Rated)
	return f
}

// quantile returns the value that so many percent are not above; nil of none.
func quantile(values []int64, percent int) *int64 {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	return &sorted[(len(sorted)*percent+99)/100-1]
}

func share(part, of int) *float64 {
	if of == 0 {
		return nil
	}
	v := float64(part) / float64(of)
	return &v
}
