package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// incidentsDashboard is the helpdesk from above.
func incidentsDashboard() *dashboard.DashboardBuilder {
	counted := `belfry_incidents{state=~"new|in_progress|pending"}`
	return newPage("incidents", "Incidents: how many are open and where they stand, what comes in and goes out, how long people wait, promises not kept, and what was held back as noise.", "now-7d").
		WithPanel(coloured(number("Open", "Incidents that are neither resolved, closed nor cancelled.", units.Short, promqlNow("sum("+counted+")", "open")), steps(20, 100))).
		WithPanel(coloured(number("Not taken yet", "Incidents in the state new: nobody has them.", units.Short, promqlNow(`sum(belfry_incidents{state="new"}) or vector(0)`, "new")), steps(5, 20))).
		WithPanel(coloured(number("Promises broken", "Service level promises that were not kept in the time shown.", units.Short, promqlNow("round(sum(increase(belfry_incidents_sla_breaches_total[$__range])))", "breaches")), steps(1, 10))).
		WithPanel(openIncidents().Span(12).Height(6)).
		WithPanel(bounded(lines("Open by state", "Where open incidents stand.", units.Short, promql("sum by (state) ("+counted+")", "{{state}}")).Min(0), steps(20, 100))).
		WithPanel(bounded(lines("Open by level", "Which line has them: 1 is the helpdesk, 3 the supplier.", units.Short, promql("sum by (level) ("+counted+")", "level {{level}}")).Min(0), steps(20, 100))).
		WithPanel(bounded(openedPerHour(), steps(20, 100))).
		WithPanel(resolvedPerHour()).
		WithPanel(bounded(waited("Time to first response", "first_response", "From opening to the first human response"), steps(900, 3600))).
		WithPanel(bounded(waited("Time to resolve", "resolved_at", "From opening to resolution"), steps(28800, 86400))).
		WithPanel(lines("Held back per hour", "Findings that did not reach a person, by what held them.", units.Short, promql("sum by (by) (increase(belfry_incidents_suppressed_total[1h]))", "{{by}}")).Min(0)).
		WithPanel(bounded(lines("Open by priority", "1 is the most urgent.", units.Short, promql("sum by (priority) ("+counted+")", "priority {{priority}}")).Min(0), steps(20, 100))).
		WithPanel(openIncidentsTable().Span(24)).
		WithPanel(clocksAtRisk()).
		WithPanel(ages()).
		WithPanel(recurring()).
		WithPanel(noisyRules()).
		WithPanel(heldBack()).
		WithPanel(bounded(lines("Promises broken per day", "By what was promised: to respond, to resolve, between levels (ola), by suppliers (uc).", units.Short, promql("sum by (metric) (increase(belfry_incidents_sla_breaches_total[1d]))", "{{metric}}")).Min(0), steps(1, 10)))
}

// pipelineDashboard is belfry itself, from the log to the API.
func pipelineDashboard() *dashboard.DashboardBuilder {
	return newPage("pipeline", "belfry at work: what comes in, how far the warehouse is behind the log, what is refused, how long rules, statements and requests take.", "now-6h").
		WithPanel(readingsPerMinute()).
		WithPanel(ingestLag()).
		WithPanel(deadLetters()).
		WithPanel(bounded(lines("Lag by partition", "Records in the log that are not in the warehouse yet.", units.Short, promql("sum by (partition) (belfry_ingest_lag_records)", "partition {{partition}}")).Min(0), steps(10_000, 100_000))).
		WithPanel(bounded(lines("Time of a batch", "99 of 100 batches were in the warehouse within this time.", units.Seconds, promql(quantile("0.99", "belfry_ingest_batch_seconds", "le"), "p99")).Min(0), steps(5, 30))).
		WithPanel(bounded(lines("Time of an evaluation, by rule", "99 of 100 evaluations of a rule took at most this long, without its scans.", units.Seconds, promql(quantile("0.99", "belfry_analyzer_evaluation_seconds", "le, rule"), "{{rule}}")).Min(0), steps(5, 30))).
		WithPanel(bounded(lines("Evaluation behind, by rule", "How long ago the instant was up to which a rule has been evaluated. A rule that fails, or all of them while the pipeline lags, fall behind.", units.Seconds, promql("time() - min by (rule) (belfry_analyzer_evaluated_timestamp_seconds)", "{{rule}}")).Min(0), steps(120, 300))).
		WithPanel(lines("Scopes by condition", "For how many devices and sites rules fire, are clear, or cannot tell.", units.Short, promql("sum by (condition) (belfry_analyzer_scopes)", "{{condition}}")).Min(0)).
		WithPanel(bounded(lines("Time of statements, by name", "99 of 100 statements to the warehouse took at most this long.", units.Seconds, promql(quantile("0.99", "belfry_warehouse_query_seconds", "le, query"), "{{query}}")).Min(0), steps(5, 30))).
		WithPanel(bounded(lines("Time of API requests", "99 of 100 requests were answered within this time, by method.", units.Seconds, promql(quantile("0.99", "belfry_api_request_seconds", "le, method"), "{{method}}")).Min(0), slow)).
		WithPanel(bounded(lines("Rule errors per minute", "Evaluations that failed. A rule that fails opens an incident of its own.", units.CountsPerMinute, promql("sum by (rule) (rate(belfry_analyzer_rule_errors_total[$__rate_interval])) * 60", "{{rule}}")).Min(0), steps(0.01, 1))).
		WithPanel(lines("ClickHouse door", "Statements per minute, by how they ended.", units.CountsPerMinute, promql("sum by (end) (rate(belfry_door_request_seconds_count[$__rate_interval])) * 60", "{{end}}")).Min(0)).
		WithPanel(bounded(lines("Parts and merges", "Parts of all tables, and merges of them under way. Parts that only grow say that inserts are too small or merging is too slow.", units.Short, promql("sum(belfry_warehouse_parts)", "parts")).Min(0), steps(1000, 3000))).
		WithPanel(bounded(lines("Merges under way", "How many merges of parts run at once.", units.Short, promql("sum(belfry_warehouse_merges)", "merges")).Min(0), steps(8, 16))).
		WithPanel(bounded(lines("Hours not summed yet", "Hours whose sums are made of their readings while somebody asks, for late ones came; many of them make panels slow.", units.Short, promql("sum(belfry_warehouse_aggregates_stale)", "stale")).Min(0), steps(100, 1000))).
		WithPanel(bounded(lines("Incidents not copied yet", "How old the warehouse's copy of the incidents is.", units.Seconds, promql("max(belfry_warehouse_mirror_lag_seconds)", "behind")).Min(0), steps(60, 300))).
		WithPanel(bounded(lines("Notices waiting", "Notices that should have gone out by mail or webhook.", units.Short, promql("sum(belfry_notices_waiting)", "waiting")).Min(0), steps(10, 100))).
		WithPanel(bounded(lines("Time of API requests, by route", "The ten routes whose slowest hundredth takes longest.", units.Seconds, promql("topk(10, "+quantile("0.99", "belfry_api_request_seconds", "le, route")+")", "{{route}}")).Min(0), slow))
}

