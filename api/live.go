package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"belfry/incidents"
)

// Feed follows all timelines in the order in which their events were committed.
type Feed interface {
	// LastEvent returns the id of the newest event, 0 when there is none.
	LastEvent(ctx context.Context) (int64, error)
	// Feed returns the events that are asked for.
	Feed(ctx context.Context, q incidents.FeedQuery) ([]incidents.FeedEvent, error)
}

// LiveLimits bound the streams of GET /events. A zero field means its default.
type LiveLimits struct {
	Streams   int           // at once, of all tokens; 200
	PerToken  int           // at once, of one token; 10
	Poll      time.Duration // how often the feed is asked whether it has grown; 250 ms
	Heartbeat time.Duration // how often a comment is sent, and the token looked at again; 15 s
	Slow      time.Duration // how long a client may take to accept what is sent; 20 s
}

func (l LiveLimits) filled() LiveLimits {
	return LiveLimits{orElse(l.Streams, 200), orElse(l.PerToken, 10), orElse(l.Poll, 250*time.Millisecond),
		orElse(l.Heartbeat, 15*time.Second), orElse(l.Slow, 20*time.Second)}
}

func orElse[T comparable](value, instead T) T {
	var zero T
	if value == zero {
		return instead
	}
	return value
}

// streams are the open streams. One goroutine for all of them asks the feed how
// far it is; it runs while there are any.
type streams struct {
	limits LiveLimits
	feed   Feed

	mu     sync.Mutex
	open   int
	of     map[string]int // by token id
	head   int64          // newest id seen
	grown  chan struct{}  // closed when head grows, and replaced
	stop   context.CancelFunc
	ending chan struct{} // closed when the goroutine has ended
}

func newStreams(feed Feed, limits LiveLimits) *streams {
	return &streams{limits: limits.filled(), feed: feed, of: map[string]int{}, grown: make(chan struct{})}
}

// join admits a stream, unless there are too many.
func (s *streams) join(token string, head int64) *Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.limits.Streams || s.of[token] >= s.limits.PerToken {
		return newProblem("too-many-requests", "there are too many streams open; close one first")
	}
	s.open++
	s.of[token]++
	s.head = max(s.head, head)
	if s.open == 1 {
		ctx, stop := context.WithCancel(context.Background())
		s.stop, s.ending = stop, make(chan struct{})
		go s.follow(ctx, s.ending)
	}
	return nil
}

// leave gives a stream's place back; the last one stops the goroutine and waits
// for it.
func (s *streams) leave(token string) {
	s.mu.Lock()
	s.open--
	if s.of[token]--; s.of[token] == 0 {
		delete(s.of, token)
	}
	stop, ending := s.stop, s.ending
	last := s.open == 0
	s.mu.Unlock()
	if last {
		stop()
		<-ending
	}
}

// follow keeps head up to date.
func (s *streams) follow(ctx context.Context, ending chan<- struct{}) {
	defer close(ending)
	tick := time.NewTicker(s.limits.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// An error is no event: the next tick asks again, and a stream that has
		// something to read meets the error itself.
		if id, err := s.feed.LastEvent(ctx); err == nil {
			s.growTo(id)
		}
	}
}

func (s *streams) growTo(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id > s.head {
		s.head = id
		close(s.grown)
		s.grown = make(chan struct{})
	}
}

// place returns how far the feed is, and a channel that closes when it has gone on.
func (s *streams) place() (int64, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.head, s.grown
}

type eventsIn struct {
	Site        string `query:"site" maxLength:"128" doc:"Only of this site"`
	LastEventID string `header:"Last-Event-ID" maxLength:"20" pattern:"^[0-9]*$" doc:"Go on after this id; from now on when left out"`
}

// getEvents begins a stream. What it sends is written by a goroutine of the
// server's, which outlives this call and so may keep nothing of the request.
func (a *app) getEvents(ctx context.Context, in *eventsIn) (*huma.StreamResponse, error) {
	if a.streams.feed == nil {
		return nil, notHere("events")
	}
	head, err := a.streams.feed.LastEvent(ctx)
	if err != nil {
		return nil, err
	}
	after := head
	if in.LastEventID != "" {
		id, err := strconv.ParseInt(in.LastEventID, 10, 64)
		if err != nil {
			return nil, oneFault("Last-Event-ID", "is no event's id")
		}
		after = min(id, head) // the database may be an older copy than the client has seen
	}
	s := &stream{app: a, actor: actorOf(ctx), token: tokenOf(ctx), cred: ctx.Value(credentialKey{}).(credential), asks: incidents.FeedQuery{Site: in.Site, After: after}}
	s.nothing = !s.actor.Follow(&s.asks) // as for a site that does not exist
	if problem := a.streams.join(s.token.ID, head); problem != nil {
		return nil, problem
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		h.SetHeader("Content-Type", "text/event-stream")
		c := humafiber.Unwrap(h).Context()
		s.conn, s.done = c.Conn(), c.Done()
		c.SetBodyStreamWriter(s.write)
	}}, nil
}

