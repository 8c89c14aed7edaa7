package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestIngestDeliversEveryReadingToTheSink(t *testing.T) {
	var got atomic.Int64
	sink := func(_ context.Context, b *telemetry.Batch) error { got.Add(int64(b.Len())); return nil }
	o := IngestOptions{Readings: 10_000, Devices: 300, Rounds: 2, Dir: t.TempDir(), Sink: sink, Delivery: time.Second}
	r, err := Ingest(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Delivery == nil || r.Delivery.Readings < 500 || r.Delivery.P99Millis < r.Delivery.P50Millis || r.Delivery.MaxMillis > 60_000 {
		t.Fatalf("delivery %+v", r.Delivery)
	}
	if got.Load() != 4*20_000+int64(r.Delivery.Readings) || r.Readings != 10_000 || len(r.Formats) != 4 {
		t.Errorf("the sink had %d readings in two rounds of four formats and %d delivered; report %+v", got.Load(), r.Delivery.Readings, r)
	}
	for _, f := range r.Formats {
		if f.Full.PerSecond <= 0 || f.Discard.PerSecond <= 0 || f.Ratio <= 0 || f.Bytes < 10_000*20 {
			t.Errorf("report of %s: %+v", f.Format, f)
		}
	}
	dir := filepath.Join(t.TempDir(), "reports")
	var text, data bytes.Buffer
	if err := errors.Join(Publish(r, "ingest", dir, false, &text), Publish(r, "ingest", dir, true, &data)); err != nil || !strings.Contains(text.String(), "log to sink") {
		t.Errorf("printed %q: %v", text.String(), err)
	}
	var again IngestReport
	if err := json.Unmarshal(data.Bytes(), &again); err != nil || !reflect.DeepEqual(again, *r) {
		t.Errorf("printed %s: %v", data.Bytes(), err)
	}
	for name, want := range map[string]string{"ingest.txt": text.String(), "ingest.json": data.String()} {
		if kept, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(kept) != want {
			t.Errorf("%s holds %q, %v", name, kept, err)
		}
	}
}

func TestIngestMeasuresAgainstTheEngineAlone(t *testing.T) {
	server := engine(t)
	w, err := server.Database(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Ingest(t.Context(), IngestOptions{Readings: 10_000, Devices: 300, Rounds: 1, Formats: []string{"objects", "arrow"}, Dir: t.TempDir(), Warehouse: w, Delivery: time.Second / 2, Backlog: 5000})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Formats {
		if f.Engine == nil || f.Kafka == nil || f.Engine.PerSecond <= 0 || f.Kafka.PerSecond <= 0 || f.EngineRatio <= 0 || f.KafkaRatio <= 0 || f.Parts == nil || f.PartsRatio <= 0 || f.Goal <= 0 || f.Possible <= 0 || f.Full.Memory <= 0 {
			t.Errorf("report %+v", f)
		}
	}
	var out bytes.Buffer
	r.Print(&out)
	for _, line := range []string{"read and thrown away", "read and decoded", "goal 1.00 M/s", "inserted, decoded before", "both, one after the other", "ClickHouse's Kafka table engine", "log to sink", "objects: ", "arrow: ", "delivery: ", "a backlog of 5000"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
	if text, err := w.Query(t.Context(), "test", "SELECT count() FROM {db}.raw_counts", "TSV", nil); err != nil || strings.TrimSpace(string(text)) != "0" {
		t.Errorf("left behind: %s rows, %v", text, err)
	}
}

func TestAFormatThatThereIsNot(t *testing.T) {
	if _, err := Ingest(t.Context(), IngestOptions{Formats: []string{"xml"}}); err == nil || !strings.Contains(err.Error(), "objects, ndjson, arrow, backfill") {
		t.Errorf("got %v", err)
	}
}

func BenchmarkIngest(b *testing.B) {
	for b.Loop() {
		r, err := Ingest(b.Context(), IngestOptions{Rounds: 3, Dir: b.TempDir(), Formats: []string{"objects"}, Delivery: -1})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Formats[0].Full.PerSecond, "readings/s")
		b.ReportMetric(r.Formats[0].Ratio, "ratio")
	}
}
