package warehouse

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migration is one step of the schema: migrations/NNN_name.sql.
type migration struct {
	version    int
	name       string
	statements []string
}

// migrate runs the steps that the database has not had yet, in order. ClickHouse
// has no transactions over definitions: a step that was cut off is begun again,
// and what it had made already is left as it is.
func (w *Warehouse) migrate(ctx context.Context) error {
	steps, err := readMigrations(migrations)
	if err != nil {
		return err
	}
	for _, s := range []string{
		"CREATE DATABASE IF NOT EXISTS {db}",
		"CREATE TABLE IF NOT EXISTS {db}.raw_migrations (version UInt32, name String, applied DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY version",
	} {
		if err := w.exec(ctx, s, nil); err != nil {
			return err
		}
	}
	done, err := w.applied(ctx)
	if err != nil {
		return err
	}
	if newest, known := slices.Max(append(done, 0)), steps[len(steps)-1].version; newest > known {
		return fmt.Errorf("its schema is version %d and this belfry knows %d at most; use the newer belfry that wrote it", newest, known)
	}
	for _, m := range steps {
		if slices.Contains(done, m.version) {
			continue
		}
		if err := w.apply(ctx, m); err != nil {
			return fmt.Errorf("migration %03d_%s: %w", m.version, m.name, err)
		}
	}
	return nil
}

// applied returns the versions of the steps that the database has had.
func (w *Warehouse) applied(ctx context.Context) (done []int, err error) {
	out, err := w.Query(ctx, "migrations", "SELECT DISTINCT version FROM {db}.raw_migrations", "TSV", nil)
	if err != nil {
		return nil, err
	}
	for version := range strings.FieldsSeq(string(out)) {
		v, err := strconv.Atoi(version)
		if err != nil {
			return nil, fmt.Errorf("read the schema's version: %w", err)
		}
		done = append(done, v)
	}
	return done, nil
}

// repeatable makes a definition harmless when its step was cut off after it.
var repeatable = strings.NewReplacer(
	"CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ",
	"CREATE VIEW ", "CREATE VIEW IF NOT EXISTS ",
	"CREATE MATERIALIZED VIEW ", "CREATE MATERIALIZED VIEW IF NOT EXISTS ")

func (w *Warehouse) apply(ctx context.Context, m migration) error {
	for _, s := range m.statements {
		if err := w.exec(ctx, repeatable.Replace(s), nil); err != nil {
			return err
		}
	}
	w.log.Info("warehouse schema changed", "database", w.db, "version", m.version, "name", m.name)
	return w.exec(ctx, "INSERT INTO {db}.raw_migrations (version, name) SELECT {v:UInt32}, {n:String}",
		map[string]string{"v": strconv.Itoa(m.version), "n": m.name})
}

// remakeViews makes the views of the steps that the database has had anew: when
// a database is restored under another name, the engine leaves the names that a
// view gives to its tables away.
func (w *Warehouse) remakeViews(ctx context.Context) error {
	done, err := w.applied(ctx)
	if err != nil {
		return err
	}
	steps, err := readMigrations(migrations)
	if err != nil {
		return err
	}
	for _, m := range steps {
		for _, s := range m.statements {
			s = viewStatement.ReplaceAllString(s, "CREATE OR REPLACE VIEW ")
			if !slices.Contains(done, m.version) || !strings.Contains(s, "CREATE OR REPLACE VIEW ") {
				continue
			}
			if err := w.exec(ctx, s, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

var viewStatement = regexp.MustCompile(`(?m)^CREATE VIEW `)

func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []migration
	for _, file := range names {
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, err
		}
		number, name, _ := strings.Cut(strings.TrimSuffix(path.Base(file), ".sql"), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("%s: want a name like 001_what.sql", file)
		}
		m := migration{version: version, name: name}
		for s := range strings.SplitSeq(string(text), ";\n") {
			if strings.TrimSpace(s) != "" {
				m.statements = append(m.statements, s)
			}
		}
		steps = append(steps, m)
	}
	slices.SortFunc(steps, func(a, b migration) int { return cmp.Compare(a.version, b.version) })
	return steps, nil
}
