package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// newPage begins a dashboard: its data sources, and the links to the others,
// which keep the time and the variables.
func newPage(name, description, from string) *dashboard.DashboardBuilder {
	return dashboard.NewDashboardBuilder("belfry: "+name).
		Uid("belfry-"+name).
		Description(description).
		Tags([]string{"belfry"}).
		Readonly().
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Refresh("30s").
		Time(from, "now").
		Timezone("browser").
		Link(dashboard.NewDashboardLinkBuilder("belfry").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{"belfry"}).AsDropdown(false).KeepTime(true).IncludeVars(true)).
		WithVariable(sourceVariable("clickhouse", "ClickHouse", clickhousePlugin)).
		WithVariable(sourceVariable("prometheus", "Prometheus", prometheusPlugin)).
		WithVariable(tenantVariable()).
		WithVariable(pagesVariable())
}

// oneOf is a variable of which one value is chosen.
func oneOf(name, label, query string) *dashboard.QueryVariableBuilder {
	return dashboard.NewQueryVariableBuilder(name).Label(label).
		Datasource(clickhouse()).
		Query(dashboard.StringOrMap{String: cog.ToPtr(query)}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnDashboardLoad)
}

// target is a query of either data source.
type target = cog.Builder[variants.Dataquery]

// sourceOf returns the data source of a query.
func sourceOf(q target) common.DataSourceRef {
	if _, ok := q.(sqlQuery); ok {
		return clickhouse()
	}
	return prometheusSource()
}

// number is a panel with one large number.
func number(title, description, unit string, q target) *stat.PanelBuilder {
	return stat.NewPanelBuilder().Title(title).Description(description).Datasource(sourceOf(q)).Unit(unit).
		Span(4).Height(6).ColorMode(common.BigValueColorModeNone).GraphMode(common.BigValueGraphModeNone).WithTarget(q)
}

// lines is a panel of values over time.
func lines(title, description, unit string, q target) *timeseries.PanelBuilder {
	return timeseries.NewPanelBuilder().Title(title).Description(description).Datasource(sourceOf(q)).Unit(unit).
		Span(12).Height(8).WithTarget(q)
}

// rows is a panel with a table. A column that names a device or a site leads to
// its dashboard.
func rows(title, description, unit string, q target) *table.PanelBuilder {
	leads := func(to string) []dashboard.DynamicConfigValue {
		return []dashboard.DynamicConfigValue{{Id: "links", Value: []map[string]any{{
			"title": "open the " + to, "url": "/d/belfry-" + to + "?var-" + to + "=${__value.raw}&${__url_time_range}",
		}}}}
	}
	return table.NewPanelBuilder().Title(title).Description(description).Datasource(sourceOf(q)).Unit(unit).
		Span(12).Height(8).OverrideByName("device", leads("device")).OverrideByName("site", leads("site")).WithTarget(q)
}

// quantile is a PromQL expression: the quantile of a histogram by some labels.
func quantile(q, histogram, by string) string {
	return "histogram_quantile(" + q + ", sum by (" + by + ") (rate(" + histogram + "_bucket[$__rate_interval])))"
}
