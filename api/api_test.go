package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"belfry/incidents"
	"belfry/incidents/store"
	"belfry/telemetry"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// house is an API over real databases, with one token for each role. The sites
// are paris, with FC-1 and INC-000001, and rome, with FC-2 and INC-000002.
type house struct {
	t       *testing.T
	app     *fiber.App
	parts   Parts
	tickets *store.Tickets
	control *store.Control
	token   map[string]string // by role; and "paris" and "rome" for their site managers
	log     *bytes.Buffer
	metrics *prometheus.Registry
}

func newHouse(t *testing.T, change ...func(*Parts)) *house {
	t.Helper()
	ctx := context.Background()
	h := &house{t: t, token: map[string]string{}, log: &bytes.Buffer{}, metrics: prometheus.NewRegistry()}
	empty, err := emptyStores()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, file := range empty {
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if h.tickets, err = store.Open(ctx, filepath.Join(dir, ticketsFile)); err != nil {
		t.Fatal(err)
	}
	if h.control, err = store.OpenControl(ctx, filepath.Join(dir, controlFile)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.tickets.Close(), h.control.Close()); err != nil {
			t.Error(err)
		}
	})
	desk := incidents.NewDesk(h.tickets, incidents.Config{}, h.metrics, nil)
	h.furnish(desk)
	h.parts = Parts{Tenant: "default", Desk: desk, Registry: h.tickets, Tokens: h.control, Registerer: h.metrics, Version: "test",
		Audit: h.tickets, Notices: h.tickets, Sessions: h.control, Links: h.tickets, Answers: store.NewAnswers(h.tickets, h.control), Rate: RateLimit{PerSecond: -1},
		Now: func() time.Time { return noon }, Log: slog.New(slog.NewTextHandler(h.log, nil))}
	for _, c := range change {
		c(&h.parts)
	}
	h.app = New(h.parts)
	return h
}

// Names of a house's databases.
const ticketsFile, controlFile = "tickets.db", "control.db"

// emptyStores are the files of databases in which nothing is yet. Every house begins with
// a copy: making the tables takes longer than most tests.
var emptyStores = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp("", "belfry-api")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tickets, err := store.Open(context.Background(), filepath.Join(dir, ticketsFile))
	if err != nil {
		return nil, err
	}
	control, err := store.OpenControl(context.Background(), filepath.Join(dir, controlFile))
	if err != nil {
		return nil, errors.Join(err, tickets.Close())
	}
	if err := errors.Join(tickets.Close(), control.Close()); err != nil { // what was written is in one file then
		return nil, err
	}
	files := map[string][]byte{}
	for _, name := range []string{ticketsFile, controlFile} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

