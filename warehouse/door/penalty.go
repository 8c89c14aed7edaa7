package door

import (
	"context"
	"time"
)

// penalty makes a wrong password cost time, whoever tries: at most so many wrong
// ones wait at once, and the rest are turned away, so that guessing costs the
// door neither goroutines without end nor the time of those who know theirs.
type penalty struct {
	time    time.Duration
	waiting chan struct{}
}

// maxWaiting times one over a second is how many passwords can be tried in a second.
const maxWaiting = 16

func newPenalty(d time.Duration) penalty {
	return penalty{time: d, waiting: make(chan struct{}, maxWaiting)}
}

// wait returns after the time, or at once with false when too many wait.
func (p penalty) wait(ctx context.Context) bool {
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return false
	}
	timer := time.NewTimer(p.time)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}
