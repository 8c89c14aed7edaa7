package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"belfry/ingest"
	"belfry/ingest/recording"
)

type replayCommand struct {
	Files []string `arg:"" name:"file" help:"CSV, NDJSON or Parquet files, plain or packed with gzip or zstd." type:"existingfile"`

	Columns      string `help:"Which column is what, such as device=SensorID,ts=Date+Hour,in=PedestrianCount; by number from 1 with --no-header; 'text' for a constant." placeholder:"MAP"`
	NoHeader     bool   `help:"The CSV has no header line."`
	Format       string `help:"csv, ndjson or parquet; default: by the file's name." enum:",csv,ndjson,parquet" default:""`
	TimeFormat   string `help:"rfc3339, unix, unixms, or a layout of Go's time package such as '02-Jan-2006 15'." placeholder:"LAYOUT"`
	TZ           string `name:"tz" help:"Zone of times without an offset: an IANA name or +10:00. Default UTC." placeholder:"ZONE"`
	Interval     int    `help:"Seconds that a count covers, where the file does not say." placeholder:"SECONDS"`
	Stamps       string `help:"Whether a count's time is the start or the end of its interval." enum:"start,end" default:"end"`
	Flows        string `help:"Which value of the column flow is which direction, such as 9=in,7=out." placeholder:"MAP"`
	DevicePrefix string `help:"Put before each device's name." placeholder:"TEXT"`

	ShiftToNow bool   `help:"Move all times so that the last reading is now."`
	Speed      string `help:"How many times faster than life: a number, or max." default:"max"`
	NoWait     bool   `help:"Don't wait until the readings are in the warehouse."`
	JSON       bool   `help:"Print the summary as JSON."`
}

// replayed is the summary of a replay.
type replayed struct {
	Rows     int64            `json:"rows"`              // of the files
	Sent     int64            `json:"sent"`              // records that the log has
	Doubtful int64            `json:"doubtful"`          // of these, with something that ingestion will refuse
	Ignored  int64            `json:"ignored,omitempty"` // rows of flows that --flows leaves out
	Seconds  float64          `json:"seconds"`
	Accepted int64            `json:"accepted"` // readings that ingestion has written since the replay began
	Refused  map[string]int64 `json:"refused"`  // records that it has refused since, by reason
}

// Run sends the files into the log, in order, and waits until ingestion has
// taken them in.
func (c *replayCommand) Run(ctx context.Context, t *terminal) error {
	speed, err := c.speed()
	if err != nil {
		return usageError{err}
	}
	api, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer api.close()
	intake, err := t.intake(api)
	if err != nil {
		return err
	}
	if api.local == nil {
		defer intake.Close() // its own, not the server's
	}
	before, err := api.ingested(ctx)
	if err != nil {
		return err
	}
	way := &share{log: intake, status: api.ingest}
	began := time.Now()
	var sum replayed
	for _, file := range c.Files {
		if err := c.file(ctx, t, way, file, speed, &sum); err != nil {
			return fmt.Errorf("replay %s: %w", file, err)
		}
	}
	if !c.NoWait {
		after, err := api.waitIngested(ctx, t)
		if err != nil {
			return err
		}
		sum.Accepted, sum.Refused = after.since(before)
	}
	sum.Seconds = time.Since(began).Seconds()
	return c.print(t, sum)
}

// intake returns the way into the log: this process's own, or one to the log
// that the holder of the data folder reads.
func (t *terminal) intake(api *client) (*ingest.Intake, error) {
	if api.local != nil {
		return api.local.watches.home.intake, nil
	}
	way := logConnection(t.config.Log)
	way.Brokers = api.held.Brokers
	return ingest.NewIntake(ingest.IntakeOptions{Connection: way, Topic: api.held.Topic, Now: time.Now, Log: t.quietLogger()})
}

func (c *replayCommand) speed() (float64, error) {
	if c.Speed == "max" {
		return 0, nil
	}
	speed, err := strconv.ParseFloat(c.Speed, 64)
	if err != nil || !(speed > 0) {
		return 0, fmt.Errorf("--speed %s: want a number over 0, or max", c.Speed)
	}
	return speed, nil
}

func (c *replayCommand) options(file string, now time.Time) (recording.Options, error) {
	o := recording.Options{Format: c.Format, Columns: c.Columns, NoHeader: c.NoHeader, TimeFormat: c.TimeFormat, Zone: c.TZ,
		Interval: c.Interval, Stamps: c.Stamps, Flows: c.Flows, DevicePrefix: c.DevicePrefix}
	if !c.ShiftToNow {
		return o, nil
	}
	_, last, _, err := recording.Span(file, o)
	if err != nil {
		return o, err
	}
	if !last.IsZero() {
		o.Shift = now.Sub(last).Truncate(time.Second)
	}
	return o, nil
}

// appendSize is how many records are given to the log at once.
const appendSize = 5000

func (c *replayCommand) file(ctx context.Context, t *terminal, log *share, file string, speed float64, sum *replayed) error {
	o, err := c.options(file, time.Now())
	if err != nil {
		return err
	}
	r, err := recording.Open(file, o)
	if err != nil {
		return err
	}
	defer r.Close()
	bar := t.progress(r.Progress().Total, file)
	defer bar.Finish()
	pace := pacer{speed: speed}
	var batch []ingest.Record
	flush := func() error {
		if err := log.append(ctx, batch); err != nil {
			return err
		}
		sum.Sent += int64(len(batch))
		batch = batch[:0]
		return bar.Set64(r.Progress().Bytes)
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if due := pace.due(row.Arrival, time.Now()); due > 0 || len(batch) == appendSize {
			if err := flush(); err != nil {
				return err
			}
			if err := wait(ctx, due); err != nil {
				return err
			}
		}
		if row.Note != "" {
			sum.Doubtful++
		}
		batch = append(batch, ingest.Record{Key: []byte(row.Device), Value: row.Value, Time: row.Arrival})
	}
	if err := flush(); err != nil {
		return err
	}
	p := r.Progress()
	sum.Rows, sum.Ignored = sum.Rows+p.Rows, sum.Ignored+p.Ignored
	return nil
}

// pacer says how long to wait so that records go out at a multiple of the pace
// at which they were recorded. The zero speed does not wait.
type pacer struct {
	speed       float64
	first       time.Time // the arrival that it counts from
	firstSentAt time.Time
}

func (p *pacer) due(arrival, now time.Time) time.Duration {
	if p.speed == 0 || arrival.IsZero() {
		return 0
	}
	if p.first.IsZero() {
		p.first, p.firstSentAt = arrival, now
	}
	return time.Duration(float64(arrival.Sub(p.first))/p.speed) - now.Sub(p.firstSentAt)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

func (c *replayCommand) print(t *terminal, sum replayed) error {
	if c.JSON {
		return t.printJSON(sum)
	}
	fmt.Fprintf(t.out, "%d rows read, %d records in the log, %.1f s\n", sum.Rows, sum.Sent, sum.Seconds)
	if c.NoWait {
		return nil
	}
	fmt.Fprintf(t.out, "%d readings in the warehouse\n", sum.Accepted)
	for _, reason := range sortedKeys(sum.Refused) {
		fmt.Fprintf(t.out, "%d refused: %s\n", sum.Refused[reason], reason)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
