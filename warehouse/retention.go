package warehouse

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Retention is how many days things are kept, at least; 0 is for ever. They go by
// whole months, each once its last day is so old: a file that is deleted costs
// nothing, and rows taken out of one cost writing the rest anew.
type Retention struct {
	Readings   int // and the totals of counters that they were made of, and what is noted of those that came late
	Heartbeats int
	Hours      int // what each device counted in each hour
}

// tables returns the tables that are partitioned by month, with their days.
func (r Retention) tables() map[string]int {
	return map[string]int{"raw_counts": r.Readings, "raw_totals": r.Readings, "raw_late": r.Readings, "raw_heartbeats": r.Heartbeats, "raw_hours": r.Hours, "raw_days": daysKept}
}

// daysKept is how many days raw_days keeps: learning looks back twelve weeks and a day or
// two. What is asked for of earlier ones is made again.
const daysKept = 100

// monthOf returns the beginning of the month of an instant.
func monthOf(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// horizon returns the beginning of the first month whose hours are still made
// anew when readings come for them; zero for no such bound. Before it, readings
// that others are to be added to are gone, or the sums would be.
func (r Retention) horizon(now time.Time) (first time.Time) {
	for _, days := range []int{r.Readings, r.Hours} {
		if month := monthOf(now.AddDate(0, 0, -days)); days > 0 && month.After(first) {
			first = month
		}
	}
	return first
}

// Sweep deletes the months that are older than the retention. A month of readings
// stays until its hours are up to date; one of what came late, while there are readings
// or heartbeats of its time, of those that it is about.
func (w *Warehouse) Sweep(ctx context.Context, now time.Time) error {
	days := w.retention.tables()
	out, err := w.Query(ctx, "months", "SELECT table, partition_id, sum(rows) FROM system.parts WHERE active AND database = '{db}'"+
		" AND match(partition_id, '^[0-9]{6}$') GROUP BY table, partition_id ORDER BY partition_id, table", "TSV", nil)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		month, err := time.Parse("200601", fields[1])
		if err != nil {
			return fmt.Errorf("read the month of a partition of %s: %w", fields[0], err)
		}
		age := days[fields[0]]
		if age == 0 || month.AddDate(0, 1, age).After(now) {
			continue
		}
		if err := w.dropMonth(ctx, fields[0], month); err != nil {
			return fmt.Errorf("delete the month %s of %s for its age: %w", fields[1], fields[0], err)
		}
	}
	return nil
}

// dropPartition deletes a month of a table. Days that were made of it, or that are in it,
// are not known any more: the readings at the end of its last one may be left, in the next.
func (w *Warehouse) dropPartition(ctx context.Context, table string, month time.Time) error {
	drop := func() error {
		return w.exec(ctx, "ALTER TABLE {db}."+table+" DROP PARTITION ID '"+month.Format("200601")+"'", nil)
	}
	if table != "raw_days" && table != "raw_counts" {
		return drop()
	}
	select {
	case w.days.turn <- struct{}{}: // nobody makes some meanwhile
		defer func() { <-w.days.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	before := month.AddDate(0, 1, 0).UnixMilli() / dayMillis
	if table == "raw_days" { // rows of a day that is not known don't count
		if err := w.dropDays(ctx, before); err != nil {
			return err
		}
		return drop()
	}
	if err := drop(); err != nil {
		return err
	}
	return w.dropDays(ctx, before)
}

// awaited count, by table, what a month's rows are still needed for. What came late in a
// month is older than it.
var awaited = map[string]string{
	"raw_counts": "SELECT count() FROM {db}.raw_stale WHERE toYYYYMM(hour) = {month:UInt32}",
	"raw_late": "SELECT count() FROM {db}.raw_late WHERE toYYYYMM(arrival) = {month:UInt32} AND if(kind = 2, 'raw_heartbeats', 'raw_counts') IN" +
		" (SELECT table FROM system.parts WHERE active AND database = '{db}' AND partition_id <= toString({month:UInt32}))",
}

func (w *Warehouse) dropMonth(ctx context.Context, table string, month time.Time) error {
	if sql := awaited[table]; sql != "" {
		out, err := w.Query(ctx, "awaited_month", sql, "TSV", map[string]string{"month": month.Format("200601")})
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(out))); err != nil || n > 0 {
			return err
		}
	}
	if err := w.dropPartition(ctx, table, month); err != nil {
		return err
	}
	w.log.Info("deleted for its age", "database", w.db, "table", table, "month", month.Format("2006-01"))
	return nil
}
