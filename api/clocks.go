package api

import (
	"context"
	"time"

	"belfry/incidents"
)

// Clock is a clock of an incident as it stands.
type Clock struct {
	Name      string                  `json:"name" doc:"respond, resolve, level-1 to level-3 or vendor"`
	Kind      incidents.AgreementKind `json:"kind" enum:"sla,ola,uc"`
	Agreement string                  `json:"agreement" doc:"With its version: the one that held when the clock began or was last chosen anew"`
	Calendar  string                  `json:"calendar" doc:"With its version"`
	Running   bool                    `json:"running"`
	Breached  bool                    `json:"breached"`
	Target    int64                   `json:"target_seconds"`
	Consumed  int64                   `json:"consumed_seconds" doc:"Time that counts, until now"`
	Remaining int64                   `json:"remaining_seconds" doc:"Below 0 when it is over"`
	Due       time.Time               `json:"due_at,omitzero" doc:"While it runs"`
	Passed    []incidents.Passed      `json:"passed,omitempty" doc:"Thresholds in percent, with when they were passed and when that was noted"`
	Segments  []Segment               `json:"segments,omitempty" doc:"With explain: when it ran and why; what they consumed adds up to consumed_seconds"`
}

// Segment is a stretch of time during which a clock ran.
type Segment struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to,omitzero" doc:"Missing while it runs"`
	Start    string    `json:"start" doc:"What began it"`
	Stop     string    `json:"stop,omitempty" doc:"What ended it"`
	Calendar string    `json:"calendar"`
	Consumed int64     `json:"consumed_seconds"`
}

type clocksIn struct {
	IncidentPath
	Explain int `query:"explain" minimum:"0" maximum:"1" doc:"1 for the segments"`
}

func (a *app) getClocks(ctx context.Context, in *clocksIn) (*listOut[Clock], error) {
	list, err := a.Desk.Clocks(ctx, in.Ref, actorOf(ctx), a.Now())
	if err != nil {
		return nil, in.missing(err)
	}
	views := make([]Clock, len(list))
	for i, k := range list {
		views[i] = clockView(&k)
		if in.Explain == 0 {
			views[i].Segments = nil
		}
	}
	return listed(views, ""), nil
}

// clockView writes a clock in whole seconds. The segments are cut where their
// running sum is, so that they add up to the second.
func clockView(k *incidents.ClockView) Clock {
	v := Clock{Name: k.Name, Kind: k.Kind, Agreement: k.Agreement, Calendar: k.Calendar, Running: k.Running(), Breached: k.Breached(),
		Target: int64(k.Target) * 60, Consumed: seconds(k.Consumed), Due: k.Due, Passed: k.Passed}
	v.Remaining = v.Target - v.Consumed
	var sum time.Duration
	for _, s := range k.Segments {
		before := sum
		sum += s.Consumed
		v.Segments = append(v.Segments, Segment{s.From, s.To, s.Start, s.Stop, s.Calendar, seconds(sum) - seconds(before)})
	}
	return v
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
