package warehouse

import (
	"context"
	"errors"
	"testing"
	"time"

	"belfry/telemetry"
)

// notedSQL asks how many hours and devices were noted.
const notedSQL = "SELECT (SELECT uniqExact(hour, stripe) FROM {db}.raw_dirty), (SELECT uniqExact(device) FROM {db}.raw_latest)"

func TestWhatIsNotedWaitsWhileMoreFollows(t *testing.T) {
	w := open(t)
	one := func(device string, hour int, more bool) *telemetry.Batch {
		b := &telemetry.Batch{More: more}
		at := noon.Add(time.Duration(hour) * time.Hour)
		count(b, device, at, at, int64(hour), 1, 1)
		heartbeat(b, device, at, at, int64(hour)+100)
		return b
	}
	want := func(when, noted string) {
		t.Helper()
		if got := tsv(t, w, notedSQL); got != noted {
			t.Errorf("%s: %q hours and devices are noted, want %q", when, got, noted)
		}
	}
	for i, device := range []string{"a", "b", "c"} {
		if err := w.Insert(t.Context(), one(device, i, true)); err != nil {
			t.Fatal(err)
		}
	}
	want("while more follows", "0\t0")
	if got := tsv(t, w, "SELECT count() FROM {db}.raw_counts"); got != "3" {
		t.Errorf("%s readings are there, want 3", got)
	}
	// Who can't note it leaves it to the next.
	late, cancel := context.WithCancel(t.Context())
	w.notes.turn <- struct{}{}
	ended := make(chan error, 1)
	go func() { ended <- w.note(late, newEncoder(), false) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from a note whose context ended, want context.Canceled", err)
	}
	<-w.notes.turn
	if err := w.note(late, newEncoder(), false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v from a note whose context had ended, want context.Canceled", err)
	}
	want("after a note that failed", "0\t0")
	if err := w.Insert(t.Context(), one("d", 3, false)); err != nil {
		t.Fatal(err)
	}
	want("after a batch that nothing follows", "4\t4")
	if got := tsv(t, w, "SELECT max(max_block_number) FROM system.parts WHERE database = '"+w.db+"' AND table = 'raw_dirty' AND rows > 0"); got != "1" {
		t.Errorf("the hours of four batches were noted in %s statements, want 1", got)
	}
	if err := w.Insert(t.Context(), one("e", 0, true)); err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(t.Context(), new(telemetry.Batch)); err != nil {
		t.Fatal(err)
	}
	want("after an empty batch", "5\t5")
}
