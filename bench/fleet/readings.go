package fleet

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"belfry/telemetry"
)

// Record is one message of a device.
type Record struct {
	Device   string
	Kind     telemetry.Kind
	TS       time.Time // what the device says
	Arrival  time.Time // when the log gets it
	In, Out  uint32
	Interval uint32 // seconds
	Firmware string
	Temp     float64 // °C
	RSSI     float64 // dBm

	order int // the device's place, which settles what arrives at the same instant
}

// AppendJSON appends the telemetry message to a buffer.
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, `{"device":"`...)
	b = append(b, r.Device...)
	b = append(b, `","ts":"`...)
	b = r.TS.UTC().AppendFormat(b, "2006-01-02T15:04:05.999Z07:00")
	if r.Kind == telemetry.Count {
		b = append(b, `","in":`...)
		b = strconv.AppendUint(b, uint64(r.In), 10)
		b = append(b, `,"out":`...)
		b = strconv.AppendUint(b, uint64(r.Out), 10)
		b = append(b, `,"interval":`...)
		b = strconv.AppendUint(b, uint64(r.Interval), 10)
		return append(b, '}')
	}
	b = append(b, `","kind":"heartbeat","fw":"`...)
	b = append(b, r.Firmware...)
	b = append(b, `","temp":`...)
	b = strconv.AppendFloat(b, r.Temp, 'f', 1, 64)
	b = append(b, `,"rssi":`...)
	b = strconv.AppendFloat(b, r.RSSI, 'f', 0, 64)
	return append(b, '}')
}

// slowest is how long a message is under way when nothing is wrong.
const slowest = 9 * time.Second

