package bench

import (
	"context"
	"fmt"
	"time"

	"belfry/telemetry"
)

// benchFleet is a fleet with two faults, and what it sends up to shortly after
// benchAt. Everything follows from a device's number.
type benchFleet struct {
	sites   []telemetry.Site
	devices []telemetry.Device
	ids     []telemetry.DeviceID
	hours   int

	stopped map[string]bool // devices that stopped two hours before benchAt
	unequal map[string]bool // sites of which IN and OUT differ
	later   int             // devices that were heard of in the last minute

	sent     time.Time // everything before this minute was
	readings int
}

const (
	perSite   = 20
	stopOne   = 500 // one device in so many stopped
	differOne = 100 // of one site in so many IN and OUT differ
)

func newBenchFleet(n, hours int) *benchFleet {
	b := &benchFleet{hours: hours, stopped: map[string]bool{}, unequal: map[string]bool{}}
	for i := range (n + perSite - 1) / perSite {
		id := fmt.Sprintf("site-%06d", i)
		b.sites = append(b.sites, telemetry.Site{ID: id, Name: id, Zone: "Europe/Paris", Status: telemetry.SiteOpen})
		if i%differOne == differOne-1 {
			b.unequal[id] = true
		}
	}
	for i := range n {
		name := fmt.Sprintf("device-%07d", i)
		b.devices = append(b.devices, telemetry.Device{Name: name, Site: b.sites[i/perSite].ID, Status: telemetry.DeviceActive,
			HeartbeatEvery: 900, ReadingEvery: 3600, InServiceSince: benchAt.Add(-time.Duration(hours) * time.Hour)})
		b.ids = append(b.ids, telemetry.IDOf(name))
		if i%stopOne == stopOne/2 {
			b.stopped[name] = true
		}
	}
	return b
}

// fill sends everything.
func (b *benchFleet) fill(ctx context.Context, insert func(context.Context, *telemetry.Batch) error, progress func(string, int, int)) error {
	return b.fillTo(ctx, insert, benchAt.Add(time.Minute), progress)
}

// fillTo sends what the fleet sends up to a minute, as ingestion would.
func (b *benchFleet) fillTo(ctx context.Context, insert func(context.Context, *telemetry.Batch) error, to time.Time, progress func(string, int, int)) error {
	if b.sent.IsZero() {
		b.sent = benchAt.Add(-time.Duration(b.hours) * time.Hour)
	}
	batch, minutes := &telemetry.Batch{}, int(to.Sub(b.sent)/time.Minute)
	for minute := range minutes {
		progress("fill", minute, minutes)
		last := minute == minutes-1
		if last {
			b.later = 0
		}
		b.minute(batch, b.sent, last)
		b.sent = b.sent.Add(time.Minute)
		if batch.Len() > 400_000 || last && batch.Len() > 0 {
			b.readings += batch.Len()
			if err := insert(ctx, batch); err != nil {
				return err
			}
			batch.Counts.Reset()
			batch.Heartbeats.Reset()
		}
	}
	return nil
}

// minute sends what is due in a minute, from its 31st second on.
func (b *benchFleet) minute(batch *telemetry.Batch, start time.Time, last bool) {
	n := int(start.Unix()/60) % 60
	ts, stop := start.UnixMilli()+31_000, benchAt.Add(-2*time.Hour).UnixMilli()
	for i := n % 15; i < len(b.devices); i += 15 {
		if ts > stop && b.stopped[b.devices[i].Name] {
			continue
		}
		if last {
			b.later++
		}
		b.beat(batch, i, ts)
		if i%60 == n {
			b.count(batch, i, ts)
		}
	}
}

func (b *benchFleet) beat(batch *telemetry.Batch, i int, ts int64) {
	h := &batch.Heartbeats
	h.Device, h.TS, h.Arrival = append(h.Device, b.ids[i]), append(h.TS, ts), append(h.Arrival, ts+1000)
	h.Offset, h.Firmware = append(h.Offset, int64(i)), append(h.Firmware, "5.2.1")
	h.MeasureEnd = append(h.MeasureEnd, len(h.Name))
}

func (b *benchFleet) count(batch *telemetry.Batch, i int, ts int64) {
	in, out := b.counted(i)
	c := &batch.Counts
	c.Device, c.TS, c.Arrival = append(c.Device, b.ids[i]), append(c.TS, ts), append(c.Arrival, ts+1000)
	c.Offset, c.Interval = append(c.Offset, int64(i)), append(c.Interval, 3600)
	c.In, c.Out = append(c.In, in), append(c.Out, out)
}

// counted returns what a device counts in an hour.
func (b *benchFleet) counted(i int) (in, out uint32) {
	in, out = uint32(50+i%7), uint32(49+i%7)
	if b.unequal[b.devices[i].Site] {
		out /= 2
	}
	return in, out
}
