package incidents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// once runs do in a transaction, unless its answer is known. The steps that do
// returns are saved; those that changed nothing are left out.
func once[T any](ctx context.Context, d *Desk, o *Once, at time.Time, do func(Tx, *Book) (T, []Step, error)) (out T, err error) {
	var done []Step
	err = d.store.Update(ctx, func(tx Tx) error {
		done = nil
		if known, err := recall(tx, o, &out); known || err != nil {
			return err
		}
		book, err := d.bookOf(tx)
		if err != nil {
			return err
		}
		result, steps, err := do(tx, book)
		if err != nil {
			return err
		}
		out = result
		done = slices.DeleteFunc(steps, func(s Step) bool { return s.Event.Seq == 0 })
		if err := d.save(tx, done); err != nil {
			return err
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
	Kind        Kind    // "" is left for whoever qualifies it
	Channel     Source  // by which it came; "" for the actor's own
	Reporter    string  // on whose behalf; "" for the actor's own. Only the desk reports for others
	Once        *Once
}

func (r *NewReport) fill(b *Book) {
	if r.Category == "" {
		r.Category = "user_report/other"
	}
	if r.Impact == "" && r.Device != "" {
		r.Impact = ImpactDevice
	}
	r.Impact, r.Urgency = b.importanceOf(r.Category, r.Impact, r.Urgency)
	if r.Urgency == "" {
		r.Urgency = UrgencyMedium
	}
	if r.Impact == "" {
		r.Impact = ImpactSite
	}
}

// Report opens an incident that a person tells of. Whether the site and the
// device exist is for the caller to know.
func (d *Desk) Report(ctx context.Context, r NewReport, actor Actor, at time.Time) (Incident, error) {
	return once(ctx, d, r.Once, at, func(tx Tx, b *Book) (Incident, []Step, error) {
		next, err := tx.Refs()
		if err != nil {
			return Incident{}, nil, err
		}
		makes, err := tx.Makes([]string{r.Device})
		if err != nil {
			return Incident{}, nil, err
		}
		r.fill(b)
		req := Request{Transition: Report, Channel: r.Channel, report: &r, ref: next(), make: makes[r.Device], priority: d.priority(b, r.Category, r.Impact, r.Urgency)}
		s, err := d.step(b, Incident{}, req, actor, at)
		return s.After, []Step{s}, err
	})
}

// Transition changes an incident as a person asks.
func (d *Desk) Transition(ctx context.Context, ref string, req Request, actor Actor, at time.Time) (Incident, error) {
	if m := moveOf(req.Transition); m != nil && m.by == nil && !actor.automatic() {
		return Incident{}, noTransition(req.Transition)
	}
	return once(ctx, d, req.Once, at, func(tx Tx, b *Book) (Incident, []Step, error) {
		inc, err := visible(tx, ref, actor)
		if err != nil {
			return inc, nil, err
		}
		if req.other, err = otherOf(tx, req.Into, actor); err != nil {
			return inc, nil, err
		}
		s, err := d.step(b, inc, req, actor, at)
		if err == nil {
			err = photosThere(tx, b, &inc, &req, actor)
		}
		if err == nil {
			err = itemThere(tx, &inc, &req)
		}
		if err != nil {
			return inc, nil, err
		}
		steps := []Step{s}
		if s.After.RolledUp && s.After.State.Ended() {
			if steps, err = d.endChildren(tx, b, steps, actor, at); err != nil {
				return inc, nil, err
			}
		}
		if s.After.DuplicateOf != "" && inc.DuplicateOf == "" {
			absorbed, err := d.absorb(b, s.After, *req.other, actor, at)
			if err != nil {
				return inc, nil, err
			}
			steps = append(steps, absorbed)
		}
		more, err := d.conclude(tx, b, s, req, actor, at)
		if err != nil {
			return inc, nil, err
		}
		steps = append(steps, more...)
		return last(steps, s.After), steps, nil
	})
}

// last returns the incident as the steps have left it.
func last(steps []Step, inc Incident) Incident {
	for i := range steps {
		if steps[i].After.Ref == inc.Ref {
			inc = steps[i].After
		}
	}
	return inc
}

// otherOf returns the incident that another is to be merged into; nil when there
// is none that the actor may see.
func otherOf(tx Tx, ref string, actor Actor) (*Incident, error) {
	if ref == "" {
		return nil, nil
	}
	inc, err := visible(tx, ref, actor)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return &inc, err
}

// absorb tells the incident that stays of the one that was merged into it.
func (d *Desk) absorb(b *Book, merged, into Incident, actor Actor, at time.Time) (Step, error) {
	by := belfry
	by.Request = actor.Request
	req := Request{Transition: Absorb, Text: fmt.Sprintf("%s was merged into this by %s", merged.Ref, actor.Name), other: &merged}
	return d.step(b, into, req, by, at)
}

// BulkLimit is how many incidents one bulk request may name.
const BulkLimit = 500

// BulkAnswer is what a bulk request did to one incident.
type BulkAnswer struct {
	Ref      string
	Incident Incident
	Err      error // nil when it was done
}

// Bulk asks the same of many incidents. Each is changed or refused by itself,
// with the same guards as alone.
func (d *Desk) Bulk(ctx context.Context, refs []string, req Request, actor Actor, at time.Time) []BulkAnswer {
	out := make([]BulkAnswer, len(refs))
	for i, ref := range refs {
		each := req
		if req.Once != nil {
			each.Once = &Once{Key: req.Once.Key + "\n" + ref, Hash: req.Once.Hash}
		}
		out[i].Ref = ref
		out[i].Incident, out[i].Err = d.Transition(ctx, ref, each, actor, at)
	}
	return out
}

// Comment adds a text to the timeline and returns its entry. What the people
// concerned say wakes an incident that waits for them.
func (d *Desk) Comment(ctx context.Context, ref string, req Request, actor Actor, at time.Time) (Event, error) {
	req.Transition = Comment
	return once(ctx, d, req.Once, at, func(tx Tx, b *Book) (Event, []Step, error) {
		inc, err := visible(tx, ref, actor)
		if err != nil {
			return Event{}, nil, err
		}
		s, err := d.step(b, inc, req, actor, at)
		if err != nil || !s.After.pauses() || actor.Role != SiteManager {
			return s.Event, []Step{s}, err
		}
		woken, err := d.step(b, s.After, Request{Transition: Wake, Reason: actor.Name + " has replied"}, belfry, at)
		return s.Event, []Step{s, woken}, err
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
	if !actor.narrow(&q.Site, &q.Level, &q.Supplier) {
		return nil, nil
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

// Evidence returns up to limit events with a Seq over after that carry evidence: the
// readings that showed the finding when the rule fired, one entry for each time it
// did. next is where to go on, 0 at the end.
func (d *Desk) Evidence(ctx context.Context, ref string, after int64, limit int, actor Actor) (out []Event, next int64, err error) {
	if _, err := d.Get(ctx, ref, actor); err != nil {
		return nil, 0, err
	}
	const page = 500
	for {
		events, err := d.store.Events(ctx, ref, after, page)
		if err != nil {
			return nil, 0, err
		}
		for _, e := range events {
			if after = e.Seq; len(e.Evidence) == 0 {
				continue
			}
			if out = append(out, e); len(out) == limit {
				return out, after, nil
			}
		}
		if len(events) < page {
			return out, 0, nil
		}
	}
}

// ClockView is a clock as it stands at an instant.
type ClockView struct {
	Clock
	Consumed time.Duration
	Segments []SegmentView
}

// SegmentView is a segment with the time that it adds.
type SegmentView struct {
	Segment
	Consumed time.Duration
}

// Clocks returns the clocks of an incident as they stand at an instant. The
// segments add up to what is consumed: they are all that it is made of.
func (d *Desk) Clocks(ctx context.Context, ref string, actor Actor, at time.Time) ([]ClockView, error) {
	inc, err := d.Get(ctx, ref, actor)
	if err != nil {
		return nil, err
	}
	book, err := d.readBook(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]ClockView, len(inc.Clocks))
	for i := range inc.Clocks {
		out[i] = ClockView{Clock: inc.Clocks[i]}
		for _, s := range inc.Clocks[i].Segments {
			v := SegmentView{s, s.length(book, at)}
			out[i].Segments = append(out[i].Segments, v)
			out[i].Consumed += v.Consumed
		}
	}
	return out, nil
}
