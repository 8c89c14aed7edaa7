package incidents

import (
	"context"
	"log/slog"
	"sync/atomic"
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
	// Fleet returns what the registry says of devices and sites, as it was committed
	// last.
	Fleet(ctx context.Context, devices, sites []string) (Fleet, error)
	// Documents returns every version of every document of those kinds, by kind,
	// id and version, and the revision of the documents.
	Documents(ctx context.Context, kinds ...DocumentKind) ([]Document, int64, error)
	Archive
}

// Tx is a transaction of a Store.
type Tx interface {
	// Refs returns what draws the next reference of the running number, and asks
	// the database nothing for it.
	Refs() (next func() string, err error)
	// Get returns one incident, or ErrNotFound.
	Get(ref string) (Incident, error)
	// Latest returns the newest incident of each key that has one.
	Latest(keys []string) (map[string]Incident, error)
	// Recovered returns incidents that nobody touched and that have been clear
	// since then or longer.
	Recovered(since time.Time, limit int) ([]Incident, error)
	// Due returns incidents whose timers are due by then, the most overdue first.
	Due(by time.Time, limit int) ([]Incident, error)
	// ClosedSites returns the sites that are shut or being rebuilt, with their state.
	ClosedSites() (map[string]telemetry.SiteStatus, error)
	// Fleet is Store.Fleet within the transaction.
	Fleet(devices, sites []string) (Fleet, error)
	// Firing returns the open incidents of a rule at a site that hold a key.
	Firing(rule, site string) ([]Incident, error)
	// Alone returns how many incidents were opened in [from, to) that no other one
	// stands for; it need not count beyond the limit.
	Alone(from, to time.Time, limit int) (int, error)
	// Children returns the open incidents that another one stands for.
	Children(ref string) ([]Incident, error)
	// Revision returns how often the documents have changed.
	Revision() (int64, error)
	// Documents is Store.Documents within the transaction.
	Documents(kinds ...DocumentKind) ([]Document, error)
	// PutDocument writes the next version of a document, and changes the revision.
	PutDocument(d Document) error
	// Save writes steps, in order.
	Save(steps []Step) error
	// Recall returns what was remembered under the key, or nil.
	Recall(key string) (*Answer, error)
	// Remember keeps an answer under the key until Forget.
	Remember(key string, a Answer) error
	// Forget drops the answers from before that time.
	Forget(before time.Time) error
	Shelf
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
	Kind                                   Kind
	Clock                                  string    // one of ClockStates
	Parent                                 string    // the site incident that stands for it
	Reporter                               string    // who reported it
	Supplier                               string    // with which it is now; see Incident.With
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
	// RollUpWindow is within how long the devices of a site must fail for one
	// incident to stand for all of them. 0 means 15 minutes.
	RollUpWindow time.Duration
	// GroupWait is how long what a site incident may stand for waits for it, without
	// clocks or notices. 0 means not at all.
	GroupWait time.Duration
	// StormLimit is how many new incidents a minute people are troubled with; the
	// rest go into one that holds the list. 0 means any number.
	StormLimit int
	// Matrix gives the priorities; nil means DefaultMatrix.
	Matrix Matrix
}

// Desk is the service: it receives findings and does what people ask.
type Desk struct {
	store   Store
	config  Config
	metrics *metrics
	log     *slog.Logger
	book    atomic.Pointer[readBook]
	indexed atomic.Bool // the articles that come along are in the index of texts
}

// NewDesk returns a desk over a store. The registerer and the logger may be nil.
func NewDesk(store Store, config Config, reg prometheus.Registerer, log *slog.Logger) *Desk {
	if config.ReopenWindow == 0 {
		config.ReopenWindow = telemetry.ReopenWindow
	}
	if config.RollUpWindow == 0 {
		config.RollUpWindow = telemetry.RollUpWindow
	}
	if config.Matrix == nil {
		config.Matrix = DefaultMatrix
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Desk{store: store, config: config, metrics: newMetrics(reg, store, log), log: log}
}

// readBook is a book with the revision of the documents that it was read from.
type readBook struct {
	revision int64
	book     *Book
}

// bookOf returns the book as it stands in the transaction. It is read anew when
// somebody, in this process or another, has changed a document.
func (d *Desk) bookOf(tx Tx) (*Book, error) {
	revision, err := tx.Revision()
	if err != nil {
		return nil, err
	}
	if known := d.book.Load(); known != nil && known.revision == revision {
		return known.book, nil
	}
	documents, err := tx.Documents(bookKinds...)
	if err != nil {
		return nil, err
	}
	book, err := NewBook(documents)
	if err != nil {
		return nil, err
	}
	d.book.Store(&readBook{revision, book})
	return book, nil
}

// step applies a request under the desk's settings and holds the result as a Step.
func (d *Desk) step(b *Book, inc Incident, req Request, actor Actor, at time.Time) (Step, error) {
	req.book, req.matrix = b, d.matrix(b)
	next, event, err := Apply(inc, req, actor, at)
	return Step{Before: inc, After: next, Event: event}, err
}
