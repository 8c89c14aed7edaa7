package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// listen serves the house on a socket until the test ends, and returns its URL.
func (h *house) listen() string { return h.listenBy(net.ListenConfig{}) }

func (h *house) listenBy(by net.ListenConfig) string {
	h.t.Helper()
	ln, err := by.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- h.app.Listener(ln) }()
	h.t.Cleanup(func() {
		if err := h.app.ShutdownWithTimeout(5 * time.Second); err != nil {
			h.t.Error(err)
		}
		if err := <-served; err != nil {
			h.t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

// lively is a house with events to follow, on a socket.
func lively(t *testing.T, limits LiveLimits) (*house, string) {
	t.Helper()
	h := eventful(t, limits)
	return h, h.listen()
}

func eventful(t *testing.T, limits LiveLimits) *house {
	t.Helper()
	h := newHouse(t, func(p *Parts) {
		limits.Poll = 2 * time.Millisecond
		p.Live = limits
	})
	h.parts.Feed, h.parts.Registerer = h.tickets, nil
	h.app = New(h.parts)
	return h
}

// listener is a client of GET /events.
type listener struct {
	t      *testing.T
	resp   *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (h *house) follow(url, who, query, lastID string) *listener {
	h.t.Helper()
	return h.followBy(http.DefaultTransport, url, who, query, lastID)
}

func (h *house) followBy(way http.RoundTripper, url, who, query, lastID string) *listener {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	h.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/events"+query, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token[who])
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := (&http.Client{Transport: way}).Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = resp.Body.Close() })
	return &listener{h.t, resp, bufio.NewScanner(resp.Body), cancel}
}

// next returns the next event's id and data; "" when the stream has ended.
func (l *listener) next() (id string, data Happening) {
	l.t.Helper()
	for l.lines.Scan() {
		if text, ok := strings.CutPrefix(l.lines.Text(), "id: "); ok {
			id = text
		}
		if text, ok := strings.CutPrefix(l.lines.Text(), "data: "); ok {
			if err := json.Unmarshal([]byte(text), &data); err != nil {
				l.t.Fatalf("%v in %s", err, text)
			}
			return id, data
		}
	}
	return "", Happening{}
}

func (l *listener) want(id, ref string, kind incidents.Transition) {
	l.t.Helper()
	if gotID, got := l.next(); gotID != id || got.Ref != ref || got.Kind != kind {
		l.t.Fatalf("got event %s: %s %s; want %s: %s %s", gotID, got.Ref, got.Kind, id, ref, kind)
	}
}

func TestAStreamTellsWhatHappensAndResumes(t *testing.T) {
	h, url := lively(t, LiveLimits{Heartbeat: 20 * time.Millisecond})
	desk, paris := h.follow(url, "first_line", "", ""), h.follow(url, "paris", "", "")
	if got := desk.resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("got %s", got)
	}
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"secret","internal":true}`).want(t, 201, "")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000002/transitions", `{"transition":"take"}`).want(t, 200, "")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, "")
	desk.want("3", "INC-000001", incidents.Comment)
	desk.want("4", "INC-000002", incidents.Take)
	desk.want("5", "INC-000001", incidents.Take)
	paris.want("5", "INC-000001", incidents.Take) // neither the note nor what is rome's

	again := h.follow(url, "noc", "?site=rome", "1")
	again.want("2", "INC-000002", incidents.Open)
	again.want("4", "INC-000002", incidents.Take)
	ahead := h.follow(url, "noc", "", "999999")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/comments", `{"text":"hello"}`).want(t, 201, "")
	ahead.want("6", "INC-000001", incidents.Comment)

	stranger := h.follow(url, "rome", "?site=paris", "0")
	h.call("rome", "POST", "/api/v1/incidents", `{"summary":"no light"}`).want(t, 201, "")
	own := h.follow(url, "rome", "", "6")
	own.want("7", "INC-000003", incidents.Report)
	h.revoke("rome")
	if id, got := stranger.next(); id != "" {
		t.Errorf("rome is told of paris: %s %v", id, got)
	}
}

// revoke ends the token of that name, found by its secret form.
func (h *house) revoke(who string) {
	h.t.Helper()
	id := strings.Split(h.token[who], "_")[1]
	h.call("admin", "DELETE", "/api/v1/tokens/"+id, "").want(h.t, 204, "")
}

func TestRevokingATokenEndsItsStreams(t *testing.T) {
	h, url := lively(t, LiveLimits{Heartbeat: 5 * time.Millisecond})
	quiet := h.follow(url, "noc", "", "")
	for quiet.lines.Scan() && quiet.lines.Text() != ": still here" {
	}
	h.revoke("noc")
	if id, _ := quiet.next(); id != "" || quiet.lines.Err() != nil {
		t.Errorf("got event %s, %v; want the end", id, quiet.lines.Err())
	}

	h, url = lively(t, LiveLimits{}) // and nothing is sent after it, heartbeat or not
	busy := h.follow(url, "noc", "", "")
	busy.lines.Scan()
	h.revoke("noc")
	h.call("first_line", "POST", "/api/v1/incidents/INC-000001/transitions", `{"transition":"take"}`).want(t, 200, "")
	if id, _ := busy.next(); id != "" {
		t.Errorf("a revoked token is told event %s", id)
	}
}

func TestStreamsAreBoundedAndGiveTheirPlacesBack(t *testing.T) {
	h, url := lively(t, LiveLimits{Streams: 3, PerToken: 2, Heartbeat: 5 * time.Millisecond})
	first := h.follow(url, "noc", "", "")
	h.follow(url, "noc", "", "")
	if got := h.follow(url, "noc", "", "").resp; got.StatusCode != 429 || got.Header.Get("Retry-After") == "" {
		t.Errorf("the third stream of a token: %d, Retry-After %q", got.StatusCode, got.Header.Get("Retry-After"))
	}
	h.follow(url, "admin", "", "")
	if got := h.follow(url, "manager", "", "").resp.StatusCode; got != 429 {
		t.Errorf("the fourth stream: %d", got)
	}
	first.cancel()
	for deadline := time.Now().Add(10 * time.Second); ; {
		l := h.follow(url, "noc", "", "")
		if l.resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a place was not given back")
		}
	}
}

// narrow has a socket hold as little as the kernel allows. Left to itself it holds
// megabytes, and how many is the machine's affair.
func narrow(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) {
		set = errors.Join(syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1), syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 1))
	})
	return errors.Join(err, set)
}

// TestASlowClientIsDropped does not read what is sent; the stream must give up
// rather than hold it all.
func TestASlowClientIsDropped(t *testing.T) {
	h := eventful(t, LiveLimits{Streams: 1, Slow: 500 * time.Millisecond, Heartbeat: 5 * time.Millisecond})
	url := h.listenBy(net.ListenConfig{Control: narrow})
	var many []telemetry.Finding
	for range 400 {
		f := finding("FC-1", "paris")
		f.Scope.Name, f.Summary = strings.Repeat("x", 100)+time.Duration(len(many)).String(), strings.Repeat("long ", 50)
		many = append(many, f)
	}
	if err := h.parts.Desk.Receive(context.Background(), many); err != nil {
		t.Fatal(err)
	}
	slow := &http.Transport{DialContext: (&net.Dialer{Control: narrow}).DialContext}
	defer slow.CloseIdleConnections()
	if got := h.followBy(slow, url, "noc", "", "0").resp.StatusCode; got != 200 {
		t.Fatalf("the slow client: %d", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for again := time.Tick(20 * time.Millisecond); h.follow(url, "admin", "", "").resp.StatusCode != 200; {
		select {
		case <-again:
		case <-ctx.Done():
			t.Fatal("the slow client still holds its place")
		}
	}
}

func TestABadPlaceToResumeFromIsRefused(t *testing.T) {
	h, url := lively(t, LiveLimits{})
	for _, id := range []string{"yesterday", "-1", "99999999999999999999"} {
		if got := h.follow(url, "noc", "", id).resp.StatusCode; got != 422 {
			t.Errorf("Last-Event-ID %s: got %d", id, got)
		}
	}
	if got := h.follow(url, "device", "", "").resp.StatusCode; got != 403 {
		t.Errorf("a device: got %d", got)
	}
}