// capacityDashboard says how large belfry is and how fast it grows.
func capacityDashboard() *dashboard.DashboardBuilder {
	return newPage("capacity", "How large the fleet and the warehouse are, and how fast they grow.", "now-30d").
		WithPanel(coloured(number("Devices in service", "Active devices in the registry.", units.Short, sql(asTable, "SELECT count() AS devices FROM devices WHERE status = 'active'")).Span(6), atLeast(1))).
		WithPanel(number("Warehouse", "Bytes on disk of all tables.", units.BytesIEC, promqlNow("sum(belfry_warehouse_bytes)", "bytes")).Span(6)).
		WithPanel(number("Growth per day", "Bytes that the warehouse grew by in a day, going by the last six hours.", units.BytesIEC, promqlNow("sum(deriv(belfry_warehouse_bytes[6h])) * 86400", "growth")).Span(6)).
		WithPanel(number("Memory", "Resident memory of the process, engine included.", units.BytesIEC, promqlNow("max(process_resident_memory_bytes{job=\"belfry\"})", "resident")).Span(6)).
		WithPanel(coloured(number("Disk free", "Room that is left for the data folder.", units.BytesIEC, promqlNow("min(belfry_disk_free_bytes)", "free")).Span(6), floor(1<<30, 10<<30))).
		WithPanel(coloured(number("Days to full", "When the first disk is full, going by the last six hours; 3650 stands for ten years and more.", units.Days, promqlNow("clamp_max(min(belfry_disk_free_bytes / clamp_min(-deriv(belfry_disk_free_bytes[6h]) * 86400, 1)), 3650)", "days")).Span(6), floor(7, 30))).
		WithPanel(number("Bytes for each row", "Bytes on disk of all tables for each of their rows.", units.BytesIEC, promqlNow("sum(belfry_warehouse_bytes) / sum(belfry_warehouse_rows)", "bytes")).Span(6)).
		WithPanel(number("Tenants", "Clients that this belfry watches for.", units.Short, promqlNow("count(count by (tenant) (belfry_ingest_readings_total))", "tenants")).Span(6)).
		WithPanel(lines("Readings per day", "Readings of each day (UTC) of the time shown.", units.Short,
			sql(asSeries, "SELECT toStartOfDay(hour) AS time, sum(readings) AS readings\nFROM hourly WHERE $__timeFilter(hour) GROUP BY time ORDER BY time")).Min(0).DrawStyle(common.GraphDrawStyleBars).FillOpacity(40)).
		WithPanel(lines("Devices that send, per day", "Devices of which at least one reading is there for the day (UTC).", units.Short,
			sql(asSeries, "SELECT toStartOfDay(hour) AS time, uniqExact(device) AS devices\nFROM hourly WHERE $__timeFilter(hour) GROUP BY time ORDER BY time")).Min(0).DrawStyle(common.GraphDrawStyleBars).FillOpacity(40)).
		WithPanel(lines("Warehouse by table", "Bytes on disk.", units.BytesIEC, promql("sum by (table) (belfry_warehouse_bytes)", "{{table}}")).Min(0)).
		WithPanel(lines("Processor", "Seconds of processor time that belfry uses in a second.", units.Short, promql("rate(process_cpu_seconds_total{job=\"belfry\"}[$__rate_interval])", "processors")).Min(0))
}