func (h *house) furnish(desk *incidents.Desk) {
	h.t.Helper()
	ctx := context.Background()
	err := h.tickets.Import(ctx,
		[]telemetry.Site{{ID: "paris", Zone: "Europe/Paris"}, {ID: "rome", Zone: "Europe/Rome"}},
		[]telemetry.Device{{Name: "FC-1", Site: "paris"}, {Name: "FC-2", Site: "rome"}})
	if err == nil {
		err = desk.Receive(ctx, []telemetry.Finding{finding("FC-1", "paris"), finding("FC-2", "rome")})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for _, role := range incidents.Roles {
		site := ""
		if role == incidents.SiteManager {
			site = "paris"
		}
		h.token[string(role)] = h.makeToken(incidents.Token{Name: string(role), Role: role, Site: site})
	}
	h.token["paris"] = h.token["site_manager"]
	h.token["rome"] = h.makeToken(incidents.Token{Name: "rosa", Role: incidents.SiteManager, Site: "rome"})
}

func finding(device, site string) telemetry.Finding {
	value := 80.0
	return telemetry.Finding{Rule: "suspected-offline", Scope: telemetry.Scope{Level: telemetry.LevelDevice, Name: device}, Site: site,
		Condition: telemetry.Firing, At: noon, Since: noon, Category: "suspected_offline", Impact: "device", Urgency: "high",
		Summary: device + " is silent", Value: &value, Evidence: []telemetry.Evidence{{At: noon, What: "silence()", Value: &value}}}
}

func (h *house) makeToken(t incidents.Token) string {
	h.t.Helper()
	t.Tenant = "default"
	_, secret, err := h.control.CreateToken(context.Background(), t, noon)
	if err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// answer is a response, with its body read when it is JSON.
type answer struct {
	*http.Response
	text string
	json map[string]any
}

// call makes a request as a role (or site). Headers are name, value pairs.
func (h *house) call(who, method, path, body string, headers ...string) answer {
	h.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Host = "belfry.test"
	if who != "" {
		req.Header.Set("Authorization", "Bearer "+h.token[who])
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return h.do(req)
}

func (h *house) do(req *http.Request) answer {
	h.t.Helper()
	resp, err := h.app.Test(req, -1)
	if err != nil {
		h.t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	a := answer{Response: resp, text: string(text)}
	h.documented(req, resp.StatusCode)
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(text, &a.json); err != nil {
			h.t.Fatalf("%s %s: %v in %s", req.Method, req.URL, err, text)
		}
	}
	return a
}

// want fails unless the answer has the status and its body holds the text.
func (a answer) want(t *testing.T, status int, text string) answer {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, text) {
		t.Errorf("got %d %s\nwant %d with %q", a.StatusCode, a.text, status, text)
	}
	if a.StatusCode >= 400 {
		if got := a.Header.Get("Content-Type"); got != "application/problem+json" || a.json["type"] == "" || a.json["status"] != float64(status) {
			t.Errorf("a refusal of type %q: %s; want a problem", got, a.text)
		}
	}
	return a
}

func (a answer) items() []any { list, _ := a.json["items"].([]any); return list }

func TestIncidents(t *testing.T) {
	h := newHouse(t)
	list := h.call("first_line", "GET", "/api/v1/incidents", "").want(t, 200, "FC-2 is silent")
	if len(list.items()) != 2 {
		t.Errorf("listed %d, want 2", len(list.items()))
	}
	one := h.call("first_line", "GET", "/api/v1/incidents/INC-000001", "").want(t, 200, `"state":"new"`)
	if one.Header.Get("ETag") != `"1"` {
		t.Errorf("got ETag %s", one.Header.Get("ETag"))
	}
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`, "If-Match", `"1"`).
		want(t, 200, `"assignee":"first_line"`)
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"assign","assignee":"bob"}`, "If-Match", `"1"`).
		want(t, 412, "/problems/stale")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"resolve","code":"fixed","cause":"power","summary":"plugged in","item":"FC-1"}`).
		want(t, 409, "firing, not clear")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"resolve","force":true}`).
		want(t, 422, `"field":"code"`)
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"resolve","code":"fixed","cause":"power","summary":"plugged in","item":"FC-1","force":true,"reason":"shut"}`).
		want(t, 200, `"muted":true`)
	refused := h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 409, "/problems/conflict")
	if fmt.Sprint(refused.json["allowed"]) != "[approve reject rate close comment]" || refused.json["state"] != "resolved" {
		t.Errorf("got %v in %v", refused.json["allowed"], refused.json["state"])
	}
	h.call("second_line", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"between us","internal":true}`).want(t, 201, "between us")
	line := h.call("second_line", "GET", "/api/v1/incidents/INC-000001/timeline", "").want(t, 200, "between us")
	if len(line.items()) != 4 || strings.Contains(line.text, "open_key") {
		t.Errorf("got %s", line.text)
	}
	if got := h.call("paris", "GET", "/api/v1/incidents/INC-000001/timeline", ""); strings.Contains(got.text, "between us") {
		t.Error("a site manager reads internal notes")
	}
	h.call("paris", "GET", "/api/v1/incidents/INC-000001/evidence", "").want(t, 200, "silence()")
	next := h.call("second_line", "GET", "/api/v1/incidents/INC-000001/timeline?limit=3", "").json["next"]
	if got := h.call("second_line", "GET", fmt.Sprintf("/api/v1/incidents/INC-000001/timeline?limit=3&cursor=%s", next), ""); len(got.items()) != 1 {
		t.Errorf("the second page has %s", got.text)
	}
}

