package warehouse

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/telemetry"
)

// ticks are the last readings to come of each device, in the rows of latest, which keeps
// them beside the last arrivals: enough to say how its clock stands without reading the
// hours before anew. What they leave open is looked up: of a device that sent a reading
// again, or one that may be such, all that came in the window is read, for as long as that
// lies in it.
type ticks struct {
	base  int64 // of tick.came, milliseconds since 1970
	reach int64 // of the windows that are asked for, milliseconds
	asked int64 // when somebody asked last, likewise since 1970
	rings []ring
	stale map[uint64]bool // devices that are looked up
}

// ring is the last readings of a device to come, each by its first version.
type ring struct {
	gone [len(kinds)]uint32 // of those that came before: the latest time, seconds since 1970
	n    uint8
	last [analyzer.SkewReadings]tick // as they came; of one arrival the newest last
}

// tick is a reading's arrival, in milliseconds since ticks.base, doubled, with the kind in
// the last bit; and how long after its time, in milliseconds.
type tick struct {
	came  uint32
	delay int32
}

func (t tick) kind() int    { return int(t.came & 1) }
func (t tick) stamp() int64 { return int64(t.came>>1) - int64(t.delay) }

// ticksFor is how long arrivals can be counted from one base.
const ticksFor = math.MaxInt32 * time.Millisecond

// take takes a version in, and reports whether the ring still says all: false when it does
// not fit, or the reading may have come before.
func (t *ticks) take(r *ring, kind int, came, delay int64) bool {
	came -= t.base
	if came < 0 || came > math.MaxInt32 || int64(int32(delay)) != delay {
		return false
	}
	next := tick{uint32(came)<<1 | uint32(kind), int32(delay)}
	at := int(r.n)
	for _, have := range r.last[:r.n] {
		if have.kind() == kind && have.stamp() == next.stamp() {
			return have == next // a row that is there twice says nothing new
		}
	}
	for at > 0 && next.before(r.last[at-1]) {
		at--
	}
	switch full := int(r.n) == len(r.last); {
	case full && at == 0:
		t.pass(r, next) // whatever it is, ten came behind it
	case t.second(next) <= r.gone[kind]:
		return false
	case full:
		t.pass(r, r.last[0])
		copy(r.last[:at-1], r.last[1:at])
		r.last[at-1] = next
	default:
		copy(r.last[at+1:r.n+1], r.last[at:r.n])
		r.last[at] = next
		r.n++
	}
	return true
}

// pass notes a reading that is not among the last.
func (t *ticks) pass(r *ring, x tick) { r.gone[x.kind()] = max(r.gone[x.kind()], t.second(x)) }

// before orders as analyzer.ClockOf does.
func (t tick) before(o tick) bool {
	if a, b := t.came>>1, o.came>>1; a != b {
		return a < b
	}
	return t.delay > o.delay
}

// second is the time of a reading in seconds since 1970, as far as that goes.
func (t *ticks) second(of tick) uint32 {
	return uint32(min(max(0, (t.base+of.stamp())/1000), math.MaxUint32))
}

// heard appends what came of a ring after an instant.
func (t *ticks) heard(r *ring, from int64, into []analyzer.Heard) []analyzer.Heard {
	for _, x := range r.last[:r.n] {
		if came := t.base + int64(x.came>>1); came > from {
			into = append(into, analyzer.Heard{Arrival: came, Delay: int64(x.delay)})
		}
	}
	return into
}

// unasked is how long the last readings are kept for nobody.
const unasked = 26 * time.Hour

// staleMost is how many devices are looked up: more are read with all the others.
func staleMost(devices int) int { return max(1000, devices/50) }

