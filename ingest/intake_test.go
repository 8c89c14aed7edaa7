package ingest_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"belfry/ingest"
	"belfry/telemetry"

	"github.com/prometheus/client_golang/prometheus"
)

func TestAnIntakeRefusesWhatTheLogCannotTakeAtOnce(t *testing.T) {
	// A log that takes connections and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: ingest.Connection{Brokers: []string{l.Addr().String()}},
		Topic: "t", MaxPending: 1000, Now: time.Now, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	var first sync.WaitGroup
	first.Go(func() {
		// Larger than the limit by itself: it may try all the same.
		if err := in.Append(t.Context(), []ingest.Record{{Value: make([]byte, 2000)}}); err == nil || errors.Is(err, ingest.ErrBusy) {
			t.Errorf("the first: %v; want that the log does not answer", err)
		}
	})
	conn, err := l.Accept() // it is under way
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Append(t.Context(), []ingest.Record{{Value: []byte("x")}}); !errors.Is(err, ingest.ErrBusy) {
		t.Errorf("the second: %v; want ErrBusy", err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "belfry_ingest_busy_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("counted %v; want 1", f.GetMetric())
		}
	}
	conn.Close()
	l.Close()
	first.Wait()
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsRefusedByHTTPAndInTheLogIsCountedTogether(t *testing.T) {
	registry := prometheus.NewRegistry()
	way := ingest.Connection{Brokers: []string{"127.0.0.1:1"}} // nobody is asked
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: way, Topic: "t", Now: time.Now, Registerer: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	s := newStore()
	if _, err := ingest.NewConsumer(ingest.Options{Connection: way, Topic: ingest.Topic{Name: "t"}, Group: "g", Sink: s.insert, Register: s.register,
		Now: time.Now, Registerer: registry}); err != nil {
		t.Fatal(err)
	}
	_, bad, _ := ingest.Split([]byte(`{"device":"a","ts":"soon"}`+"\n"+`{"device":"a","ts":"later"}`), epoch)
	in.Refused(bad)
	if got := metric(t, registry, "belfry_ingest_rejected_total", ingest.BadTS); got != 2 {
		t.Errorf("counted %v; want 2", got)
	}
}

func TestWhatDevicesHaveKeptWaitsUntilTheWarehouseIsNear(t *testing.T) {
	onEachLog(t, func(t *testing.T, l log) {
		topic, open := topicOf(t, l), make(chan struct{})
		c, err := ingest.NewConsumer(ingest.Options{Connection: l.connection(), Topic: topic, Now: time.Now, CheckEvery: 20 * time.Millisecond,
			Sink: func(ctx context.Context, _ *telemetry.Batch) error {
				select {
				case <-open:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		behind := func() int64 { s := c.Status(); return s.Behind() }
		in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: l.connection(), Topic: topic.Name, Now: time.Now, MaxBehind: 10, Behind: behind})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer running.Wait()
		defer cancel()

		reading := ingest.Record{Key: []byte("a"), Value: []byte(`{"device":"a","ts":1774609200000,"in":1}`)}
		few, many := make([]ingest.Record, 5), make([]ingest.Record, 20)
		for i := range many {
			many[i], few[i%5] = reading, reading
		}
		for what, err := range map[string]error{"few": in.Backfill(t.Context(), few), "many": in.Backfill(t.Context(), many)} {
			if err != nil {
				t.Fatalf("%s, with nothing before them: %v", what, err)
			}
		}
		eventually(t, "the records are seen to wait", func() bool { return behind() == 25 })
		if err := in.Backfill(t.Context(), few); !errors.Is(err, ingest.ErrBusy) {
			t.Errorf("kept readings, behind 25: %v; want ErrBusy", err)
		}
		if err := in.Append(t.Context(), few); err != nil {
			t.Errorf("live readings, behind 25: %v", err)
		}
		close(open)
		eventually(t, "everything is carried on", func() bool { return behind() == 0 })
		if err := in.Backfill(t.Context(), few); err != nil {
			t.Errorf("kept readings, when all is there: %v", err)
		}
	})
}
