package warehouse

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"belfry/telemetry"
)

func TestADatabaseMovesToServers(t *testing.T) {
	web := httptest.NewServer(serveHTTP(server.engine))
	defer web.Close()
	far, err := Open(Options{Addresses: []string{web.Listener.Addr().String()}, User: "belfry", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	here := open(t)
	register(t, here, "paris", "Europe/Paris", "a")
	insert(t, here, func(b *telemetry.Batch) {
		for i := range 1000 {
			count(b, "a", noon.Add(time.Duration(i)*time.Minute), noon, int64(i), 3, 4)
		}
		heartbeat(b, "a", noon, noon, 2000, "temp", 21.5)
	})
	there, err := far.Database(t.Context(), here.Name()+"_moved")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time is after an interruption
		if err := here.CopyTo(t.Context(), there, func(string, int) {}); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		"SELECT site, day, `in`, `out`, readings FROM {db}.daily ORDER BY ALL",
		"SELECT * FROM {db}.heartbeats",
		"SELECT * FROM {db}.latest",
	} {
		if got, want := tsv(t, there, sql), tsv(t, here, sql); got != want || want == "" {
			t.Errorf("%s: there %q, here %q", sql, got, want)
		}
	}
	insert(t, there, func(b *telemetry.Batch) { count(b, "a", noon.Add(-time.Hour), noon, 5000, 1, 1) })
	if err := here.CopyTo(t.Context(), there, func(string, int) {}); err == nil || !strings.Contains(err.Error(), "compare") {
		t.Errorf("a copy that differs: got %v", err)
	}
}
