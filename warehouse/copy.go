package warehouse

import (
	"context"
	"fmt"
	"strings"

	"belfry/warehouse/chdb"
)

// CopyTo, from the engine inside the process, writes every reading, and what else was written rather than computed,
// into another ClickHouse's database, a block at a time, and then compares what
// both show. Doing it again does no harm: equal rows are one.
func (w *Warehouse) CopyTo(ctx context.Context, to *Warehouse, copied func(table string, bytes int)) error {
	if _, here := w.engine.(*chdb.Engine); !here { // a server's blocks don't come one by one
		return fmt.Errorf("copy database %s: %w", w.db, errElsewhere)
	}
	tables, err := w.written(ctx)
	if err != nil {
		return fmt.Errorf("list the tables of %s: %w", w.db, err)
	}
	for _, table := range tables {
		err := w.engine.Stream(ctx, w.sql("SELECT * FROM {db}."+table), "Native", nil, func(block []byte) error {
			copied(table, len(block))
			return to.engine.Insert(ctx, to.sql("INSERT INTO {db}."+table+" SETTINGS optimize_on_insert = 0"), "Native", block)
		})
		if err != nil {
			return fmt.Errorf("copy table %s of %s: %w", table, w.db, err)
		}
	}
	return w.sameAs(ctx, to)
}

// written returns the tables that are inserted into.
func (w *Warehouse) written(ctx context.Context) ([]string, error) {
	out, err := w.Query(ctx, "tables", `SELECT name FROM system.tables
		WHERE database = '{db}' AND name LIKE 'raw_%' AND name NOT IN ('raw_migrations', 'raw_days', 'raw_looks') AND engine LIKE '%MergeTree'
		ORDER BY name`, "TSV", nil)
	return strings.Fields(string(out)), err
}

// sameAs compares what two databases show of all readings.
func (w *Warehouse) sameAs(ctx context.Context, other *Warehouse) error {
	var sums [2]string
	for i, one := range []*Warehouse{w, other} {
		out, err := one.Query(ctx, "sums", "SELECT count(), sum(`in`), sum(`out`), count(DISTINCT device) FROM {db}.readings", "TSV", nil)
		if err != nil {
			return err
		}
		sums[i] = strings.TrimSpace(string(out))
	}
	if sums[0] != sums[1] {
		return fmt.Errorf("compare %s with its copy: readings, in, out, devices are %s here and %s there; copy again", w.db, sums[0], sums[1])
	}
	return nil
}
