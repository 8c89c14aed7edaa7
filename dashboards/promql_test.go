package dashboards

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPromQLAnswersWhatIsKnown lets Prometheus' own tool answer panels whose query
// is more than a sum, from series of which the answer is known.
func TestPromQLAnswersWhatIsKnown(t *testing.T) {
	promtool, queries := promtoolAndQueries(t)
	// A sample each minute for two days; what a panel shows is of the end.
	text := `evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'belfry_incidents_sla_breaches_total{metric="respond"}', values: '0x1499 3x1380' }
      - { series: 'belfry_incidents_sla_breaches_total{metric="resolve"}', values: '0x300 2x1198 2x1380' }
      - { series: 'belfry_incidents_suppressed_total{by="rollup"}', values: '0x2849 60x30' }
      - { series: 'belfry_disk_free_bytes{instance="a"}', values: '400000000-100000x2880' }
      - { series: 'belfry_disk_free_bytes{instance="b"}', values: '900000000000-1000000x2880' }
      - { series: 'belfry_warehouse_bytes{table="raw_counts"}', values: '1000+2000x2880' }
      - { series: 'belfry_warehouse_bytes{table="raw_hours"}', values: '1000+500x2880' }
      - { series: 'belfry_warehouse_rows{table="raw_counts"}', values: '1000000x2880' }
      - { series: 'belfry_analyzer_evaluated_timestamp_seconds{instance="a",rule="r"}', values: '0x2880' }
      - { series: 'belfry_analyzer_evaluated_timestamp_seconds{instance="b",rule="r"}', values: '0+60x2880' }
    promql_expr_test:
`
	for panel, want := range map[string]string{
		"incidents: Promises broken":           `{ labels: '{}', value: 5 }`,
		"incidents: Promises broken per day":   `{ labels: '{metric="respond"}', value: 3 }, { labels: '{metric="resolve"}', value: 0 }`,
		"incidents: Held back per hour":        `{ labels: '{by="rollup"}', value: 60 }`,
		"pipeline: Evaluation behind, by rule": `{ labels: '{rule="r"}', value: 172800 }`,
		"capacity: Growth per day":             `{ labels: '{}', value: 3600000 }`, // 2,500 a minute
		"capacity: Days to full":               `{ labels: '{}', value: 0.778 }`,   // of a: 112 MB are left, 144 MB a day go
		"capacity: Bytes for each row":         `{ labels: '{}', value: 7.202 }`,
	} {
		i := slices.IndexFunc(queries, func(q Query) bool { return q.Dashboard+": "+q.Panel == panel })
		if i < 0 {
			t.Fatalf("there is no panel %s", panel)
		}
		expr := queries[i].Expand(Shown{From: time.Unix(0, 0), To: time.Unix(2880*60, 0)})
		text += fmt.Sprintf("      - { expr: %q, eval_time: 2880m, exp_samples: [%s] }\n", "round("+expr+", 0.001)", want)
	}
	path := filepath.Join(t.TempDir(), "known.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "test", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s\n%s", err, out, text)
	}
}
