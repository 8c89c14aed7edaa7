package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"belfry/incidents"
)

// testWritersTogether lets many write at once, some of whom fail, leave or panic:
// each gets its own answer, and what is there is what the others wrote.
func testWritersTogether(t *testing.T, open opener) {
	s, ctx := open(t), context.Background()
	const writers, each = 24, 8
	broken := errors.New("broken")
	var wrong atomic.Int64
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			for i := range each {
				key := fmt.Sprintf("%d/%d", w, i)
				own, leave := context.WithCancel(ctx)
				err := s.do(own, func(tx *txn) (err error) {
					_, err = tx.ExecContext(own, "INSERT INTO answers (key, hash, body, at) VALUES (?,?,?,?)", key, "", []byte{}, 0)
					switch w % 4 {
					case 1:
						return broken
					case 2:
						leave()
						_, err = tx.ExecContext(own, "UPDATE counters SET value = value + 1000 WHERE name = 'incident'")
						return err
					}
					return err
				})
				leave()
				if want := map[int]error{1: broken, 2: context.Canceled}[w%4]; !errors.Is(err, want) {
					t.Errorf("writer %d got %v, want %v", w, err, want)
					wrong.Add(1)
				}
			}
		})
	}
	wait.Wait()
	var kept, counter int
	if err := s.read.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM answers), (SELECT value FROM counters WHERE name = 'incident')").Scan(&kept, &counter); err != nil {
		t.Fatal(err)
	}
	if kept != writers*each/2 || counter != 0 {
		t.Errorf("%d writes were kept, and the counter is %d; want %d and 0", kept, counter, writers*each/2)
	}
}

func TestAPanicIsItsOwnersAlone(t *testing.T) {
	s, ctx := openTickets(t), context.Background()
	hold, held := make(chan struct{}), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		_ = s.do(ctx, func(*txn) error { close(held); <-hold; return nil })
	})
	<-held
	panicked := make(chan any, 1)
	wait.Go(func() {
		defer func() { panicked <- recover() }()
		_ = s.do(ctx, func(*txn) error { panic("mine") })
	})
	wait.Go(func() {
		if err := s.do(ctx, func(tx *txn) error { _, err := draw(ctx, tx, "incident", 1); return err }); err != nil {
			t.Errorf("its neighbour got %v", err)
		}
	})
	close(hold)
	wait.Wait()
	if got := <-panicked; got != "mine" {
		t.Errorf("it got %v", got)
	}
}

// BenchmarkTakeTogether has sixteen people change an incident each.
func BenchmarkTakeTogether(b *testing.B) {
	ctx, s := context.Background(), openTickets(b)
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings("firing", 16, noon)); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		me := next.Add(1)
		for n := 0; pb.Next(); n++ {
			actor := incidents.Actor{Name: fmt.Sprint("p", n), Role: incidents.FirstLine, Source: incidents.ByAPI}
			if _, err := desk.Transition(ctx, refOf(me), incidents.Request{Transition: incidents.Take}, actor, noon); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}
