package analyzer_test

import (
	"path/filepath"
	"testing"

	"belfry/analyzer"
	"belfry/incidents"
	"belfry/incidents/store"
)

func init() { analyzer.AtADesk = atADesk }

// atADesk hands a report's findings to a desk with the settings it has by default, over
// a database of its own, and counts by rule the incidents that stand for themselves.
func atADesk(t *testing.T, r *analyzer.Report, fleet *analyzer.Fleet) map[string]int {
	t.Helper()
	tickets, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "tickets.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer tickets.Close()
	if err := tickets.Import(t.Context(), fleet.Sites, fleet.Devices); err != nil {
		t.Fatal(err)
	}
	desk := incidents.NewDesk(tickets, incidents.Config{}, nil, nil)
	for all := r.Findings; len(all) > 0; { // an instant at a time, as an analyzer does
		n := 1
		for n < len(all) && all[n].At.Equal(all[0].At) {
			n++
		}
		if err := desk.Receive(t.Context(), all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
	alone, before := map[string]int{}, ""
	for {
		page, err := tickets.Incidents(t.Context(), incidents.Query{Limit: 500, Before: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, inc := range page {
			if before = inc.Ref; inc.Parent == "" {
				alone[inc.Rule]++
			}
		}
		if len(page) < 500 {
			return alone
		}
	}
}
