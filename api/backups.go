package api

import (
	"context"
	"path/filepath"
)

// Backups writes tenants into folders of the machine that belfry runs on, and
// reads them back. Its errors are those of incidents.
type Backups interface {
	// Backup writes one tenant, or all of them (""), into a new folder.
	Backup(ctx context.Context, dir, tenant string) ([]string, error)
	// Restore reads one tenant, or all (""), from the folder of a backup; as another
	// one, when as says so.
	Restore(ctx context.Context, dir, tenant, as string) ([]string, error)
}

type backupIn struct {
	Body struct {
		Dir    string `json:"dir" minLength:"1" maxLength:"4096" doc:"A folder of the machine that belfry runs on, which is not there yet; its absolute path"`
		Tenant string `json:"tenant,omitempty" maxLength:"64" doc:"This one alone; all when left out"`
		As     string `json:"as,omitempty" maxLength:"64" doc:"What the tenant is to be called here; restoring only"`
	}
}

// BackedUp lists the tenants that a backup holds, or that were restored.
type BackedUp struct {
	Tenants []string `json:"tenants"`
}

type backedUpOut struct{ Body BackedUp }

func (a *app) backups(ctx context.Context, in *backupIn) error {
	if a.Backups == nil {
		return notHere("backups")
	}
	if err := a.provider(ctx); err != nil {
		return err
	}
	if !filepath.IsAbs(in.Body.Dir) {
		return oneFault("dir", "want an absolute path")
	}
	return nil
}

func (a *app) postBackup(ctx context.Context, in *backupIn) (*backedUpOut, error) {
	if err := a.backups(ctx, in); err != nil {
		return nil, err
	}
	if in.Body.As != "" {
		return nil, oneFault("as", "is for restoring")
	}
	tenants, err := a.Backups.Backup(ctx, in.Body.Dir, in.Body.Tenant)
	return &backedUpOut{BackedUp{tenants}}, err
}

func (a *app) postRestore(ctx context.Context, in *backupIn) (*backedUpOut, error) {
	if err := a.backups(ctx, in); err != nil {
		return nil, err
	}
	tenants, err := a.Backups.Restore(ctx, in.Body.Dir, in.Body.Tenant, in.Body.As)
	return &backedUpOut{BackedUp{tenants}}, err
}
