package incidents

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Once makes a request safe to send again: the second time it does nothing and
// has the same answer.
type Once struct {
	Key  string // the caller's key, with everything that it is scoped to
	Hash string // of the request; the same key with another hash is ErrKeyReused
}

// Answer is what a request led to, kept for its repetitions.
type Answer struct {
	Hash string
	Body []byte
	At   time.Time
}

// once runs do in a transaction, unless its answer is known.
func once[T any](ctx context.Context, d *Desk, o *Once, at time.Time, do func(Tx) (T, Step, error)) (out T, err error) {
	var done []Step
	err = d.store.Update(ctx, func(tx Tx) error {
		done = nil
		if known, err := recall(tx, o, &out); known || err != nil {
			return err
		}
		result, step, err := do(tx)
		if err != nil {
			return err
		}
		out = result
		if step.Event.Seq > 0 {
			done = []Step{step}
			if err := tx.Save(done); err != nil {
				return err
			}
		}
		return remember(tx, o, out, at)
	})
	if err == nil {
		d.metrics.count(done)
	}
	return out, err
}

func recall(tx Tx, o *Once, out any) (known bool, err error) {
	if o == nil {
		return false, nil
	}
	answer, err := tx.Recall(o.Key)
	if answer == nil || err != nil {
		return false, err
	}
	if answer.Hash != o.Hash {
		return false, ErrKeyReused
	}
	if err := json.Unmarshal(answer.Body, out); err != nil {
		return false, fmt.Errorf("read the answer kept for a repeated request: %w", err)
	}
	return true, nil
}

func remember(tx Tx, o *Once, out any, at time.Time) error {
	if o == nil {
		return nil
	}
	body, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("keep the answer for a repeated request: %w", err)
	}
	return tx.Remember(o.Key, Answer{Hash: o.Hash, Body: body, At: at})
}

// NewReport is what a person tells when reporting an incident.
type NewReport struct {
	Summary     string
	Description string
	Category    string // one of Categories; "" means user_report/other
	Site        string
	Device      string
	Impact      Impact  // "" means device when one is named, else site
	Urgency     Urgency // "" means medium
	Once        *Once
}

func (r *NewReport) fill() {
	if r.Category == "" {
		r.Category = "user_report/other"
	}
	if r.Urgency == "" {
		r.Urgency = UrgencyMedium
	}
	if r.Impact == "" {
		r.Impact = ImpactSite
		if r.Device != "" {
			r.Impact = ImpactDevice
		}
	}
}

// Report opens an incident that a person tells of. Whether the site and the
// device exist is for the caller to know.
func (d *Desk) Report(ctx context.Context, r NewReport, actor Actor, at time.Time) (Incident, error) {
	r.fill()
	req := Request{Transition: Report, report: &r, priority: d.config.Matrix.Priority(r.Impact, r.Urgency)}
	return once(ctx, d, r.Once, at, func(tx Tx) (Incident, Step, error) {
		ref, err := tx.NextRef()
		if err != nil {
			return Incident{}, Step{}, err
		}
		req.ref = ref
		step, err := step(Incident{}, req, actor, at)
		return step.After, step, err
	})
}

// Transition changes an incident as a person asks.
func (d *Desk) Transition(ctx context.Context, ref string, req Request, actor Actor, at time.Time) (Incident, error) {
	if m := moveOf(req.Transition); m != nil && m.by == nil && !actor.automatic() {
		return Incident{}, noTransition(req.Transition)
	}
	return once(ctx, d, req.Once, at, func(tx Tx) (Incident, Step, error) {
		inc, err := visible(tx, ref, actor)
		if err != nil {
			return inc, Step{}, err
		}
		step, err := step(inc, req, actor, at)
		return step.After, step, err
	})
}

// Comment adds a text to the timeline and returns its entry.
func (d *Desk) Comment(ctx context.Context, ref string, req Request, actor Actor, at time.Time) (Event, error) {
	req.Transition = Comment
	return once(ctx, d, req.Once, at, func(tx Tx) (Event, Step, error) {
		inc, err := visible(tx, ref, actor)
		if err != nil {
			return Event{}, Step{}, err
		}
		step, err := step(inc, req, actor, at)
		return step.Event, step, err
	})
}

func visible(tx Tx, ref string, actor Actor) (Incident, error) {
	inc, err := tx.Get(ref)
	if err == nil && !actor.Sees(&inc) {
		return Incident{}, ErrNotFound
	}
	return inc, err
}

// Get returns an incident that the actor may see, or ErrNotFound.
func (d *Desk) Get(ctx context.Context, ref string, actor Actor) (Incident, error) {
	inc, err := d.store.Incident(ctx, ref)
	if err == nil && !actor.Sees(&inc) {
		return Incident{}, ErrNotFound
	}
	return inc, err
}

// List returns a page of the incidents that the actor may see, the newest first.
func (d *Desk) List(ctx context.Context, q Query, actor Actor) ([]Incident, error) {
	if actor.Site != "" {
		if q.Site != "" && q.Site != actor.Site {
			return nil, nil
		}
		q.Site = actor.Site
	}
	return d.store.Incidents(ctx, q)
}

// Timeline returns up to limit events with a Seq over after. Internal notes are
// left out for those who are not of the desk, so a page may be shorter than
// limit; next is where to go on, 0 at the end.
func (d *Desk) Timeline(ctx context.Context, ref string, after int64, limit int, actor Actor) (events []Event, next int64, err error) {
	if _, err := d.Get(ctx, ref, actor); err != nil {
		return nil, 0, err
	}
	page, err := d.store.Events(ctx, ref, after, limit)
	if err != nil {
		return nil, 0, err
	}
	if len(page) == limit {
		next = page[len(page)-1].Seq
	}
	for _, e := range page {
		if actor.Reads(&e) {
			events = append(events, e)
		}
	}
	return events, next, nil
}

// Evidence returns the events that carry evidence: the readings that showed the
// finding when the rule fired, one entry for each time it did.
func (d *Desk) Evidence(ctx context.Context, ref string, actor Actor) ([]Event, error) {
	if _, err := d.Get(ctx, ref, actor); err != nil {
		return nil, err
	}
	const page = 500
	var out []Event
	for after := int64(0); ; {
		events, err := d.store.Events(ctx, ref, after, page)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if len(e.Evidence) > 0 {
				out = append(out, e)
			}
			after = e.Seq
		}
		if len(events) < page || len(out) >= page {
			return out, nil
		}
	}
}