// stream is one client's.
type stream struct {
	app     *app
	actor   incidents.Actor
	token   incidents.Token
	cred    credential          // to look at it again
	asks    incidents.FeedQuery // After is how far it has come
	nothing bool
	conn    net.Conn
	done    <-chan struct{} // closed when the server shuts down
}

// write sends events until the client goes, is too slow or may no longer listen.
// A panic here would end the process: nobody else catches it.
func (s *stream) write(w *bufio.Writer) {
	defer s.app.streams.leave(s.token.ID)
	defer func() {
		if r := recover(); r != nil {
			s.app.Log.Error("stream panicked", "request", s.actor.Request, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	beat := time.NewTicker(s.app.streams.limits.Heartbeat)
	defer beat.Stop()
	if !s.send(w, "retry: 2000\n: belfry\n\n") {
		return
	}
	for {
		head, grown := s.app.streams.place()
		if s.asks.After < head {
			if !s.catchUp(ctx, w, head) {
				return
			}
			continue
		}
		select {
		case <-s.done:
			return
		case <-grown:
		case <-beat.C:
			if !s.welcome(ctx) || !s.send(w, ": still here\n\n") {
				return
			}
		}
	}
}

// window is how many ids are read at once.
const window = 500

// catchUp sends a window of what has happened up to head.
func (s *stream) catchUp(ctx context.Context, w *bufio.Writer, head int64) bool {
	s.asks.To = min(s.asks.After+window, head)
	if s.nothing {
		s.asks.After = s.asks.To
		return true
	}
	events, err := s.app.streams.feed.Feed(ctx, s.asks)
	if err != nil {
		s.app.Log.Error("read events for a stream", "request", s.actor.Request, "error", err)
		return false
	}
	text := ""
	for _, e := range events {
		if s.actor.Reads(&e.Event) {
			line, err := liveText(e)
			if err != nil {
				s.app.Log.Error("write an event", "request", s.actor.Request, "error", err)
				return false
			}
			text += line
		}
	}
	s.asks.After = s.asks.To
	return text == "" || s.welcome(ctx) && s.send(w, text)
}

// welcome reports whether the token is still good for listening.
func (s *stream) welcome(ctx context.Context) bool {
	token, problem := s.app.identify(ctx, s.cred, s.actor.Request)
	return problem == nil && token.SameView(s.token)
}

// send writes and flushes; false when the client does not take it in time.
func (s *stream) send(w *bufio.Writer, text string) bool {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.app.streams.limits.Slow)); err != nil {
		return false
	}
	if _, err := w.WriteString(text); err != nil {
		return false
	}
	return w.Flush() == nil
}

// Happening is an entry of some incident's timeline, as a stream has it.
type Happening struct {
	Ref  string `json:"ref"`
	Site string `json:"site,omitempty"`
	Event
}

func liveText(e incidents.FeedEvent) (string, error) {
	view, err := eventView(e.Event)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(Happening{Ref: e.Ref, Site: e.Site, Event: view})
	return fmt.Sprintf("id: %d\nevent: incident\ndata: %s\n\n", e.ID, data), err
}

// describeEvents says in the document what a stream is made of; the library
// can't know.
func describeEvents(doc *huma.OpenAPI) {
	op := doc.Paths[base+"/events"].Get
	op.Responses["200"].Description = "A stream without end. Each event has the id to resume from, the name incident, " +
		"and as its data a timeline's entry with the incident's ref and site. Comments in between keep the connection alive."
	op.Responses["200"].Content = map[string]*huma.MediaType{"text/event-stream": {
		Schema: &huma.Schema{Type: "string"},
		Example: "id: 17\nevent: incident\ndata: {\"ref\":\"INC-000001\",\"site\":\"paris\",\"seq\":2,\"at\":\"2026-03-27T12:00:00Z\"," +
			"\"actor\":\"anna\",\"source\":\"api\",\"kind\":\"take\",\"before\":{\"state\":\"new\"},\"after\":{\"state\":\"in_progress\",\"assignee\":\"anna\"}}\n\n",
	}}
}
