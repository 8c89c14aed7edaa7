package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"belfry/telemetry"
)

func TestIngestDeliversEveryReadingToTheSink(t *testing.T) {
	var got atomic.Int64
	sink := func(_ context.Context, b *telemetry.Batch) error { got.Add(int64(b.Len())); return nil }
	var out bytes.Buffer
	o := IngestOptions{Readings: 20_000, Devices: 300, Rounds: 2, Dir: t.TempDir(), JSON: true, Sink: sink}
	r, err := Ingest(t.Context(), o, &out)
	if err != nil {
		t.Fatal(err)
	}
	if got.Load() != 40_000 || r.Readings != 20_000 || r.Full.PerSecond <= 0 || r.Discard.PerSecond <= 0 {
		t.Errorf("the sink had %d readings in two rounds; report %+v", got.Load(), r)
	}
	var again IngestReport
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("printed %s: %v", out.Bytes(), err)
	}
	out.Reset()
	if err := r.print(&out, false); err != nil || !strings.Contains(out.String(), "log to sink") {
		t.Errorf("printed %q: %v", out.String(), err)
	}
}

func TestIngestMeasuresAgainstTheEngineAlone(t *testing.T) {
	server := engine(t)
	w, err := server.Database(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := Ingest(t.Context(), IngestOptions{Readings: 20_000, Devices: 300, Rounds: 1, Dir: t.TempDir(), Warehouse: w}, &out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Engine == nil || r.Kafka == nil || r.Engine.PerSecond <= 0 || r.Kafka.PerSecond <= 0 || r.EngineRatio <= 0 || r.KafkaRatio <= 0 || r.Full.Memory <= 0 {
		t.Errorf("report %+v", r)
	}
	for _, line := range []string{"read and thrown away", "inserted, decoded before", "ClickHouse's Kafka table engine", "log to sink"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
	if text, err := w.Query(t.Context(), "test", "SELECT count() FROM {db}.raw_counts", "TSV", nil); err != nil || strings.TrimSpace(string(text)) != "0" {
		t.Errorf("left behind: %s rows, %v", text, err)
	}
}

func BenchmarkIngest(b *testing.B) {
	for b.Loop() {
		r, err := Ingest(b.Context(), IngestOptions{Rounds: 3, Dir: b.TempDir()}, b.Output())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Full.PerSecond, "readings/s")
		b.ReportMetric(r.Ratio, "ratio")
	}
}
