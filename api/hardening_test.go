package api

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// TestNonsenseIsRefusedInWords sends bodies that no honest client makes.
func TestNonsenseIsRefusedInWords(t *testing.T) {
	h := newHouse(t)
	many := `"INC-000001"` + strings.Repeat(`,"INC-000001"`, 9_999)
	for name, tt := range map[string]struct {
		path, body string
		status     int
		says       string
	}{
		"an unknown field":           {"/incidents", `{"summary":"x","site":"paris","colour":"red"}`, 422, "colour"},
		"two unknown fields":         {"/incidents", `{"summary":"x","site":"paris","a_b":1,"c_d":2}`, 422, "c_d"},
		"broken UTF-8":               {"/incidents", "{\"summary\":\"\xff\xfe\",\"site\":\"paris\"}", 0, ""},
		"a lone surrogate":           {"/incidents", `{"summary":"\ud800","site":"paris"}`, 0, ""},
		"deep JSON":                  {"/incidents", strings.Repeat(`{"summary":`, 200_000) + "1" + strings.Repeat("}", 200_000), 413, ""},
		"deep arrays":                {"/incidents", strings.Repeat("[", 100_000), 400, ""},
		"deep arrays that end":       {"/incidents", strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000), 422, ""},
		"a huge number":              {"/incidents/INC-000001/transitions", `{"transition":"rate","points":1e400}`, 400, "1e400"},
		"a number beyond an integer": {"/incidents/INC-000001/transitions", `{"transition":"rate","points":99999999999999999999}`, 422, "points"},
		"half a number":              {"/incidents/INC-000001/transitions", `{"transition":"rate","points":2.5}`, 422, "points"},
		"ten thousand in a bulk":     {"/incidents/bulk", `{"transition":"take","refs":[` + many + `]}`, 422, "refs"},
		"the same twice in a bulk":   {"/incidents/bulk", `{"transition":"take","refs":["INC-000001","INC-000001"]}`, 422, "twice"},
		"no JSON":                    {"/incidents", `summary=x`, 400, ""},
		"two values":                 {"/incidents", `{"summary":"x","site":"paris"}{}`, 400, ""},
		"a number for an object":     {"/incidents", `7`, 422, ""},
		"a NUL":                      {"/incidents", `{"summary":"a\u0000b","site":"paris"}`, 0, ""},
		"a year of five figures":     {"/incidents/INC-000001/actions", `{"actions":[{"text":"x","due":"99999-01-01T00:00:00Z"}]}`, 422, "due"},
	} {
		if len(tt.body) > MaxBody {
			continue // the next test has those, over a socket
		}
		got := h.call("admin", "POST", base+tt.path, tt.body)
		if got.StatusCode >= 500 || tt.status != 0 && (got.StatusCode != tt.status || !strings.Contains(got.text, tt.says)) {
			t.Errorf("%s: got %d %.300s, want %d with %q", name, got.StatusCode, got.text, tt.status, tt.says)
		}
	}
	h.call("admin", "GET", "/api/v1/version", "").want(t, 200, "")
}

// TestSlowAndSilentClientsAreDropped holds connections that never end a request, or
// never begin one.
func TestSlowAndSilentClientsAreDropped(t *testing.T) {
	h := newHouse(t)
	if got := h.app.Server().ReadTimeout; got <= 0 || got > 10*time.Second {
		t.Errorf("the server waits %s for a header; want at most 10 s", got)
	}
	h.app.Server().ReadTimeout = 200 * time.Millisecond // the same patience, in less time
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.app.Listener(ln) }()
	for name, begin := range map[string]string{"half a header": "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ", "nothing at all": ""} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write([]byte(begin)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		buffer := make([]byte, 4096)
		for err == nil {
			_, err = conn.Read(buffer)
		}
		var slow net.Error
		if errors.As(err, &slow) && slow.Timeout() {
			t.Errorf("%s: the server holds the connection", name)
		}
	}
	if err := errors.Join(h.app.Shutdown(), <-served); err != nil {
		t.Error(err)
	}
}

// TestMetricsByStateAreTheStoresAtAnyMoment compares them after each of many
// changes, and lets promtool look at the page.
func TestMetricsByStateAreTheStoresAtAnyMoment(t *testing.T) {
	h := newHouse(t)
	h.parts.Metrics, h.parts.Registerer = promhttp.HandlerFor(h.metrics, promhttp.HandlerOpts{}), nil
	h.app = New(h.parts)
	r := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		all := h.crowd(r, 8)
		want := map[string]int{}
		for _, i := range all {
			want[fmt.Sprintf("belfry_incidents{category=%q,level=\"%d\",priority=\"%d\",state=%q}", i.Category, i.Level, i.Priority, i.State)]++
		}
		page := h.call("", "GET", "/metrics", "").text
		got := 0
		for line := range strings.Lines(page) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			if !strings.HasPrefix(name, "belfry_incidents{") {
				continue
			}
			got++
			if value != fmt.Sprint(want[name]) {
				t.Errorf("%s is %s, and the store has %d", name, value, want[name])
			}
		}
		if got != len(want) {
			t.Errorf("%d sorts are measured of %d", got, len(want))
		}
	}
	promtool(t, h.call("", "GET", "/metrics", "").text)
}

func promtool(t *testing.T, page string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Log("promtool is not installed (apt-get install prometheus): the page is not checked by it")
		return
	}
	cmd := exec.Command(program, "check", "metrics")
	cmd.Stdin, cmd.Env = strings.NewReader(page), os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestAnIncidentIsChangedOnlyAsItWasSeen(t *testing.T) {
	h := newHouse(t)
	const one = "/api/v1/incidents/INC-000001"
	tag := h.call("first_line", "GET", one, "").Header.Get("ETag")
	h.call("first_line", "PATCH", one, `{"urgency":"low"}`).want(t, 428, "/problems/precondition-required")
	changed := h.call("first_line", "PATCH", one, `{"urgency":"low","category":"data_gap"}`, "If-Match", tag).want(t, 200, `"category":"data_gap"`)
	h.call("first_line", "PATCH", one, `{"urgency":"high"}`, "If-Match", tag).want(t, 412, "/problems/stale")
	h.call("first_line", "PATCH", one, `{"assignee":"bob"}`, "If-Match", changed.Header.Get("ETag")).want(t, 200, `"assignee":"bob"`)
	h.call("first_line", "PATCH", one, `{}`, "If-Match", "*").want(t, 422, "")
	h.call("paris", "PATCH", one, `{"urgency":"high"}`, "If-Match", "*").want(t, 403, "")
	h.call("first_line", "PATCH", one, `{"state":"closed"}`, "If-Match", "*").want(t, 422, "state")
	hook := h.call("manager", "POST", "/api/v1/webhooks", `{"url":"https://a.example/"}`)
	path := "/api/v1/webhooks/" + hook.json["id"].(string)
	h.call("manager", "DELETE", path, "").want(t, 428, "")
	h.call("manager", "DELETE", path, "", "If-Match", `"99"`).want(t, 412, "")
	h.call("manager", "DELETE", path, "", "If-Match", hook.Header.Get("ETag")).want(t, 204, "")
}
