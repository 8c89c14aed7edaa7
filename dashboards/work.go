package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/statushistory"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// open holds for incidents on which work remains and of which people are told.
const open = "state NOT IN ('resolved', 'closed', 'cancelled') AND held_by = '' AND parent = ''"

// pagesVariable is where belfry's own pages are: tables lead to incidents there.
func pagesVariable() *dashboard.TextBoxVariableBuilder {
	address := dashboard.StringOrMap{String: cog.ToPtr("http://127.0.0.1:8080")}
	return dashboard.NewTextBoxVariableBuilder("belfry").Label("belfry at").DefaultValue(address)
}

// tenantVariable narrows what comes from Prometheus. What comes from ClickHouse is
// always of one tenant: that of the data source's user.
func tenantVariable() *dashboard.QueryVariableBuilder {
	all := func(text string) dashboard.StringOrArrayOfString {
		return dashboard.StringOrArrayOfString{ArrayOfString: []string{text}}
	}
	return dashboard.NewQueryVariableBuilder("tenant").Label("Tenant").Datasource(prometheusSource()).
		Query(dashboard.StringOrMap{Map: map[string]any{"qryType": 1, "query": "label_values(belfry_ingest_readings_total, tenant)", "refId": "tenant"}}).
		Definition("label_values(belfry_ingest_readings_total, tenant)").
		Refresh(dashboard.VariableRefreshOnDashboardLoad).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Text: all("All"), Value: all("$__all")})
}

// incidentTable is a table whose column incident leads to belfry's page of it.
func incidentTable(title, description, query string) *table.PanelBuilder {
	when := []dashboard.DynamicConfigValue{{Id: "unit", Value: units.DateTimeFromNow}}
	return rows(title, description, units.Short, sql(asTable, query)).
		OverrideByName("incident", []dashboard.DynamicConfigValue{{Id: "links", Value: []map[string]any{{
			"title": "open the incident", "url": "${belfry}/incidents/${__value.raw}", "targetBlank": true,
		}}}}).
		OverrideByName("opened", when).OverrideByName("due", when)
}

// incidentMarks shows incidents as annotations: a region from when each was opened
// until it was resolved.
func incidentMarks(where string) *dashboard.AnnotationQueryBuilder {
	query := sql(asTable, `SELECT opened_at AS time, if(resolved_at > opened_at, resolved_at, now64(3)) AS timeEnd, concat(ref, ': ', summary) AS text, category AS tags
FROM incidents WHERE opened_at <= $__toTime AND (resolved_at < opened_at OR resolved_at >= $__fromTime) AND parent = '' AND `+where+` ORDER BY time LIMIT 200`)
	return dashboard.NewAnnotationQueryBuilder().Name("Incidents").Datasource(clickhouse()).Enable(true).IconColor("orange").Target(query)
}

// openingHours shades when the site is open, by its own clock: each quarter of an
// hour is looked up in the week of the site, or among its exceptions (by its date, by
// its date of every year, or as a public holiday of the site's place), and those that
// follow one another are one stretch.
func openingHours() *dashboard.AnnotationQueryBuilder {
	query := sql(asTable, `SELECT min(at) AS time, max(at) + INTERVAL 15 MINUTE AS timeEnd, 'open' AS text, 'open' AS tags
FROM (
  SELECT at, sum(was = 0) OVER (ORDER BY at) AS stretch
  FROM (
    SELECT at, is, lagInFrame(is, 1, 0) OVER (ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS was
    FROM (
      SELECT at, arrayFirst(k -> has(arrayMap(e -> tupleElement(e, 1), exceptions), k), [date, substring(date, 6), if(has(dates, date), place, '')]) AS key, if(key != '',
        arrayExists(e -> tupleElement(e, 1) = key AND tupleElement(e, 2) <= minute AND minute < tupleElement(e, 3), exceptions),
        arrayExists(h -> tupleElement(h, 1) = weekday AND tupleElement(h, 2) <= minute AND minute < tupleElement(h, 3), hours)) AS is
      FROM (
        SELECT t.at AS at, s.hours AS hours, s.exceptions AS exceptions, s.place AS place, p.dates AS dates, formatDateTime(t.at, '%F', s.zone) AS date, toUInt8(formatDateTime(t.at, '%u', s.zone)) AS weekday,
          toUInt16(formatDateTime(t.at, '%H', s.zone)) * 60 + toUInt16(formatDateTime(t.at, '%i', s.zone)) AS minute
        FROM (SELECT toDateTime(arrayJoin(range(intDiv(toUInt32($__fromTime), 900), intDiv(toUInt32($__toTime), 900))) * 900, 'UTC') AS at) AS t
        CROSS JOIN (SELECT toString(zone) AS zone, hours, exceptions, toString(holidays) AS place FROM sites WHERE site IN (${site:singlequote}) ORDER BY empty(hours), site LIMIT 1) AS s
        LEFT JOIN (SELECT place, groupArray(toString(date)) AS dates FROM holidays GROUP BY place) AS p ON p.place = s.place
      )
    )
  ) WHERE is = 1
) GROUP BY stretch ORDER BY time LIMIT 400`)
	return dashboard.NewAnnotationQueryBuilder().Name("Opening hours").Datasource(clickhouse()).Enable(true).IconColor("super-light-green").Target(query)
}

