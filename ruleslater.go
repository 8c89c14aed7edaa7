package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"belfry/analyzer"
	"belfry/analyzer/catalogue"
	"belfry/api"
	"belfry/incidents"
	"belfry/incidents/store"
)

// Rules that look at what is usual run by themselves once there are four weeks of it
// (RULES, Catalogue), where nobody chose which rules run. That they do is written down as
// their first version, by belfry and without a text of its own: it outlives a restart and
// the readings, a later catalogue brings its own text, and whatever a person writes or
// drops stands over it, before or after.
const (
	historyWanted = 28 * 24 * time.Hour
	historyBack   = 12 * 7 * 24 * time.Hour // what baselines learn from
	laterWhy      = "after four weeks of history"
	laterActor    = "belfry"
)

// firstCount says on which day since an instant the first counts are.
type firstCount func(ctx context.Context, since time.Time) (time.Time, error)

// byItself reports whether a version is that of a rule that began to run by itself.
func byItself(r store.RuleVersion) bool { return r.Text == "" && !r.Dropped }

// waiting returns the rules that nobody has chosen or dropped yet, and that do not run.
func (b *ruleBook) waiting(ctx context.Context) (names []string, err error) {
	for _, f := range b.later {
		name := catalogue.NameOf(f)
		history, err := b.tickets.RuleHistory(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(history) == 0 {
			names = append(names, name)
		}
	}
	return names, nil
}

// ripen lets the waiting rules run when there is enough history, and returns those
// that do from now on.
func (b *ruleBook) ripen(ctx context.Context, at time.Time, first firstCount) (begun []string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	names, err := b.waiting(ctx)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	if from, err := runFrom(ctx, at, first); err != nil || from.IsZero() || from.After(at) {
		return nil, err
	}
	for _, name := range names {
		_, err := b.tickets.PutRule(ctx, store.RuleVersion{Name: name, Actor: laterActor, At: at.Truncate(time.Millisecond)})
		switch {
		case err == nil:
			begun = append(begun, name)
		case !errors.Is(err, incidents.ErrStale): // else somebody was quicker, and has chosen
			return begun, err
		}
	}
	return begun, nil
}

// runFrom returns when there will be, or were, four weeks of history; the zero time
// while there is nothing.
func runFrom(ctx context.Context, at time.Time, first firstCount) (time.Time, error) {
	day, err := first(ctx, at.Add(-historyBack).Truncate(24*time.Hour))
	if err != nil || day.IsZero() {
		return time.Time{}, err
	}
	return day.Add(historyWanted), nil
}

// laterRules is the part of GET /api/v1/rules about those that wait.
func (w *watch) laterRules(ctx context.Context, at time.Time) ([]api.LaterRule, error) {
	w.rules.mu.Lock()
	names, err := w.rules.waiting(ctx)
	w.rules.mu.Unlock()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	var from time.Time
	if w.warehouse != nil {
		if from, err = runFrom(ctx, at, w.warehouse.FirstCount); err != nil {
			w.log.Warn("it is not known since when there are counts", "error", err)
		}
	}
	var out []api.LaterRule
	for _, name := range names {
		out = append(out, api.LaterRule{Name: name, From: from, Why: laterWhy})
	}
	return out, nil
}

// waits reports whether a rule may run by itself some day.
func (b *ruleBook) waits(name string) bool {
	_, ships := laterFile(name)
	return ships && len(b.later) > 0
}

// laterFile returns the file of a rule that runs by itself, as it ships now.
func laterFile(name string) (analyzer.File, bool) {
	all := catalogue.Later()
	i := slices.IndexFunc(all, func(f analyzer.File) bool { return catalogue.NameOf(f) == name })
	if i < 0 {
		return analyzer.File{}, false
	}
	return all[i], true
}

// shippedText is the text of a rule that runs by itself; "" when it ships no longer.
func shippedText(name string) string {
	f, _ := laterFile(name)
	return string(f.Data)
}
