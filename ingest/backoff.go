package ingest

import (
	"context"
	"time"
)

// requestTimeout bounds one request to a broker that has no reason to wait.
const requestTimeout = 10 * time.Second

// backoff waits longer from one failure to the next: 50 ms, 100 ms, ... 5 s.
type backoff struct{ failures int }

// sleep waits; it returns the context's error when that ends first.
func (b *backoff) sleep(ctx context.Context) error {
	timer := time.NewTimer(min(50*time.Millisecond<<min(b.failures, 10), 5*time.Second))
	defer timer.Stop()
	b.failures++
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// graceful returns a context that outlives ctx by the given time, so that what
// is under way can be finished.
func graceful(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}