// completenessMap is each site's readings as a share of those expected, in
// quarters of a day.
func completenessMap() *statushistory.PanelBuilder {
	return statushistory.NewPanelBuilder().Title("Completeness by site").
		Description("Readings that are there, in percent of those expected of the site's active devices, for each whole quarter of a day (UTC); none at all is 0, and closed sites are left out. Red rows are sites whose data nobody should plan with.").
		Datasource(clickhouse()).Unit(units.Percent).Span(24).Height(9).Min(0).Max(100).ShowValue(common.VisibilityModeNever).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		Thresholds(absolute(complete)).
		WithTarget(sql(asSeries, `SELECT e.time AS time, e.site AS site, round(least(100, 100 * h.readings / e.expected), 1) AS complete
FROM (
  SELECT time, site, sum(21600 / if(reading_every = 0, 60, reading_every)) AS expected
  FROM devices CROSS JOIN (
    SELECT toDateTime(21600 * arrayJoin(range(intDiv(toUnixTimestamp($__fromTime), 21600), intDiv(toUnixTimestamp($__toTime), 21600))), 'UTC') AS time
  ) AS quarters
  WHERE status = 'active' AND in_service_since <= time AND site IN (${site:singlequote}) AND site NOT IN (SELECT site FROM sites WHERE status = 'closed')
  GROUP BY time, site
) AS e
LEFT JOIN (
  SELECT toStartOfInterval(hour, INTERVAL 6 HOUR) AS time, site, sum(readings) AS readings FROM hourly
  WHERE hour >= toStartOfInterval(toTimeZone($__fromTime, 'UTC'), INTERVAL 6 HOUR) AND hour < toStartOfInterval(toTimeZone($__toTime, 'UTC'), INTERVAL 6 HOUR) AND site IN (${site:singlequote})
  GROUP BY time, site
) AS h ON h.time = e.time AND h.site = e.site
ORDER BY time, site`))
}

func worstDevices() *table.PanelBuilder {
	return marked(marked(rows("Worst devices", "Active devices by how many incidents they had in the time shown, and by how few of the expected readings are there; at most 50.", units.Short,
		sql(asTable, `SELECT d.device AS device, d.site AS site, coalesce(i.incidents, 0) AS incidents, coalesce(i.fired, 0) AS "times fired",
  round(least(100, 100 * coalesce(r.readings, 0) / greatest(1, dateDiff('second', $__fromTime, $__toTime) / if(d.reading_every = 0, 60, d.reading_every))), 1) AS complete
FROM devices AS d
LEFT JOIN (
  SELECT device, toNullable(count()) AS incidents, toNullable(sum(occurrences)) AS fired FROM incidents WHERE opened_at >= $__fromTime AND opened_at <= $__toTime AND device != '' GROUP BY device
) AS i ON i.device = d.device
LEFT JOIN (
  SELECT device, toNullable(sum(readings)) AS readings FROM hourly WHERE $__timeFilter(hour) GROUP BY device
) AS r ON r.device = d.device
WHERE d.status = 'active' AND d.site IN (${site:singlequote}) AND d.site NOT IN (SELECT site FROM sites WHERE status = 'closed')
ORDER BY incidents DESC, complete, device LIMIT 50`)).Span(12).Height(9), "complete", units.Percent, complete), "incidents", "", steps(3, 10))
}

func siteIncidents() *table.PanelBuilder {
	return marked(incidentTable("Incidents", "Of the site in the time shown, the newest first.",
		`SELECT ref AS incident, summary, device, state, priority, opened_at AS opened FROM incidents
WHERE site IN (${site:singlequote}) AND opened_at <= $__toTime AND (resolved_at < opened_at OR resolved_at >= $__fromTime) AND parent = ''
ORDER BY opened_at DESC LIMIT 100`), "priority", "", priorities)
}

func deviceIncidents() *table.PanelBuilder {
	return marked(incidentTable("Incidents", "Of the device, the newest first. In the pictures above they are shaded.",
		`SELECT ref AS incident, summary, rule, state, occurrences, opened_at AS opened, resolution FROM incidents
WHERE device IN (${device:singlequote}) ORDER BY opened_at DESC LIMIT 100`).Span(24), "occurrences", "", steps(3, 10))
}

func clocksAtRisk() *table.PanelBuilder {
	return marked(incidentTable("Clocks at risk", "Open incidents whose next promise falls due within four hours, or has; the most urgent first.",
		`SELECT ref AS incident, summary, site, state, assignee, priority, if(toUnixTimestamp(respond_due) > 0, 'respond', 'resolve') AS promise,
  if(toUnixTimestamp(respond_due) > 0, respond_due, resolve_due) AS due, dateDiff('second', now64(3), due) AS left
FROM incidents WHERE `+open+` AND toUnixTimestamp(due) > 0 AND due <= now64(3) + INTERVAL 4 HOUR ORDER BY due LIMIT 100`), "left", units.Seconds, floor(0, 3600))
}

