package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
)

// unrecorded are the POSTs that change nothing, and telemetry, whose record is the log.
var unrecorded = []string{"/telemetry", "/rules/check", "/rules/explain", "/rules/backtest", "/rules/{name}/backtest"}

// TestEachChangingAndEachRefusedCallIsRecorded makes every operation as one who may,
// as one who may not, as nobody and too often, and reads the audit after each.
func TestEachChangingAndEachRefusedCallIsRecorded(t *testing.T) {
	w := newWays(t)
	now := noon
	w.parts.Now = func() time.Time { now = now.Add(time.Minute); return now } // refusals in a flood are counted, not listed
	w.app = New(w.parts)
	slow := *w.house
	slow.parts.Rate = RateLimit{PerSecond: 1e-9, Burst: 1}
	slow.app = New(slow.parts)
	slow.call("admin", "GET", "/api/v1/version", "")
	newest := func() (r incidents.AuditRecord) {
		list, err := w.tickets.AuditRecords(context.Background(), incidents.AuditQuery{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			r = list[0]
		}
		return r
	}
	seen := map[int]int{}
	w.spec().each(func(method, path string, op *specOperation) {
		real, outsider := w.things.Replace(filled(path, w.hook)), "elsewhere"
		for _, role := range incidents.Roles {
			if !slices.Contains(op.roles(), string(role)) {
				outsider = string(role)
			}
		}
		for _, who := range []string{"admin", outsider, "", "too often"} {
			if who == "admin" && strings.HasSuffix(path, "/events") {
				continue // a stream without end
			}
			before := newest()
			got := answer{}
			if who == "too often" {
				got = slow.call("admin", method, real, op.example(), "If-Match", "*")
			} else {
				got = w.call(who, method, real, op.example(), "If-Match", "*")
			}
			seen[got.StatusCode]++
			want := int64(0)
			if slices.Contains(refused, got.StatusCode) || method != "GET" && !slices.Contains(unrecorded, strings.TrimPrefix(path, base)) {
				want = 1
			}
			r := newest()
			if r.ID-before.ID != want {
				t.Errorf("%s %s as %q answers %d and makes %d records; want %d", method, path, who, got.StatusCode, r.ID-before.ID, want)
			}
			if want == 1 && (r.Method != method || r.Route != path || r.Status != got.StatusCode || r.Request != got.Header.Get(headerRequest) || (r.Name == "") != (who == "")) {
				t.Errorf("%s %s as %q answers %d; the record says %+v", method, path, who, got.StatusCode, r)
			}
		}
	})
	for _, status := range []int{200, 201, 204, 401, 403, 404, 429} {
		if seen[status] == 0 {
			t.Errorf("no call was answered %d", status)
		}
	}
}
