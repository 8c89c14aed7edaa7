// Package notices delivers what the outbox holds: webhooks to outside systems and
// e-mail to people.
//
// A notice was written in the transaction of the event that it tells of. The
// worker claims what is due, tries, and writes down what the other side said;
// what fails is tried again, later each time, and given up in the end. A worker
// that is killed leaves its claims to the next one, so a notice may arrive twice
// and says by its key that it is the same.
//
// The package does not decide who is told of what; the core does. It knows the
// time only as an argument, apart from Run, and it reaches no private address
// unless it is allowed to.
package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"belfry/incidents"
)

// Outbox holds the notices and what they tell of.
type Outbox interface {
	ClaimNotices(ctx context.Context, at, lease time.Time, limit int) ([]incidents.Notice, error)
	PostponeNotices(ctx context.Context, ids []int64, until time.Time) error
	Delivered(ctx context.Context, list []incidents.Delivery) error
	Webhook(ctx context.Context, id string) (incidents.Webhook, error)
	ContactAt(ctx context.Context, email string) (incidents.Contact, error)
	Incident(ctx context.Context, ref string) (incidents.Incident, error)
	Events(ctx context.Context, ref string, after int64, limit int) ([]incidents.Event, error)
	CreateLink(ctx context.Context, l incidents.Link) (secret string, err error)
	ForgetNotices(ctx context.Context, before time.Time) error
	OneRecord(ctx context.Context, kind incidents.RecordKind, ref string) (incidents.Record, error)
}

// Options are what a worker needs. Outbox and Now are.
type Options struct {
	Outbox       Outbox
	Tenant       string
	URL          string        // where people reach us; "" puts no links into messages
	Kept         time.Duration // what is done with is forgotten after so long; 0: 90 days
	Mail         Mail          // no e-mail is sent when its Server is ""
	AllowPrivate bool          // webhooks may call addresses that are not public
	Poll         time.Duration

	// Office returns the hours of those contacts who have none; nil: they are told at
	// any time.
	Office func(context.Context) (*incidents.Calendar, error)

	Now        func() time.Time
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // may be nil
}

// Worker delivers notices.
type Worker struct {
	Options
	hooks     *hooks
	delivered *prometheus.CounterVec
}

// How long notices take.
const (
	atOnce      = 50               // notices claimed together
	lease       = 5 * time.Minute  // after which another worker may take up a claim
	maxAttempts = 12               // over about five hours
	firstWait   = 10 * time.Second // before the second attempt; then twice as long each time
	longestWait = time.Hour
)