// Readings calls yield for each record that arrives after from, up to and with
// to, in the order of arrival (a flat fleet's only within 9 seconds and a reading
// interval), and stops at yield's first error. The records of
// spans that follow each other are together those of the whole span. The record
// is yield's until it returns.
func (f *Fleet) Readings(from, to time.Time, yield func(*Record) error) error {
	step := f.options.ReadingEvery
	start := from.Add(-f.lookBack(from, to) - slowest).Truncate(step)
	g := generator{fleet: f}
	for end := start.Add(step); end.Add(-step).Before(to); end = end.Add(step) {
		g.slot(end)
		if err := g.emit(from, minTime(end, to), yield); err != nil {
			return err
		}
	}
	return nil
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// lookBack returns how long before a span a message that arrives in it may have
// been sent.
func (f *Fleet) lookBack(from, to time.Time) (most time.Duration) {
	for i := range f.faults {
		x := &f.faults[i]
		delay := time.Duration(0)
		switch x.Kind {
		case Late:
			delay = x.By
		case Backfill:
			delay = x.To.Sub(x.From)
		default:
			continue
		}
		first, last := x.From.Add(delay), x.To.Add(delay+slowest)
		if x.Kind == Backfill {
			first, last = x.To, x.To.Add(slowest)
		}
		if !first.After(to) && !last.Before(from) {
			most = max(most, delay)
		}
	}
	return most
}

// generator makes the records of one slot after the other.
type generator struct {
	fleet   *Fleet
	pending []Record // made, and not yet arrived
}

// slot makes all that is sent in the reading interval that ends at end.
func (g *generator) slot(end time.Time) {
	f := g.fleet
	for s := range f.sites {
		site := &f.sites[s]
		if site.Status == telemetry.SiteClosed && !f.options.Flat {
			continue // its power is off
		}
		var in, out float64
		if !f.options.Flat {
			in, out = site.flow(end, f.options.ReadingEvery)
		}
		for _, m := range site.members {
			g.count(m, end, in, out)
			g.heartbeats(m, end)
		}
	}
}

func (g *generator) count(m int, end time.Time, siteIn, siteOut float64) {
	f := g.fleet
	d := &f.devices[m]
	r := Record{Device: d.Name, Kind: telemetry.Count, TS: end, Interval: uint32(d.ReadingEvery), order: m}
	if f.options.Flat {
		x := mix(f.options.Seed ^ uint64(m)<<32 ^ uint64(end.Unix()))
		r.In, r.Out = uint32(x&15), uint32(x>>8&15)
	} else {
		r.In, r.Out = f.draw(m, end, siteIn, siteOut)
	}
	g.send(m, end, r, saltCount)
}

// draw returns what a healthy door counts.
func (f *Fleet) draw(m int, end time.Time, siteIn, siteOut float64) (in, out uint32) {
	rnd := f.random(m, end.Unix(), saltCount)
	d := &f.devices[m]
	return poisson(rnd, siteIn*d.in), poisson(rnd, siteOut*d.out)
}

// healthy returns what a door would have counted at another time.
func (f *Fleet) healthy(m int, end time.Time) (in, out uint32) {
	siteIn, siteOut := f.sites[f.devices[m].site].flow(end, f.options.ReadingEvery)
	return f.draw(m, end, siteIn, siteOut)
}

// heartbeats makes those of one device within a slot.
func (g *generator) heartbeats(m int, end time.Time) {
	f := g.fleet
	d := &f.devices[m]
	every := f.options.HeartbeatEvery
	start := end.Add(-f.options.ReadingEvery)
	at := start.Truncate(every).Add(d.phase)
	for ; !at.After(end); at = at.Add(every) {
		if !at.After(start) {
			continue
		}
		r := Record{Device: d.Name, Kind: telemetry.Heartbeat, TS: at, Firmware: d.firmware, Temp: d.warmth, RSSI: d.signal, order: m}
		if !f.options.Flat {
			rnd := f.random(m, at.Unix(), saltHeartbeat)
			day := float64(at.Unix()%86400) / 86400
			r.Temp += 3*math.Sin(2*math.Pi*day) + rnd.Float64()
			r.RSSI += 3 * rnd.NormFloat64()
		}
		g.send(m, at, r, saltHeartbeat)
	}
}

// send lets a device's faults act on a record, and puts it on its way.
func (g *generator) send(m int, at time.Time, r Record, salt uint64) {
	f := g.fleet
	delay := time.Duration(mix(f.options.Seed^uint64(m)<<20^uint64(at.Unix())^salt)%uint64(slowest/time.Millisecond)) * time.Millisecond
	r.Arrival = at.Add(delay)
	for _, i := range f.devices[m].faults {
		x := &f.faults[i]
		if x.holds(at) && !f.strike(x, m, at, delay, &r) {
			return
		}
	}
	g.pending = append(g.pending, r)
}

// emit yields what has arrived by an instant, and forgets it.
func (g *generator) emit(from, by time.Time, yield func(*Record) error) error {
	if !g.fleet.options.Flat {
		slices.SortFunc(g.pending, func(a, b Record) int {
			return cmp.Or(a.Arrival.Compare(b.Arrival), cmp.Compare(a.order, b.order), cmp.Compare(a.Kind, b.Kind), a.TS.Compare(b.TS))
		})
	}
	waiting := g.pending[:0]
	for i := range g.pending {
		r := g.pending[i]
		if r.Arrival.After(by) {
			waiting = append(waiting, r)
			continue
		}
		if r.Arrival.After(from) {
			if err := yield(&r); err != nil {
				return err
			}
		}
	}
	g.pending = waiting
	return nil
}

// strike lets a fault act on a record; false when it is never sent.
func (f *Fleet) strike(x *Fault, m int, at time.Time, delay time.Duration, r *Record) bool {
	count := r.Kind == telemetry.Count
	switch x.Kind {
	case Offline:
		return false
	case PoweredNotCounting:
		return !count
	case NoHeartbeat:
		return count
	case Flapping:
		return at.Sub(x.From)%x.By >= x.By/2
	case Late:
		r.Arrival = r.Arrival.Add(x.By)
	case Backfill:
		r.Arrival = x.To.Add(delay)
	case ClockSkew:
		r.TS = r.TS.Add(x.By)
	}
	if count {
		f.miscount(x, m, at, r)
	}
	return true
}

// miscount lets a fault act on a count.
func (f *Fleet) miscount(x *Fault, m int, at time.Time, r *Record) {
	switch x.Kind {
	case Zero:
		r.In, r.Out = 0, 0
	case OneDirectionDead:
		r.In = 0
	case Discrepancy:
		r.Out = uint32(float64(r.Out) * x.Factor)
	case Swapped:
		r.In, r.Out = r.Out, r.In
	case Stuck:
		in, out := f.healthy(m, f.busy(m, x.From))
		r.In, r.Out = max(in, 3), max(out, 2)
	case Runaway:
		mean := x.Factor * f.options.ReadingEvery.Hours()
		r.In = poisson(f.random(m, at.Unix(), saltScatter), mean)
	case CopiedDay:
		r.In, r.Out = f.healthy(m, at.Add(-week))
	}
}

// busy returns a time near the middle of the local day before an instant: what a
// stuck device repeats is a number of people and not the zero of the night.
func (f *Fleet) busy(m int, at time.Time) time.Time {
	s := &f.sites[f.devices[m].site]
	noon := s.Day(at).Start.Add(-12 * time.Hour)
	return noon.Truncate(f.options.ReadingEvery)
}
