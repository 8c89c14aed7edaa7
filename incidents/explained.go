package incidents

import "belfry/telemetry"

// explain puts an incident that nobody works on under that of a finding which explains
// it: a device's under its site's feed outage. A backtest counts both as one, and so
// does whoever looks at the list.
func (in *intake) explain(inc *Incident, f *telemetry.Finding) error {
	cause, known := in.newest(KeyOf(f.Explained.Rule, f.Explained.Scope))
	if !known || cause.State.Ended() || inc.State != New || inc.Touched || inc.Parent != "" {
		return nil
	}
	ref := cause.Ref
	if cause.Parent != "" {
		ref = cause.Parent
	}
	in.held[byExplained]++
	return in.apply(inc, Request{Transition: Adopt, parent: ref, held: Held{By: byExplained, Why: ref + " explains it"}}, f)
}

// standAlone takes an incident from under what explained it: it fires though that does
// no longer.
func (in *intake) standAlone(f *telemetry.Finding) error {
	inc, _ := in.newest(KeyOf(f.Rule, f.Scope))
	if inc.Held.By != byExplained {
		return nil
	}
	return in.apply(inc, Request{Transition: Detach, Reason: inc.Parent + " no longer explains it"}, f)
}
