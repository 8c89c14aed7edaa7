package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"belfry/api"
	"belfry/ingest"
	"belfry/ingest/broker"
)

func TestABrokerThatIsAwayIsSeenAndWaitedFor(t *testing.T) {
	address := "127.0.0.1:" + freePort(t)
	data := t.TempDir()
	p := begin(t, data, []string{"BELFRY_LOG_BROKERS=" + address}, "serve", "--data", data)
	p.await(time.Minute, "that the log is away to be seen", func() bool {
		return p.counter("belfry_ingest_retries_total") > 1 && p.counter("belfry_ingest_connected") == 0 && strings.Contains(p.log.String(), "no broker can be reached")
	})
	if status, text := p.request("GET", "/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(text, `"log":"failing"`) {
		t.Errorf("readyz: %d %s", status, text)
	}
	const reading = `{"device":"a","ts":"2026-03-01T10:00:00Z","in":1}`
	if status, text := p.request("POST", "/api/v1/telemetry", reading); status != http.StatusServiceUnavailable || !strings.Contains(text, "the log does not answer") {
		t.Errorf("telemetry: %d %s", status, text)
	}
	if out := mustCommand(t, "--data", data, "ingest", "status"); !strings.Contains(out, "no broker can be reached") || strings.Contains(out, "everything") {
		t.Errorf("status: %s", out)
	}
	if _, errs, code := command(t, nil, "--data", data, "ingest", "dead", "list"); code != 1 || !strings.Contains(errs, "the log does not answer") {
		t.Errorf("dead list: exit code %d, %s", code, errs)
	}
	b, err := broker.Start(broker.Options{Dir: t.TempDir(), Addr: address})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p.await(time.Minute, "belfry to go on", p.ready)
	p.await(time.Minute, "the log to take it", func() bool {
		status, _ := p.request("POST", "/api/v1/telemetry", reading)
		return status == http.StatusAccepted
	})
	p.await(time.Minute, "the reading", func() bool {
		return p.counter("belfry_ingest_records_total") > 0 && p.counter("belfry_ingest_connected") == 1
	})
	p.stop()
}

func TestWrongCredentialsEndItWithASentence(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "ann", "right"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	settings := []string{"BELFRY_LOG_BROKERS=" + cluster.ListenAddrs()[0], "BELFRY_LOG_SASL_MECHANISM=plain", "BELFRY_LOG_SASL_USER=ann", "BELFRY_LOG_SASL_PASSWORD=wrong"}
	out, errs, code := command(t, append(settings, freePorts...), "serve", "--data", t.TempDir())
	if code != 1 || !strings.Contains(errs, "the broker refuses our credentials (mechanism, user or password)") || strings.Contains(out+errs, "wrong\"") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
}

func TestToldToStopItIsGoneWithinTenSecondsAndNothingIsLost(t *testing.T) {
	data := t.TempDir()
	p := serve(t, data)
	h := readHolder(data)
	in, err := ingest.NewIntake(ingest.IntakeOptions{Connection: ingest.Connection{Brokers: h.Brokers}, Topic: h.Topic, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	const devices, each = 20, 5_000
	first := time.Date(2026, 3, 1, 0, 1, 0, 0, time.UTC)
	var records []ingest.Record
	for i := range devices * each {
		device, at := fmt.Sprint("d", i%devices), first.Add(time.Duration(i/devices)*time.Minute)
		records = append(records, ingest.Record{Key: []byte(device), Value: fmt.Appendf(nil, `{"device":"%s","ts":%d,"in":%d}`, device, at.UnixMilli(), i%7)})
	}
	if err := in.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	p.stop()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	p = serve(t, data)
	p.await(time.Minute, "everything", func() bool {
		var status api.Ingest
		p.must(http.StatusOK, "GET", "/api/v1/ingest", "", &status)
		done := int64(0)
		for _, part := range status.Partitions {
			done += part.Done
		}
		return done == devices*each
	})
	for d := range devices {
		want := 0
		for i := range each {
			want += (i*devices + d) % 7
		}
		if in, readings := p.total(fmt.Sprint("d", d), first.Add(-time.Minute), first.AddDate(0, 0, 10)); in != int64(want) || readings != each {
			t.Errorf("d%d has %d people in %d readings; want %d in %d", d, in, readings, want, each)
		}
	}
	p.stop()
}
