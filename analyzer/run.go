package analyzer

import (
	"context"
	"time"
)

// maxHold is the longest that rules of absence wait after an outage of our own.
const maxHold = time.Hour

// Run evaluates at each tick, until the context ends or the ticks are closed. A
// tick carries the time of day; watermark says up to which instant everything
// that had arrived is in the warehouse. An error of one tick is logged, and the
// next tick tries again.
func (a *Analyzer) Run(ctx context.Context, tick <-chan time.Time, watermark func(now time.Time) time.Time) error {
	for {
		now, ok := a.Await(ctx, tick)
		if !ok {
			return nil
		}
		if err := a.Advance(ctx, now, watermark(now)); err != nil && ctx.Err() == nil {
			a.log.Error("evaluation", "error", err)
		}
	}
}

// Await returns the next tick; false when there is none any more. Until it comes, what
// the next instants need is learned ahead, so that a tick waits for one piece of that
// (see Prepare) at most.
func (a *Analyzer) Await(ctx context.Context, tick <-chan time.Time) (now time.Time, ok bool) {
	for more := true; more; {
		select {
		case now, ok = <-tick:
			return now, ok
		default:
		}
		var err error
		if more, err = a.Prepare(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("nothing is learned ahead yet", "error", err)
		}
	}
	select {
	case now, ok = <-tick:
		return now, ok
	case <-ctx.Done():
		return now, false
	}
}

// Advance evaluates up to the watermark. While that is more than MaxLag behind
// now, nothing is evaluated: what fires becomes unknown, once, and nothing opens
// or clears. When the watermark is back, evaluation goes on from where it was,
// and rules of absence wait for one heartbeat interval (the longest of the
// fleet's, from 15 minutes to an hour): devices that could not reach us are not
// called silent. Instants of such rules within that time are left out. A start
// long after the last progress counts as such an outage.
//
// Rules that need something learned of more devices than one piece wait while Prepare
// learns it, ten minutes at most, and the others go on.
//
// A zero watermark means that nothing is known of the pipeline yet, as in the
// first moments of a process: nothing happens.
func (a *Analyzer) Advance(ctx context.Context, now, watermark time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if watermark.IsZero() {
		return nil
	}
	if watermark.After(now) {
		watermark = now
	}
	if now.Sub(watermark) > a.cfg.MaxLag {
		return a.lag(ctx, now, watermark)
	}
	first := !a.started
	a.started = true
	if a.lagging || first && !a.progress.At.IsZero() && now.Sub(a.progress.At) > a.cfg.MaxLag {
		a.progress.Hold = now.Add(a.fleet.heartbeat)
		a.log.Info("pipeline is back, rules of absence wait", "until", a.progress.Hold)
	}
	a.lagging = false
	return a.evaluate(ctx, watermark, true)
}

// lag turns what fires into unknown, once.
func (a *Analyzer) lag(ctx context.Context, now, watermark time.Time) error {
	if !a.lagging {
		a.lagging = true
		a.log.Warn("pipeline lags, conditions are unknown", "watermark", watermark, "now", now)
		for _, b := range a.bounds {
			a.lagRule(b, now)
		}
		a.report()
	}
	return a.deliver(ctx)
}

func (a *Analyzer) lagRule(b *bound, now time.Time) {
	p := &pass{Analyzer: a, at: now}
	j := judgement{pass: p, bound: b}
	for row, slot := range b.slot {
		if slot == 0 {
			continue
		}
		s := &b.states[slot-1]
		if s.step(verdictUnknown, now, b.timing) != moveUnknown || !a.portion.mine(b, row) {
			continue
		}
		f := j.finding(row, s, moveUnknown, verdictUnknown, shown{value: s.Value})
		f.Reason = "the pipeline lags"
		a.outbox = append(a.outbox, f)
		a.dirty = append(a.dirty, *s)
		b.tell(row, tellOf(s))
	}
}

// setAlive tells which devices are in service at the instant.
func (a *Analyzer) setAlive(at time.Time) {
	if len(a.alive) != len(a.fleet.Devices) {
		a.alive = make([]bool, len(a.fleet.Devices))
	}
	a.fleet.inService(at, a.alive)
}
