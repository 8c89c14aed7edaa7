package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"belfry/analyzer"
	"belfry/analyzer/catalogue"
	"belfry/api"
	"belfry/incidents"
	"belfry/incidents/store"
)

// ruleBook is the rules that run: those of the files, and over them what was changed
// through the API. Every process of a tenant follows the changes by their revision.
type ruleBook struct {
	base    ruleFiles
	later   ruleFiles // shipped rules that run by themselves some day; none where rules were chosen
	tickets *store.Tickets
	sql     *ruleSQL // nil where there is no engine
	log     *slog.Logger

	mu       sync.Mutex
	revision int64 // of changed; -1 before the first look
	changed  map[string]store.RuleVersion
	set      *analyzer.RuleSet
}

// openRules reads and checks the rules that are to run.
func (w *watch) openRules(ctx context.Context) (err error) {
	b := &ruleBook{base: w.options.rules, tickets: w.tickets, sql: w.sql, log: w.log, revision: -1}
	if b.base == nil {
		if len(w.config.Analyzer.Rules) == 0 {
			b.later = catalogue.Later()
		}
		if b.base, err = readRuleFiles(w.config.Analyzer.Rules); err != nil {
			return err
		}
	}
	if b.set, err = analyzer.Load(b.base...); err != nil {
		return fmt.Errorf("the rules can't run:\n%w", err)
	}
	w.rules = b
	if _, err := b.current(ctx); err != nil {
		w.log.Error("rules that were changed through the API can't run", "error", err)
	}
	return nil
}

// current returns the rules as they are now. After an error those that ran before run on.
func (b *ruleBook) current(ctx context.Context) (*analyzer.RuleSet, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.look(ctx)
}

func (b *ruleBook) look(ctx context.Context) (*analyzer.RuleSet, error) {
	revision, err := b.tickets.RulesRevision(ctx)
	if err != nil || revision == b.revision {
		return b.set, err
	}
	list, err := b.tickets.Rules(ctx)
	if err != nil {
		return b.set, err
	}
	changed := map[string]store.RuleVersion{}
	for _, r := range list {
		changed[r.Name] = r
	}
	set, unread, err := b.with(changed)
	b.revision, b.changed = revision, changed
	if err != nil {
		return b.set, err
	}
	if unread != nil {
		b.log.Error("rules that were written through the API can't be read and do not run; write them anew", "error", unread)
	}
	b.set = set
	return set, nil
}

// with returns the rules with some changes over the files. A change that this version of
// belfry can't read is left out and is an error apart: it hurts no other rule, and the
// files' rule of that name runs until it is mended.
func (b *ruleBook) with(changed map[string]store.RuleVersion) (_ *analyzer.RuleSet, unread, err error) {
	var over ruleFiles
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		if r := changed[name]; !byItself(r) {
			f := analyzer.File{Name: apiFile(name), Data: []byte(r.Text)}
			if _, err := analyzer.Load(f); err != nil {
				unread = errors.Join(unread, err)
				continue
			}
			over = append(over, f)
		} else if f, ships := laterFile(name); ships && len(b.later) > 0 {
			over = append(over, f)
		}
	}
	set, err := analyzer.LoadOver(b.base, over)
	return set, unread, err
}

// apiFile is what a rule that was written through the API is called in messages.
func apiFile(name string) string { return "api:" + name }

// put writes a rule. What can't run is refused with every fault, and nothing changes.
func (b *ruleBook) put(ctx context.Context, q api.RuleChange) (api.Rule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change := store.RuleVersion{Name: q.Name, Text: q.Text, Dropped: q.Drop, Actor: q.Actor, At: q.At.Truncate(time.Millisecond)}
	// Asked before the rule that is matched: what another process writes after that makes this one stale.
	history, err := b.tickets.RuleHistory(ctx, q.Name)
	if err != nil {
		return api.Rule{}, err
	}
	if _, err := b.look(ctx); err != nil && b.changed == nil {
		return api.Rule{}, err
	}
	if err := b.matches(q); err != nil {
		return api.Rule{}, err
	}
	if len(history) > 0 {
		change.Version = history[0].Version
	}
	trial := map[string]store.RuleVersion{}
	for name, r := range b.changed {
		trial[name] = r
	}
	if delete(trial, q.Name); !q.Drop {
		set, err := oneRule(q.Name, q.Text)
		if err == nil {
			err = b.sql.checkSQL(ctx, set, q.SQL)
		}
		if err != nil {
			return api.Rule{}, err
		}
		trial[q.Name] = change
	}
	if _, _, err := b.with(trial); err != nil {
		return api.Rule{}, faultsOf(err)
	}
	if _, err := b.tickets.PutRule(ctx, change); err != nil {
		return api.Rule{}, err
	}
	if _, err := b.look(ctx); err != nil {
		return api.Rule{}, err
	}
	rule, _ := b.rule(q.Name)
	return rule, nil
}

