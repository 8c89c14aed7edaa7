package warehouse

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/analyzer"
	"belfry/telemetry"
)

// serveHTTP answers as much of ClickHouse's HTTP interface as clickhouse-go asks
// for in a test, from the engine inside the process: so the driver, its way of
// binding values and of framing data meet a real ClickHouse.
func serveHTTP(e engine) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if user, password, _ := r.BasicAuth(); user != "belfry" || password != "secret" {
			refuse(w, http.StatusForbidden, 516, "Code: 516. DB::Exception: "+user+": Authentication failed")
			return
		}
		if strings.Contains(string(body), "displayName()") {
			w.Header().Set("X-ClickHouse-Format", "Native")
			_, _ = w.Write(hello())
			return
		}
		params := map[string]string{}
		for k, v := range q {
			if name, ok := strings.CutPrefix(k, "param_"); ok {
				params[name] = v[0]
			}
		}
		if insert := q.Get("query"); insert != "" {
			statement, format, _ := strings.Cut(insert, " FORMAT ")
			err = e.Insert(r.Context(), statement, format, body)
			body = nil
		} else {
			body, err = e.Query(r.Context(), string(body), q.Get("default_format"), params)
		}
		if code, refused := Refused(err); refused {
			refuse(w, http.StatusBadRequest, code, err.Error())
			return
		}
		w.Header().Set("X-ClickHouse-Format", q.Get("default_format"))
		_, _ = w.Write(body)
	}
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	http.Error(w, message, status)
}

// hello is the server's answer to the driver's first query, in Native as of the
// protocol version that the driver asks for.
func hello() []byte {
	const version = 54460
	var name, number, zone proto.ColStr
	var revision proto.ColUInt32
	name.Append("belfry test")
	number.Append("26.7.3.1")
	revision.Append(version)
	zone.Append("UTC")
	var b proto.Buffer
	block := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Rows: 1, Columns: 4}
	if err := block.EncodeBlock(&b, version, []proto.InputColumn{
		{Name: "displayName()", Data: name}, {Name: "version()", Data: number},
		{Name: "revision()", Data: revision}, {Name: "timezone()", Data: zone}}); err != nil {
		panic(err)
	}
	return b.Buf
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
	near := &Warehouse{Server: server, db: w.db}
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
