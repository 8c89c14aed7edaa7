package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"belfry/analyzer"
	"belfry/bench/fleet"
	"belfry/incidents"
	"belfry/ingest"
	"belfry/telemetry"
)

type demoCommand struct {
	Devices int `help:"Size of the simulated fleet." default:"300"`
	Days    int `help:"Days of past readings that are loaded first." default:"14"`
}

//go:embed demo.rules.yaml
var demoRules []byte

// demo is a running demonstration.
type demo struct {
	*terminal
	process *process
	fleet   *fleet.Fleet
	diary   demoDiary
	back    string // the device that is plugged in again
}

// demoDiary is what a demo remembers in its data folder, so that the fleet of
// the first start goes on at the next.
type demoDiary struct {
	First   time.Time `json:"first"`         // the first start, which the faults count from
	Until   time.Time `json:"until"`         // readings up to here are in the log
	Back    time.Time `json:"back,omitzero"` // when the lost device is plugged in again; zero until the first load is done
	Devices int       `json:"devices"`
	Days    int       `json:"days"`
}

// replugged is how long after the first load the lost device is heard of again.
const replugged = 15 * time.Second

// Run serves belfry over a simulated fleet until the context ends.
func (c *demoCommand) Run(ctx context.Context, t *terminal) error {
	if c.Devices < 100 || c.Devices > 100_000 || c.Days < 5 || c.Days > 365 {
		return usageError{errors.New("want 100 to 100,000 --devices and 5 to 365 --days")}
	}
	config := t.config
	if config.Data == defaultConfig().Data {
		config.Data = "belfry-demo-data" // not among somebody's own readings
	}
	began := time.Now()
	loaded := make(chan struct{})
	p, err := newProcess(ctx, config, processOptions{log: t.quietLogger(), begin: loaded, since: began.Add(-36 * time.Hour),
		rules: ruleFiles{analyzer.File{Name: "demo.rules.yaml", Data: demoRules}}})
	if err != nil {
		return err
	}
	d := &demo{terminal: t, process: p}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.run(ctx) })
	group.Go(func() error { return ended(ctx, d.run(ctx, c, began, loaded)) })
	return errors.Join(group.Wait(), p.close())
}

// ended forgets errors that the end of the context brought about.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (d *demo) run(ctx context.Context, c *demoCommand, began time.Time, loaded chan<- struct{}) error {
	if err := d.open(c, began); err != nil {
		return err
	}
	if err := d.register(ctx); err != nil {
		return err
	}
	sent, err := d.load(ctx, began)
	if err != nil {
		return err
	}
	if d.diary.Back.IsZero() {
		d.diary.Back = time.Now().Add(replugged).UTC().Truncate(time.Second)
		if err := d.simulate(); err != nil {
			return err
		}
	}
	close(loaded)
	d.greet(sent, time.Since(began))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.live(ctx) })
	group.Go(func() error { return d.follow(ctx) })
	return group.Wait()
}

// open reads the diary, or begins one, and makes its fleet.
func (d *demo) open(c *demoCommand, began time.Time) error {
	d.diary = demoDiary{First: began.UTC().Truncate(time.Second), Devices: c.Devices, Days: c.Days}
	text, err := os.ReadFile(d.diaryFile())
	if err == nil {
		err = json.Unmarshal(text, &d.diary)
	} else if errors.Is(err, os.ErrNotExist) {
		d.diary.Until, err = d.diary.First.AddDate(0, 0, -c.Days), nil
	}
	if err != nil {
		return fmt.Errorf("read the demo's diary: %w", err)
	}
	return d.simulate()
}

// simulate makes the fleet of the diary.
func (d *demo) simulate() error {
	d.fleet = fleet.New(fleet.Options{Devices: d.diary.Devices, Seed: 1, ReadingEvery: 5 * time.Minute, HeartbeatEvery: 5 * time.Minute,
		InServiceSince: d.diary.First.AddDate(0, 0, -d.diary.Days)})
	faults, err := demoFaults(d.fleet, d.diary.First, d.diary.Back)
	if err != nil {
		return err
	}
	d.back = faults[0].Device
	return d.fleet.Inject(faults...)
}

// demoFaults are a lost device that comes back, three lost for good, and a site
// whose doors see too few people leave.
func demoFaults(f *fleet.Fleet, first, back time.Time) ([]fleet.Fault, error) {
	day := 24 * time.Hour
	forever := first.AddDate(10, 0, 0)
	if back.IsZero() {
		back = forever
	}
	open := map[string]bool{}
	for _, s := range f.Sites() {
		open[s.ID] = s.Status == telemetry.SiteOpen
	}
	var lost []string // one of a site
	site, last := "", ""
	for _, d := range f.Devices() {
		if !open[d.Site] {
			continue
		}
		if site == "" {
			site = d.Site
		}
		if d.Site != site && d.Site != last && len(lost) < 4 {
			last = d.Site
			lost = append(lost, d.Name)
		}
	}
	if len(lost) < 4 {
		return nil, fmt.Errorf("a fleet of %d devices has too few open sites for the demo", len(f.Devices()))
	}
	return []fleet.Fault{
		{Device: lost[0], Kind: fleet.Offline, From: first.Add(-7 * day / 2), To: back, Note: "unplugged, then plugged in again"},
		{Device: lost[1], Kind: fleet.Offline, From: first.Add(-4 * day), To: forever, Note: "cable cut"},
		{Device: lost[2], Kind: fleet.Offline, From: first.Add(-9 * day / 2), To: forever, Note: "power supply dead"},
		{Device: lost[3], Kind: fleet.Offline, From: first.Add(-5 * day / 2), To: forever, Note: "not yet three days"},
		{Site: site, Kind: fleet.Discrepancy, From: first.Add(-3 * day), To: forever, Factor: 0.7, Note: "a new door sees few people leave"},
	}, nil
}

