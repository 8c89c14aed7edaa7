package api

import (
	"bytes"
	"context"
	"errors"

	"github.com/danielgtaylor/huma/v2"
)

// listedLines is how many refused lines an answer lists.
const listedLines = 1000

var telemetryBody = &huma.RequestBody{
	Description: "Readings: one JSON object, an array of them, or newline-delimited objects; gzip with Content-Encoding. " +
		"Each has device and ts (RFC 3339 or epoch milliseconds, the end of the interval), and in and out with an interval in seconds, " +
		"or in_total and out_total as cumulative counters show them (with their modulus, when the device knows it), " +
		"or the named measurements of a heartbeat.",
	Content: map[string]*huma.MediaType{
		"application/json": {
			Schema:  &huma.Schema{OneOf: []*huma.Schema{{Type: "object"}, {Type: "array", Items: &huma.Schema{Type: "object"}}}},
			Example: []map[string]any{{"device": "FC-10042", "ts": "2026-03-27T11:00:00Z", "in": 12, "out": 9, "interval": 900}},
		},
		"application/x-ndjson": {
			Schema:  &huma.Schema{Type: "string"},
			Example: `{"device":"FC-10042","ts":1774609200000,"kind":"heartbeat","temp":41.5}`,
		},
	},
}

type telemetryIn struct{ RawBody []byte }

type telemetryOut struct{ Body Accepted }

// Accepted is the answer to telemetry.
type Accepted struct {
	Accepted int `json:"accepted" doc:"How many readings the log has now"`
}

func (a *app) postTelemetry(ctx context.Context, in *telemetryIn) (*telemetryOut, error) {
	if a.Intake == nil {
		return nil, notHere("telemetry")
	}
	if p := unreadable(in.RawBody); p != nil {
		return nil, p
	}
	accepted, bad, err := a.Intake(ctx, in.RawBody, a.Now())
	switch {
	case errors.Is(err, ErrBusy):
		return nil, newProblem("too-many-requests", "the log is behind; send it again in a while")
	case err != nil:
		a.Log.Error("write telemetry to the log", "request", requestID(ctx), "error", err)
		return nil, newProblem("unavailable", "the log does not answer; nothing was accepted for sure, and sending it again does no harm")
	case len(bad) > 0:
		p := newProblem("bad-lines", "%d readings were refused, %d accepted", len(bad), accepted)
		p.Accepted, p.Bad, p.Lines = &accepted, len(bad), bad[:min(len(bad), listedLines)]
		return nil, p
	}
	return &telemetryOut{Accepted{accepted}}, nil
}

// unreadable says of a body that is in no form of text how it is to be sent.
func unreadable(body []byte) *Problem {
	switch {
	case bytes.HasPrefix(body, []byte{0x1f, 0x8b}):
		return newProblem("unsupported-media-type", "the body is gzip; send it with Content-Encoding: gzip")
	case bytes.HasPrefix(body, []byte{0xff, 0xff, 0xff, 0xff}), bytes.HasPrefix(body, []byte("ARROW1")):
		return newProblem("unsupported-media-type", "the body is Arrow, which only records of the log may be; send JSON here")
	}
	return nil
}

func notHere(what string) *Problem {
	return newProblem("unavailable", "this process does not serve %s", what)
}

type ingestOut struct{ Body Ingest }

func (a *app) getIngest(ctx context.Context, _ *struct{}) (*ingestOut, error) {
	if a.Ingest == nil {
		return nil, notHere("ingestion")
	}
	status, err := a.Ingest(ctx)
	return &ingestOut{status}, err
}

type deadIn struct {
	Reason string `query:"reason" maxLength:"64" doc:"Only what was refused for it, such as bad_ts"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"How many at most"`
	Cursor string `query:"cursor" maxLength:"512" doc:"next of the page before"`
}

func (a *app) listDead(ctx context.Context, in *deadIn) (*listOut[DeadLetter], error) {
	if a.Dead == nil {
		return nil, notHere("dead letters")
	}
	after, err := fromCursor("dead", in.Cursor)
	if err != nil {
		return nil, err
	}
	list, next, err := a.Dead(ctx, in.Reason, in.Limit, after)
	if err != nil {
		return nil, err
	}
	return listed(list, toCursor("dead", next)), nil
}
