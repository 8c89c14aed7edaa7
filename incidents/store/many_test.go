package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"belfry/incidents"
	"belfry/telemetry"
)

// many fills a database with so many thousand incidents: a thousand real ones, and
// their like at other sites, of other devices and in other states.
func many(b testing.TB, s *Tickets, thousands int) {
	b.Helper()
	ctx := context.Background()
	if err := incidents.NewDesk(s, incidents.Config{}, nil, nil).Receive(ctx, findings(telemetry.Firing, 1000, noon)); err != nil {
		b.Fatal(err)
	}
	_, err := s.write.ExecContext(ctx, `WITH RECURSIVE n(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM n WHERE k < `+strconv.Itoa(thousands-1)+`)
		INSERT INTO incidents (id, key, open, sort, site, device, assignee, updated_at, opened_at, words, reporter, supplier, data)
		SELECT i.id + 1000 * k, i.key || k, 0, `+manySort+`, i.site || (k % 200), i.device || k, CASE WHEN (i.id + k) % 3 <> 0 THEN '' ELSE 'p' || ((i.id + k) % 40) END,
			i.updated_at + k * 60000, i.opened_at, i.words, '', '', (SELECT e.after FROM events e WHERE e.incident = i.id AND e.seq = 1)
		FROM n CROSS JOIN incidents i`)
	if err != nil {
		b.Fatal(err)
	}
	for _, statement := range []string{`WITH RECURSIVE n(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < 63)
			INSERT INTO sorts SELECT 100 + v, CASE v & 1 WHEN 1 THEN 'data_gap' ELSE category END, CASE v & 2 WHEN 2 THEN 'in_progress' ELSE 'closed' END,
			1 + (v & 4) / 4, 1 + (v / 8) % 4, CASE v & 32 WHEN 32 THEN 'breached' ELSE 'met' END, '', condition, rule, 0 FROM n CROSS JOIN sorts`,
		"UPDATE sorts SET count = (SELECT COUNT(*) FROM incidents WHERE sort = sorts.id)"} {
		if _, err := s.write.ExecContext(ctx, statement); err != nil {
			b.Fatal(err)
		}
	}
}

// manySort is the number of the sort of the like of incident i that is the k-th: it says
// the category, state, level, priority and clock that it has.
const manySort = `100 + CASE (i.id + k) % 7 WHEN 0 THEN 1 ELSE 0 END + CASE (i.id + k) % 50 WHEN 0 THEN 2 ELSE 0 END
	+ 4 * (((i.id + k) % 100) / 97) + 8 * (i.id % 4) + CASE (i.id + k) % 1000 WHEN 0 THEN 32 ELSE 0 END`