// New returns a worker. It starts nothing.
func New(o Options) *Worker {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Kept == 0 {
		o.Kept = 90 * 24 * time.Hour
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	w := &Worker{Options: o, hooks: newHooks(o.AllowPrivate), delivered: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belfry_notices_deliveries_total", Help: "Attempts to deliver notices, by channel and by whether they succeeded.",
	}, []string{"channel", "outcome"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(w.delivered)
	}
	return w
}

// Run delivers until the context ends. An attempt under way is finished and
// written down.
func (w *Worker) Run(ctx context.Context) error {
	tick := time.NewTicker(w.Poll)
	defer tick.Stop()
	var swept time.Time
	for {
		if at := w.Now(); at.Sub(swept) >= time.Hour {
			if err := w.Outbox.ForgetNotices(ctx, at.Add(-w.Kept)); err != nil && ctx.Err() == nil {
				w.Log.Error("forget old notices", "error", err)
			}
			swept = at
		}
		if _, err := w.Deliver(ctx, w.Now()); err != nil && ctx.Err() == nil {
			w.Log.Error("deliver notices", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Deliver tries everything that is due at that time, and returns how many
// attempts it made.
func (w *Worker) Deliver(ctx context.Context, at time.Time) (attempts int, err error) {
	for ctx.Err() == nil {
		list, err := w.Outbox.ClaimNotices(ctx, at, at.Add(lease), atOnce)
		if err != nil {
			return attempts, fmt.Errorf("claim notices: %w", err)
		}
		n, err := w.attemptAll(ctx, letters(list), at)
		if attempts += n; err != nil {
			return attempts, err
		}
		if len(list) < atOnce {
			return attempts, nil
		}
	}
	return attempts, nil
}

// atATime is how many receivers are written to at once, so that a slow one holds
// nobody else up for long.
const atATime = 16

// attemptAll tries letters: those to one receiver follow one another, in their
// order, beside those to others.
func (w *Worker) attemptAll(ctx context.Context, list [][]incidents.Notice, at time.Time) (attempts int, err error) {
	queues, group, done := map[string][][]incidents.Notice{}, errgroup.Group{}, atomic.Int64{}
	for _, letter := range list {
		to := string(letter[0].Channel) + letter[0].Recipient
		queues[to] = append(queues[to], letter)
	}
	group.SetLimit(atATime)
	for _, queue := range queues {
		group.Go(func() error {
			for _, letter := range queue {
				n, err := w.attempt(ctx, letter, at)
				done.Add(int64(n))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return int(done.Load()), err
}

// letters groups notices: e-mails by recipient and incident, webhooks by
// themselves.
func letters(list []incidents.Notice) (out [][]incidents.Notice) {
	place := map[string]int{}
	for _, n := range list {
		key := n.Key
		if n.Channel == incidents.ByEmail {
			key = n.Ref + "\n" + n.Recipient
		}
		i, ok := place[key]
		if !ok {
			i = len(out)
			place[key], out = i, append(out, nil)
		}
		out[i] = append(out[i], n)
	}
	return out
}

// attempt tries one letter and writes down what became of it. What was begun is
// written down even when the context ends in between.
func (w *Worker) attempt(ctx context.Context, letter []incidents.Notice, at time.Time) (int, error) {
	writing := context.WithoutCancel(ctx)
	if letter[0].Channel == incidents.ByEmail {
		until, err := w.reachable(ctx, letter[0], at)
		if err != nil {
			return 0, err
		}
		if until.After(at) {
			return 0, w.Outbox.PostponeNotices(writing, ids(letter), until)
		}
	}
	letter, err := w.wanted(ctx, letter, at)
	if err != nil || len(letter) == 0 {
		return 0, err
	}
	began := time.Now()
	answer, err := w.send(ctx, letter, at)
	if err != nil && ctx.Err() != nil {
		return 0, nil // cut short by us; the lease brings it back
	}
	done := make([]incidents.Delivery, len(letter))
	for i, n := range letter {
		done[i] = outcome(n, at, answer, err)
		done[i].Took = time.Since(began)
	}
	w.delivered.WithLabelValues(string(letter[0].Channel), string(done[0].Outcome)).Inc()
	return 1, w.Outbox.Delivered(writing, done)
}

// wanted drops from a letter to a person what is no longer asked of anybody: it may
// have waited for the morning, and been done in the evening.
func (w *Worker) wanted(ctx context.Context, letter []incidents.Notice, at time.Time) (left []incidents.Notice, err error) {
	if letter[0].Channel != incidents.ByEmail || announced(letter[0]) {
		return letter, nil
	}
	inc, err := w.Outbox.Incident(ctx, letter[0].Ref)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", letter[0].Ref, err)
	}
	var dropped []incidents.Delivery
	for _, n := range letter {
		if n.Stale(&inc) {
			dropped = append(dropped, incidents.Delivery{Notice: n.ID, At: at, Attempt: n.Attempts + 1, Answer: "it was done in the meantime", Outcome: incidents.Dropped})
		} else {
			left = append(left, n)
		}
	}
	if len(dropped) == 0 {
		return left, nil
	}
	return left, w.Outbox.Delivered(context.WithoutCancel(ctx), dropped)
}

func ids(letter []incidents.Notice) (out []int64) {
	for _, n := range letter {
		out = append(out, n.ID)
	}
	return out
}

// reachable returns when the person whom a notice is for may be told. Who has said
// when is told at no other time; for who has not, the office's hours are a guess, which
// what is pressing does not wait for.
func (w *Worker) reachable(ctx context.Context, n incidents.Notice, at time.Time) (time.Time, error) {
	c, err := w.Outbox.ContactAt(ctx, n.Recipient)
	if errors.Is(err, incidents.ErrNotFound) {
		return at, nil
	}
	if err != nil {
		return at, err
	}
	var office *incidents.Calendar
	if !c.Hours.Known() && w.Office != nil {
		if pressing, err := w.pressing(ctx, n); err != nil || pressing {
			return at, err
		}
		if office, err = w.Office(ctx); err != nil {
			return at, fmt.Errorf("read the office's hours: %w", err)
		}
	}
	until, err := c.Reachable(at, office)
	if until.IsZero() || err != nil {
		w.Log.Warn("a contact's hours never come; told at once", "contact", c.Name, "error", err)
		return at, nil
	}
	return until, nil
}

// pressing reports whether what a notice tells of can't wait for the morning: a major
// incident under way, one of priority 1, and what is announced of one.
func (w *Worker) pressing(ctx context.Context, n incidents.Notice) (bool, error) {
	ref := n.Ref
	if announced(n) {
		a, err := w.announcement(ctx, n.Ref)
		if ref = a.Incident; err != nil || ref == "" {
			return false, err
		}
	}
	inc, err := w.Outbox.Incident(ctx, ref)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", ref, err)
	}
	return inc.Pressing(), nil
}

// errGone says that there is nobody to tell any more.
var errGone = errors.New("the recipient is no more")

// outcome says what an attempt means for its notice.
func outcome(n incidents.Notice, at time.Time, answer string, err error) incidents.Delivery {
	d := incidents.Delivery{Notice: n.ID, At: at, Attempt: n.Attempts + 1, OK: err == nil, Answer: answer, Outcome: incidents.Sent}
	switch {
	case err == nil:
		return d
	case errors.Is(err, errGone):
		d.Outcome = incidents.Dropped
	case d.Attempt >= maxAttempts:
		d.Outcome = incidents.GivenUp
	default:
		d.Outcome, d.Next = incidents.Waiting, at.Add(backOff(d.Attempt, n.ID))
	}
	d.Answer = clip(err.Error())
	return d
}

// backOff is how long to wait after a failed attempt: longer each time, and by up
// to a fifth differently for each notice, so that not all come back at once.
func backOff(attempt int, id int64) time.Duration {
	wait := min(longestWait, firstWait<<(attempt-1))
	return wait + wait/5*time.Duration(id%16)/16
}

// clip cuts what is kept of an answer.
func clip(text string) string { return text[:min(len(text), 300)] }

func (w *Worker) send(ctx context.Context, letter []incidents.Notice, at time.Time) (string, error) {
	inc, events, err := w.subject(ctx, letter)
	if err != nil {
		return "", err
	}
	if letter[0].Channel == incidents.ByEmail {
		return w.mail(ctx, letter, events, inc, at)
	}
	return w.call(ctx, letter[0], events[0], inc, at)
}
