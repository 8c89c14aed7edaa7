package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// bareFindings is how many incidents BenchmarkBare opens at a time.
const bareFindings = 20_000

// BenchmarkBare opens incidents, and then writes the very rows that this has written
// once more, by the driver alone: with the indexes, without them, and as many small
// rows of one table. What opening costs beyond that is ours; the ratio says how much.
func BenchmarkBare(b *testing.B) {
	ctx := context.Background()
	batch := findings(telemetry.Firing, bareFindings, noon)
	took := map[string]time.Duration{}
	for b.Loop() {
		full := openTickets(b)
		began := time.Now()
		if err := incidents.NewDesk(full, incidents.Config{}, nil, nil).Receive(ctx, batch); err != nil {
			b.Fatal(err)
		}
		took["opened"] += time.Since(began)
		rows := map[string][][]any{"incidents": tableRows(b, full, "incidents"), "events": tableRows(b, full, "events")}

		bare := openTickets(b)
		took["rows"] += writeBare(b, bare, rows, "incidents", "events")
		bare = openTickets(b)
		took["incidents"] += writeBare(b, bare, rows, "incidents")
		took["events"] += writeBare(b, bare, rows, "events")
		bare = openTickets(b)
		dropIndexes(b, bare)
		took["incidents-unindexed"] += writeBare(b, bare, rows, "incidents")
		took["events-unindexed"] += writeBare(b, bare, rows, "events")
		if _, err := bare.write.ExecContext(ctx, "CREATE TABLE small (id INTEGER PRIMARY KEY, name TEXT, value INTEGER)"); err != nil {
			b.Fatal(err)
		}
		for i := range bareFindings {
			rows["small"] = append(rows["small"], []any{int64(i), "FC-000000", int64(i)})
		}
		took["small"] += writeBare(b, bare, rows, "small")
	}
	b.ReportMetric(0, "ns/op")
	for name, sum := range took {
		b.ReportMetric(float64(sum.Microseconds())/float64(b.N*bareFindings), name+"-µs")
	}
	b.ReportMetric(took["opened"].Seconds()/took["rows"].Seconds(), "opened/rows")
}

// BenchmarkBareChange changes an incident, and then makes the like of this by the driver
// alone: one row changed and one added in a transaction of their own. Both wait for the
// disk once.
func BenchmarkBareChange(b *testing.B) {
	ctx, s := context.Background(), openTickets(b)
	desk := incidents.NewDesk(s, incidents.Config{}, nil, nil)
	if err := desk.Receive(ctx, findings(telemetry.Firing, 2, noon)); err != nil {
		b.Fatal(err)
	}
	var changed, bare time.Duration
	for n := 0; b.Loop(); n++ {
		actor := incidents.Actor{Name: fmt.Sprint("p", n), Role: incidents.FirstLine, Source: incidents.ByAPI}
		began := time.Now()
		if _, err := desk.Transition(ctx, "INC-000001", incidents.Request{Transition: incidents.Take}, actor, noon); err != nil {
			b.Fatal(err)
		}
		changed += time.Since(began)

		began = time.Now()
		tx, err := s.write.Begin()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Exec("UPDATE incidents SET data = (SELECT data FROM incidents WHERE id = 1), assignee = ?, updated_at = ? WHERE id = 2", actor.Name, n); err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Exec(`INSERT INTO events (incident, seq, at, actor, source, request, kind, before, after, text, internal, evidence)
			SELECT 2, ?, at, actor, source, request, kind, before, after, text, internal, evidence FROM events ORDER BY id DESC LIMIT 1`, n+2); err != nil {
			b.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(began)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(b.N)/changed.Seconds(), "changes/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "bare/s")
	b.ReportMetric(changed.Seconds()/bare.Seconds(), "changes/bare")
}

// tableRows returns all rows of a table, in the order of their numbers.
func tableRows(b *testing.B, s *Tickets, table string) (list [][]any) {
	b.Helper()
	rows, err := s.read.QueryContext(context.Background(), "SELECT * FROM "+table+" ORDER BY id")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		b.Fatal(err)
	}
	for rows.Next() {
		row, into := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			b.Fatal(err)
		}
		list = append(list, row)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return list
}

// writeBare writes rows of some tables, a thousand of each in a transaction, by
// prepared statements of rowsAtOnce rows.
func writeBare(b *testing.B, s *Tickets, rows map[string][][]any, tables ...string) time.Duration {
	b.Helper()
	began := time.Now()
	for from := 0; from < len(rows[tables[0]]); from += 1000 {
		tx, err := s.write.Begin()
		if err != nil {
			b.Fatal(err)
		}
		for _, table := range tables {
			part := rows[table][from:min(from+1000, len(rows[table]))]
			for len(part) > 0 {
				n := min(rowsAtOnce, len(part))
				row := "(" + strings.TrimSuffix(strings.Repeat("?,", len(part[0])), ",") + "),"
				var args []any
				for _, r := range part[:n] {
					args = append(args, r...)
				}
				query := fmt.Sprintf("INSERT INTO %s VALUES %s", table, strings.TrimSuffix(strings.Repeat(row, n), ","))
				known := s.statements.find(query)
				if known == nil {
					if known, err = tx.Prepare(query); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := tx.Stmt(known).Exec(args...); err != nil {
					b.Fatal(err)
				}
				part = part[n:]
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
		s.learn()
	}
	return time.Since(began)
}

// dropIndexes takes all indexes off the tables of incidents and events.
func dropIndexes(b *testing.B, s *Tickets) {
	b.Helper()
	for _, table := range []string{"incidents", "events"} {
		rows, err := s.write.QueryContext(context.Background(), "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", table)
		if err != nil {
			b.Fatal(err)
		}
		var names []string
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				b.Fatal(err)
			}
			names = append(names, name)
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
		for _, name := range names {
			if _, err := s.write.ExecContext(context.Background(), "DROP INDEX "+name); err != nil {
				b.Fatal(err)
			}
		}
	}
}
