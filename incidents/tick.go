package incidents

import (
	"context"
	"fmt"
	"math"
	"time"
)

// timersAtOnce is how many incidents share a transaction when their timers are due.
const timersAtOnce = 500

// belfry is who acts when nobody does.
var belfry = Actor{Name: "belfry", Source: ByTimer}

// Tick is what belfry does by itself now and then: resolve what has been clear for
// StableFor, do what the timers say, and forget the answers to requests from more
// than a day ago. After a pause it does everything that was missed, once. It
// returns how many changes it made.
func (d *Desk) Tick(ctx context.Context, at time.Time) (int, error) {
	resolved, err := d.batches(ctx, func(tx Tx, b *Book) ([]Step, error) { return d.recovered(tx, b, at) })
	if err != nil {
		return resolved, fmt.Errorf("resolve what has recovered: %w", err)
	}
	fired, err := d.batches(ctx, func(tx Tx, b *Book) ([]Step, error) { return d.due(tx, b, at) })
	if err != nil {
		return resolved + fired, fmt.Errorf("do what is due: %w", err)
	}
	err = d.store.Update(ctx, func(tx Tx) error { return tx.Forget(at.Add(-24 * time.Hour)) })
	if err != nil {
		return resolved + fired, err
	}
	return resolved + fired, d.index(ctx, math.MaxInt)
}

// batches repeats do, in transactions of its own, until it finds nothing more.
func (d *Desk) batches(ctx context.Context, do func(Tx, *Book) ([]Step, error)) (total int, err error) {
	for {
		var steps []Step
		err := d.store.Update(ctx, func(tx Tx) error {
			b, err := d.bookOf(tx)
			if err != nil {
				return err
			}
			if steps, err = do(tx, b); err != nil {
				return err
			}
			return d.save(tx, steps)
		})
		if err != nil {
			return total, err
		}
		d.metrics.count(steps)
		total += len(steps)
		if len(steps) == 0 {
			return total, nil
		}
	}
}

func (d *Desk) recovered(tx Tx, b *Book, at time.Time) ([]Step, error) {
	list, err := tx.Recovered(at.Add(-d.config.StableFor), timersAtOnce)
	if err != nil {
		return nil, err
	}
	var steps []Step
	for _, inc := range list {
		step, err := d.step(b, inc, Request{Transition: AutoResolve}, belfry, at)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (d *Desk) due(tx Tx, b *Book, at time.Time) (steps []Step, err error) {
	list, err := tx.Due(at, timersAtOnce)
	if err != nil {
		return nil, err
	}
	closed, err := tx.ClosedSites()
	if err != nil {
		return nil, err
	}
	for _, inc := range list {
		done, err := d.fire(&noise{b, closed}, inc, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", inc.Ref, err)
		}
		steps = append(steps, done...)
	}
	return steps, nil
}

// fire does what is due of one incident, in the order of the timers' own times.
// Each request carries the version that it was worked out from.
func (d *Desk) fire(n *noise, inc Incident, at time.Time) (steps []Step, err error) {
	for {
		when, req := inc.timer(n.book)
		if when.IsZero() || when.After(at) {
			return steps, nil
		}
		if req.Version = inc.Version; req.Transition == Release {
			req = n.still(&inc, req, at)
		}
		step, err := d.step(n.book, inc, req, belfry, at)
		if err != nil {
			return nil, err
		}
		if step.Event.Seq == 0 {
			return nil, fmt.Errorf("the timer of %v for %s did nothing", when, req.Transition)
		}
		steps, inc = append(steps, step), step.After
	}
}
