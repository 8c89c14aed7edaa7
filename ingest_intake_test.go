package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkHTTPIntake is one client that sends batches of 1,000 readings, one
// after another, to a belfry of its own.
func BenchmarkHTTPIntake(b *testing.B) {
	p := serve(b, b.TempDir())
	defer p.kill()
	start := time.Now().Add(-time.Hour).UnixMilli()
	n := 0
	for b.Loop() {
		var body strings.Builder
		for range 1000 {
			fmt.Fprintf(&body, `{"device":"FC-%06d","ts":%d,"in":%d,"out":%d,"interval":900}`+"\n", n%10_000, start+int64(n/10_000)*1000, n%200, n%100)
			n++
		}
		p.must(http.StatusAccepted, "POST", "/api/v1/telemetry", body.String(), nil)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "readings/s")
}
