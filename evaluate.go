package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"belfry/analyzer"
	"belfry/incidents/store"
)

// renewEvery is how often the lease on a share of the scopes is renewed.
const renewEvery = 5 * time.Second

// ripenEvery is how often it is asked whether there is history enough for more rules.
const ripenEvery = time.Minute

// evaluation is the analyzer at work: each second it looks whether its share, the
// registry or the rules have changed, and evaluates what is due.
type evaluation struct {
	*watch
	lease   store.Lease
	renewed time.Time
	ripened time.Time // when it last looked whether there is history enough for more rules
	laid    struct {  // what the analyzer goes on with
		fleet *analyzer.Fleet
		rules *analyzer.RuleSet
	}
}

// runAnalyzer evaluates the rules until the context ends.
func (w *watch) runAnalyzer(ctx context.Context) error {
	if w.options.begin != nil {
		select {
		case <-w.options.begin:
		case <-ctx.Done():
			return nil
		}
	}
	holder, err := w.folder.holderName()
	if err != nil {
		return err
	}
	e := &evaluation{watch: w, lease: store.Lease{Holder: holder}}
	defer e.release(context.WithoutCancel(ctx))
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		at, ok := e.analyzer.Await(ctx, tick.C)
		if !ok {
			return nil
		}
		if err := e.step(ctx, at.UTC()); err != nil && ctx.Err() == nil {
			w.log.Error("evaluation", "error", err)
		}
	}
}

// step is one tick.
func (e *evaluation) step(ctx context.Context, at time.Time) error {
	before := e.lease
	e.ripen(ctx, at)
	if at.Sub(e.renewed) >= renewEvery {
		lease, err := e.tickets.RenewLease(ctx, e.lease, analyzer.Shards, at)
		if err != nil {
			return err // whoever can't renew must not go on for long
		}
		e.lease, e.renewed = lease, at
	}
	if err := e.follow(ctx, !sameShards(before, e.lease)); err != nil || len(e.lease.Shards) == 0 {
		return err
	}
	err := e.analyzer.Advance(e.lease.Under(ctx), at, e.arrived.Watermark(at))
	if errors.Is(err, store.ErrLeaseLost) {
		e.lease.Shards, e.renewed = nil, time.Time{}
		e.log.Warn("another analyzer has taken over what this one evaluated")
		return nil
	}
	return err
}

// ripen looks, now and then, whether rules that wait for history run from now on.
func (e *evaluation) ripen(ctx context.Context, at time.Time) {
	if at.Sub(e.ripened) < ripenEvery {
		return
	}
	e.ripened = at
	begun, err := e.rules.ripen(ctx, at, e.warehouse.FirstCount)
	if err != nil && ctx.Err() == nil {
		e.log.Warn("it is not known whether there is history enough for more rules", "error", err)
	}
	if len(begun) > 0 {
		e.log.Info("rules run by themselves from now on", "rules", begun, "why", laterWhy)
	}
}

// follow lets the analyzer go on with another share, registry or rules when they have
// changed. What can't be read now leaves those that it has.
func (e *evaluation) follow(ctx context.Context, changed bool) error {
	fleet, _, err := e.fleet.fleet(ctx)
	if err != nil {
		e.log.Warn("the analyzer goes on with the registry it has", "error", err)
		fleet = e.laid.fleet
	}
	rules, err := e.rules.current(ctx)
	if err != nil {
		e.log.Warn("the analyzer goes on with the rules it has", "error", err)
	}
	if fleet == nil || !changed && fleet == e.laid.fleet && rules == e.laid.rules {
		return nil
	}
	if err := e.analyzer.Restart(ctx, rules, fleet, e.lease.List()); err != nil {
		e.laid.fleet = nil // again at the next tick
		return err
	}
	e.laid.fleet, e.laid.rules = fleet, rules
	return nil
}

func sameShards(a, b store.Lease) bool {
	if !slices.Equal(a.List(), b.List()) {
		return false
	}
	for s, epoch := range a.Shards {
		if b.Shards[s] != epoch {
			return false
		}
	}
	return true
}

// release gives the share up, so that others need not wait for the lease to run out.
func (e *evaluation) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := e.tickets.ReleaseLease(ctx, e.lease.Holder); err != nil {
		e.log.Warn("the analyzer's share was not given up; it is taken over when the lease ends", "error", err)
	}
}

// holderName returns the name under which the processes of this data folder, one after
// the other, hold leases: who starts again need not wait for itself.
func (f *folder) holderName() (string, error) {
	f.naming.Lock()
	defer f.naming.Unlock()
	if text, err := os.ReadFile(f.file("holder")); err == nil && len(strings.TrimSpace(string(text))) > 0 {
		return strings.TrimSpace(string(text)), nil
	}
	name := rand.Text()
	if err := os.WriteFile(f.file("holder"), []byte(name+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("name this data folder: %w", err)
	}
	return name, nil
}
