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
	minute := minuteOf(f)
	if in.opened[minute] < limit {
		in.opened[minute]++
		return "", Held{}, nil
	}
	if in.overflow == "" {
		if err := in.openOverflow(f, minute); err != nil {
			return "", Held{}, fmt.Errorf("open the overflow incident: %w", err)
		}
	}
	in.held[byStorm]++
	return in.overflow, Held{By: byStorm, Why: fmt.Sprintf("%s holds what came in a storm, of more than %d new incidents a minute", in.overflow, limit)}, nil
}

func minuteOf(f *telemetry.Finding) time.Time { return f.At.UTC().Truncate(time.Minute) }

// countOpened asks how much was opened before in the minutes of the findings.
func (in *intake) countOpened(findings []telemetry.Finding) (err error) {
	limit := in.desk.config.StormLimit
	if limit == 0 {
		return nil
	}
	in.opened = map[time.Time]int{}
	for i := range findings {
		minute := minuteOf(&findings[i])
		if _, known := in.opened[minute]; known || findings[i].Condition != telemetry.Firing {
			continue
		}
		if in.opened[minute], err = in.tx.Alone(minute, minute.Add(time.Minute), limit); err != nil {
			return err
		}
	}
	return nil
}

// openOverflow finds the overflow incident that is at work, or opens one.
func (in *intake) openOverflow(f *telemetry.Finding, minute time.Time) error {
	last, _ := in.newest(stormKey)
	if last.OpenKey != "" && !last.State.Ended() {
		in.overflow = last.Ref
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
	in.overflow = in.next()
	return in.apply(&absent, Request{Transition: Open, finding: storm, ref: in.overflow, key: stormKey, previous: last.Ref,
		priority: in.desk.priority(in.book, stormCategory, ImpactClient, UrgencyHigh)}, storm)
}

// stormCategory is the shipped category of overflow incidents.
const stormCategory = "storm"

// await makes a candidate of what a site incident may soon stand for: nobody is
// told, and no clock runs, until the others have had their time.
func (in *intake) await(f *telemetry.Finding) Held {
	wait := in.desk.config.GroupWait
	if devices := in.fleet.Active[f.Site]; wait == 0 || placeOf(f).site == "" || !telemetry.RollsUp(devices, devices) {
		return Held{}
	}
	return Held{byCandidate, "more devices of its site may fail within the next moments, and one incident would stand for them", millis(f.At.Add(wait))}
}
