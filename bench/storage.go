package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/telemetry"
	"belfry/warehouse"
)

// StorageOptions say how the warehouse is measured. Zero values mean the default given.
type StorageOptions struct {
	Readings int // 10,000,000, of devices that send every 15 minutes
	Devices  int // 10,000, twenty at a site
	State    int // devices whose state is asked for: 1,000,000
	Rounds   int // of each question: 5

	Warehouse *warehouse.Warehouse // an empty one, or one that an earlier run of as many readings filled
	Second    *warehouse.Warehouse // another, for the devices whose state is asked for
	Progress  func(step string)    // told what is being done; nil: nobody
}

// StorageSteps is how often Progress is called.
const StorageSteps = 7

// StorageReport is what was measured.
type StorageReport struct {
	Readings   int        `json:"readings"`
	Devices    int        `json:"devices"`
	Insert     Pace       `json:"insert,omitzero"`  // by batches of 200,000, as ingestion does; none when an earlier run did
	Refresh    Pace       `json:"refresh,omitzero"` // making the hours anew, on one processor; likewise
	PerReading float64    `json:"bytes_reading"`    // at rest, merged
	PerHour    float64    `json:"bytes_hour"`       // of a device's hour
	HourRows   int64      `json:"hours"`            // of devices
	Questions  []Question `json:"questions"`        // medians
	State      []Question `json:"state"`            // of StateOf devices
	StateOf    int        `json:"state_devices"`
}

// Question is what somebody asks of the warehouse, and how long it takes.
type Question struct {
	Name      string  `json:"name"`
	Millis    float64 `json:"ms"`
	CPUMillis float64 `json:"cpu_ms"`
	Goal      float64 `json:"goal_ms,omitempty"`
	sql       string
}