func (d *demo) diaryFile() string { return d.process.folder.file("demo.json") }

func (d *demo) keepDiary() error {
	text, err := json.Marshal(d.diary)
	if err == nil {
		err = os.WriteFile(d.diaryFile(), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the demo's diary: %w", err)
	}
	return nil
}

func (d *demo) register(ctx context.Context) error {
	if err := d.process.watches.home.tickets.Import(ctx, d.fleet.Sites(), d.fleet.Devices()); err != nil {
		return fmt.Errorf("register the demo's fleet: %w", err)
	}
	return nil
}

// load brings the readings up to an instant into the warehouse.
func (d *demo) load(ctx context.Context, until time.Time) (int, error) {
	bar := d.progress(int64(until.Sub(d.diary.Until)/time.Hour), "hours of readings")
	sent := 0
	for d.diary.Until.Before(until) {
		next := d.diary.Until.Add(6 * time.Hour)
		if next.After(until) {
			next = until
		}
		n, err := d.send(ctx, next)
		if err != nil {
			return sent, err
		}
		sent += n
		_ = bar.Add(6)
	}
	_ = bar.Finish()
	sentAt := time.Now()
	return sent, poll(ctx, 50*time.Millisecond, func() (bool, error) {
		s := d.process.watches.home.consumer.Status()
		return s.LagRecords == 0 && s.Watermark.After(sentAt), nil
	})
}

// send puts what the devices send until an instant into the log.
func (d *demo) send(ctx context.Context, until time.Time) (int, error) {
	var records []ingest.Record
	err := d.fleet.Readings(d.diary.Until, until, func(r *fleet.Record) error {
		records = append(records, ingest.Record{Key: []byte(r.Device), Value: r.AppendJSON(nil), Time: r.Arrival})
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := d.process.watches.home.intake.Append(ctx, records); err != nil {
		return 0, err
	}
	d.diary.Until = until
	return len(records), d.keepDiary()
}

// live sends what the devices send, second by second. The device that is
// plugged in again says so at once, as devices do when they start.
func (d *demo) live(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var boots []time.Time
	if d.diary.Back.After(time.Now()) {
		boots = []time.Time{d.diary.Back, d.diary.Back.Add(5 * time.Second)}
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := time.Now().UTC()
		for len(boots) > 0 && !boots[0].After(now) {
			if err := d.boot(ctx, boots[0]); err != nil {
				return err
			}
			boots = boots[1:]
		}
		if _, err := d.send(ctx, now); err != nil {
			return err
		}
	}
}

func (d *demo) boot(ctx context.Context, at time.Time) error {
	r := fleet.Record{Device: d.back, Kind: telemetry.Heartbeat, TS: at, Firmware: "5.2.1", Temp: 24, RSSI: -58}
	return d.process.watches.home.intake.Append(ctx, []ingest.Record{{Key: []byte(r.Device), Value: r.AppendJSON(nil), Time: time.Now()}})
}

func (d *demo) greet(sent int, took time.Duration) {
	zones := map[string]bool{}
	for _, s := range d.fleet.Sites() {
		zones[s.Zone] = true
	}
	p := d.process
	fmt.Fprintf(d.out, `belfry watches %d simulated devices on %d sites in %d time zones; %d readings loaded in %.1f s

  page   %s/     sign in with the token
  API    %s      documents at /docs, metrics at /metrics
  log    %s      Kafka, topic %s
  token  %s

try, in another terminal:
  curl -s -H "Authorization: Bearer %s" '%s/api/v1/incidents?state=new'
  curl -s -H "Authorization: Bearer %s" '%s/api/v1/devices/%s/readings?step=1h'
  bin/belfry --data %s rules backtest

what happens (Ctrl-C ends it):
`, len(d.fleet.Devices()), len(d.fleet.Sites()), len(zones), sent, took.Seconds(),
		p.url(), p.url(), p.connection().Brokers[0], p.config.Log.Topic, p.token, p.token, p.url(), p.token, p.url(), d.back, p.config.Data)
}

// follow prints what becomes of incidents, and now and then the rate of readings.
func (d *demo) follow(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	seen := map[string]incidents.Incident{}
	admin := incidents.Actor{Name: "demo", Role: incidents.Admin}
	before, at := d.process.watches.home.consumer.Status().Readings, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		list, err := d.process.watches.home.desk.List(ctx, incidents.Query{Limit: 100}, admin)
		if err != nil {
			return err
		}
		for i := len(list) - 1; i >= 0; i-- {
			d.tell(seen[list[i].Ref], list[i])
			seen[list[i].Ref] = list[i]
		}
		if now := time.Now(); now.Sub(at) >= 15*time.Second {
			n := d.process.watches.home.consumer.Status().Readings
			fmt.Fprintf(d.out, "%s  %d readings arrived in %.0f s\n", now.Format(time.TimeOnly), n-before, now.Sub(at).Seconds())
			before, at = n, now
		}
	}
}

// tell prints how an incident differs from what was known of it.
func (d *demo) tell(was, is incidents.Incident) {
	if was.Version == is.Version {
		return
	}
	what := ""
	switch {
	case was.Ref == "":
		what = "opened"
	case was.State != is.State:
		what = string(is.State)
	case was.Condition != is.Condition:
		what = string(is.Condition)
	default:
		return
	}
	fmt.Fprintf(d.out, "%s  %s %s (%s): %s\n", time.Now().Format(time.TimeOnly), is.Ref, what, is.Category, is.Summary)
}