// matches holds a change against the rule that it is meant for.
func (b *ruleBook) matches(q api.RuleChange) error {
	r := b.set.Rule(q.Name)
	_, changed := b.changed[q.Name]
	switch {
	case q.Drop && !changed && !b.waits(q.Name):
		return incidents.ErrNotFound
	case r != nil && q.Match == "":
		return api.ErrNoMatch
	case r == nil && q.Match != "" && q.Match != "*", r != nil && q.Match != "*" && q.Match != r.Hash:
		return incidents.ErrStale
	}
	return nil
}

// oneRule checks that a text holds the one rule of that name.
func oneRule(name, text string) (*analyzer.RuleSet, error) {
	set, err := analyzer.Load(analyzer.File{Name: apiFile(name), Data: []byte(text)})
	if err != nil {
		return nil, faultsOf(err)
	}
	if len(set.Rules) != 1 || set.Rules[0].Name != name {
		return nil, api.FaultyRules{{File: apiFile(name), Line: 1, Column: 1, Wrong: fmt.Sprintf("the text holds %d rules; want one, named %s", len(set.Rules), name)}}
	}
	return set, nil
}

// faultsOf turns the loader's faults into those of the API.
func faultsOf(err error) error {
	var faults analyzer.Faults
	if !errors.As(err, &faults) {
		return err
	}
	var faulty api.FaultyRules
	for _, f := range faults {
		wrong := f.What
		if f.Want != "" {
			wrong += "; " + f.Want
		}
		faulty = append(faulty, api.FileFault{File: f.File, Line: f.Line, Column: f.Col, Wrong: wrong})
	}
	return faulty
}

// list describes the running rules, by name.
func (b *ruleBook) list(ctx context.Context) ([]api.Rule, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := b.look(ctx); err != nil && b.changed == nil {
		return nil, err
	}
	var out []api.Rule
	for _, r := range b.set.Rules {
		rule, _ := b.rule(r.Name)
		out = append(out, rule)
	}
	slices.SortFunc(out, func(x, y api.Rule) int { return strings.Compare(x.Name, y.Name) })
	return out, nil
}

// rule describes a running rule.
func (b *ruleBook) rule(name string) (api.Rule, bool) {
	r := b.set.Rule(name)
	if r == nil {
		return api.Rule{}, false
	}
	out := ruleOf(r)
	c, ok := b.changed[name]
	switch {
	case ok && r.File == apiFile(name):
		out.Text, out.Version, out.Actor, out.ChangedAt = c.Text, c.Version, c.Actor, c.At
	case ok && byItself(c) && b.waits(name):
		out.Text, out.Version, out.Actor, out.ChangedAt, out.Why = shippedText(name), c.Version, c.Actor, c.At, laterWhy
	default:
		out.Text = b.textOf(r)
	}
	return out, true
}

// ruleOf is a rule as the API shows it.
func ruleOf(r *analyzer.Rule) api.Rule {
	scope := string(r.Scope)
	if r.Group != "" {
		scope = "group(" + r.Group + ")"
	}
	return api.Rule{Name: r.Name, About: r.About, Scope: scope, Category: r.Category, When: r.When,
		Schedule: r.Schedule.String(), Hash: r.Hash, Source: r.File}
}

// textOf cuts a rule out of its file.
func (b *ruleBook) textOf(r *analyzer.Rule) string {
	i := slices.IndexFunc(b.base, func(f analyzer.File) bool { return f.Name == r.File })
	if i < 0 {
		return ""
	}
	lines := strings.SplitAfter(string(b.base[i].Data), "\n")
	end := len(lines)
	only := true
	for _, other := range b.set.Rules {
		if other.File == r.File && other != r {
			only = false
			if other.Line > r.Line {
				end = min(end, other.Line-1)
			}
		}
	}
	if only {
		return string(b.base[i].Data)
	}
	return "rules:\n" + strings.Join(lines[r.Line-1:end], "")
}

// history returns the versions of a rule, the newest first.
func (b *ruleBook) history(ctx context.Context, name string) ([]api.RuleVersion, error) {
	list, err := b.tickets.RuleHistory(ctx, name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	known := b.set.Rule(name) != nil
	b.mu.Unlock()
	if len(list) == 0 && !known {
		return nil, incidents.ErrNotFound
	}
	out := []api.RuleVersion{}
	for _, r := range list {
		if byItself(r) {
			r.Text = shippedText(r.Name)
		}
		out = append(out, api.RuleVersion{Version: r.Version, Text: r.Text, Dropped: r.Dropped, Actor: r.Actor, At: r.At})
	}
	return out, nil
}
