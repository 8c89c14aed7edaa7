package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belfry/incidents"
)

// metered is a house with a rate limit and a clock that the test moves.
func metered(t *testing.T, limit RateLimit) (*house, *time.Time) {
	now := noon
	h := newHouse(t, func(p *Parts) { p.Rate, p.Now = limit, func() time.Time { return now } })
	return h, &now
}

func TestATokenThatAsksTooOftenWaits(t *testing.T) {
	h, now := metered(t, RateLimit{PerSecond: 0.5, Burst: 3})
	for range 3 {
		h.call("noc", "GET", "/api/v1/incidents", "").want(t, 200, "")
	}
	got := h.call("noc", "GET", "/api/v1/incidents", "").want(t, 429, "/problems/too-many-requests")
	if got.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q; want 2", got.Header.Get("Retry-After"))
	}
	h.call("first_line", "GET", "/api/v1/incidents", "").want(t, 200, "") // another token's pace is its own
	*now = now.Add(2 * time.Second)
	h.call("noc", "GET", "/api/v1/incidents", "").want(t, 200, "")
	h.call("noc", "GET", "/api/v1/incidents", "").want(t, 429, "")
	for range 10 { // telemetry has the log's own answer to too much
		h.call("device", "POST", "/api/v1/telemetry", `{}`).want(t, 503, "")
	}
}

func TestABucketNeverGivesMoreThanItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := RateLimit{PerSecond: rapid.Float64Range(0.1, 1000).Draw(t, "rate"), Burst: rapid.IntRange(1, 100).Draw(t, "burst")}
		b, at, given := newBuckets(limit), noon, 1
		b.take("x", at)
		for _, ms := range rapid.SliceOfN(rapid.IntRange(-50, 500), 1, 300).Draw(t, "steps") {
			at = at.Add(time.Duration(ms) * time.Millisecond)
			wait, _ := b.take("x", at)
			if wait == 0 {
				given++
				continue
			}
			if again, _ := b.take("x", at.Add(wait+time.Millisecond)); again > 0 && ms >= 0 && !at.Before(b.all["x"].as) {
				t.Fatalf("after waiting %s it says %s", wait, again)
			} else if again == 0 {
				given++
				at = at.Add(wait + time.Millisecond)
			}
		}
		if most := float64(limit.Burst) + b.all["x"].as.Sub(noon).Seconds()*limit.PerSecond + 1e-6; float64(given) > most {
			t.Fatalf("%d were given, %g at most", given, most)
		}
	})
}

func TestFullBucketsAreForgotten(t *testing.T) {
	b := newBuckets(RateLimit{PerSecond: 1, Burst: 1})
	for i := range 3 * manyBuckets {
		b.take(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Millisecond))
	}
	if len(b.all) > manyBuckets+1 {
		t.Errorf("%d buckets are held", len(b.all))
	}
}

func TestChangesAndRefusalsAreRecorded(t *testing.T) {
	h := newHouse(t)
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`, "X-Request-Id", "req-1").want(t, 200, "")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`, "If-Match", `"1"`).want(t, 412, "")
	h.call("rome", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"x"}`).want(t, 404, "")
	h.call("device", "GET", "/api/v1/incidents", "").want(t, 403, "")
	h.call("noc", "GET", "/api/v1/incidents", "").want(t, 200, "")
	h.call("noc", "POST", "/api/v1/rules/check", `{"files":[{"name":"a","text":"b"}]}`).want(t, 503, "")
	h.call("", "GET", "/api/v1/incidents", "").want(t, 401, "")

	list := h.call("manager", "GET", "/api/v1/audit", "").want(t, 200, "")
	var got []string
	for _, item := range list.items() {
		r := item.(map[string]any)
		got = append(got, fmt.Sprint(r["name"], " ", r["method"], " ", r["path"], " ", r["status"]))
	}
	want := []string{
		"<nil> GET /api/v1/incidents 401",
		"device GET /api/v1/incidents 403",
		"rosa POST /api/v1/incidents/INC-000001/comments 404",
		"first_line POST /api/v1/incidents/INC-000001/transitions 412",
		"first_line POST /api/v1/incidents/INC-000001/transitions 200",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	h.call("admin", "GET", "/api/v1/audit?name=first_line&status=200", "").want(t, 200, `"request":"req-1"`)
	if strings.Contains(list.text, "bf_") {
		t.Error("a record holds a token")
	}
	first := h.call("admin", "GET", "/api/v1/audit?limit=2", "").want(t, 200, "401")
	second := h.call("admin", "GET", "/api/v1/audit?limit=2&cursor="+first.json["next"].(string), "").want(t, 200, "rosa")
	if len(second.items()) != 2 {
		t.Errorf("the second page has %d records", len(second.items()))
	}
	h.token["half"] = h.makeToken(incidents.Token{Name: "half", Role: incidents.Manager, Site: "rome"})
	h.call("half", "GET", "/api/v1/audit", "").want(t, 403, "for all")
	h.call("noc", "GET", "/api/v1/audit", "").want(t, 403, "")
}

func TestAFloodOfRefusalsIsFewRecords(t *testing.T) {
	h, now := metered(t, RateLimit{PerSecond: -1})
	for range 300 {
		h.call("device", "GET", "/api/v1/incidents", "").want(t, 403, "")
	}
	if got := len(h.call("admin", "GET", "/api/v1/audit", "").items()); got != refusals.Burst {
		t.Errorf("%d records of 300 refusals; want %d", got, refusals.Burst)
	}
	*now = now.Add(time.Minute)
	h.call("device", "GET", "/api/v1/incidents", "").want(t, 403, "")
	h.call("admin", "GET", "/api/v1/audit?limit=1", "").want(t, 200, fmt.Sprintf(`"unrecorded":%d`, 300-refusals.Burst))
}

func TestAPanicInAChangeIsRecorded(t *testing.T) {
	h := newHouse(t, func(p *Parts) { p.Registry = nil })
	h.call("admin", "POST", "/api/v1/devices", `{"name":"FC-9"}`).want(t, 500, "")
	h.call("admin", "GET", "/api/v1/audit", "").want(t, 200, `"status":500`)
}

func TestOldRecordsAreForgotten(t *testing.T) {
	h, now := metered(t, RateLimit{PerSecond: -1})
	h.call("admin", "POST", "/api/v1/devices", `{"name":"FC-9"}`).want(t, 201, "")
	*now = now.Add(auditKept + time.Hour)
	for range sweptEvery {
		h.call("admin", "POST", "/api/v1/sites", `{}`).want(t, 422, "")
	}
	if got := h.call("admin", "GET", "/api/v1/audit?until="+noon.Add(time.Hour).Format(time.RFC3339), "").items(); len(got) != 0 {
		t.Errorf("%d old records are left", len(got))
	}
}
