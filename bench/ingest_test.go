package bench

import (
	"bytes"
	"context"
	"encoding/json"
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
	if err := json.Unmarshal(out.Bytes(), &again); err != nil || again != r {
		t.Errorf("printed %s: %v", out.Bytes(), err)
	}
	out.Reset()
	if err := r.print(&out, false); err != nil || !strings.Contains(out.String(), "log to sink") {
		t.Errorf("printed %q: %v", out.String(), err)
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
