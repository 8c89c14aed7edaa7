package dashboards

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The contract: the metrics of belfry with their labels, and the views of a
// tenant's database with their columns.
var (
	metrics = map[string][]string{
		"belfry_ingest_readings_total":                {"kind"},
		"belfry_ingest_rejected_total":                {"reason"},
		"belfry_ingest_lag_seconds":                   nil,
		"belfry_ingest_lag_records":                   {"partition"},
		"belfry_ingest_batch_seconds":                 nil,
		"belfry_analyzer_evaluation_seconds":          {"rule"},
		"belfry_analyzer_scopes":                      {"rule", "condition"},
		"belfry_analyzer_evaluated_timestamp_seconds": {"rule"},
		"belfry_analyzer_rule_errors_total":           {"rule"},
		"belfry_incidents":                            {"category", "state", "level", "priority"},
		"belfry_incidents_opened_total":               {"category", "origin"},
		"belfry_incidents_resolved_total":             {"code"},
		"belfry_incidents_first_response_seconds":     nil,
		"belfry_incidents_resolution_seconds":         nil,
		"belfry_incidents_sla_breaches_total":         {"metric"},
		"belfry_incidents_suppressed_total":           {"by"},
		"belfry_api_request_seconds":                  {"route", "method", "status"},
		"belfry_warehouse_query_seconds":              {"query"},
		"belfry_warehouse_bytes":                      {"table"},
		"belfry_door_request_seconds":                 {"end"},
		"belfry_warehouse_rows":                       {"table"},
		"belfry_warehouse_parts":                      {"table"},
		"belfry_warehouse_merges":                     nil,
		"belfry_warehouse_aggregates_stale":           nil,
		"belfry_warehouse_mirror_lag_seconds":         nil,
		"belfry_notices_waiting":                      nil,
		"belfry_disk_free_bytes":                      nil,
	}
	views = []string{"incidents", "incident_events", "findings", "device_state", "readings", "heartbeats", "devices", "sites", "holidays", "latest", "hourly", "daily"}

	metricName  = regexp.MustCompile(`(?:belfry|process)_[a-z_]+`)
	grouping    = regexp.MustCompile(`by \(([a-z_, ]+)\)`)
	legendLabel = regexp.MustCompile(`\{\{([a-z_]+)\}\}`)
	fromView    = regexp.MustCompile(`(?i)\b(?:FROM|JOIN)\s+([A-Za-z_.]+)`)
)

