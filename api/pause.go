package api

import "context"

type pauseIn struct{ Body PauseQuery }

// PauseQuery names partitions of the log.
type PauseQuery struct {
	Partitions []int `json:"partitions,omitempty" maxItems:"10000" doc:"Which; none: all of them"`
}

func (a *app) pauseIngest(ctx context.Context, in *pauseIn) (*ingestOut, error) {
	return a.setPaused(ctx, in.Body.Partitions, true)
}

func (a *app) resumeIngest(ctx context.Context, in *pauseIn) (*ingestOut, error) {
	return a.setPaused(ctx, in.Body.Partitions, false)
}

func (a *app) setPaused(ctx context.Context, partitions []int, paused bool) (*ingestOut, error) {
	if a.PauseIngest == nil {
		return nil, notHere("ingestion")
	}
	status, err := a.PauseIngest(ctx, partitions, paused)
	return &ingestOut{status}, err
}