func openIncidentsTable() *table.PanelBuilder {
	return marked(incidentTable("Open incidents", "What is open and not held back, the most urgent first, then the oldest.",
		`SELECT ref AS incident, summary, site, device, state, condition, assignee, level, priority, opened_at AS opened
FROM incidents WHERE `+open+` ORDER BY if(priority = 0, 9, priority), opened_at LIMIT 200`), "priority", "", priorities)
}

func ages() *table.PanelBuilder {
	return marked(rows("Ages of what is open", "How long open incidents have been open, by category.", units.Short,
		sql(asTable, `SELECT category, count() AS open, countIf(age <= 3600) AS "under an hour", countIf(age > 3600 AND age <= 86400) AS "under a day",
  countIf(age > 86400 AND age <= 604800) AS "under a week", countIf(age > 604800) AS "a week or more"
FROM (SELECT category, dateDiff('second', opened_at, now64(3)) AS age FROM incidents WHERE `+open+`)
GROUP BY category ORDER BY open DESC`)), "a week or more", "", steps(1, 10))
}

func recurring() *table.PanelBuilder {
	return marked(rows("Top recurring", "What came back most often in the time shown: incidents and occurrences of one rule for one device or site.", units.Short,
		sql(asTable, `SELECT if(device = '', site, device) AS about, rule, count() AS incidents, sum(occurrences) AS "times fired", max(opened_at) AS "last opened"
FROM incidents WHERE opened_at >= $__fromTime AND opened_at <= $__toTime AND origin = 'rule' AND rule != ''
GROUP BY about, scope, rule ORDER BY incidents DESC, "times fired" DESC LIMIT 50`)), "incidents", "", steps(3, 10))
}

func heldBack() *table.PanelBuilder {
	return rows("Held back now", "Open incidents that nobody is troubled with, by why.", units.Short,
		sql(asTable, `SELECT if(parent != '', 'a site incident stands for it', held_by) AS reason, category, count() AS incidents, uniqExact(site) AS sites
FROM incidents WHERE state NOT IN ('resolved', 'closed', 'cancelled') AND (held_by != '' OR parent != '') GROUP BY reason, category ORDER BY incidents DESC`))
}

func noisyRules() *table.PanelBuilder {
	return marked(rows("Findings by rule", "How often each rule fired in the time shown, for how many devices, and how many of its incidents ended as a false alarm.", units.Short,
		sql(asTable, `SELECT f.rule AS rule, count() AS fired, uniqExact(f.ref) AS incidents, uniqExactIf(f.device, f.device != '') AS devices, uniqExactIf(f.ref, i.resolution = 'false_positive') AS "false alarms"
FROM findings AS f INNER JOIN incidents AS i ON i.ref = f.ref
WHERE f.kind IN ('open', 'repeat', 'reopen') AND f.at >= $__fromTime AND f.at <= $__toTime GROUP BY rule ORDER BY fired DESC LIMIT 50`)), "false alarms", "", steps(1, 5))
}

func openedPerHour() *timeseries.PanelBuilder {
	return perHour("Opened per hour", "New incidents, by what reported them.", "origin",
		"SELECT toStartOfHour(opened_at) AS time, origin, count() AS opened\nFROM incidents WHERE $__timeFilter(opened_at) GROUP BY time, origin ORDER BY time, origin")
}

func resolvedPerHour() *timeseries.PanelBuilder {
	return perHour("Resolved per hour", "Incidents resolved, by resolution code; one that was opened again counts when it is resolved for good.", "resolution",
		"SELECT toStartOfHour(resolved_at) AS time, resolution, count() AS resolved\nFROM incidents WHERE $__timeFilter(resolved_at) GROUP BY time, resolution ORDER BY time, resolution")
}

// perHour is of the incidents themselves and not of counters, which miss what came
// first after each start.
func perHour(title, description, label, query string) *timeseries.PanelBuilder {
	return lines(title, description, units.Short, sql(asSeries, query)).DisplayName("${__field.labels." + label + "}").Min(0).DrawStyle(common.GraphDrawStyleBars).FillOpacity(40)
}

// waited is how long people waited for what ended each day, without interpolation.
func waited(title, end, description string) *timeseries.PanelBuilder {
	return lines(title, description+", by the day (UTC) of its end: nine in ten and half of the incidents took at most this long.", units.Seconds,
		sql(asSeries, `SELECT toStartOfDay(`+end+`) AS time, quantileExact(0.9)(seconds) AS "nine in ten", quantileExact(0.5)(seconds) AS half
FROM (SELECT `+end+`, dateDiff('millisecond', opened_at, `+end+`) / 1000 AS seconds FROM incidents WHERE $__timeFilter(`+end+`)) GROUP BY time ORDER BY time`)).Min(0)
}
