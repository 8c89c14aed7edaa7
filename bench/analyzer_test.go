package bench

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"belfry/analyzer"
	"belfry/analyzer/catalogue"
	"belfry/warehouse"
)

// TestTheBenchOfRulesFindsWhatIsWrong runs it small: what it finds is checked by the
// bench itself, which fails when a fault is missed or made up, here or on Prometheus.
func TestTheBenchOfRulesFindsWhatIsWrong(t *testing.T) {
	server := engine(t)
	n := 0
	rules, err := analyzer.Load(catalogue.Defaults()...)
	if err != nil {
		t.Fatal(err)
	}
	o := AnalyzerOptions{Devices: []int{1000, 2000}, Rounds: 1, Rules: rules, Dir: t.TempDir(), Peer: 2000, Midnight: 40,
		Warehouse: func(ctx context.Context) (func() (*warehouse.Warehouse, error), func(), error) {
			n++
			name := "bench" + string(rune('a'+n))
			return func() (*warehouse.Warehouse, error) { return server.Database(ctx, name) }, func() {}, nil
		}}
	if missing := PeerMissing(); missing != "" {
		t.Log("without the comparison: " + missing)
		o.Peer = -1
	}
	r, err := Analyzer(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Fleets) != 2 || r.Fleets[1].Later == 0 || r.Fleets[1].Anew.Findings != 4 || r.Fleets[1].Offline.Findings != 0 || r.Fleets[1].Offline.Holding != 4 || r.Fleets[1].Hour.Rows == 0 || r.Fleets[1].All.Rows == 0 || r.Fleets[1].All.Scans <= 0 {
		t.Errorf("got %+v", r)
	}
	if m := r.Midnight; m.Readings < 40*12*168 || m.First.Ahead.Rows < 40*11*168 || m.Next.Ahead.Pieces == 0 || m.First.Half.Findings+m.Next.Learned.Findings > 0 {
		t.Errorf("got the midnight %+v; want twelve weeks read, and nothing found", m)
	}
	if o.Peer > 0 && (r.Peer.Hits != 5 || r.Peer.Ratio <= 0 || r.Peer.Version == "") {
		t.Errorf("got %+v; want five hits", r.Peer)
	}
	var out bytes.Buffer
	if r.Print(&out); !strings.Contains(out.String(), "default rules") {
		t.Errorf("printed %s", out.String())
	}
}
