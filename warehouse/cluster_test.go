package warehouse

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/analyzer"
	"belfry/telemetry"
	"belfry/warehouse/door"
)

// trusted runs whatever it is given, as a ClickHouse server does for its owner.
type trusted struct{ engine }

func (e trusted) Run(ctx context.Context, s door.Statement, result door.Result) error {
	out, err := e.Query(ctx, s.SQL, s.Format, s.Params)
	if err != nil {
		return err
	}
	return result(s.Format, 0, out)
}

// serveHTTP is belfry's own door in front of the engine inside the process, open
// for the owner alone, and besides it takes inserts: so clickhouse-go, its way
// of binding values and of framing data meet a real ClickHouse.
func serveHTTP(e engine) http.HandlerFunc {
	d := door.New(door.Options{Penalty: time.Millisecond, Users: func(_ context.Context, user, password string) (door.Backend, error) {
		if user != "belfry" || password != "secret" {
			return nil, door.ErrDenied
		}
		return trusted{e}, nil
	}})
	return func(w http.ResponseWriter, r *http.Request) {
		statement, format, insert := strings.Cut(r.URL.Query().Get("query"), " FORMAT ")
		if !insert {
			d.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = e.Insert(r.Context(), statement, format, body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

func TestOverHTTPTheAnswersAreTheSame(t *testing.T) {
	web := httptest.NewServer(serveHTTP(server.engine))
	defer web.Close()
	far, err := Open(Options{Addresses: []string{web.Listener.Addr().String()}, User: "belfry", Password: "secret", Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	w, err := far.Database(t.Context(), open(t).Name()+"_far")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
	insert(t, w, func(b *telemetry.Batch) {
		count(b, "a", noon, noon, 1, 3, 4)
		heartbeat(b, "a", noon, noon, 2, "it's", 21.5)
	})
	s := analyzer.Scan{AsOf: noon, Columns: []analyzer.Column{
		{Fn: analyzer.SumIn, Kind: telemetry.Count, From: noon.Add(-time.Hour), To: noon},
		{Fn: analyzer.Last, Kind: telemetry.Heartbeat, Measure: "it's"}, {Fn: analyzer.LastArrival}}}
	near := server.warehouse(w.db)
	if got, want := scanned(t, w, s, "a"), scanned(t, near, s, "a"); got != want || !strings.HasPrefix(want, "3 21.5 ") {
		t.Errorf("scan: over HTTP %q, in the process %q", got, want)
	}
	rows := 0
	if err := w.Load(t.Context(), noon.Add(-time.Hour), noon, func(b *telemetry.Batch) error { rows += b.Len(); return nil }); err != nil || rows != 2 {
		t.Errorf("load: got %d rows, %v; want 2", rows, err)
	}
	_, err = w.Query(t.Context(), "test", "SELECT * FROM {db}.nowhere", "TSV", nil)
	if code, ok := Refused(err); !ok || code != 60 {
		t.Errorf("got %v, want ClickHouse's code 60", err)
	}
}

func TestAServerThatRefusesOrIsAwayIsToldApart(t *testing.T) {
	web := httptest.NewServer(serveHTTP(server.engine))
	stranger, err := Open(Options{Addresses: []string{web.Listener.Addr().String()}, User: "belfry", Password: "wrong"})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, err = stranger.Database(context.Background(), "x")
	if code, ok := Refused(err); !ok || code != 516 {
		t.Errorf("a wrong password: got %v, want code 516", err)
	}
	web.Close()
	if _, err = stranger.Database(context.Background(), "x"); err == nil {
		t.Error("a server that is away answered")
	} else if _, ok := Refused(err); ok {
		t.Errorf("a server that is away: %v counts as a refusal", err)
	}
}
