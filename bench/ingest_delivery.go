package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"belfry/ingest"
	"belfry/telemetry"
)

// DeliveryReport says how long readings took from the intake until they could be
// queried, while they came at a steady pace.
type DeliveryReport struct {
	Readings  int     `json:"readings"`
	Backlog   int     `json:"backlog,omitempty"`   // readings that lay in the same partitions before them
	PerSecond float64 `json:"readings_per_second"` // that were sent
	P50Millis float64 `json:"p50_ms"`
	P99Millis float64 `json:"p99_ms"`
	MaxMillis float64 `json:"max_ms"`
	Memory    int64   `json:"resident_bytes"`
}

const (
	deliveryPace  = 50_000 // readings a second
	deliveryChunk = 500    // readings of one append
)

// delivery runs a consumer beside a sender.
type delivery struct {
	o          IngestOptions
	connection ingest.Connection

	filled chan struct{} // closed when the backlog is in the log; nothing is carried on before

	mu     sync.Mutex
	millis [60_001]int // how many readings took so long; the last for all that took longer
	live   int64       // when the first of what is measured was sent, in milliseconds
	counts int         // of what is measured
	seen   int         // readings, the backlog's included
}

func deliver(ctx context.Context, o IngestOptions, connection ingest.Connection) (*DeliveryReport, error) {
	d := &delivery{o: o, connection: connection, filled: make(chan struct{})}
	memory := watchMemory()
	sent, took, err := d.run(ctx)
	peak := memory()
	if err != nil {
		return nil, err
	}
	if o.Warehouse != nil {
		if err := forget(ctx, o.Warehouse); err != nil {
			return nil, err
		}
	}
	return &DeliveryReport{Readings: sent, Backlog: o.Backlog, PerSecond: float64(sent) / took.Seconds(), P50Millis: d.quantile(0.5), P99Millis: d.quantile(0.99), MaxMillis: d.quantile(1), Memory: peak}, nil
}

// run sends for the time that the options say and waits until all is there.
func (d *delivery) run(ctx context.Context) (sent int, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.Delivery+5*time.Minute)
	defer cancel()
	topic := ingest.Topic{Name: "bench.delivery", Partitions: d.o.Partitions, Create: true}
	if err := ingest.EnsureTopic(ctx, d.connection, topic); err != nil {
		return 0, 0, err
	}
	running, stop := context.WithCancel(ctx)
	c, err := ingest.NewConsumer(ingest.Options{Connection: d.connection, Topic: topic, Group: "bench.delivery", Now: time.Now, Sink: d.sink})
	if err != nil {
		stop()
		return 0, 0, err
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(running) }()
	sent, took, err = d.send(ctx, topic.Name, c)
	if err == nil {
		err = d.await(ctx, sent+d.o.Backlog)
	}
	stop()
	if ended := <-done; err == nil {
		err = ended
	}
	return sent, took, err
}

// sink notes when the warehouse has answered: what an insert has put in can be
// queried from then on.
func (d *delivery) sink(ctx context.Context, b *telemetry.Batch) error {
	select {
	case <-d.filled:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := d.o.Sink(ctx, b); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, arrival := range b.Counts.Arrival {
		if arrival < d.live {
			continue // of the backlog
		}
		d.counts++
		d.millis[min(max(now-arrival, 0), int64(len(d.millis)-1))]++
	}
	d.seen += b.Len()
	return nil
}

// send appends at the pace wanted, once the consumer has its partitions. A chunk
// that is late is followed at once by the next.
func (d *delivery) send(ctx context.Context, topic string, c *ingest.Consumer) (sent int, took time.Duration, err error) {
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: d.connection, Topic: topic, Now: time.Now})
	if err != nil {
		return 0, 0, err
	}
	defer in.Close()
	tick := time.NewTicker(time.Second * deliveryChunk / deliveryPace)
	defer tick.Stop()
	for ctx.Err() == nil && !ready(c, d.o.Partitions) {
		<-tick.C
	}
	d.mu.Lock()
	d.live = time.Now().UnixMilli() // the backlog's records are months older
	d.mu.Unlock()
	if err := d.backlog(ctx, in); err != nil {
		return 0, 0, err
	}
	close(d.filled)
	b := ingestBench{o: d.o}
	begin := time.Now()
	for time.Since(begin) < d.o.Delivery {
		records := make([]ingest.Record, deliveryChunk)
		for i := range records {
			r := b.reading(sent + i)
			records[i] = ingest.Record{Key: []byte(r.device), Value: r.object(nil)}
		}
		if err := in.Append(ctx, records); err != nil {
			return sent, 0, err
		}
		sent += deliveryChunk
		for ctx.Err() == nil && float64(sent) > deliveryPace*time.Since(begin).Seconds() {
			<-tick.C
		}
	}
	return sent, time.Since(begin), ctx.Err()
}

// backlog sends what devices have kept for days, all at once.
func (d *delivery) backlog(ctx context.Context, in *ingest.Intake) error {
	b := ingestBench{o: d.o, format: formats[len(formats)-1]}
	for i := 0; i < d.o.Backlog; {
		var records []ingest.Record
		for ; len(records) < 200 && i < d.o.Backlog; i += b.format.per {
			r, err := b.record(i, min(b.format.per, d.o.Backlog-i))
			if err != nil {
				return err
			}
			records = append(records, r)
		}
		if err := in.Append(ctx, records); err != nil {
			return err
		}
	}
	return nil
}

func ready(c *ingest.Consumer, partitions int) bool {
	n := 0
	for _, p := range c.Status().Partitions {
		if p.Assigned {
			n++
		}
	}
	return n == partitions
}

// await waits until the warehouse has everything.
func (d *delivery) await(ctx context.Context, sent int) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		d.mu.Lock()
		seen := d.seen
		d.mu.Unlock()
		switch {
		case seen == sent:
			return nil
		case seen > sent:
			return fmt.Errorf("%d readings arrived of the %d that were sent", seen, sent)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d readings have arrived: %w", seen, sent, ctx.Err())
		}
	}
}

// quantile returns the time within which a share of the readings were there.
func (d *delivery) quantile(q float64) float64 {
	left := int(q*float64(d.counts) + 0.5)
	for millis, n := range d.millis {
		if left -= n; left <= 0 {
			return float64(millis)
		}
	}
	return float64(len(d.millis))
}
