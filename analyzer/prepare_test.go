package analyzer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"belfry/telemetry"
)

const learnedRules = `
rules:
  - { name: silent, scope: device, every: 5m, when: silence(count) > 90m, category: x }
  - { name: odd, scope: device, every: 1h, keep_firing_for: 30m, when: "z(sum(total, 1h)) > 6", category: x }
  - { name: copied, scope: device, at: midnight+30m, when: copied_day() > 1, category: x }
  - { name: swapped, scope: device, at: midnight+30m, when: swapped() > 1, category: x }
`

// learners is a world of eleven doors in Paris and Kolkata with six weeks of hours, of
// which three have an odd hour now and then, and one sends nothing from the end's noon on.
// It learns of three doors at a time; asked counts what that asks for.
func learners(t *testing.T, rules string) (w *world, midnight time.Time, asked *[]Series) {
	var devices []telemetry.Device
	for d := range 11 {
		devices = append(devices, telemetry.Device{Name: fmt.Sprintf("d%d", d), Site: []string{"p", "k"}[d%2], ReadingEvery: 3600})
	}
	w = newWorld(t, rules, []telemetry.Site{{ID: "p", Zone: "Europe/Paris"}, {ID: "k", Zone: "Asia/Kolkata"}}, devices)
	midnight = time.Date(2026, 2, 15, 23, 0, 0, 0, time.UTC) // in Paris
	for d, device := range devices {
		for i := range 42*24 + 12 {
			ts, n := midnight.Add(time.Duration(i+1-42*24)*time.Hour), uint32(100+(i*i*(d+3))%101%17)
			if d < 3 && i%61 == 7*d {
				n = 900
			}
			if d != 4 || ts.Before(midnight.Add(-11*time.Hour)) {
				addCount(w.batch, device.Name, ts.Add(-time.Duration(d)*time.Minute), ts, n, n/2)
			}
		}
	}
	reel := NewReel(w.batch)
	asked = new([]Series)
	w.config.Query, w.config.piece, w.config.EachInstant, w.config.Start = reel.Query, 3, true, midnight.Add(-5*24*time.Hour)
	w.config.Series = func(ctx context.Context, s Series) (arrow.Record, error) {
		if s.Bins() == int(learnBack/binStep) {
			*asked = append(*asked, s)
		}
		return reel.Series(ctx, s)
	}
	w.restart()
	return w, midnight, asked
}

// bytes are what is known, to the bit.
func (k *knowledge) bytes(t *testing.T) []byte {
	var all bytes.Buffer
	for _, column := range []any{k.base[0], k.base[1], k.base[2], k.excess[0], k.excess[1], k.excess[2], k.phi, k.rough, k.peak, k.share, k.daily, k.lean, k.sway, k.closed, k.carried, k.copied} {
		if err := binary.Write(&all, binary.LittleEndian, column); err != nil {
			t.Fatal(err)
		}
	}
	return all.Bytes()
}

func (w *world) upTo(at time.Time) {
	w.t.Helper()
	if err := w.analyzer.Evaluate(w.t.Context(), at); err != nil {
		w.t.Fatal(err)
	}
}

