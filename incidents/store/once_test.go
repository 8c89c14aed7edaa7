package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belfry/incidents"
	"belfry/telemetry"
)

// act is what an analyzer, a person or the clock does, so many hours after what it
// did before.
type act struct {
	What   string
	Device int // or which of the newest incidents
	Hours  int
}

var acts = rapid.Custom(func(t *rapid.T) act {
	return act{rapid.SampledFrom([]string{"firing", "firing", "clear", "unknown", "take", "resolve", "cancel", "tick"}).Draw(t, "what"),
		rapid.IntRange(0, 3).Draw(t, "which"), rapid.IntRange(0, 30).Draw(t, "hours")}
})

// do carries it out among the devices of one round. People may be told that they
// can't; nothing else may go wrong.
func (a act) do(ctx context.Context, s *Tickets, desk *incidents.Desk, round int, at time.Time) error {
	ask := incidents.Request{Force: true, Reason: "drawn"}
	switch a.What {
	case "tick":
		_, err := desk.Tick(ctx, at)
		return err
	case "take":
		ask = incidents.Request{Transition: incidents.Take}
	case "resolve":
		ask.Transition, ask.Code, ask.Cause, ask.Summary = incidents.Resolve, "fixed", "network", "plugged in"
		ask.Item = fmt.Sprintf("FC-%06d", 4*round+a.Device)
	case "cancel":
		ask.Transition, ask.Code = incidents.Cancel, "false_positive"
	default:
		return desk.Receive(ctx, []telemetry.Finding{finding(telemetry.Condition(a.What), 4*round+a.Device, at), finding(telemetry.Condition(a.What), 4*round+(a.Device+1)%4, at)})
	}
	list, err := s.Incidents(ctx, incidents.Query{Limit: 4})
	if err != nil || len(list) <= a.Device {
		return err
	}
	_, err = desk.Transition(ctx, list[a.Device].Ref, ask, incidents.Actor{Name: "ana", Role: incidents.FirstLine, Source: incidents.ByAPI}, at)
	var conflict *incidents.ConflictError
	var invalid *incidents.InvalidError
	if errors.As(err, &conflict) || errors.As(err, &invalid) {
		return nil
	}
	return err
}

// testNoKeyIsOpenTwiceWhateverComesAtOnce lets analyzers, people and timers loose on
// the same few devices, and checks after each round all that must hold.
func testNoKeyIsOpenTwiceWhateverComesAtOnce(t *testing.T, open opener) {
	s, ctx, round, twice := open(t), context.Background(), -1, 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		works := rapid.SliceOfN(rapid.SliceOfN(acts, 1, 8), 2, 4).Draw(r, "works")
		var group sync.WaitGroup
		errs := make([]error, len(works))
		for i, work := range works {
			group.Go(func() {
				desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
				at := noon
				for _, a := range work {
					at = at.Add(time.Duration(a.Hours) * time.Hour)
					if err := a.do(ctx, s, desk, round, at); err != nil {
						errs[i] = fmt.Errorf("%+v: %w", a, err)
						return
					}
				}
			})
		}
		group.Wait()
		if err := errors.Join(errs...); err != nil {
			r.Fatal(err)
		}
		list, err := s.Incidents(ctx, incidents.Query{Limit: 100}) // those of this round, and some before
		if err != nil {
			r.Fatal(err)
		}
		keys := map[string]string{}
		for _, inc := range list {
			if keys[inc.OpenKey] != "" {
				r.Fatalf("%s and %s are open for the same key", keys[inc.OpenKey], inc.Ref)
			}
			if inc.OpenKey != "" {
				keys[inc.OpenKey] = inc.Ref
			}
		}
	})
	keys := map[string]bool{}
	for _, inc := range holds(t, s) {
		if keys[inc.Key] {
			twice++
		}
		keys[inc.Key] = true
	}
	if twice == 0 {
		t.Error("no key ever had a second incident: the draws were too tame")
	}
}
