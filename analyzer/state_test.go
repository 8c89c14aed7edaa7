package analyzer

import (
	"testing"
	"time"
)

// TestEveryCellOfTheStates walks all phases, with and without unknown, through
// all verdicts.
func TestEveryCellOfTheStates(t *testing.T) {
	t0 := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	now := t0.Add(10 * time.Minute)
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	patient := timing{hold: 20 * time.Minute, keep: 20 * time.Minute}
	soon := timing{hold: 10 * time.Minute, keep: 10 * time.Minute}
	quick := timing{}

	inactive := State{Phase: Inactive}
	pending := State{Phase: Pending, Since: t0}
	firing := State{Phase: InFire, Since: t0}
	lost := State{Phase: InFire, Since: t0, Unknown: true}
	recovering := State{Phase: Recovering, Since: at(-60), Calm: t0}
	adrift := State{Phase: Recovering, Since: at(-60), Calm: t0, Unknown: true}

	for _, c := range []struct {
		name    string
		from    State
		verdict verdict
		timing  timing
		move    move
		phase   Phase
		unknown bool
		since   time.Time
	}{
		{"a condition without `for` fires at once", inactive, verdictHolds, quick, moveFire, InFire, false, now},
		{"a condition with `for` waits", inactive, verdictHolds, patient, moveSilent, Pending, false, now},
		{"a calm scope stays calm", inactive, verdictRecovered, quick, moveNone, Inactive, false, time.Time{}},
		{"a calm scope between the limits stays calm", inactive, verdictBand, quick, moveNone, Inactive, false, time.Time{}},
		{"nothing known of a calm scope tells nobody anything", inactive, verdictUnknown, quick, moveNone, Inactive, false, time.Time{}},
		{"a calm scope without data stays calm", inactive, verdictKeep, quick, moveNone, Inactive, false, time.Time{}},
		{"a calm scope that leaves is not missed", inactive, verdictGone, quick, moveNone, Inactive, false, time.Time{}},

		{"`for` counts from when the condition began", pending, verdictHolds, soon, moveFire, InFire, false, t0},
		{"a condition that holds too short stays pending", pending, verdictHolds, patient, moveNone, Pending, false, t0},
		{"a pending condition that ends is forgotten", pending, verdictRecovered, patient, moveSilent, Inactive, false, t0},
		{"a pending condition between the limits is forgotten", pending, verdictBand, patient, moveSilent, Inactive, false, t0},
		{"unknown keeps a pending condition and does not fire it", pending, verdictUnknown, soon, moveNone, Pending, false, t0},
		{"a pending condition without data does not fire", pending, verdictKeep, soon, moveNone, Pending, false, t0},
		{"a pending condition of a retired device is forgotten", pending, verdictGone, patient, moveSilent, Inactive, false, t0},

		{"a firing condition that holds says nothing new", firing, verdictHolds, quick, moveNone, InFire, false, t0},
		{"a firing condition between the limits keeps firing", firing, verdictBand, quick, moveNone, InFire, false, t0},
		{"a recovered condition without `keep_firing_for` clears at once", firing, verdictRecovered, quick, moveClear, Inactive, false, t0},
		{"a recovered condition with `keep_firing_for` waits", firing, verdictRecovered, patient, moveSilent, Recovering, false, t0},
		{"a firing condition that can't be told becomes unknown", firing, verdictUnknown, quick, moveUnknown, InFire, true, t0},
		{"no data never resolves", firing, verdictKeep, quick, moveNone, InFire, false, t0},
		{"a firing condition of a retired device clears", firing, verdictGone, patient, moveClear, Inactive, false, t0},

		{"an unknown condition that holds is told again", lost, verdictHolds, quick, moveAgain, InFire, false, t0},
		{"an unknown condition between the limits is told again", lost, verdictBand, quick, moveAgain, InFire, false, t0},
		{"an unknown condition that has recovered clears", lost, verdictRecovered, quick, moveClear, Inactive, false, t0},
		{"an unknown condition that recovers slowly is told again", lost, verdictRecovered, patient, moveAgain, Recovering, false, t0},
		{"unknown is told once", lost, verdictUnknown, quick, moveNone, InFire, true, t0},
		{"an unknown condition without data stays unknown", lost, verdictKeep, quick, moveNone, InFire, true, t0},
		{"an unknown condition of a retired device clears", lost, verdictGone, quick, moveClear, Inactive, false, t0},

		{"a relapse goes on firing and tells nobody", recovering, verdictHolds, patient, moveSilent, InFire, false, at(-60)},
		{"recovery between the limits starts again later", recovering, verdictBand, patient, moveSilent, InFire, false, at(-60)},
		{"recovery that lasts clears", recovering, verdictRecovered, soon, moveClear, Inactive, false, at(-60)},
		{"recovery that does not last yet waits", recovering, verdictRecovered, patient, moveNone, Recovering, false, at(-60)},
		{"a recovering condition that can't be told becomes unknown", recovering, verdictUnknown, soon, moveUnknown, Recovering, true, at(-60)},
		{"no data never completes a recovery", recovering, verdictKeep, soon, moveNone, Recovering, false, at(-60)},
		{"a recovering condition of a retired device clears", recovering, verdictGone, patient, moveClear, Inactive, false, at(-60)},

		{"an unknown recovery that relapses is told again", adrift, verdictHolds, patient, moveAgain, InFire, false, at(-60)},
		{"an unknown recovery between the limits is told again", adrift, verdictBand, patient, moveAgain, InFire, false, at(-60)},
		{"an unknown recovery that lasted clears", adrift, verdictRecovered, soon, moveClear, Inactive, false, at(-60)},
		{"an unknown recovery that goes on is told again", adrift, verdictRecovered, patient, moveAgain, Recovering, false, at(-60)},
		{"an unknown recovery stays unknown", adrift, verdictUnknown, soon, moveNone, Recovering, true, at(-60)},
		{"an unknown recovery without data stays so", adrift, verdictKeep, soon, moveNone, Recovering, true, at(-60)},
		{"an unknown recovery of a retired device clears", adrift, verdictGone, soon, moveClear, Inactive, false, at(-60)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.from
			m := s.step(c.verdict, now, c.timing)
			if m != c.move || s.Phase != c.phase || s.Unknown != c.unknown || !s.Since.Equal(c.since) {
				t.Errorf("got move %d to %s (unknown %v) since %s; want move %d to %s (unknown %v) since %s",
					m, s.Phase, s.Unknown, s.Since, c.move, c.phase, c.unknown, c.since)
			}
			if changed := m != moveNone; changed != s.At.Equal(now) {
				t.Errorf("changed %v, but the state says it last changed at %s", changed, s.At)
			}
		})
	}
}

func TestADoubledEvaluationChangesNothing(t *testing.T) {
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	for _, v := range []verdict{verdictKeep, verdictHolds, verdictBand, verdictRecovered, verdictUnknown, verdictGone} {
		for _, phase := range []Phase{Inactive, Pending, InFire, Recovering} {
			s := State{Phase: phase, Since: at.Add(-time.Hour)}
			if phase == Recovering {
				s.Calm = at.Add(-time.Minute)
			}
			wait := timing{hold: 2 * time.Hour, keep: 2 * time.Hour}
			s.step(v, at, wait)
			once := s
			if m := s.step(v, at, wait); m != moveNone || s != once {
				t.Errorf("%s, verdict %d: the second time moves (%d) from %+v to %+v", phase, v, m, once, s)
			}
		}
	}
}