// BenchmarkListAmongMany lists by every filter, one after the other. A search for
// words alone reads every row, and is left out: it needs an index of its own.
func BenchmarkListAmongMany(b *testing.B) {
	s, ctx := openTickets(b), context.Background()
	many(b, s, 200)
	queries := []incidents.Query{{}, {Site: "site-00037"}, {Site: "site-00037", State: incidents.InProgress}, {Device: "FC-000007100"},
		{Category: "data_gap", State: incidents.InProgress}, {State: incidents.New}, {Level: 2, Priority: 3}, {Assignee: "p7", State: incidents.Closed},
		{Clock: "breached"}, {Clock: "breached", Category: "data_gap"}, {Q: "nowhere", Site: "site-00037"},
		{UpdatedSince: noon.Add(198 * time.Minute)}, {Before: "INC-100000"}}
	var took []time.Duration
	for b.Loop() {
		for _, q := range queries {
			q.Limit = 50
			began := time.Now()
			if _, err := s.Incidents(ctx, q); err != nil {
				b.Fatal(err)
			}
			if len(took) < 1_000_000 {
				took = append(took, time.Since(began))
			}
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
}

// BenchmarkWordsAmongMany lists by words, rare and common, alone and with other
// filters, one after the other.
func BenchmarkWordsAmongMany(b *testing.B) {
	s, ctx := openTickets(b), context.Background()
	many(b, s, 200)
	for _, statement := range []string{"UPDATE incidents SET words = words || ' ' || (id % 100000)", "INSERT INTO search (rowid, title) SELECT id, trim(words) FROM incidents",
		"UPDATE counters SET value = (SELECT max(id) FROM incidents) WHERE name = 'indexed'"} {
		if _, err := s.write.ExecContext(ctx, statement); err != nil {
			b.Fatal(err)
		}
	}
	queries := []incidents.Query{{Q: "nowhere"}, {Q: "silent"}, {Q: "FC-000007"}, {Q: "silent 80"}, {Q: "77777"}, {Q: "7777 silent", State: incidents.Closed},
		{Q: "silent", Category: "data_gap"}, {Q: "FC-000123", State: incidents.InProgress}, {Q: "silent", Site: "site-00037"}, {Q: "silent", Clock: "breached"}}
	took := map[string][]time.Duration{}
	for b.Loop() {
		for _, q := range queries {
			q.Limit = 50
			began := time.Now()
			if _, err := s.Incidents(ctx, q); err != nil {
				b.Fatal(err)
			}
			took["all"] = append(took["all"], time.Since(began))
			took[q.Q+string(q.State)+q.Category+q.Site+q.Clock] = append(took[q.Q+string(q.State)+q.Category+q.Site+q.Clock], time.Since(began))
		}
	}
	for name, list := range took {
		slices.Sort(list)
		if name != "all" {
			b.Logf("%-30s p50 %v, longest %v", name, list[len(list)/2], list[len(list)-1])
		}
	}
	all := took["all"]
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "p50-ms")
}

func TestPostgreSQLReadsNoTableWholeForAList(t *testing.T) {
	s, ctx := startPostgres(t).open(t), context.Background()
	many(t, s, 40)
	if _, err := s.write.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
	query, args := s.merged(incidents.Query{State: incidents.InProgress, Priority: 2, Before: "INC-020000", Limit: 50})
	plans := map[string][]any{query: args}
	for _, c := range []struct {
		by way
		q  incidents.Query
	}{{0, incidents.Query{}}, {0, incidents.Query{Before: "INC-020000"}}, {0, incidents.Query{Site: "site-00037", State: incidents.InProgress}},
		{0, incidents.Query{Device: "FC-000007100"}}, {0, incidents.Query{Assignee: "p7", Category: "data_gap"}}, {0, incidents.Query{Reporter: "x"}},
		{0, incidents.Query{Parent: "INC-000001"}}, {bySort, incidents.Query{Clock: "breached", Level: 2, Assignee: "p7"}}, {byChange, incidents.Query{UpdatedSince: noon.Add(38 * time.Minute)}}} {
		f := s.conditions(c.q, c.by)
		plans["SELECT id FROM incidents"+f.where()+" ORDER BY "+f.id+" DESC LIMIT 50"] = f.args
	}
	for query, args := range plans {
		var plan string
		rows, err := s.read.QueryContext(ctx, "EXPLAIN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			plan += line + "\n"
		}
		if strings.Contains(plan, "Seq Scan on incidents") || !strings.Contains(plan, "on incidents") {
			t.Errorf("%s\n%s", query, plan)
		}
	}
}

// BenchmarkWordsAfterABurst lists by words while 200,000 incidents are not in the index
// yet, and then takes them in.
func BenchmarkWordsAfterABurst(b *testing.B) {
	s, ctx := openTickets(b), context.Background()
	if err := incidents.NewDesk(s, incidents.Config{}, nil, nil).Receive(ctx, findings(telemetry.Firing, 200_000, noon)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, q := range []incidents.Query{{Q: "nowhere"}, {Q: "silent"}, {Q: "FC-000007"}, {Q: "nowhere", State: incidents.New}} {
			q.Limit = 50
			began := time.Now()
			if _, err := s.Incidents(ctx, q); err != nil {
				b.Fatal(err)
			}
			b.Logf("%s %s: %v", q.Q, q.State, time.Since(began))
		}
	}
	b.StopTimer()
	began := time.Now()
	for n := 500; n == 500; {
		err := s.Update(ctx, func(tx incidents.Tx) (err error) { n, err = tx.Index(500); return err })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(time.Since(began).Seconds(), "s/all-indexed")
}
