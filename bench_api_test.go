package main

import (
	"encoding/json"
	"testing"

	"belfry/bench"
)

func TestBenchAPIListsWhatThereIs(t *testing.T) {
	out := mustCommand(t, "bench", "api", "--incidents=3000", "--rate=36", "--for=2s", "--json")
	var r bench.APIReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("printed %s: %v", out, err)
	}
	if r.Incidents != 3000 || r.Requests != 72 || r.Failed != 0 || r.All.Requests != 72 || r.Mirrored <= 0 {
		t.Errorf("%d requests among %d incidents, %d answered, %d failed, %.0f events a second mirrored; want 72, 3000, 72, none, some",
			r.Requests, r.Incidents, r.All.Requests, r.Failed, r.Mirrored)
	}
	rows, sum := map[string]int{}, 0
	for _, list := range r.Lists {
		rows[list.List], sum = list.Rows, sum+list.Requests
	}
	if sum != 72 || rows[""] != 20 || rows["state=in_progress"] != 20 || rows["q=site-0031"] != 10 || rows["category=clock_skew&state=in_progress&priority=2"] != 0 {
		t.Errorf("%d requests, rows %v", sum, rows)
	}
}