// keptClocks answers what clocks say in a window up to the instant from what is kept; nil
// when it can't be.
func (w *Warehouse) keptClocks(ctx context.Context, s analyzer.Scan, window analyzer.Column) (*clockface, error) {
	if !w.alone() || s.Devices != nil || window.Kind != 0 || !window.To.Equal(s.AsOf) {
		return nil, nil
	}
	l, at, from := &w.latest, s.AsOf.UnixMilli(), window.From.UnixMilli()
	l.mu.Lock()
	defer l.mu.Unlock()
	if at < l.asOf {
		return nil, nil // of the past
	}
	if _, _, err := w.arrivals(ctx, s.AsOf); err != nil {
		return nil, err
	}
	if t := l.ticks; t == nil || t.reach != at-from || at-t.base > ticksFor.Milliseconds()-maxStep.Milliseconds() || len(t.stale) > staleMost(len(l.device)) {
		return w.readTicks(ctx, l, s, window)
	}
	l.ticks.asked = at
	looked, err := w.lookAtStale(ctx, l, s, window)
	if err != nil {
		l.ticks = nil // some are of the one instant, some of the other
		return nil, err
	}
	f := l.ticks.clockface(l.device, from)
	row := 0
	for i, d := range looked.device {
		var found bool
		if row, found = l.place(d, row); found {
			f.skew[row], f.spread[row] = looked.skew[i], looked.spread[i]
		}
	}
	return f, nil
}

// readTicks reads what came in a window of all devices, and keeps the last of each.
func (w *Warehouse) readTicks(ctx context.Context, l *latest, s analyzer.Scan, window analyzer.Column) (*clockface, error) {
	l.ticks = nil
	t := &ticks{base: window.From.UnixMilli(), reach: l.asOf - window.From.UnixMilli(), asked: l.asOf, stale: map[uint64]bool{}}
	f, err := w.clockface(ctx, s, window, t)
	if err != nil {
		return nil, err
	}
	t.rings = make([]ring, len(l.device))
	t.put(l, f)
	l.ticks = t
	return f, nil
}

// put puts the rings of a clockface in their rows.
func (t *ticks) put(l *latest, f *clockface) {
	row := 0
	for i, d := range f.device {
		var found bool
		if row, found = l.place(d, row); !found {
			continue // it came between two questions, and everything will be asked anew
		}
		t.rings[row] = f.rings[i]
		if f.open[i] {
			t.stale[d] = true
		} else {
			delete(t.stale, d)
		}
	}
}

// lookAtStale reads what came in the window of those devices whose rings don't say all.
func (w *Warehouse) lookAtStale(ctx context.Context, l *latest, s analyzer.Scan, window analyzer.Column) (*clockface, error) {
	all := &clockface{}
	var ids []telemetry.DeviceID
	for d := range l.ticks.stale {
		ids = append(ids, telemetry.DeviceID(d))
	}
	slices.Sort(ids)
	for some := range slices.Chunk(ids, listMost) {
		s.Devices = some
		f, err := w.clockface(ctx, s, window, l.ticks)
		if err != nil {
			return nil, err
		}
		heard := f.device
		for _, d := range some { // one of which nothing came in the window has nothing
			if _, was := slices.BinarySearch(heard, uint64(d)); !was {
				f.device, f.skew, f.spread = append(f.device, uint64(d)), append(f.skew, math.NaN()), append(f.spread, math.NaN())
				f.rings, f.open = append(f.rings, ring{}), append(f.open, false)
			}
		}
		l.ticks.put(l, f)
		all.device = append(all.device, f.device...)
		all.skew, all.spread = append(all.skew, f.skew...), append(all.spread, f.spread...)
	}
	return all, nil
}

// clockface tells what the rings say of what came after an instant.
func (t *ticks) clockface(device []uint64, from int64) *clockface {
	f := &clockface{device: device, skew: make([]float64, len(device)), spread: make([]float64, len(device))}
	parts := runtime.GOMAXPROCS(0)
	var group errgroup.Group
	for part := range parts {
		group.Go(func() error {
			var few [analyzer.SkewReadings]analyzer.Heard
			for row := len(device) * part / parts; row < len(device)*(part+1)/parts; row++ {
				f.skew[row], f.spread[row] = analyzer.ClockOf(t.heard(&t.rings[row], from, few[:0]))
			}
			return nil
		})
	}
	_ = group.Wait() // none fails
	return f
}
