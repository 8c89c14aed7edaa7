package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/telemetry"
)

// worker is one of several analyzers over one database, in a time that the test gives.
type worker struct {
	t        *testing.T
	tickets  *Tickets
	lease    Lease
	analyzer *analyzer.Analyzer
	fleet    *analyzer.Fleet
	rules    *analyzer.RuleSet
}

func newWorker(t *testing.T, tickets *Tickets, name string, rules *analyzer.RuleSet, fleet *analyzer.Fleet, reel *analyzer.Reel) *worker {
	t.Helper()
	desk := incidents.NewDesk(tickets, incidents.Config{}, nil, nil)
	a, err := analyzer.New(t.Context(), analyzer.Config{Rules: rules, Fleet: fleet, Query: reel.Query, Series: reel.Series, Emit: desk.Receive, States: tickets.States()})
	if err != nil {
		t.Fatal(err)
	}
	return &worker{t: t, tickets: tickets, lease: Lease{Holder: name}, analyzer: a, fleet: fleet, rules: rules}
}

// renew renews the lease, and goes on with what it holds now.
func (w *worker) renew(at time.Time) {
	w.t.Helper()
	lease, err := w.tickets.RenewLease(w.t.Context(), w.lease, analyzer.Shards, at)
	if err != nil {
		w.t.Fatal(err)
	}
	same := slices.Equal(lease.List(), w.lease.List())
	for s, epoch := range lease.Shards {
		same = same && w.lease.Shards[s] == epoch
	}
	if w.lease = lease; !same {
		if err := w.analyzer.Restart(w.t.Context(), w.rules, w.fleet, lease.List()); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *worker) evaluate(at time.Time) error {
	return w.analyzer.Advance(w.lease.Under(w.t.Context()), at, at)
}

// testADeadAnalyzersShareIsTakenOver lets three analyzers share a fleet. One is killed
// and never comes back, one stands still for two minutes and then goes on as if nothing
// had happened. Each device that falls silent gets its one incident within a minute of
// its time, each that comes back is resolved, and no scope is evaluated by two.
func testADeadAnalyzersShareIsTakenOver(t *testing.T, open opener) {
	tickets, start := open(t), noon
	rules, err := analyzer.Load(analyzer.File{Name: "r.yaml", Data: []byte(`
rules:
  - { name: silent, scope: device, when: silence() > 1m, every: 5s, category: x }
  - { name: all-silent, scope: tenant, when: "share(silence() > 1m) > 20%", every: 5s, category: y }
`)})
	if err != nil {
		t.Fatal(err)
	}
	const n = 60
	batch, devices := &telemetry.Batch{}, make([]telemetry.Device, n)
	for i := range devices {
		name := fmt.Sprintf("d%02d", i)
		devices[i] = telemetry.Device{Name: name, Site: fmt.Sprintf("s%02d", i/3), InServiceSince: start}
		for second := 0; second < 600; second += 10 {
			if second >= 60+i*4 && second < 400 { // one after the other falls silent; all come back
				continue
			}
			b := &batch.Heartbeats
			at := start.Add(time.Duration(second) * time.Second).UnixMilli()
			b.Device, b.TS, b.Arrival, b.Offset = append(b.Device, telemetry.IDOf(name)), append(b.TS, at), append(b.Arrival, at), append(b.Offset, int64(second))
			b.Firmware, b.MeasureEnd = append(b.Firmware, ""), append(b.MeasureEnd, len(b.Name))
		}
	}
	fleet, err := analyzer.NewFleet(nil, devices)
	if err != nil {
		t.Fatal(err)
	}
	reel := analyzer.NewReel(batch)
	var all []*worker
	for i := range 3 {
		all = append(all, newWorker(t, tickets, fmt.Sprint("worker-", i), rules, fleet, reel))
	}
	lost := 0
	for second := 5; second < 600; second += 5 {
		at := start.Add(time.Duration(second) * time.Second)
		held := map[int]int{}
		for i, w := range all {
			if i == 1 && second >= 150 || i == 2 && second >= 200 && second < 320 {
				continue // dead; standing still
			}
			if i == 2 && second == 320 {
				if err := w.evaluate(at); !errors.Is(err, ErrLeaseLost) {
					t.Fatalf("the one that stood still went on with a lease that others have: %v", err)
				}
				lost++
			}
			w.renew(at)
			for s := range w.lease.Shards {
				held[s]++
			}
			if err := w.evaluate(at); err != nil {
				t.Fatalf("worker %d after %d s: %v", i, second, err)
			}
		}
		for s, holders := range held {
			if holders > 1 {
				t.Fatalf("after %d s shard %d has %d holders", second, s, holders)
			}
		}
		if quiet := second < 30 || second >= 150 && second < 190 || second >= 200 && second < 240; !quiet && len(held) != analyzer.Shards {
			t.Fatalf("after %d s only %d shards are held", second, len(held))
		}
	}
	if lost != 1 {
		t.Error("nobody lost a lease")
	}
	list, err := tickets.Incidents(t.Context(), incidents.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	opened := map[string]int{}
	for _, inc := range list {
		opened[inc.Scope.Name]++
		if inc.Condition != telemetry.Clear {
			t.Errorf("%s is %s; all are back", inc.Scope, inc.Condition)
		}
		if inc.Device == "" {
			continue
		}
		var i int
		if _, err := fmt.Sscanf(inc.Device, "d%d", &i); err != nil {
			t.Fatal(err)
		}
		due := start.Add(time.Duration(60+(60+i*4+9)/10*10-10) * time.Second)
		if late := inc.OpenedAt.Sub(due); late < 0 || late > time.Minute {
			t.Errorf("%s was opened %s after its time", inc.Device, late)
		}
	}
	for i := range devices {
		if got := opened[devices[i].Name]; got != 1 {
			t.Errorf("%s has %d incidents; want one", devices[i].Name, got)
		}
	}
	if opened[""] != 1 {
		t.Errorf("the tenant has %d incidents; want one", opened[""])
	}
}

// testAShareThatIsGivenUpIsTakenAtOnce: an analyzer that stops well need not be waited for.
func testAShareThatIsGivenUpIsTakenAtOnce(t *testing.T, open opener) {
	tickets := open(t)
	renew := func(l Lease, at time.Time) Lease {
		out, err := tickets.RenewLease(t.Context(), l, 4, at)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	a, b := renew(Lease{Holder: "a"}, noon), Lease{Holder: "b"}
	if len(a.Shards) != 4 {
		t.Fatalf("the only one holds %v", a.Shards)
	}
	b = renew(b, noon)
	a = renew(a, noon.Add(time.Second))
	b = renew(b, noon.Add(time.Second))
	if len(a.Shards) != 2 || len(b.Shards) != 2 {
		t.Fatalf("two hold %v and %v; want two shards each", a.Shards, b.Shards)
	}
	again := renew(Lease{Holder: "a"}, noon.Add(2*time.Second))
	for s, epoch := range again.Shards {
		if epoch <= a.Shards[s] {
			t.Errorf("a second life of a holds shard %d at epoch %d, the first at %d", s, epoch, a.Shards[s])
		}
	}
	if err := tickets.States().Save(a.Under(t.Context()), nil, analyzer.Progress{}); !errors.Is(err, ErrLeaseLost) {
		t.Errorf("the first life could still write: %v", err)
	}
	if err := tickets.ReleaseLease(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if b = renew(b, noon.Add(3*time.Second)); len(b.Shards) != 4 {
		t.Errorf("b holds %v after a left", b.Shards)
	}
	if err := tickets.States().Save(b.Under(t.Context()), nil, analyzer.Progress{}); err != nil {
		t.Errorf("who holds the lease could not write: %v", err)
	}
}
