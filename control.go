package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"belfry/incidents/store"
)

// openControl opens the database of tenants and tokens, and makes the
// administrator's token at the first start.
func (p *process) openControl(ctx context.Context) (err error) {
	if source := p.config.Tickets.Postgres; source != "" {
		p.control, err = sharedControl(ctx, source, p.folder.file("control.db"))
	} else {
		p.control, err = store.OpenControl(ctx, p.folder.file("control.db"))
	}
	if err != nil {
		return err
	}
	p.closeLater(p.control.Close)
	return p.openToken(ctx)
}

// sharedControl opens the control database on the tickets' server, where several
// processes share it. Tenants and tokens that a folder holds from before are taken
// over, once.
func sharedControl(ctx context.Context, source, file string) (*store.Control, error) {
	control, err := store.OpenControlPostgres(ctx, source)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return control, nil
	}
	if err := takeOver(ctx, control, file); err != nil {
		return nil, errors.Join(fmt.Errorf("take the tokens of %s over: %w", file, err), control.Close())
	}
	return control, nil
}

// takeOver copies a control database, unless the server has tokens already: then
// another folder's was first.
func takeOver(ctx context.Context, control *store.Control, file string) error {
	before, err := store.OpenControl(ctx, file)
	if err != nil {
		return err
	}
	err = before.CopyTo(ctx, control, func(string, int64) {})
	if err = errors.Join(err, before.Close()); err != nil && !errors.Is(err, store.ErrOccupied) {
		return err
	}
	return os.Rename(file, file+".moved")
}
