package bench

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"

	"belfry/analyzer"
	"belfry/telemetry"
)

// MidnightPace is what the instants take with which a local day ends, the dearest of a
// day, for a fleet that has twelve weeks of hours behind it.
type MidnightPace struct {
	Devices  int `json:"devices"`
	Readings int `json:"readings"`

	First  NightPace `json:"first_night"`
	Next   NightPace `json:"next_night"`
	Memory int64     `json:"analyzer_bytes"` // as in FleetPace
}

// NightPace is what follows a midnight.
type NightPace struct {
	Ahead   AheadPace   `json:"ahead"`
	Half    InstantPace `json:"half_past"`    // rules at midnight+30m, with those that are due then anyway
	Learned InstantPace `json:"an_hour_past"` // rules at close+60m and on the hour, by what was learned
}

// AheadPace is what it takes to learn what is usual of twelve weeks, piece by piece while
// no rule is due. A rule that becomes due waits for one piece.
type AheadPace struct {
	Pieces     int     `json:"pieces"`
	Millis     float64 `json:"ms"`            // all of them
	Longest    float64 `json:"longest_ms"`    // one of them
	Rows       int     `json:"rows"`          // bins that were read
	CPUPerUnit float64 `json:"cpu_us_device"` // microseconds
}

// midnightAt is a local midnight of the devices, and midnightHours what a day's learning
// looks back on, with a day to spare.
var (
	midnightAt    = time.Date(2026, 3, 26, 23, 0, 0, 0, time.UTC)
	midnightHours = (12*7+1)*24 + int(benchAt.Sub(midnightAt)/time.Hour)
)

// midnight measures them: devices count every hour, no two days alike, and nothing is
// wrong with them.
func (o *AnalyzerOptions) midnight(ctx context.Context) (*MidnightPace, error) {
	open, done, err := o.Warehouse(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before := heap()
	b := newBenchFleet(o.Midnight, midnightHours)
	for i := range b.devices {
		b.devices[i].HeartbeatEvery = 0
	}
	fleet, err := analyzer.NewFleet(slices.Clone(b.sites), slices.Clone(b.devices))
	if err != nil {
		return nil, err
	}
	m := &measured{rules: o.Rules}
	if err := m.open(ctx, open, fleet); err != nil {
		return nil, err
	}
	var ahead [2]AheadPace
	for night := range ahead {
		midnight := midnightAt.AddDate(0, 0, night)
		for _, after := range []time.Duration{-time.Hour, 5 * time.Minute, 30 * time.Minute, time.Hour} {
			at := midnight.Add(after)
			if err := b.hoursTo(ctx, m.warehouse.Insert, at, o.Progress); err != nil {
				return nil, err
			}
			o.Progress("midnight", len(m.rounds), 4)
			if err := m.next(ctx, at, after >= 30*time.Minute); err != nil {
				return nil, err
			}
			if after > 0 && after < 30*time.Minute {
				if err := m.learnAhead(ctx, &ahead[night]); err != nil {
					return nil, err
				}
			}
		}
	}
	b.sites, b.devices, b.ids = nil, nil, nil
	p := &MidnightPace{Devices: m.devices, Readings: b.readings, First: NightPace{ahead[0], m.rounds[0], m.rounds[1]},
		Next: NightPace{ahead[1], m.rounds[2], m.rounds[3]}, Memory: max(0, heap()-before)}
	runtime.KeepAlive(fleet)
	runtime.KeepAlive(m)
	return p, nil
}

// learnAhead learns all that the next instants need.
func (m *measured) learnAhead(ctx context.Context, p *AheadPace) error {
	cpu := cpuTime()
	for {
		began := time.Now()
		x, more, err := m.probe.Prepare(ctx)
		if err != nil {
			return err
		}
		if !more {
			p.CPUPerUnit = float64((cpuTime() - cpu).Microseconds()) / float64(m.devices)
			return nil
		}
		took := ms(time.Since(began))
		p.Pieces, p.Millis, p.Longest = p.Pieces+1, p.Millis+took, max(p.Longest, took)
		for _, s := range x.Scans {
			p.Rows += s.Rows
		}
	}
}

// hoursTo sends the counts of each hour up to an instant, each device's at its own minute.
func (b *benchFleet) hoursTo(ctx context.Context, insert func(context.Context, *telemetry.Batch) error, to time.Time, progress func(string, int, int)) error {
	if b.sent.IsZero() {
		b.sent = benchAt.Add(-time.Duration(b.hours) * time.Hour)
	}
	batch, minutes := &telemetry.Batch{}, int(to.Sub(b.sent)/time.Minute)
	for minute := range minutes {
		progress("fill twelve weeks", minute, minutes)
		ts := b.sent.UnixMilli() + 31_000
		for i := int(b.sent.Unix()/60) % 60; i < len(b.devices); i += 60 {
			b.count(batch, i, ts)
			n := len(batch.Counts.In) - 1
			batch.Counts.In[n], batch.Counts.Out[n] = 20+mixed(i, ts)%40, 20+mixed(i, -ts)%40
		}
		b.sent = b.sent.Add(time.Minute)
		if batch.Len() > 400_000 || minute == minutes-1 && batch.Len() > 0 {
			b.readings += batch.Len()
			if err := insert(ctx, batch); err != nil {
				return err
			}
			batch.Counts.Reset()
		}
	}
	return nil
}

// mixed is a number that looks like chance, always the same one (the finaliser of
// SplitMix64, Steele and others, 2014).
func mixed(i int, ts int64) uint32 {
	x := uint64(i)<<40 ^ uint64(ts)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint32((x ^ x>>31) >> 32)
}

func (p *MidnightPace) print(out io.Writer) {
	fmt.Fprintf(out, "\na local midnight of %d devices with twelve weeks of hours (%d readings)\n", p.Devices, p.Readings)
	for i, night := range []NightPace{p.First, p.Next} {
		a := night.Ahead
		fmt.Fprintf(out, "night %d: learned ahead in %d pieces, %.0f ms together, the longest %.0f ms; %d bins read, %.2f us of CPU a device\n", i+1, a.Pieces, a.Millis, a.Longest, a.Rows, a.CPUPerUnit)
		for _, line := range []struct {
			name string
			p    InstantPace
		}{{"midnight+30m", night.Half}, {"midnight+60m", night.Learned}} {
			fmt.Fprintf(out, "%-16s %10d %10s %9.0f %9.0f %9.0f %9.0f %10d %10d %9.2f %12d\n", line.name, p.Devices, "", line.p.Millis, line.p.Scans,
				line.p.Columns, line.p.Programs, line.p.Rows, line.p.Findings, line.p.CPUPerUnit, p.Memory>>20)
			for _, s := range line.p.Dearest[:min(2, len(line.p.Dearest))] {
				fmt.Fprintf(out, "%9.0f ms %10d rows  %s: %s\n", s.Millis, s.Rows, s.What, strings.Join(s.Columns, ", "))
			}
		}
	}
}
