package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/goccy/go-yaml"

	"belfry/bench/fleet"
)

type simulateCommand struct {
	Out     string        `arg:"" help:"Folder to write registry.yaml, readings.ndjson and faults.csv into." type:"path"`
	Devices int           `help:"Size of the fleet." default:"300"`
	Days    int           `help:"Days of readings." default:"28"`
	Seed    uint64        `help:"Another seed, another fleet." default:"1"`
	Faults  string        `help:"YAML file with the faults; default: one or more of every kind, chosen by the seed." type:"existingfile" placeholder:"FILE"`
	From    string        `help:"Begin: RFC 3339 or a date (UTC). Default: so that the readings end now." placeholder:"TIME"`
	Every   time.Duration `help:"Time between two readings of a device." default:"15m"`
	JSON    bool          `help:"Print the summary as JSON."`
}

// simulated is the summary of a simulation.
type simulated struct {
	Registry string    `json:"registry"` // for belfry devices import
	Readings string    `json:"readings"` // for belfry replay
	Faults   string    `json:"faults"`   // what is wrong, as a label file
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Devices  int       `json:"devices"`
	Sites    int       `json:"sites"`
	Records  int       `json:"records"`
	Injected int       `json:"injected"` // faults
}

// Run writes a fleet, what it sends, and what is wrong with it.
func (c *simulateCommand) Run(ctx context.Context, t *terminal) error {
	if c.Devices < 1 || c.Days < 1 || c.Every < time.Second {
		return usageError{errors.New("want at least one of --devices, one of --days, and a second of --every")}
	}
	from := time.Now().UTC().Truncate(time.Minute).AddDate(0, 0, -c.Days)
	if c.From != "" {
		var err error
		if from, err = parseTime(c.From); err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
	}
	to := from.AddDate(0, 0, c.Days)
	f := fleet.New(fleet.Options{Devices: c.Devices, Seed: c.Seed, ReadingEvery: c.Every, HeartbeatEvery: c.Every, InServiceSince: from})
	faults, err := c.faults(f, from, to)
	if err != nil {
		return err
	}
	if err := f.Inject(faults...); err != nil {
		return fmt.Errorf("inject the faults: %w", err)
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	sum := simulated{From: from, To: to, Devices: c.Devices, Sites: len(f.Sites()), Injected: len(faults)}
	sum.Registry, sum.Readings, sum.Faults = filepath.Join(c.Out, "registry.yaml"), filepath.Join(c.Out, "readings.ndjson"), filepath.Join(c.Out, "faults.csv")
	if err := writeFile(sum.Registry, func(w *bufio.Writer) error { return writeRegistry(w, f) }); err != nil {
		return err
	}
	if err := writeFile(sum.Faults, func(w *bufio.Writer) error { return fleet.WriteOracle(w, "simulated", f.Faults()) }); err != nil {
		return err
	}
	if sum.Records, err = c.readings(ctx, t, f, sum); err != nil {
		return err
	}
	if c.JSON {
		return t.printJSON(sum)
	}
	_, err = fmt.Fprintf(t.out, `%d devices on %d sites from %s to %s, %d records, %d faults
load them with:
  belfry devices import %s
  belfry replay %s
what is wrong with them: %s
`, sum.Devices, sum.Sites, from.Format(time.RFC3339), to.Format(time.RFC3339), sum.Records, sum.Injected, sum.Registry, sum.Readings, sum.Faults)
	return err
}

func (c *simulateCommand) faults(f *fleet.Fleet, from, to time.Time) ([]fleet.Fault, error) {
	if c.Faults == "" {
		return f.Scatter(from, to), nil
	}
	text, err := os.ReadFile(c.Faults)
	if err != nil {
		return nil, fmt.Errorf("read the faults: %w", err)
	}
	return fleet.ParseFaults(c.Faults, text, from)
}

func writeRegistry(w *bufio.Writer, f *fleet.Fleet) error {
	text, err := yaml.Marshal(registryFile{f.Sites(), f.Devices()})
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}

func (c *simulateCommand) readings(ctx context.Context, t *terminal, f *fleet.Fleet, sum simulated) (records int, err error) {
	bar := t.progress(int64(c.Days), "days")
	defer bar.Finish()
	return records, writeFile(sum.Readings, func(w *bufio.Writer) error {
		var line []byte
		for day := sum.From; day.Before(sum.To); day = day.AddDate(0, 0, 1) {
			err := f.Readings(day, day.AddDate(0, 0, 1), func(r *fleet.Record) error {
				line = r.AppendJSON(line[:0])
				line = append(line[:len(line)-1], `,"arrival":"`...)
				line = append(r.Arrival.UTC().AppendFormat(line, "2006-01-02T15:04:05.999Z07:00"), "\"}\n"...)
				records++
				_, err := w.Write(line)
				return err
			})
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			_ = bar.Add(1)
		}
		return nil
	})
}

// writeFile writes a file under another name and renames it when it is whole,
// so that an interrupted command leaves no half of it.
func writeFile(path string, write func(*bufio.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // nothing is there any more when all went well
	w := bufio.NewWriterSize(f, 1<<20)
	err = errors.Join(write(w), w.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
