package warehouse

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"belfry/telemetry"
)

// plainly is what the view hourly has to say, computed in the plainest way.
const plainly = `SELECT hour, device, sum(tupleElement(v, 1)), sum(tupleElement(v, 2)), count() FROM (
SELECT toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, device, ts, argMax((in, out), (delay, offset)) AS v FROM {db}.raw_counts GROUP BY device, ts
) GROUP BY hour, device ORDER BY hour, device`

const viewed = "SELECT hour, xxHash64(device), in, out, readings FROM {db}.hourly ORDER BY 1, 2"

// world is a warehouse into which readings come in any order, several times and
// with other values, while refreshers come, are cut off and come again.
type world struct {
	t      *testing.T
	w      *Warehouse
	random *rand.Rand
	offset int64
	sent   []telemetry.Batch
	begun  [][]stale // by refreshers that have looked and not yet done more
	made   [][]stale // by refreshers that have not yet taken the weights off
}

// batch is some readings of few devices and days, so that they meet. They are
// new, or of a time that was there before, or late.
func (x *world) batch() telemetry.Batch {
	var b telemetry.Batch
	for range 1 + x.random.IntN(40) {
		ts := noon.Add(time.Duration(x.random.IntN(300)) * 10 * time.Minute)
		x.offset++
		count(&b, fmt.Sprintf("d%d", x.random.IntN(6)), ts, ts.Add(time.Duration(x.random.IntN(3)*x.random.IntN(10_000))*time.Second), x.offset, x.random.Uint32N(900), x.random.Uint32N(900))
	}
	return b
}

func (x *world) insert(b telemetry.Batch) {
	if err := x.w.Insert(context.Background(), &b); err != nil {
		x.t.Fatal(err)
	}
}

// take returns one of the list and removes it.
func take[T any](random *rand.Rand, list *[]T) (one T, ok bool) {
	if len(*list) == 0 {
		return one, false
	}
	i := random.IntN(len(*list))
	one = (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return one, true
}

// step does one thing that may happen, and returns its name.
func (x *world) step() (name string, err error) {
	switch ctx := context.Background(); x.random.IntN(9) {
	default:
		b := x.batch()
		x.sent = append(x.sent, b)
		x.insert(b)
		return "readings", nil
	case 3:
		if len(x.sent) > 0 {
			x.insert(x.sent[x.random.IntN(len(x.sent))])
		}
		return "the same readings again", nil
	case 4: // a batch whose process is killed before it notes the hours, and which is sent again
		b := x.batch()
		e := newEncoder()
		if err := x.w.insertBlock(ctx, e, "raw_counts", b.Counts.Len(), e.counts(e.sortCounts(&b.Counts))); err != nil {
			return "", err
		}
		x.insert(b)
		return "readings, killed in between", nil
	case 5:
		list, err := x.w.stale(ctx, 0, 1+x.random.IntN(100))
		x.begun = append(x.begun, list)
		return "a refresher looks", err
	case 6:
		if list, ok := take(x.random, &x.begun); ok && len(list) > 0 {
			if x.random.IntN(4) > 0 { // the others are killed now
				x.made = append(x.made, list)
			}
			return "a refresher makes hours", x.w.makeHours(ctx, list)
		}
	case 7:
		if list, ok := take(x.random, &x.made); ok {
			return "a refresher takes weights off", x.w.settled(ctx, list)
		}
	case 8:
		table := []string{"raw_hours", "raw_dirty", "raw_counts"}[x.random.IntN(3)]
		return "parts are merged", x.w.exec(ctx, "OPTIMIZE TABLE {db}."+table+" FINAL", nil)
	}
	return "nothing", nil
}

func TestHoursAreRightAfterWhateverHappens(t *testing.T) {
	for seed := range uint64(3) {
		w := open(t)
		register(t, w, "s", "UTC", "d0", "d1", "d2", "d3", "d4", "d5")
		x := &world{t: t, w: w, random: rand.New(rand.NewPCG(seed, 5))}
		var story []string
		for range 25 {
			name, err := x.step()
			if err != nil {
				t.Fatal(err)
			}
			story = append(story, name)
			if got, want := tsv(t, w, viewed), tsv(t, w, plainly); got != want {
				t.Fatalf("seed %d: after %q the view says\n%s\nand the readings say\n%s", seed, story, got, want)
			}
		}
		if _, err := w.Refresh(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		hours := "SELECT hour, device, in, out, readings FROM {db}.raw_hours FINAL ORDER BY hour, device"
		if got, want := tsv(t, w, hours), tsv(t, w, plainly); got != want {
			t.Errorf("seed %d: after %q the table has\n%s\nand the readings say\n%s", seed, story, got, want)
		}
		if got := tsv(t, w, "SELECT count() FROM {db}.raw_stale"); got != "0" {
			t.Errorf("seed %d: %s hours are stale after all were made anew", seed, got)
		}
	}
}

func TestAnHourThatIsStillTouchedIsLeftForLater(t *testing.T) {
	w := open(t)
	insert(t, w, func(b *telemetry.Batch) { count(b, "a", noon, noon, 1, 3, 4) })
	if cells, err := w.Refresh(t.Context(), time.Hour); cells != 0 || err != nil {
		t.Errorf("made %d anew, %v; want none", cells, err)
	}
	if cells, err := w.Refresh(t.Context(), 0); cells != 1 || err != nil {
		t.Errorf("made %d anew, %v; want 1", cells, err)
	}
}

// TestNoHourIsCountedTwiceWhileItIsMadeAnew corrects readings and makes hours anew
// all the while that somebody asks how many readings there are.
func TestNoHourIsCountedTwiceWhileItIsMadeAnew(t *testing.T) {
	const devices, hours = 50, 20
	w := open(t)
	var names []string
	for d := range devices {
		names = append(names, fmt.Sprintf("d%d", d))
	}
	register(t, w, "s", "UTC", names...)
	offset := int64(0)
	correct := func(b *telemetry.Batch) {
		for i := range devices * hours {
			offset++
			ts := noon.Add(time.Duration(i/devices) * time.Hour)
			count(b, names[i%devices], ts, ts.Add(time.Duration(offset)*time.Second), offset, uint32(offset), 1)
		}
	}
	insert(t, w, correct)
	group, ctx := errgroup.WithContext(t.Context())
	ctx, stop := context.WithCancel(ctx)
	group.Go(func() error {
		for ctx.Err() == nil {
			var b telemetry.Batch
			correct(&b)
			if err := w.Insert(context.Background(), &b); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		for ctx.Err() == nil {
			if _, err := w.Refresh(context.Background(), 0); err != nil {
				return err
			}
		}
		return nil
	})
	before := ""
	for range 15 {
		got := tsv(t, w, "SELECT sum(readings), min(`in`) > 0, sum(`out`) FROM {db}.hourly")
		if want := fmt.Sprintf("%[1]d\t1\t%[1]d", devices*hours); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		// A correction that was seen is never unseen again.
		now := tsv(t, w, "SELECT leftPad(toString(sum(`in`)), 20, '0') FROM {db}.hourly")
		if now < before {
			t.Errorf("the sum went back from %s to %s", before, now)
		}
		before = now
	}
	stop()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}