func TestIncidentFilters(t *testing.T) {
	h := newHouse(t)
	h.call("manager", "POST", "/api/v1/incidents", `{"summary":"The Door squeaks","site":"rome","urgency":"low"}`).want(t, 201, "INC-000003")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000002/transitions", `{"transition":"take"}`).want(t, 200, "")
	for query, want := range map[string]string{
		"site=rome":                          "INC-000003 INC-000002",
		"site=rome&state=new":                "INC-000003",
		"device=FC-1":                        "INC-000001",
		"category=suspected_offline&level=1": "INC-000002 INC-000001",
		"priority=4":                         "INC-000003",
		"assignee=first_line":                "INC-000002",
		"rule=suspected-offline&condition=firing&state=new": "INC-000001",
		"q=door+squeak":                        "INC-000003",
		"q=squeaks+floor":                      "",
		"updated_since=2026-03-27T12:00:00Z":   "INC-000003 INC-000002 INC-000001",
		"updated_since=2026-03-27T12:00:00.1Z": "",
		"state=closed":                         "",
	} {
		if got := refs(h.call("noc", "GET", "/api/v1/incidents?"+query, "").want(t, 200, "")); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	seen, cursor := "", ""
	for range 3 {
		page := h.call("noc", "GET", "/api/v1/incidents?limit=1&cursor="+cursor, "").want(t, 200, "")
		seen += refs(page) + " "
		cursor, _ = page.json["next"].(string)
	}
	if seen != "INC-000003 INC-000002 INC-000001 " || cursor != "" {
		t.Errorf("page by page: %q, then %q", seen, cursor)
	}
}

func refs(a answer) string {
	var out []string
	for _, i := range a.items() {
		out = append(out, i.(map[string]any)["ref"].(string))
	}
	return strings.Join(out, " ")
}

func TestRequestsThatAreRefused(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("x", 400)
	tests := map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"an unknown path":              {"GET", "/api/v1/nothing", "", 404, "/problems/not-found"},
		"an unknown method":            {"PUT", "/api/v1/incidents", "{}", 405, "/problems/method-not-allowed"},
		"a method of nobody":           {"QUERY", "/api/v1/incidents", "", 405, "/problems/method-not-allowed"},
		"an unknown incident":          {"GET", "/api/v1/incidents/INC-999999", "", 404, `no incident \"INC-999999\"`},
		"what is no reference":         {"GET", "/api/v1/incidents/%27%20OR%201", "", 404, "no incident"},
		"a reference with other zeros": {"GET", "/api/v1/incidents/INC-1", "", 404, "no incident"},
		"an unknown parameter":         {"GET", "/api/v1/incidents?colour=red", "", 422, "query.colour"},
		"an unknown state":             {"GET", "/api/v1/incidents?state=odd", "", 422, "query.state"},
		"a limit of nothing":           {"GET", "/api/v1/incidents?limit=0", "", 422, "query.limit"},
		"a limit of a million":         {"GET", "/api/v1/incidents?limit=1000000", "", 422, "query.limit"},
		"a limit in words":             {"GET", "/api/v1/incidents?limit=many", "", 422, "query.limit"},
		"a priority of 5":              {"GET", "/api/v1/incidents?priority=5", "", 422, "query.priority"},
		"a time that is none":          {"GET", "/api/v1/incidents?updated_since=yesterday", "", 422, "query.updated_since"},
		"a cursor that is none":        {"GET", "/api/v1/incidents?cursor=abc", "", 422, `"field":"cursor"`},
		"another list's cursor":        {"GET", "/api/v1/incidents?cursor=" + toCursor("site", "x"), "", 422, `"field":"cursor"`},
		"a search without end":         {"GET", "/api/v1/incidents?q=" + long, "", 422, "query.q"},
		"an unknown member":            {"POST", "/api/v1/incidents", `{"summary":"x","site":"rome","colour":"red"}`, 422, "colour"},
		"a report without a summary":   {"POST", "/api/v1/incidents", `{"site":"rome"}`, 422, "summary"},
		"a report from nowhere":        {"POST", "/api/v1/incidents", `{"summary":"x"}`, 422, `"field":"site"`},
		"a report from no site":        {"POST", "/api/v1/incidents", `{"summary":"x","site":"oz"}`, 422, "no such site"},
		"a report of no device":        {"POST", "/api/v1/incidents", `{"summary":"x","device":"FC-9"}`, 422, "no such device"},
		"a device on another site":     {"POST", "/api/v1/incidents", `{"summary":"x","device":"FC-1","site":"rome"}`, 422, "not there"},
		"an unknown category":          {"POST", "/api/v1/incidents", `{"summary":"x","site":"rome","category":"ufo"}`, 422, `"field":"category"`},
		"a summary too long":           {"POST", "/api/v1/incidents", `{"site":"rome","summary":"` + long + `"}`, 422, "summary"},
		"what is no JSON":              {"POST", "/api/v1/incidents", `{"summary":`, 400, "/problems/bad-request"},
		"JSON of another type":         {"POST", "/api/v1/incidents", `{"summary":7,"site":"rome"}`, 422, "summary"},
		"an unknown transition":        {"POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"explode"}`, 422, "transition"},
		"a transition of belfry's own": {"POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"auto_resolve"}`, 422, "transition"},
		"an empty comment":             {"POST", "/api/v1/incidents/INC-000001/comments", `{"text":""}`, 422, "text"},
		"an unknown site":              {"GET", "/api/v1/sites/oz", "", 404, `no site \"oz\"`},
		"an unknown device":            {"GET", "/api/v1/devices/FC-9", "", 404, `no device \"FC-9\"`},
		"a site that exists":           {"POST", "/api/v1/sites", `{"id":"rome"}`, 409, "/problems/exists"},
		"a device that exists":         {"POST", "/api/v1/devices", `{"name":"FC-1"}`, 409, "/problems/exists"},
		"a zone that does not exist":   {"POST", "/api/v1/sites", `{"id":"oz","zone":"Emerald/City"}`, 422, "no time zone"},
		"hours that are none":          {"POST", "/api/v1/sites", `{"id":"oz","hours":{"mon":"late"}}`, 422, `"field":"hours"`},
		"a device on no site":          {"POST", "/api/v1/devices", `{"name":"FC-9","site":"oz"}`, 422, "no site"},
		"a change without If-Match":    {"PATCH", "/api/v1/sites/rome", `{"name":"Roma"}`, 428, "/problems/precondition-required"},
		"a role that does not exist":   {"POST", "/api/v1/tokens", `{"name":"x","role":"king"}`, 422, "role"},
		"a site manager of no site":    {"POST", "/api/v1/tokens", `{"name":"x","role":"site_manager"}`, 422, `"field":"site"`},
		"a token of an unknown site":   {"POST", "/api/v1/tokens", `{"name":"x","role":"noc","site":"oz"}`, 422, "no such site"},
		"an unknown token":             {"DELETE", "/api/v1/tokens/aaaaaaaa", "", 404, "no token"},
		"readings of a backward span":  {"GET", "/api/v1/devices/FC-1/readings?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "", 503, ""},
		"telemetry without intake":     {"POST", "/api/v1/telemetry", `{}`, 503, "/problems/unavailable"},
		"rules without an analyzer":    {"GET", "/api/v1/rules", "", 503, "does not serve rules"},
		"one rule without an analyzer": {"GET", "/api/v1/rules/x", "", 503, "does not serve rules"},
		"a check without an analyzer":  {"POST", "/api/v1/rules/check", `{"files":[{"name":"a","text":"b"}]}`, 503, ""},
		"ingest without a log":         {"GET", "/api/v1/ingest", "", 503, ""},
		"a pause without a log":        {"POST", "/api/v1/ingest/pause", `{}`, 503, ""},
		"going on without a log":       {"POST", "/api/v1/ingest/resume", `{}`, 503, ""},
		"dead letters without a log":   {"GET", "/api/v1/ingest/dead", "", 503, ""},
		"an unknown problem":           {"GET", "/problems/none", "", 404, ""},
		"metrics without a registry":   {"GET", "/metrics", "", 404, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.call("admin", tt.method, tt.path, tt.body).want(t, tt.status, tt.says)
		})
	}
	h.t = t
	h.call("admin", "POST", "/api/v1/incidents", `{}`, "Content-Encoding", "br").want(t, 415, "gzip or none")
	h.call("admin", "POST", "/api/v1/incidents", `{}`, "Content-Encoding", "gzip").want(t, 400, "not gzip")
	h.call("admin", "POST", "/api/v1/incidents", zipped(t, make([]byte, MaxBody+1)), "Content-Encoding", "gzip").want(t, 413, "unpacks to more")
	if strings.Contains(h.log.String(), "level=ERROR") {
		t.Errorf("a refusal is in the log as an error: %s", h.log)
	}
}

func zipped(t *testing.T, plain []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestASiteHasTheHolidaysOfAPlace(t *testing.T) {
	h := newHouse(t)
	patch := func(body string) answer {
		return h.call("manager", "PATCH", "/api/v1/sites/oslo", body, "If-Match", "*")
	}
	h.call("manager", "POST", "/api/v1/sites", `{"id":"oslo","zone":"Europe/Oslo","holidays":"no"}`).want(t, 201, `"holidays":{"of":"NO","as":"sun"}`)
	h.call("noc", "GET", "/api/v1/sites/oslo", "").want(t, 200, `"holidays":{"of":"NO","as":"sun"}`)
	patch(`{"holidays":{"of":"AU-VIC","closed":true,"no_alarms":true}}`).want(t, 200, `"holidays":{"of":"AU-VIC","closed":true,"no_alarms":true}`)
	patch(`{"name":"Oslo"}`).want(t, 200, `"holidays":{"of":"AU-VIC","closed":true,"no_alarms":true}`)
	for body, want := range map[string]string{
		`{"holidays":{"of":"AU"}}`:              "want AU-ACT, AU-NSW",
		`{"holidays":"UK"}`:                     "want GB-ENG",
		`{"holidays":{"of":"US","as":"noday"}}`: "no weekday",
		`{"holidays":{"of":"US","shut":true}}`:  `"field":"holidays"`,
		`{"holidays":["US"]}`:                   `"field":"holidays"`,
	} {
		if got := patch(body); got.StatusCode != 422 || !strings.Contains(got.text, want) {
			t.Errorf("%s: got %d %s; want %s", body, got.StatusCode, got.text, want)
		}
	}
	if got := patch(`{"holidays":""}`).want(t, 200, "Oslo"); strings.Contains(got.text, "holidays") {
		t.Errorf("taken away: got %s", got.text)
	}
	file := `{"sites":[{"id":"bath","holidays":{"of":"gb-eng"}}],"devices":[]}`
	h.call("manager", "POST", "/api/v1/devices/import", file).want(t, 200, `"sites":1`)
	h.call("noc", "GET", "/api/v1/sites/bath", "").want(t, 200, `"holidays":{"of":"GB-ENG","as":"sun"}`)
	h.call("manager", "POST", "/api/v1/devices/import", strings.Replace(file, "gb-eng", "gb-sct", 1)).want(t, 422, "want GB-ENG, GB-WLS")
	h.call("manager", "POST", "/api/v1/devices/import", strings.Replace(file, `"of"`, `"for"`, 1)).want(t, 400, "for")
}

func TestRegistry(t *testing.T) {
	h := newHouse(t)
	h.call("manager", "POST", "/api/v1/sites", `{"id":"oslo","zone":"Europe/Oslo","hours":{"mon-fri":"09:00-17:00"}}`).want(t, 201, `"fri":"09:00-17:00"`)
	site := h.call("noc", "GET", "/api/v1/sites/oslo", "").want(t, 200, `"status":"open"`)
	h.call("manager", "PATCH", "/api/v1/sites/oslo", `{"status":"refit"}`, "If-Match", site.Header.Get("ETag")).want(t, 200, `"status":"refit"`)
	h.call("manager", "PATCH", "/api/v1/sites/oslo", `{"status":"open"}`, "If-Match", site.Header.Get("ETag")).want(t, 412, "/problems/stale")
	h.call("manager", "PATCH", "/api/v1/sites/oslo", `{"zone":"x"}`, "If-Match", `*`).want(t, 422, "no time zone")

	h.call("manager", "POST", "/api/v1/devices", `{"name":"dock 3/left","site":"oslo","heartbeat_every":0}`).want(t, 201, `"heartbeat_every":0`)
	device := h.call("noc", "GET", "/api/v1/devices/dock%203%2Fleft", "").want(t, 200, `"site":"oslo"`)
	h.call("manager", "PATCH", "/api/v1/devices/dock%203%2Fleft", `{"labels":{"floor":"1"}}`, "If-Match", device.Header.Get("ETag")).want(t, 200, `"floor":"1"`)
	h.call("manager", "PATCH", "/api/v1/devices/FC-1", `{"site":"nowhere"}`, "If-Match", `"1"`).want(t, 422, "no site")
	for query, want := range map[string]int{"site=oslo": 1, "q=fc": 2, "status=retired": 0, "limit=2": 2, "": 3} {
		if got := h.call("noc", "GET", "/api/v1/devices?"+query, "").items(); len(got) != want {
			t.Errorf("devices?%s: got %d, want %d", query, len(got), want)
		}
	}
	first := h.call("noc", "GET", "/api/v1/sites?limit=3", "").want(t, 200, "oslo")
	h.call("noc", "GET", "/api/v1/sites?limit=3&cursor="+first.json["next"].(string), "").want(t, 200, "unassigned")
}

func TestImportTakesAllOrNothing(t *testing.T) {
	h := newHouse(t)
	bad := `{"sites":[{"id":"oslo"},{"id":"oz","zone":"x"}],"devices":[{"name":"FC-1","site":"rome"},{"name":"","site":"oslo"},{"name":"FC-3","site":"atlantis"}]}`
	got := h.call("admin", "POST", "/api/v1/devices/import", bad).want(t, 422, "3 faults")
	for _, want := range []string{"sites[1]", "devices[1]", "devices[2]", "atlantis"} {
		if !strings.Contains(got.text, want) {
			t.Errorf("%s is missing in %s", want, got.text)
		}
	}
	h.call("admin", "GET", "/api/v1/sites/oslo", "").want(t, 404, "")
	h.call("admin", "GET", "/api/v1/devices/FC-1", "").want(t, 200, "paris")
	good := `{"sites":[{"id":"oslo"}],"devices":[{"name":"FC-1","site":"oslo"},{"name":"FC-3"}]}`
	h.call("admin", "POST", "/api/v1/devices/import", zipped(t, []byte(good)), "Content-Encoding", "gzip").want(t, 200, `"devices":2`)
	h.call("admin", "GET", "/api/v1/devices/FC-1", "").want(t, 200, "oslo")
	hours := `{"sites":[{"id":"a","hours":{"mon":"late"}},{"id":"b","zone":"x"}],"devices":[{"name":""}]}`
	h.call("admin", "POST", "/api/v1/devices/import", hours).want(t, 422, "3 faults")
	h.call("admin", "POST", "/api/v1/devices/import", `{"doors":[]}`).want(t, 400, "doors")
	h.call("paris", "POST", "/api/v1/devices/import", good).want(t, 403, "")
}

func TestTelemetry(t *testing.T) {
	var got string
	var fail error
	h := newHouse(t, func(p *Parts) {
		p.Intake = func(_ context.Context, body []byte, _ time.Time) (int, []BadLine, error) {
			got = string(body)
			if strings.Contains(got, "bad") {
				return 1, []BadLine{{Line: 2, Reason: "not-json", Detail: "want an object"}}, nil
			}
			return 1, nil, fail
		}
	})
	reading := `{"device":"FC-1","ts":"2026-03-27T11:00:00Z","in":1,"out":2}`
	h.call("device", "POST", "/api/v1/telemetry", reading).want(t, 202, `{"accepted":1}`)
	h.call("device", "POST", "/api/v1/telemetry", zipped(t, []byte(reading+"\n")), "Content-Encoding", "gzip", "Content-Type", "application/x-ndjson").want(t, 202, "")
	if got != reading+"\n" {
		t.Errorf("the intake was given %q", got)
	}
	many := strings.Repeat(reading+"\n", 2*MaxBody/len(reading))
	h.call("device", "POST", "/api/v1/telemetry", many).want(t, 202, "")
	h.call("device", "POST", "/api/v1/telemetry", zipped(t, make([]byte, MaxTelemetry+1)), "Content-Encoding", "gzip").want(t, 413, "unpacks")
	bad := h.call("device", "POST", "/api/v1/telemetry", reading+"\nbad").want(t, 400, `"line":2`)
	if bad.json["accepted"] != 1.0 || bad.json["bad"] != 1.0 || bad.json["type"] != "/problems/bad-lines" {
		t.Errorf("got %s", bad.text)
	}
	h.call("device", "POST", "/api/v1/telemetry", "").want(t, 400, "body is required")
	h.call("device", "POST", "/api/v1/telemetry", zipped(t, []byte(reading))).want(t, 415, "Content-Encoding: gzip")
	h.call("device", "POST", "/api/v1/telemetry", "\xff\xff\xff\xff\x10").want(t, 415, "Arrow")
	h.call("first_line", "POST", "/api/v1/telemetry", reading).want(t, 403, "first_line")
	h.call("device", "GET", "/api/v1/incidents", "").want(t, 403, "device")
	fail = errors.New("broker 3 is on fire")
	down := h.call("device", "POST", "/api/v1/telemetry", reading).want(t, 503, "the log does not answer")
	if strings.Contains(down.text, "fire") || down.Header.Get("Retry-After") == "" || !strings.Contains(h.log.String(), "on fire") {
		t.Errorf("got %s, Retry-After %q", down.text, down.Header.Get("Retry-After"))
	}
	fail = fmt.Errorf("produce: %w", ErrBusy)
	h.call("device", "POST", "/api/v1/telemetry", reading).want(t, 429, "behind")
}

func TestAnIdempotencyKeyMakesARequestSafeToRepeat(t *testing.T) {
	h := newHouse(t)
	report := `{"summary":"door 2 is dead","site":"paris"}`
	first := h.call("manager", "POST", "/api/v1/incidents", report, "Idempotency-Key", `"k-1"`).want(t, 201, "INC-000003")
	again := h.call("manager", "POST", "/api/v1/incidents", report, "Idempotency-Key", `k-1`).want(t, 201, "INC-000003")
	if first.text != again.text {
		t.Errorf("got %s\nthen %s", first.text, again.text)
	}
	h.call("manager", "POST", "/api/v1/incidents", `{"summary":"another","site":"paris"}`, "Idempotency-Key", "k-1").want(t, 422, "/problems/idempotency-key-reused")
	h.call("first_line", "POST", "/api/v1/incidents", report, "Idempotency-Key", "k-1").want(t, 201, "INC-000004")
	for range 2 {
		h.call("manager", "POST", "/api/v1/incidents/INC-000003/comments", `{"text":"hello"}`, "Idempotency-Key", "k-1").want(t, 201, "hello")
		h.call("manager", "POST", "/api/v1/incidents/INC-000003/transitions", `{"transition":"take"}`, "Idempotency-Key", "k-1", "If-Match", `"2"`).want(t, 200, "in_progress")
	}
	h.call("manager", "POST", "/api/v1/incidents/INC-000004/transitions", `{"transition":"take"}`, "Idempotency-Key", "k-1").want(t, 422, "idempotency")
	if line := h.call("manager", "GET", "/api/v1/incidents/INC-000003/timeline", ""); len(line.items()) != 3 {
		t.Errorf("the timeline has %d entries, want 3", len(line.items()))
	}
}

func TestRulesAndIngestArePassedOn(t *testing.T) {
	h := newHouse(t, func(p *Parts) {
		p.Rules = func(context.Context) ([]Rule, error) { return []Rule{{Name: "suspected-offline", Hash: "h1"}}, nil }
		p.CheckRules = func(_ context.Context, files []RuleFile) ([]FileFault, error) {
			return []FileFault{{files[0].Name, 3, 7, "no signal silense(); did you mean silence()"}}, nil
		}
		p.Backtest = func(_ context.Context, q BacktestQuery) (json.RawMessage, error) {
			if len(q.Files) > 0 {
				return nil, fmt.Errorf("backtest: %w", FaultyRules{{"a.yaml", 1, 1, "not YAML"}})
			}
			return json.RawMessage(`{"findings":44}`), nil
		}
		p.Readings = func(_ context.Context, q ReadingsQuery) ([]Reading, error) {
			return []Reading{{TS: q.To, In: 3, Out: 2, Readings: int64(q.Step / time.Minute)}}, nil
		}
		p.Ingest = func(context.Context) (Ingest, error) {
			return Ingest{Topic: "t", Partitions: []Partition{{LagRecords: 7}}}, nil
		}
		p.Dead = func(_ context.Context, reason string, _ int, cursor string) ([]DeadLetter, string, error) {
			if reason == "bad_ts" {
				return nil, "", fmt.Errorf("ask for the ends: %w", ErrAway)
			}
			return []DeadLetter{{ID: "0-1", Reason: "not-json", Body: cursor}}, "0-1", nil
		}
	})
	h.call("noc", "GET", "/api/v1/rules", "").want(t, 200, "suspected-offline")
	h.call("noc", "GET", "/api/v1/rules/suspected-offline", "").want(t, 200, `"hash":"h1"`)
	h.call("noc", "GET", "/api/v1/rules/other", "").want(t, 404, "no rule")
	h.call("noc", "POST", "/api/v1/rules/check", `{"files":[{"name":"a.yaml","text":"x"}]}`).want(t, 200, "silense")
	h.call("noc", "POST", "/api/v1/rules/backtest", `{"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"}`).want(t, 200, `{"findings":44}`)
	h.call("noc", "POST", "/api/v1/rules/backtest", `{"from":"2026-03-01T00:00:00Z","to":"2026-02-01T00:00:00Z"}`).want(t, 422, `"field":"to"`)
	h.call("noc", "POST", "/api/v1/rules/backtest", `{"files":[{"name":"a.yaml","text":"x"}],"from":"2026-01-01T00:00:00Z","to":"2026-02-01T00:00:00Z"}`).
		want(t, 422, "not YAML")
	span := "/api/v1/devices/FC-1/readings?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
	h.call("paris", "GET", span+"&step=1h", "").want(t, 200, `"readings":60`)
	h.call("paris", "GET", span+"&step=soon", "").want(t, 422, "step")
	h.call("paris", "GET", span+"&step=1s", "").want(t, 422, "more than 10000 steps")
	h.call("rome", "GET", span, "").want(t, 404, "no device")
	h.call("paris", "GET", "/api/v1/devices/FC-1/readings?from=2026-01-01T00:00:00Z", "").want(t, 422, "to")
	h.call("noc", "GET", "/api/v1/ingest", "").want(t, 200, `"lag_records":7`)
	h.call("noc", "GET", "/api/v1/ingest/dead?cursor="+toCursor("dead", "0-9"), "").want(t, 200, `"body":"0-9"`)
	h.call("noc", "GET", "/api/v1/ingest/dead?reason=bad_ts", "").want(t, 503, "the log does not answer")
}
