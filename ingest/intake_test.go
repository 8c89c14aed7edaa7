package ingest_test

import (
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"belfry/ingest"

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