// Storage fills a warehouse with readings, always the same, and measures
// inserting, what they take at rest, and what people and rules ask most. What an
// earlier run has filled is not filled again. The answers of the kept hours must
// add up to the readings, or Storage fails.
func Storage(ctx context.Context, o StorageOptions) (*StorageReport, error) {
	for _, d := range []struct {
		v         *int
		otherwise int
	}{{&o.Readings, 10_000_000}, {&o.Devices, 10_000}, {&o.State, 1_000_000}, {&o.Rounds, 5}} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	b := storageBench{StorageOptions: o, w: o.Warehouse, report: StorageReport{Readings: o.Readings, Devices: o.Devices, StateOf: o.State}}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"look for an earlier run", b.look}, {"insert", b.insert}, {"fill", b.fill}, {"refresh the hours", b.refresh}, {"merge", b.rest}, {"ask", b.ask}, {"ask for the state", b.state}} {
		o.Progress(step.name)
		if err := step.do(ctx); err != nil {
			return &b.report, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return &b.report, nil
}

// storageBench is one run of Storage.
type storageBench struct {
	StorageOptions
	w        *warehouse.Warehouse
	filled   bool // by an earlier run
	inserted int  // by batches; the rest is made inside the engine
	report   StorageReport
}

const (
	storageBatch = 200_000
	storageEvery = 900 // seconds between the readings of a device
)

// storageStart is the time of the first readings.
var storageStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// end is the time of the last readings.
func (b *storageBench) end() time.Time {
	return storageStart.Add(time.Duration((b.Readings-1)/b.Devices) * storageEvery * time.Second)
}

// look looks whether an earlier run has filled the warehouse.
func (b *storageBench) look(ctx context.Context) error {
	there, err := b.number(ctx, "SELECT count() FROM {db}.raw_counts")
	if err != nil {
		return err
	}
	if there != 0 && there != b.Readings {
		return fmt.Errorf("the warehouse holds %d readings of an earlier run; ask for %d, or start with another folder", there, there)
	}
	b.filled = there > 0
	return nil
}

func (b *storageBench) number(ctx context.Context, sql string) (int, error) {
	out, err := b.w.Query(ctx, "check", sql, "TSV", nil)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

// insert puts the first readings in by batches, and the registry.
func (b *storageBench) insert(ctx context.Context) (err error) {
	if b.filled {
		return nil
	}
	var devices []telemetry.Device
	for i := range b.Devices {
		devices = append(devices, telemetry.Device{Name: fmt.Sprintf("FC-%d", i), Site: fmt.Sprintf("s%d", i/20), Status: telemetry.DeviceActive})
	}
	var sites []telemetry.Site
	for i := range (b.Devices + 19) / 20 {
		sites = append(sites, telemetry.Site{ID: fmt.Sprintf("s%d", i), Zone: "Europe/Paris", Status: telemetry.SiteOpen})
	}
	if err := errors.Join(b.w.PutSites(ctx, sites, 1), b.w.PutDevices(ctx, devices, 1)); err != nil {
		return err
	}
	b.inserted = min(b.Readings, 5*storageBatch)
	var batches []*telemetry.Batch
	for from := 0; from < b.inserted; from += storageBatch {
		batches = append(batches, b.batch(from, min(from+storageBatch, b.inserted)))
	}
	b.report.Insert, err = pace(b.inserted, func() error {
		for _, batch := range batches {
			if err := b.w.Insert(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

func (b *storageBench) batch(from, to int) *telemetry.Batch {
	batch := new(telemetry.Batch)
	c := &batch.Counts
	for i := from; i < to; i++ {
		ts := storageStart.UnixMilli() + int64(i/b.Devices)*storageEvery*1000
		c.Device = append(c.Device, telemetry.IDOf("FC-"+strconv.Itoa(i%b.Devices)))
		c.TS, c.Arrival, c.Offset = append(c.TS, ts), append(c.Arrival, ts+int64(200+i*7919%1800)), append(c.Offset, int64(i))
		c.In, c.Out, c.Interval = append(c.In, uint32(i*7919%40)), append(c.Out, uint32(i*104729%40)), append(c.Interval, storageEvery)
	}
	return batch
}

// fill makes the rest of the readings inside the engine.
func (b *storageBench) fill(ctx context.Context) error {
	if b.filled || b.inserted == b.Readings {
		return nil
	}
	_, err := b.w.Query(ctx, "fill", fmt.Sprintf(`INSERT INTO {db}.raw_counts SELECT xxHash64('FC-' || toString(number %% %[1]d)),
		fromUnixTimestamp64Milli(toInt64(%[2]d + intDiv(number, %[1]d) * %[3]d), 'UTC'), 200 + number * 7919 %% 1800, number, number * 7919 %% 40, number * 104729 %% 40, %[4]d
		FROM numbers(%[5]d, %[6]d) SETTINGS max_insert_block_size = 1000000, optimize_on_insert = 0`,
		b.Devices, storageStart.UnixMilli(), storageEvery*1000, storageEvery, b.inserted, b.Readings-b.inserted), "Null", nil)
	if err == nil { // as Insert would have
		_, err = b.w.Query(ctx, "fill", "INSERT INTO {db}.raw_latest (device, count_ts, count_arrival) SELECT device, max(ts), max(ts + toIntervalMillisecond(delay)) FROM {db}.raw_counts GROUP BY device", "Null", nil)
	}
	if err != nil {
		return err
	}
	return b.w.TouchAll(ctx)
}

func (b *storageBench) refresh(ctx context.Context) (err error) {
	p, err := pace(b.Readings, func() error {
		_, err := b.w.Refresh(ctx, 0)
		return err
	})
	if !b.filled {
		b.report.Refresh = p
	}
	return err
}

// rest merges what there is and looks how much room it takes.
func (b *storageBench) rest(ctx context.Context) error {
	for _, table := range []string{"raw_counts", "raw_hours", "raw_latest", "raw_dirty"} {
		if _, err := b.w.Query(ctx, "merge", "OPTIMIZE TABLE {db}."+table+" FINAL", "Null", nil); err != nil {
			return err
		}
	}
	tables, err := b.w.Tables(ctx)
	if err != nil {
		return err
	}
	for _, t := range tables {
		switch t.Name {
		case "raw_counts":
			b.report.PerReading = float64(t.Bytes) / float64(t.Rows)
		case "raw_hours":
			b.report.PerHour, b.report.HourRows = float64(t.Bytes)/float64(t.Rows), t.Rows
		}
	}
	return nil
}

// ask asks what people ask, in turn, and then what goes through months: a question
// after one of these has to fetch everything anew, and nobody's day is like that.
func (b *storageBench) ask(ctx context.Context) error {
	day := fmt.Sprintf("> '%s'", b.end().Add(-24*time.Hour).Format(time.DateTime))
	b.report.Questions = []Question{
		{Name: "a site's last 24 hours, by hour", Goal: 50, sql: "SELECT hour, sum(`in`) FROM {db}.hourly WHERE site = 's7' AND hour " + day + " GROUP BY hour"},
		{Name: "the fleet's last 24 hours, by hour", Goal: 1000, sql: "SELECT hour, sum(`in`) FROM {db}.hourly WHERE hour " + day + " GROUP BY hour"},
		{Name: "the fleet, all there is, by hour", Goal: 1000, sql: "SELECT hour, sum(`in`) FROM {db}.hourly GROUP BY hour"},
		{Name: "a site's last 24 hours, its readings", Goal: 50, sql: "SELECT device, ts, `in` FROM {db}.readings WHERE site = 's7' AND ts " + day},
		{Name: "the fleet's last 7 local days, by site", Goal: 1000, sql: fmt.Sprintf("SELECT site, day, sum(`in`) FROM {db}.daily WHERE day > toDate('%s') - 7 GROUP BY site, day", b.end().Format(time.DateOnly))},
		{Name: "the fleet, all its readings, by hour", sql: "SELECT toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, sum(`in`) FROM {db}.readings GROUP BY hour"},
	}
	for _, questions := range [][]Question{b.report.Questions[:4], b.report.Questions[4:]} {
		if err := b.askAll(ctx, b.w, questions); err != nil {
			return err
		}
	}
	got, err := b.number(ctx, "SELECT sum(readings) FROM {db}.hourly")
	if err == nil && got != b.Readings {
		err = fmt.Errorf("the hours are of %d readings; there are %d", got, b.Readings)
	}
	return err
}

// askAll asks each question once a round, in turn.
func (b *storageBench) askAll(ctx context.Context, w *warehouse.Warehouse, questions []Question) error {
	paces := make([][]Pace, len(questions))
	for range b.Rounds {
		for i, q := range questions {
			p, err := pace(1, func() error {
				_, err := w.Query(ctx, "bench", q.sql, "Null", nil)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			paces[i] = append(paces[i], p)
		}
	}
	for i := range questions {
		m := median(paces[i])
		questions[i].Millis, questions[i].CPUMillis = m.WallMillis, m.CPUNanos/1e6
	}
	return nil
}

// Print implements Report.
func (r *StorageReport) Print(out io.Writer) {
	fmt.Fprintf(out, "storage: %d readings of %d devices, %d hours of devices\n", r.Readings, r.Devices, r.HourRows)
	if r.Insert.PerSecond > 0 {
		fmt.Fprintf(out, "  %-44s %10.0f readings/s %8.0f CPU ns each\n", "insert", r.Insert.PerSecond, r.Insert.CPUNanos)
		fmt.Fprintf(out, "  %-44s %10.0f readings/s %8.0f CPU ns each\n", "make the hours anew", r.Refresh.PerSecond, r.Refresh.CPUNanos)
	}
	fmt.Fprintf(out, "  %-44s %10.2f bytes\n  %-44s %10.2f bytes\n", "a reading at rest", r.PerReading, "a device's hour at rest", r.PerHour)
	for _, q := range slices.Concat(r.Questions, r.State) {
		goal := ""
		if q.Goal > 0 {
			goal = fmt.Sprintf("   goal %.0f ms", q.Goal)
		}
		fmt.Fprintf(out, "  %-44s %10.1f ms %8.1f ms CPU%s\n", q.Name, q.Millis, q.CPUMillis, goal)
	}
}
