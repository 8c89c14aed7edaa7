package incidents

import (
	"fmt"
	"time"

	"belfry/telemetry"
)

// stormKey is the fingerprint of the overflow incident, of which there is at most
// one at work.
const stormKey = "storm\x1f\x1f"

// stormRule stands where an incident names its rule.
const stormRule = "storm-brake"

// brake returns the overflow incident that is to hold what a finding would open,
// when enough was opened within the same minute already; "" otherwise. What goes
// there has an incident of its own, which the overflow stands for: nothing is lost,
// and the list is that of its children.
func (in *intake) brake(f *telemetry.Finding) (parent string, held Held, err error) {
	limit := in.desk.config.StormLimit
	if limit == 0 {
		return "", Held{}, nil
	}
	minute := f.At.UTC().Truncate(time.Minute)
	n, known := in.opened[minute]
	if !known {
		if n, err = in.tx.Alone(minute, minute.Add(time.Minute), limit); err != nil {
			return "", Held{}, err
		}
	}
	if n < limit {
		in.opened[minute] = n + 1
		return "", Held{}, nil
	}
	in.opened[minute] = n
	if in.overflow == "" {
		if err := in.openOverflow(f, minute); err != nil {
			return "", Held{}, fmt.Errorf("open the overflow incident: %w", err)
		}
	}
	in.held[byStorm]++
	return in.overflow, Held{By: byStorm, Why: fmt.Sprintf("%s holds what came in a storm, of more than %d new incidents a minute", in.overflow, limit)}, nil
}

// openOverflow finds the overflow incident that is at work, or opens one.
func (in *intake) openOverflow(f *telemetry.Finding, minute time.Time) error {
	known, err := in.tx.Latest([]string{stormKey})
	if err != nil {
		return err
	}
	last := known[stormKey]
	if last.OpenKey != "" && !last.State.Ended() {
		in.overflow, in.latest[stormKey] = last.Ref, &last
		return nil
	}
	storm := &telemetry.Finding{Rule: stormRule, Scope: telemetry.Scope{Level: telemetry.LevelTenant}, Condition: telemetry.Firing,
		At: f.At, Since: minute, Category: stormCategory, Impact: string(ImpactClient), Urgency: string(UrgencyHigh),
		Summary: fmt.Sprintf("more than %d new incidents a minute: this one stands for the rest", in.desk.config.StormLimit)}
	if last.OpenKey != "" {
		if err := in.apply(last, Request{Transition: Supersede}, storm); err != nil {
			return err
		}
	}
	if in.overflow, err = in.tx.NextRef(); err != nil {
		return err
	}
	return in.apply(Incident{}, Request{Transition: Open, finding: storm, ref: in.overflow, key: stormKey, previous: last.Ref,
		priority: in.desk.priority(in.book, stormCategory, ImpactClient, UrgencyHigh)}, storm)
}

// stormCategory is the shipped category of overflow incidents.
const stormCategory = "storm"

// await makes a candidate of what a site incident may soon stand for: nobody is
// told, and no clock runs, until the others have had their time.
func (in *intake) await(f *telemetry.Finding) Held {
	wait := in.desk.config.GroupWait
	if wait == 0 || placeOf(f).site == "" || in.devices[f.Site] < leastRolledUp {
		return Held{}
	}
	return Held{byCandidate, "more devices of its site may fail within the next moments, and one incident would stand for them", millis(f.At.Add(wait))}
}
