package incidents

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/telemetry"
)

// Store keeps incidents and their timelines.
type Store interface {
	// Update runs one transaction that may change things. When fn fails nothing
	// of it remains. Transactions follow one another.
	Update(ctx context.Context, fn func(Tx) error) error
	// Incident returns one incident, or ErrNotFound.
	Incident(ctx context.Context, ref string) (Incident, error)
	// Incidents returns a page of incidents, the newest first.
	Incidents(ctx context.Context, q Query) ([]Incident, error)
	// Events returns up to limit events of a timeline with a Seq over after.
	Events(ctx context.Context, ref string, after int64, limit int) ([]Event, error)
	// Tally counts the incidents.
	Tally(ctx context.Context) ([]Tally, error)
}

// Tx is a transaction of a Store.
type Tx interface {
	// NextRef returns the next reference of the running number.
	NextRef() (string, error)
	// Get returns one incident, or ErrNotFound.
	Get(ref string) (Incident, error)
	// Latest returns the newest incident of each key that has one.
	Latest(keys []string) (map[string]Incident, error)
	// Recovered returns incidents that nobody touched and that have been clear
	// since then or longer.
	Recovered(since time.Time, limit int) ([]Incident, error)
	// Save writes steps, in order.
	Save(steps []Step) error
	// Recall returns what was remembered under the key, or nil.
	Recall(key string) (*Answer, error)
	// Remember keeps an answer under the key until Forget.
	Remember(key string, a Answer) error
	// Forget drops the answers from before that time.
	Forget(before time.Time) error
}

// Step is one event with the incident as it was and as it is.
type Step struct {
	Before, After Incident
	Event         Event
}

// Query selects incidents. Empty fields select everything.
type Query struct {
	Site, Device, Category, Assignee, Rule string
	State                                  State
	Condition                              telemetry.Condition
	Level, Priority                        int
	Q                                      string    // words of the summary
	UpdatedSince                           time.Time // updated at that time or later
	Before                                 string    // start after this reference
	Limit                                  int
}

// Tally is how many incidents there are of one sort.
type Tally struct {
	Category string
	State    State
	Level    int
	Priority int
	Count    int64
}

// Config holds the desk's settings.
type Config struct {
	// ReopenWindow is how long after its resolution an incident takes up again
	// what fires anew; after that a new incident is opened. 0 means 24 hours.
	ReopenWindow time.Duration
	// StableFor is how long a condition must have been clear before an incident
	// that nobody touched resolves by itself. 0 means at once: the analyzer's
	// recover clause and keep_firing_for already wait in event time. With more,
	// Tick does it.
	StableFor time.Duration
	// Matrix gives the priorities; nil means DefaultMatrix.
	Matrix Matrix
}

// Desk is the service: it receives findings and does what people ask.
type Desk struct {
	store   Store
	config  Config
	metrics *metrics
	log     *slog.Logger
}

// NewDesk returns a desk over a store. The registerer and the logger may be nil.
func NewDesk(store Store, config Config, reg prometheus.Registerer, log *slog.Logger) *Desk {
	if config.ReopenWindow == 0 {
		config.ReopenWindow = 24 * time.Hour
	}
	if config.Matrix == nil {
		config.Matrix = DefaultMatrix
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Desk{store: store, config: config, metrics: newMetrics(reg, store, log), log: log}
}

// Tick is what belfry does by itself now and then: resolve what has been clear for
// StableFor, and forget the answers to requests from more than a day ago. It
// returns how many incidents it resolved.
func (d *Desk) Tick(ctx context.Context, at time.Time) (int, error) {
	const batch = 500
	clock := Actor{Name: "belfry", Source: ByTimer}
	total := 0
	for {
		var steps []Step
		err := d.store.Update(ctx, func(tx Tx) (err error) {
			steps, err = d.recovered(tx, clock, at, batch)
			if err != nil {
				return err
			}
			return tx.Forget(at.Add(-24 * time.Hour))
		})
		if err != nil {
			return total, fmt.Errorf("resolve what has recovered: %w", err)
		}
		d.metrics.count(steps)
		total += len(steps)
		if len(steps) < batch {
			return total, nil
		}
	}
}

func (d *Desk) recovered(tx Tx, clock Actor, at time.Time, limit int) ([]Step, error) {
	list, err := tx.Recovered(at.Add(-d.config.StableFor), limit)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, inc := range list {
		step, err := step(inc, Request{Transition: AutoResolve}, clock, at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, tx.Save(steps)
}

// step applies a request and holds the result as a Step.
func step(inc Incident, req Request, actor Actor, at time.Time) (Step, error) {
	next, event, err := Apply(inc, req, actor, at)
	return Step{Before: inc, After: next, Event: event}, err
}
