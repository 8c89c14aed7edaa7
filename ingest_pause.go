package main

import (
	"context"
	"errors"
	"fmt"

	"belfry/api"
	"belfry/incidents"
	"belfry/ingest"
)

type ingestPauseCommand struct {
	Partitions []int `arg:"" optional:"" name:"partition" help:"Which partitions; none: all of them."`
	JSON       bool  `help:"Print JSON."`
}

// Run pauses ingestion and prints how far it is.
func (c *ingestPauseCommand) Run(ctx context.Context, t *terminal) error {
	return setPaused(ctx, t, "pause", c.Partitions, c.JSON)
}

type ingestResumeCommand struct {
	Partitions []int `arg:"" optional:"" name:"partition" help:"Which partitions; none: all of them."`
	JSON       bool  `help:"Print JSON."`
}

// Run lets ingestion go on and prints how far it is.
func (c *ingestResumeCommand) Run(ctx context.Context, t *terminal) error {
	return setPaused(ctx, t, "resume", c.Partitions, c.JSON)
}

func setPaused(ctx context.Context, t *terminal, do string, partitions []int, asJSON bool) error {
	a, err := t.connect(ctx, "ingest")
	if err != nil {
		return err
	}
	defer a.close()
	var status api.Ingest
	if err := a.call(ctx, "POST", "/api/v1/ingest/"+do, api.PauseQuery{Partitions: partitions}, &status); err != nil {
		return err
	}
	return printIngest(t, status, asJSON)
}

// pauseIngest is POST /api/v1/ingest/pause and /resume.
func (w *watch) pauseIngest(ctx context.Context, partitions []int, paused bool) (api.Ingest, error) {
	do := w.consumer.Resume
	if paused {
		do = w.consumer.Pause
	}
	if err := do(ctx, partitions...); errors.Is(err, ingest.ErrNoPartition) {
		return api.Ingest{}, &incidents.InvalidError{Faults: []incidents.Fault{{Field: "partitions", Wrong: err.Error()}}}
	} else if err != nil {
		return api.Ingest{}, fmt.Errorf("pause or resume ingestion: %w", logError(err))
	}
	return w.ingestion(ctx)
}
