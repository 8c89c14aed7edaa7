package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"belfry/api"
	"belfry/incidents/store"
)

// send posts readings of a thousand devices that ended at the times, and returns
// the answer; its body is closed.
func (p *program) send(from time.Time, times int) (resp *http.Response, problem api.Problem) {
	p.t.Helper()
	var body strings.Builder
	for k := range times {
		for device := range 1000 {
			fmt.Fprintf(&body, `{"device":"FC-%06d","ts":%d,"in":1,"out":1,"interval":900}`+"\n", device, from.Add(time.Duration(k)*15*time.Minute).UnixMilli())
		}
	}
	req, err := http.NewRequestWithContext(p.t.Context(), "POST", p.api+"/api/v1/telemetry", strings.NewReader(body.String()))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if resp, err = http.DefaultClient.Do(req); err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		if err := json.NewDecoder(resp.Body).Decode(&problem); err != nil {
			p.t.Fatal(err)
		}
	}
	return resp, problem
}

// A fleet of a thousand sends the 672,000 readings that it has kept for a week, while
// its warehouse is slow. What its devices send now waits behind a third of them, the
// rest waits where it is kept, and in the end all of it is there.
func TestAFleetThatSendsAWeekAtOnceIsToldToWaitAndItsLiveReadingsAreNot(t *testing.T) {
	clickhouse := startClickHouse(t, t.TempDir())
	p := serve(t, t.TempDir(), "BELFRY_WAREHOUSE_ADDRESSES="+clickhouse.address)
	waiting := func() (records int64) {
		var s api.Ingest
		p.must(http.StatusOK, "GET", "/api/v1/ingest", "", &s)
		for _, part := range s.Partitions {
			records += part.LagRecords
		}
		return records
	}
	clickhouse.gate.Lock()
	open := clickhouse.gate.Unlock
	defer func() { open() }()
	const body = 20 // times, of a thousand readings each
	week := time.Now().Add(-7 * 24 * time.Hour).Truncate(time.Minute)
	sent := 0
	for ; ; sent++ {
		resp, problem := p.send(week.Add(time.Duration(sent*body)*15*time.Minute), body)
		if resp.StatusCode == http.StatusTooManyRequests {
			if resp.Header.Get("Retry-After") != "5" || problem.Type != "/problems/too-many-requests" || !strings.Contains(problem.Detail, "send it again") {
				t.Errorf("Retry-After %q, %+v", resp.Header.Get("Retry-After"), problem)
			}
			break
		}
		if resp.StatusCode != http.StatusAccepted || sent > 11 {
			t.Fatalf("body %d of kept readings: %d %+v", sent, resp.StatusCode, problem)
		}
		p.await(time.Minute, "what was sent to be seen to wait", func() bool { return waiting() == int64(sent+1)*body*1000 })
	}
	if sent != 11 { // the first of them with which it is more than 200,000
		t.Errorf("%d bodies of %d kept readings were taken; want 11", sent, body*1000)
	}
	if resp, problem := p.send(time.Now().Truncate(time.Minute), 1); resp.StatusCode != http.StatusAccepted {
		t.Errorf("live readings: %d %+v", resp.StatusCode, problem)
	}
	open()
	open = func() {}
	p.await(3*time.Minute, "kept readings to be taken again", func() bool {
		resp, _ := p.send(week.Add(time.Duration(sent*body)*15*time.Minute), body)
		return resp.StatusCode == http.StatusAccepted
	})
	count := "SELECT uniqExact(device, ts) FROM " + databaseOf(store.Tenant{Name: store.DefaultTenant}) + ".raw_counts"
	want := fmt.Sprint((sent+1)*body*1000 + 1000)
	p.await(3*time.Minute, "all of them to be in the warehouse", func() bool { return clickhouse.query(t, count)[0][0] == want })
}

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