// prepare learns ahead, so many pieces at most, and returns how many there were.
func (w *world) prepare(most int) (pieces int) {
	w.t.Helper()
	for more := true; more && pieces < most; {
		var err error
		if more, err = w.analyzer.Prepare(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		if more {
			pieces++
		}
	}
	return pieces
}

// anew is what is known when it is all learned at once at an instant, from what is kept.
func (w *world) anew(at time.Time) []byte {
	w.t.Helper()
	fresh := &world{t: w.t, config: w.config, states: w.states}
	fresh.config.piece = 100
	fresh.restart()
	p := &pass{Analyzer: fresh.analyzer, at: at}
	if err := p.learnAll(w.t.Context(), []int32{0, 1}, lessons{}); err != nil {
		w.t.Fatal(err)
	}
	return fresh.analyzer.known.bytes(w.t)
}

func TestWhatIsLearnedInPiecesIsWhatIsLearnedAtOnce(t *testing.T) {
	w, midnight, asked := learners(t, learnedRules)
	w.upTo(midnight.Add(settle - time.Second)) // everything of the day that ends; an instant has learned that
	if w.analyzer.ledger["odd"] == nil || len(w.said) == 0 {
		t.Fatal("there are no incidents to be left out of what is learned")
	}
	*asked = nil
	if n := w.prepare(9); n != 0 || len(*asked) > 0 {
		t.Fatalf("%d pieces were learned before the last instant of the day", n)
	}
	w.upTo(midnight.Add(settle))
	if n := w.prepare(1); n != 1 || len(*asked) != 1 || !(*asked)[0].AsOf.Equal(midnight) || len((*asked)[0].Devices) != 3 {
		t.Fatalf("%d pieces were learned, for %+v; want one of three doors of Paris, as of its midnight", n, *asked)
	}
	half := &pass{Analyzer: w.analyzer, at: midnight.Add(2 * time.Minute)} // an instant of before that is asked once more
	if err := half.learnAll(t.Context(), []int32{0, 1}, lessons{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(w.analyzer.known.bytes(t), w.anew(half.at)) {
		t.Error("an instant of the day before reads what is half of the next day")
	}
	w.prepare(1)
	w.upTo(midnight.Add(time.Hour)) // finishes what is left
	if !bytes.Equal(w.analyzer.known.bytes(t), w.anew(midnight.Add(time.Hour))) {
		t.Error("what was learned in pieces is not what is learned at once")
	}
	*asked = nil
	if n := w.prepare(9); n != 0 {
		t.Errorf("%d pieces were learned of what is known", n)
	}
	w.upTo(midnight.Add(12 * time.Hour))
	if len(*asked) > 0 {
		t.Errorf("what is known was learned again: %+v", *asked)
	}
	kolkata := midnight.Add(19*time.Hour + 30*time.Minute)
	w.upTo(kolkata.Add(settle))
	if n := w.prepare(9); n != 2 || !(*asked)[len(*asked)-1].AsOf.Equal(kolkata) {
		t.Errorf("%d pieces were learned, for %+v; want both, as of the midnight of Kolkata", n, *asked)
	}
	if !bytes.Equal(w.analyzer.known.bytes(t), w.anew(kolkata.Add(settle))) {
		t.Error("what was learned of one zone is not as of its midnight")
	}
}

// TestNobodyWaitsForWhatOthersLearn starts live over a folder with history.
func TestNobodyWaitsForWhatOthersLearn(t *testing.T) {
	w, midnight, asked := learners(t, learnedRules)
	w.config.EachInstant, w.config.Start = false, time.Time{}
	w.restart()
	at := midnight.Add(-4*time.Hour + time.Minute)
	advance := func(want ...string) {
		t.Helper()
		if err := w.analyzer.Advance(t.Context(), at, at); err != nil {
			t.Fatal(err)
		}
		w.heard(at, want...)
	}
	advance("firing d4")
	if len(*asked) > 0 {
		t.Errorf("the rule on silence waited for %d pieces", len(*asked))
	}
	if n := w.prepare(99); n != 2 || w.analyzer.progress.Rules["copied"].Equal(at) {
		t.Errorf("%d pieces were learned, and copied is done up to %s; want the two of Paris, whose night is judged next", n, w.analyzer.progress.Rules["copied"])
	}
	at = at.Add(time.Second)
	for range 9 { // the nights of the zones lie apart, and each is judged with what was known then
		advance()
		w.prepare(99)
	}
	for _, rule := range []string{"odd", "copied", "swapped"} {
		if done := w.analyzer.progress.Rules[rule]; !done.Equal(at) {
			t.Errorf("%s is done up to %s; want %s", rule, done, at)
		}
	}
	w.states.progress = Progress{}
	w.restart() // and a driver that never is idle
	advance()
	at = at.Add(patience)
	advance()
	at = at.Add(time.Second)
	advance()
	if done := w.analyzer.progress.Rules["odd"]; !done.Equal(at) {
		t.Errorf("after %s odd is done up to %s; want %s", patience, done, at)
	}
}

func TestAnErrorOfLearningAheadChangesNothing(t *testing.T) {
	w, midnight, _ := learners(t, learnedRules)
	w.upTo(midnight.Add(settle - time.Second))
	away, asked, series := errors.New("away"), 0, w.config.Series
	w.analyzer.cfg.Series = func(context.Context, Series) (arrow.Record, error) { asked++; return nil, away }
	w.upTo(midnight.Add(settle))
	before := len(w.states.states)
	for range 3 {
		more, err := w.analyzer.Prepare(t.Context())
		if more || errors.Is(err, away) != (asked == 1 && err != nil) {
			t.Fatalf("got %t, %v", more, err)
		}
	}
	w.upTo(midnight.Add(settle + prepareAgain - time.Second))
	if more, err := w.analyzer.Prepare(t.Context()); more || err != nil || asked != 1 {
		t.Errorf("within a minute: %t, %v, asked %d times; want once", more, err, asked)
	}
	w.upTo(midnight.Add(settle + prepareAgain))
	if more, err := w.analyzer.Prepare(t.Context()); more || err != nil || asked != 2 {
		t.Errorf("after a minute: %t, %v, asked %d times; want it tried again, and told no more", more, err, asked)
	}
	if len(w.states.states) != before {
		t.Errorf("there are %d states; want %d", len(w.states.states), before)
	}
	w.analyzer.cfg.Series = series
	w.upTo(midnight.Add(time.Hour))
	if !bytes.Equal(w.analyzer.known.bytes(t), w.anew(midnight.Add(time.Hour))) {
		t.Error("what was learned after an error is not what is learned at once")
	}
}

// TestOnlyWhatIsLookedAtIsLearned has a rule on copies alone.
func TestOnlyWhatIsLookedAtIsLearned(t *testing.T) {
	w, midnight, asked := learners(t, `
rules:
  - { name: copied, scope: device, at: midnight+30m, when: copied_day() > 1, category: x }
`)
	w.upTo(midnight.Add(12 * time.Hour))
	if k := w.analyzer.known; k.base[flowTotal] != nil || k.carried != nil || len(k.copied) != 11 {
		t.Errorf("known of copies alone is %d bytes", len(k.bytes(t)))
	}
	*asked = nil
	if n := w.prepare(9); n != 0 {
		t.Errorf("%d pieces were learned of a day whose only instant is over", n)
	}
}

// TestACopyIsLookedForAmongFewDevices has a day that is sent again, its last hour after
// midnight, beside a day of its own and one on which nobody came.
func TestACopyIsLookedForAmongFewDevices(t *testing.T) {
	w := newWorld(t, `
rules:
  - { name: copied, scope: device, at: midnight+30m, when: copied_day() > 1, category: x }
`, []telemetry.Site{{ID: "s"}}, []telemetry.Device{{Name: "copy", Site: "s", ReadingEvery: 3600}, {Name: "own", Site: "s", ReadingEvery: 3600}, {Name: "empty", Site: "s", ReadingEvery: 3600}})
	start := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	midnight := start.AddDate(0, 0, 3)
	for i := range 72 {
		ts := start.Add(time.Duration(i+1) * time.Hour)
		arrival, n := ts, uint32(i%48%24*7%31+i%48/24)
		if ts.Equal(midnight) {
			arrival = midnight.Add(20 * time.Minute)
		}
		addCount(w.batch, "copy", ts, arrival, n, n+1)
		addCount(w.batch, "own", ts, arrival, uint32(50+i), 3)
		addCount(w.batch, "empty", ts, arrival, 0, 0)
	}
	reel, closer := NewReel(w.batch), []telemetry.DeviceID{}
	w.config.Series = func(ctx context.Context, s Series) (arrow.Record, error) {
		if s.AsOf.After(midnight) && s.Bins() > 48 {
			for _, d := range w.config.Fleet.Devices {
				if id := telemetry.IDOf(d.Name); id >= s.First && id <= s.Last && (s.Devices == nil || slices.Contains(s.Devices, id)) {
					closer = append(closer, id)
				}
			}
		}
		return reel.Series(ctx, s)
	}
	w.config.Start = midnight.Add(-time.Hour)
	w.restart()
	w.expect(midnight.Add(30*time.Minute), "firing copy")
	if len(closer) != 1 || closer[0] != telemetry.IDOf("copy") {
		t.Errorf("twelve weeks were read of %v", closer)
	}
}
