package api

import (
	"math"
	"strconv"
	"sync"
	"time"
)

// RateLimit is how fast each token may ask: PerSecond in the long run, Burst at
// once. Sending telemetry does not count; the log holds that back by itself.
type RateLimit struct {
	PerSecond float64 // 0: 100; below 0: as fast as it likes
	Burst     int     // 0: twice PerSecond
}

func (l RateLimit) filled() RateLimit {
	l.PerSecond = orElse(l.PerSecond, 100)
	l.Burst = orElse(l.Burst, max(1, int(2*l.PerSecond)))
	return l
}

// buckets are token buckets by key. A bucket that is full again is as good as
// none, so the full ones go when there are many.
type buckets struct {
	limit RateLimit

	mu  sync.Mutex
	all map[string]*bucket
}

// bucket holds what may still be taken, as of a time.
type bucket struct {
	left   float64
	as     time.Time
	missed int // how often it was empty since the last success
}

// manyBuckets is when the full ones are looked for.
const manyBuckets = 10_000

func newBuckets(limit RateLimit) *buckets {
	return &buckets{limit: limit.filled(), all: map[string]*bucket{}}
}

// take takes one from a key's bucket. Without one left it says how long to wait;
// otherwise how often it has said so since it last gave one.
func (b *buckets) take(key string, at time.Time) (wait time.Duration, missed int) {
	if b.limit.PerSecond < 0 {
		return 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.all[key]
	if own == nil {
		if len(b.all) >= manyBuckets {
			b.sweep(at)
		}
		own = &bucket{left: float64(b.limit.Burst), as: at}
		b.all[key] = own
	}
	b.fill(own, at)
	if own.left < 1 {
		own.missed++
		return time.Duration(math.Ceil((1 - own.left) / b.limit.PerSecond * float64(time.Second))), 0
	}
	own.left--
	missed, own.missed = own.missed, 0
	return 0, missed
}

// fill adds what has trickled in; a clock that steps back adds nothing.
func (b *buckets) fill(own *bucket, at time.Time) {
	if passed := at.Sub(own.as); passed > 0 {
		own.left = min(float64(b.limit.Burst), own.left+passed.Seconds()*b.limit.PerSecond)
		own.as = at
	}
}

func (b *buckets) sweep(at time.Time) {
	for key, own := range b.all {
		if b.fill(own, at); own.left >= float64(b.limit.Burst) && own.missed == 0 {
			delete(b.all, key)
		}
	}
}

// pace refuses a token that asks too fast.
func (a *app) pace(token string) *Problem {
	wait, _ := a.paces.take(token, a.Now())
	if wait == 0 {
		return nil
	}
	p := newProblem("too-many-requests", "this token asks more often than %g times a second", a.paces.limit.PerSecond)
	p.retryAfter = strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return p
}
