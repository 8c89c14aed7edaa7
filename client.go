package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"belfry/api"
	"belfry/incidents"
)

// client calls the API: that of the process that holds the data folder, or the
// same API served in memory by this process, which then holds the folder. So a
// command does the same and prints the same either way.
type client struct {
	base  string // URL without a path
	token string
	http  *http.Client
	held  holder       // who holds the folder; the zero holder when this process does
	local *process     // nil when another process holds the folder
	end   func() error // gives the folder back
}

// connect reaches the API over the configured data folder. When nobody serves
// it, this process starts the parts named by roles; the API comes by itself.
// The caller closes the client.
func (t *terminal) connect(ctx context.Context, parts ...string) (*client, error) {
	config := t.config
	config.Roles = append([]string{"api"}, parts...)
	p, err := newProcess(ctx, config, processOptions{log: t.quietLogger(), private: true})
	var held *heldError
	if errors.As(err, &held) {
		return t.remote(held)
	}
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- p.run(running) }()
	c := &client{base: "http://belfry", token: p.token, local: p,
		http: &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return p.dial() }}}}
	c.end = func() error {
		c.http.CloseIdleConnections()
		stop()
		return errors.Join(<-done, p.close())
	}
	return c, nil
}

// remote returns a client of the process that holds the folder.
func (t *terminal) remote(held *heldError) (*client, error) {
	if held.by.API == "" {
		return nil, held
	}
	token, err := readToken(held.path)
	if err != nil {
		return nil, err
	}
	return &client{base: held.by.API, token: token, held: held.by, http: &http.Client{}, end: func() error { return nil }}, nil
}

func (c *client) close() error { return c.end() }

// problem is the part of the API's problem documents that a person reads.
type problem struct {
	Title  string            `json:"title"`
	Detail string            `json:"detail"`
	Errors []incidents.Fault `json:"errors"`
	Files  []api.FileFault   `json:"files"`
}

func (p problem) String() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += fmt.Sprintf("\n  %s: %s", e.Field, e.Wrong)
	}
	if len(p.Files) > 0 {
		text += "\n" + api.FaultyRules(p.Files).Error()
	}
	return text
}

// call sends the body as JSON, when there is one, and reads the answer into
// into, when there is one. A refusal becomes an error in the API's words.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var send io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(b)
	}
	answer, err := c.send(ctx, method, path, send)
	if err != nil || into == nil {
		return err
	}
	if raw, ok := into.(*json.RawMessage); ok {
		*raw = answer
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	return nil
}

// refusal is an answer of the API that is none, in its words.
type refusal struct {
	status int
	text   string
}

// Error returns the words.
func (r *refusal) Error() string { return r.text }

// send asks for something; headers are names and values.
func (c *client) send(ctx context.Context, method, path string, body io.Reader, headers ...string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPatch {
		req.Header.Set("If-Match", "*") // a command changes what there is
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.base, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 400 {
		var p problem
		if json.Unmarshal(answer, &p) != nil || p.String() == "" {
			p.Detail = strings.TrimSpace(string(answer))
		}
		return nil, &refusal{resp.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, resp.Status, p)}
	}
	return answer, nil
}

// poll asks until ok says yes; it gives up when the context ends.
func poll(ctx context.Context, every time.Duration, ok func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// ingested says what ingestion has done since its process started.
type ingested struct {
	accepted float64
	refused  map[string]float64
}

// ingested reads the counters of ingestion.
func (c *client) ingested(ctx context.Context) (ingested, error) {
	text, err := c.send(ctx, "GET", "/metrics", nil)
	if err != nil {
		return ingested{}, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return ingested{}, fmt.Errorf("read the metrics: %w", err)
	}
	now := ingested{refused: map[string]float64{}}
	for _, m := range families["belfry_ingest_readings_total"].GetMetric() {
		now.accepted += m.GetCounter().GetValue()
	}
	for _, m := range families["belfry_ingest_rejected_total"].GetMetric() {
		now.refused[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	return now, nil
}

// since returns what was done between two looks.
func (after ingested) since(before ingested) (accepted int64, refused map[string]int64) {
	refused = map[string]int64{}
	for reason, n := range after.refused {
		if d := int64(n - before.refused[reason]); d > 0 {
			refused[reason] = d
		}
	}
	return int64(after.accepted - before.accepted), refused
}

// stuck says since when partitions fail. What fails is tried again, and most of it works
// then: one failure is no reason to give up.
type stuck map[int]time.Time

// stuckFor is how long a partition may fail before it is said not to go on.
const stuckFor = 30 * time.Second

func (s stuck) look(partitions []api.Partition, at time.Time) error {
	for _, p := range partitions {
		since, failed := s[p.Partition]
		switch {
		case p.Error == "":
			delete(s, p.Partition)
		case !failed:
			s[p.Partition] = at
		case at.Sub(since) >= stuckFor:
			return fmt.Errorf("partition %d does not go on: %s", p.Partition, p.Error)
		}
	}
	return nil
}

// waitIngested waits until everything that is in the log now is in the
// warehouse.
func (c *client) waitIngested(ctx context.Context, t *terminal) (ingested, error) {
	began, failing := time.Now(), stuck{}
	bar := t.progress(-1, "records not yet in the warehouse")
	defer bar.Finish()
	err := poll(ctx, 100*time.Millisecond, func() (bool, error) {
		var status api.Ingest
		if err := c.call(ctx, "GET", "/api/v1/ingest", nil, &status); err != nil {
			return false, err
		}
		if err := failing.look(status.Partitions, time.Now()); err != nil {
			return false, err
		}
		var lag int64
		for _, p := range status.Partitions {
			lag += p.LagRecords
		}
		_ = bar.Set64(lag)
		return len(status.Partitions) > 0 && lag == 0 && status.Watermark.After(began), nil
	})
	if err != nil {
		return ingested{}, err
	}
	return c.ingested(ctx)
}
