package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// silentAfter is when the fleet view calls a device silent. It is shorter than
// any rule's patience: the view shows, the rules judge.
const silentAfter = "INTERVAL 1 HOUR"

// heard joins the active devices of the chosen sites with what was last heard of
// them; a device that was never heard of has the year 1970 there. Devices of
// closed sites are not expected to speak.
const heard = `FROM devices AS d LEFT JOIN latest AS l ON l.device = d.device
WHERE d.status = 'active' AND d.site IN (${site:singlequote})
  AND d.site NOT IN (SELECT site FROM sites WHERE status = 'closed')`

// fleetDashboard is the first page of a NOC: who is alive, who is silent, how
// much comes in, and what is open.
func fleetDashboard() *dashboard.DashboardBuilder {
	return newPage("fleet", "People counters that are alive and silent, what they count, how their readings arrive, and what is open.", "now-24h").
		WithVariable(siteVariable()).
		WithPanel(devicesAlive()).
		WithPanel(devicesSilent()).
		WithPanel(openIncidents()).
		WithPanel(sitesAlive()).
		WithPanel(silentDevices()).
		WithPanel(completenessMap()).
		WithPanel(countsByHour()).
		WithPanel(byModel()).
		WithPanel(byFirmware()).
		WithPanel(noisyDevices()).
		WithPanel(worstDevices()).
		WithPanel(worstSites().Height(9)).
		WithPanel(readingsPerMinute()).
		WithPanel(ingestLag()).
		WithPanel(deadLetters())
}

func siteVariable() *dashboard.QueryVariableBuilder {
	query := "SELECT DISTINCT site FROM devices ORDER BY site"
	return dashboard.NewQueryVariableBuilder("site").Label("Site").
		Datasource(clickhouse()).
		Query(dashboard.StringOrMap{String: cog.ToPtr(query)}).
		Definition(query).
		Refresh(dashboard.VariableRefreshOnDashboardLoad).
		Multi(true).IncludeAll(true).
		Current(dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
		})
}

func devicesAlive() *stat.PanelBuilder {
	return coloured(number("Devices alive", "Active devices of which something arrived in the last hour of the time shown.", units.Short,
		sql(asTable, "SELECT countIf(l.last_arrival > $__toTime - "+silentAfter+") AS alive\n"+heard)).Height(7), atLeast(1))
}

func devicesSilent() *stat.PanelBuilder {
	return coloured(number("Devices silent", "Active devices of which nothing arrived in the last hour of the time shown, or ever.", units.Short,
		sql(asTable, "SELECT countIf(l.last_arrival <= $__toTime - "+silentAfter+") AS silent\n"+heard)).Height(7), steps(1, 10))
}

func openIncidents() *bargauge.PanelBuilder {
	return bargauge.NewPanelBuilder().Title("Open incidents by category").
		Description("Incidents that are neither resolved, closed nor cancelled, over all sites.").
		Datasource(prometheusSource()).Unit(units.Short).Span(16).Height(7).
		Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		Min(0).NoValue("none").Thresholds(absolute(steps(20, 100))).
		WithTarget(promqlNow(`sum by (category) (belfry_incidents{state=~"new|in_progress|pending"}) > 0`, "{{category}}"))
}

func sitesAlive() *table.PanelBuilder {
	return marked(rows("Alive and silent by site", "Active devices of each site by whether anything arrived in the last hour of the time shown; sites with most silent ones first.", units.Short,
		sql(asTable, "SELECT d.site AS site, countIf(l.last_arrival > $__toTime - "+silentAfter+") AS alive, count() - alive AS silent\n"+
			heard+"\nGROUP BY site ORDER BY silent DESC, site")).Span(8).Height(9), "silent", "", steps(1, 5))
}

func silentDevices() *table.PanelBuilder {
	when := []dashboard.DynamicConfigValue{{Id: "unit", Value: units.DateTimeFromNow}, {Id: "noValue", Value: "never"}}
	return marked(rows("Silent devices", "The devices that have been silent longest, at most 200; silence is the time since the last message arrived, empty when none ever did.", units.Short,
		sql(asTable, `SELECT d.device AS device, d.site AS site,
  if(toUnixTimestamp(l.last_arrival) > 0, l.last_arrival, NULL) AS "last heard",
  if(toUnixTimestamp(l.last_arrival) > 0, dateDiff('second', l.last_arrival, $__toTime), NULL) AS silence
`+heard+` AND l.last_arrival <= $__toTime - `+silentAfter+`
ORDER BY l.last_arrival, device LIMIT 200`)).Span(16).Height(9).Filterable(true).
		OverrideByName("last heard", when), "silence", units.DurationSeconds, silences)
}

func countsByHour() *timeseries.PanelBuilder {
	// A reading's time is the end of its interval, so one at 11:00 is of the
	// hour that began at 10:00.
	return timeseries.NewPanelBuilder().Title("People counted by hour").
		Description("Sums of IN and OUT over the chosen sites for each hour (UTC), each reading once with its last values.").
		Datasource(clickhouse()).Unit(units.Short).Span(24).Height(9).Min(0).
		DrawStyle(common.GraphDrawStyleBars).FillOpacity(40).
		WithTarget(sql(asSeries, `SELECT toStartOfHour(ts - INTERVAL 1 SECOND) AS time, sum("in") AS "IN", sum("out") AS "OUT"
FROM readings WHERE $__timeFilter(ts) AND site IN (${site:singlequote})
GROUP BY time ORDER BY time`))
}

func readingsPerMinute() *timeseries.PanelBuilder {
	return bounded(lines("Readings per minute", "Readings accepted and written to the warehouse, by kind.", units.CountsPerMinute,
		promql(`sum by (kind) (rate(belfry_ingest_readings_total[$__rate_interval])) * 60`, "{{kind}}")).Span(8).Min(0), atLeast(1))
}

func ingestLag() *timeseries.PanelBuilder {
	return bounded(lines("Ingestion lag", "How far the warehouse is behind the log. While it is far behind, conditions are unknown and no incident opens or clears.", units.Seconds,
		promql(`max(belfry_ingest_lag_seconds)`, "lag")).Span(8).Min(0), steps(30, 120))
}

func deadLetters() *timeseries.PanelBuilder {
	return bounded(lines("Dead letters per minute, by reason", "Records and readings that were refused. They are kept in the dead-letter topic with their reason.", units.CountsPerMinute,
		promql(`sum by (reason) (rate(belfry_ingest_rejected_total[$__rate_interval])) * 60`, "{{reason}}")).Span(8).Min(0), steps(1, 7))
}

func worstSites() *table.PanelBuilder {
	return marked(rows("Sites where IN and OUT disagree", "The business days of the last week that are over and on which IN and OUT were furthest apart, among those with at least 200 people.", units.Short,
		sql(asTable, `SELECT c.site AS site, c.day AS day, sum(c."in") AS "IN", sum(c."out") AS "OUT", round(100 * abs("IN" - "OUT") / greatest("IN", "OUT"), 1) AS discrepancy
FROM daily AS c INNER JOIN sites AS s ON s.site = c.site
WHERE c.site IN (${site:singlequote}) AND c.day >= toDate($__toTime) - 7
GROUP BY site, day HAVING "IN" + "OUT" >= 200 AND day < `+localToday+` ORDER BY discrepancy DESC LIMIT 20`)), "discrepancy", units.Percent, discrepancies)
}