func export(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "grafana")
	if err := Export(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestExportedDashboardsAreComplete(t *testing.T) {
	dir := export(t)
	files, err := filepath.Glob(filepath.Join(dir, "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("got no dashboards (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		checkDashboard(t, filepath.Base(file), text)
		checkSchema(t, filepath.Base(file), text)
	}
	before, _ := os.ReadFile(files[0])
	if err := Export(dir); err != nil {
		t.Fatal(err)
	}
	after, _ := os.ReadFile(files[0])
	if !bytes.Equal(before, after) {
		t.Error("exported twice, the dashboard differs")
	}
}

// checkDashboard reads a dashboard as Grafana does and holds what every panel
// must have.
func checkDashboard(t *testing.T, name string, text []byte) {
	t.Helper()
	var d struct {
		UID, Title, Description string
		SchemaVersion           int
		Panels                  []struct {
			ID          int
			Type        string
			Title       string
			Description string
			Datasource  struct{ Type, UID string }
			GridPos     dashboard.GridPos
			FieldConfig fieldConfig
			Targets     []struct {
				RefID      string
				Datasource struct{ UID string }
				Expr       string
				RawSQL     string
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if d.UID == "" || d.Title == "" || d.Description == "" || d.SchemaVersion < 36 || len(d.Panels) == 0 {
		t.Errorf("%s: uid %q, title %q, schema %d, %d panels; want all of them", name, d.UID, d.Title, d.SchemaVersion, len(d.Panels))
	}
	taken := map[[2]uint32]string{}
	for _, p := range d.Panels {
		where := fmt.Sprintf("%s, panel %q", name, p.Title)
		if p.Title == "" || p.Description == "" || p.Type == "" || p.FieldConfig.Defaults.Unit == "" || !strings.HasPrefix(p.Datasource.UID, "${") {
			t.Errorf("%s: type %q, description %q, unit %q, data source %q; want all of them", where, p.Type, p.Description, p.FieldConfig.Defaults.Unit, p.Datasource.UID)
		}
		checkBounds(t, strings.TrimSuffix(name, ".json")+": "+p.Title, p.FieldConfig)
		if len(p.Targets) == 0 {
			t.Errorf("%s: no query", where)
		}
		for _, q := range p.Targets {
			if q.RefID == "" || q.Datasource.UID != p.Datasource.UID || (q.Expr == "") == (q.RawSQL == "") {
				t.Errorf("%s: query %+v; want a name, the panel's data source and one text", where, q)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, hit := taken[[2]uint32{x, y}]; hit || x >= 24 {
					t.Fatalf("%s: lies over %q or beyond the page at %d, %d", where, other, x, y)
				}
				taken[[2]uint32{x, y}] = p.Title
			}
		}
	}
}

func TestQueriesKeepToTheContract(t *testing.T) {
	queries, err := Queries()
	if err != nil || len(queries) < 9 {
		t.Fatalf("got %d queries, error %v; want at least 9", len(queries), err)
	}
	for _, q := range queries {
		where := q.Dashboard + ", " + q.Panel
		if q.SQL {
			named := fromView.FindAllStringSubmatch(q.Text, -1)
			if len(named) == 0 {
				t.Errorf("%s: reads no view: %s", where, q.Text)
			}
			for _, m := range named {
				if !slices.Contains(views, m[1]) {
					t.Errorf("%s: reads %s; want one of %v", where, m[1], views)
				}
			}
			expanded := q.Expand(Shown{From: time.Unix(1000, 0), To: time.Unix(2000, 0), Sites: []string{"a", "b'c"}, Devices: []string{"d"}, Database: "belfry_default"})
			if strings.Contains(expanded, "$") || !strings.Contains(expanded, "FROM belfry_default.") {
				t.Errorf("%s: want all macros replaced and the views qualified: %s", where, expanded)
			}
			continue
		}
		checkMetrics(t, where, q)
	}
}

func checkMetrics(t *testing.T, where string, q Query) {
	t.Helper()
	named := metricName.FindAllString(q.Text, -1)
	if len(named) == 0 {
		t.Errorf("%s: names no metric: %s", where, q.Text)
	}
	for _, name := range named {
		if strings.HasPrefix(name, "process_") {
			continue // of every Go program; the root's test sees that they are there
		}
		if bucket, ok := strings.CutSuffix(name, "_bucket"); ok {
			name = bucket
		} else if count, ok := strings.CutSuffix(name, "_count"); ok {
			name = count
		}
		labels, ok := metrics[name]
		labels = append([]string{"le", "tenant"}, labels...)
		if !ok {
			t.Errorf("%s: no metric %s", where, name)
		}
		for _, m := range grouping.FindAllStringSubmatch(q.Text, -1) {
			for label := range strings.SplitSeq(m[1], ",") {
				if !slices.Contains(labels, strings.TrimSpace(label)) {
					t.Errorf("%s: metric %s has no label %s", where, name, label)
				}
			}
		}
	}
}

func TestLegendsNameLabelsThatAreThere(t *testing.T) {
	dir := export(t)
	for _, name := range []string{"fleet", "site", "device", "incidents", "pipeline", "capacity"} {
		checkLegends(t, filepath.Join(dir, "dashboards", name+".json"))
	}
}

func checkLegends(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			for _, m := range legendLabel.FindAllStringSubmatch(q.LegendFormat, -1) {
				if !strings.Contains(q.Expr, "by ("+m[1]) && !strings.Contains(q.Expr, ", "+m[1]+")") {
					t.Errorf("panel %q: the legend names %s, which %s does not keep", p.Title, m[1], q.Expr)
				}
			}
		}
	}
}

func TestProvisioningIsValid(t *testing.T) {
	dir := export(t)
	var providers struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	read(t, filepath.Join(dir, "provisioning", "dashboards", "belfry.yaml"), &providers)
	if providers.APIVersion != 1 || len(providers.Providers) != 1 || providers.Providers[0].Options.Path != filepath.Join(dir, "dashboards") {
		t.Errorf("got %+v, want one provider that reads %s", providers, filepath.Join(dir, "dashboards"))
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct{ Name, UID, Type string }
	}
	read(t, filepath.Join(dir, "provisioning", "datasources", "belfry.yaml"), &sources)
	if sources.APIVersion != 1 || len(sources.Datasources) != 2 || sources.Datasources[0].Type != clickhousePlugin || sources.Datasources[1].Type != prometheusPlugin {
		t.Errorf("got %+v, want the two data sources", sources)
	}
}

func read(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// promtoolAndQueries finds Prometheus' own tool, and returns the queries for it.
func promtoolAndQueries(t *testing.T) (promtool string, queries []Query) {
	t.Helper()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; make setup-tests brings it")
	}
	queries, err = Queries()
	if err != nil {
		t.Fatal(err)
	}
	return promtool, queries
}

// TestPromQLParses lets Prometheus' own tool read every PromQL query, as rules.
func TestPromQLParses(t *testing.T) {
	promtool, queries := promtoolAndQueries(t)
	rules := "groups:\n  - name: panels\n    rules:\n"
	for i, q := range queries {
		if !q.SQL {
			rules += fmt.Sprintf("      - record: panel:query:%d\n        expr: %q\n", i, q.Expand(Shown{}))
		}
	}
	path := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
}

func TestPreviewDrawsEveryPanel(t *testing.T) {
	shown := Shown{From: time.Unix(0, 0), To: time.Unix(3600, 0), Sites: []string{"s"}, Devices: []string{"d"}}
	asked := 0
	pictures, err := Preview(shown, func(q Query, text string) (Answer, error) {
		if asked++; strings.Contains(text, "$") {
			t.Errorf("not expanded: %s", text)
		}
		if strings.Contains(text, "rejected") {
			return Answer{}, fmt.Errorf("no <such> thing")
		}
		if strings.Contains(text, "origin, count()") {
			return Answer{Columns: []string{"time", "origin", "opened"}, Rows: [][]any{{1800.0, "person", 2.0}, {1800.0, "rule", 31.0}, {3600.0, "person", 5.0}}}, nil
		}
		return Answer{Columns: []string{"time", "people"}, Rows: [][]any{{0.0, 1.0}, {1800.0, nil}, {3600.0, 12345.0}}}, nil
	})
	if err != nil || len(pictures) != 6 || asked < 40 {
		t.Fatalf("got %d pictures of %d panels, %v", len(pictures), asked, err)
	}
	for name, picture := range pictures {
		for d := xml.NewDecoder(strings.NewReader(picture)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is no XML: %v", name, err)
			}
		}
	}
	if got := pictures["incidents"]; !strings.Contains(got, ">person</text>") || !strings.Contains(got, ">rule</text>") || !strings.Contains(got, ">31</text>") {
		t.Errorf("the incidents' picture lacks what reported them as series of their own: %.500s", got)
	}
	if got := pictures["fleet"]; !strings.Contains(got, "no &lt;such&gt; thing") || !strings.Contains(got, "12.3k") || !strings.Contains(got, "<path d=\"M") {
		t.Errorf("the fleet's picture lacks an error, a number or a line: %.500s", got)
	}
}
