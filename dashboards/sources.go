package dashboards

import (
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// The plugins that the dashboards need. Each dashboard has a variable of either
// kind, so that another data source of that kind can be chosen in Grafana.
const (
	clickhousePlugin = "grafana-clickhouse-datasource"
	prometheusPlugin = "prometheus"
)

func source(plugin, variable string) common.DataSourceRef {
	return common.DataSourceRef{Type: cog.ToPtr(plugin), Uid: cog.ToPtr("${" + variable + "}")}
}

func clickhouse() common.DataSourceRef       { return source(clickhousePlugin, "clickhouse") }
func prometheusSource() common.DataSourceRef { return source(prometheusPlugin, "prometheus") }

func sourceVariable(name, label, plugin string) *dashboard.DatasourceVariableBuilder {
	return dashboard.NewDatasourceVariableBuilder(name).Label(label).Type(plugin)
}

// The plugin's forms of an answer.
const (
	asSeries = 0
	asTable  = 1
)

// sqlQuery is a query of the ClickHouse data source plugin, which the SDK has no
// type for. The JSON names are the plugin's (version 4).
type sqlQuery struct {
	RefID      string               `json:"refId"`
	Datasource common.DataSourceRef `json:"datasource"`
	EditorType string               `json:"editorType"`
	QueryType  string               `json:"queryType"`
	Format     int                  `json:"format"`
	SQL        string               `json:"rawSql"`
}

// sql makes a query that answers in the form given.
func sql(format int, text string) sqlQuery {
	kind := "table"
	if format == asSeries {
		kind = "timeseries"
	}
	return sqlQuery{RefID: "A", Datasource: clickhouse(), EditorType: "sql", QueryType: kind, Format: format, SQL: text}
}

// Build returns the query itself.
func (q sqlQuery) Build() (variants.Dataquery, error) { return q, nil }

// ImplementsDataqueryVariant marks the type as a query.
func (q sqlQuery) ImplementsDataqueryVariant() {}

// DataqueryType returns the plugin's name.
func (q sqlQuery) DataqueryType() string { return clickhousePlugin }

// Equals reports whether two queries are the same.
func (q sqlQuery) Equals(other variants.Dataquery) bool {
	o, ok := other.(sqlQuery)
	return ok && q.SQL == o.SQL && q.RefID == o.RefID && q.Format == o.Format
}

// Validate returns nil: the SQL is held against an engine by the tests.
func (q sqlQuery) Validate() error { return nil }

// ofTenant are metrics of a tenant's parts; the others are of the whole process.
var ofTenant = regexp.MustCompile(`\b(belfry_(?:ingest|analyzer|incidents|api|notices|alerts|warehouse_(?:bytes|rows|parts|merges|aggregates|mirror))[a-z_]*)(\{)?`)

// chosen narrows an expression to the tenants that are chosen.
func chosen(expr string) string {
	return ofTenant.ReplaceAllStringFunc(expr, func(m string) string {
		if name, braced := strings.CutSuffix(m, "{"); braced {
			return name + `{tenant=~"$tenant", `
		}
		return m + `{tenant=~"$tenant"}`
	})
}

// promql makes a query over the time shown.
func promql(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId("A").Datasource(prometheusSource()).Expr(chosen(expr)).LegendFormat(legend).Range()
}

// promqlNow makes a query for the end of the time shown.
func promqlNow(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().RefId("A").Datasource(prometheusSource()).Expr(chosen(expr)).LegendFormat(legend).Instant()
}
