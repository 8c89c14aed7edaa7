package warehouse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"belfry/warehouse/chdb"
)

// ErrNotEmpty is returned when a backup is to be restored over readings.
var ErrNotEmpty = errors.New("the database holds readings already; restore into an empty data folder")

// errElsewhere is returned where only the engine inside the process can do it.
var errElsewhere = errors.New("the ClickHouse is elsewhere, and so are its disks; use its own statements BACKUP and RESTORE there")

// Backup writes the database into a folder, which must not be there yet or be
// empty. It goes on beside inserts and holds each table as of one instant. What
// was written of a backup that failed is taken away again.
func (w *Warehouse) Backup(ctx context.Context, dir string) error {
	dir, err := w.backupFolder(dir)
	if err != nil {
		return fmt.Errorf("back up database %s: %w", w.db, err)
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("back up database %s: the folder %s is not empty", w.db, dir)
	}
	_, err = w.Query(ctx, "backup", "BACKUP DATABASE {db} TO File("+quote(dir)+")", "Null", nil)
	if err != nil {
		return errors.Join(fmt.Errorf("back up database %s to %s: %w", w.db, dir, err), os.RemoveAll(dir))
	}
	return nil
}

// Restore reads a database from the folder of a Backup; it may have had another
// name. A database of the name must not hold readings (ErrNotEmpty), nor be in
// use. After an error there is no database of the name.
func (s *Server) Restore(ctx context.Context, name, dir string) error {
	w := s.warehouse(name)
	if !databaseName.MatchString(name) {
		return fmt.Errorf("restore database %q: no name for a database", name)
	}
	dir, err := w.backupFolder(dir)
	if err == nil {
		err = w.restore(ctx, dir)
	}
	if err != nil {
		return fmt.Errorf("restore database %s from %s: %w", name, dir, err)
	}
	return nil
}

func (w *Warehouse) restore(ctx context.Context, dir string) error {
	was, err := databaseOf(dir)
	if err != nil {
		return err
	}
	if err := w.mustBeEmpty(ctx); err != nil {
		return err
	}
	const drop = "DROP DATABASE IF EXISTS {db} SYNC"
	if err := w.exec(ctx, drop, nil); err != nil {
		return err
	}
	_, err = w.Query(ctx, "restore", "RESTORE DATABASE "+was+" AS {db} FROM File("+quote(dir)+")", "Null", nil)
	for _, next := range []func(context.Context) error{w.remakeViews, w.migrate, w.TouchAll} {
		if err == nil {
			err = next(ctx)
		}
	}
	if err != nil {
		return errors.Join(err, w.exec(context.WithoutCancel(ctx), drop, nil))
	}
	return nil
}

func (w *Warehouse) backupFolder(dir string) (string, error) {
	if _, here := w.engine.(*chdb.Engine); !here {
		return dir, errElsewhere
	}
	return filepath.Abs(dir)
}

// databaseOf returns the name of the database that a backup is of.
func databaseOf(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "metadata", "*.sql"))
	if err != nil {
		return "", err
	}
	if len(files) != 1 {
		return "", errors.New("no backup of a warehouse there")
	}
	name := strings.TrimSuffix(filepath.Base(files[0]), ".sql")
	if !databaseName.MatchString(name) {
		return "", fmt.Errorf("a backup of %q, which is no database of belfry", name)
	}
	return name, nil
}

func (w *Warehouse) mustBeEmpty(ctx context.Context) error {
	out, err := w.Query(ctx, "rows", "SELECT sum(total_rows) > 0 FROM system.tables WHERE database = '{db}' AND name IN ('raw_counts', 'raw_heartbeats')", "TSV", nil)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(out)) == "1" {
		return ErrNotEmpty
	}
	return nil
}

// quote writes a text as ClickHouse reads it between quotes.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
