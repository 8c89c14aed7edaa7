package api

import (
	"context"
	"errors"

	"belfry/incidents"
)

type deadIDIn struct {
	ID string `path:"id" maxLength:"64" doc:"From the list"`
}

type deadOut struct{ Body DeadLetter }

func (a *app) getDead(ctx context.Context, in *deadIDIn) (*deadOut, error) {
	if a.DeadLetter == nil {
		return nil, notHere("dead letters")
	}
	letter, err := a.DeadLetter(ctx, in.ID)
	if errors.Is(err, incidents.ErrNotFound) {
		return nil, notFound("dead letter", in.ID)
	}
	return &deadOut{letter}, err
}

type retryIn struct{ Body RetryQuery }

type retryOut struct{ Body Retried }

func (a *app) retryDead(ctx context.Context, in *retryIn) (*retryOut, error) {
	if a.RetryDead == nil {
		return nil, notHere("dead letters")
	}
	done, err := a.RetryDead(ctx, in.Body)
	return &retryOut{done}, err
}
