package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// siteDashboard is one site: what it counts beside what is usual, whether IN and
// OUT agree, and which of its devices say nothing.
func siteDashboard() *dashboard.DashboardBuilder {
	return newPage("site", "One site: people in and out beside what is usual, how many are inside, whether IN and OUT agree by business day, and the devices that are silent or incomplete.", "now-7d").
		WithVariable(oneOf("site", "Site", "SELECT DISTINCT site FROM devices ORDER BY site")).
		Annotation(openingHours()).
		Annotation(incidentMarks("site IN (${site:singlequote})")).
		WithPanel(devicesAlive()).
		WithPanel(devicesSilent()).
		WithPanel(countsByHour().Span(16).Height(7)).
		WithPanel(lines("Beside what is usual", "People counted in and out in each hour that is over, and the middle of the same weekday and hour (UTC) over the eight weeks before the time shown, with twice the spread around it.", units.Short,
			sql(asSeries, usual)).Span(24).Height(9).Min(0)).
		WithPanel(bounded(lines("People inside", "IN less OUT since the beginning of each business day of the site. A line that ends a day far from zero, or goes below it, says that a door misses people.", units.Short,
			sql(asSeries, occupancy)), atLeast(0))).
		WithPanel(marked(rows("IN and OUT by business day", "Sums of each local day, and how far they are apart in percent of the larger once the day is over.", units.Short,
			sql(asTable, discrepancy)), "discrepancy", units.Percent, discrepancies)).
		WithPanel(marked(rows("Completeness by device", "Readings that are there in the time shown, of those expected; the least complete first, without closed sites. Devices whose reading interval nobody configured are taken to send each minute.", units.Short,
			sql(asTable, completeness)), "complete", units.Percent, complete)).
		WithPanel(silentDevices().Span(12).Height(8)).
		WithPanel(siteIncidents().Span(24))
}

const usual = `SELECT h.time AS time, h.people AS people, if(b.weekday = 0, NULL, b.middle) AS usual,
  if(b.weekday = 0, NULL, greatest(b.middle - 2 * b.spread, 0)) AS low, if(b.weekday = 0, NULL, b.middle + 2 * b.spread) AS high
FROM (
  SELECT hour AS time, toFloat64(sum("in") + sum("out")) AS people FROM hourly
  WHERE $__timeFilter(hour) AND hour <= $__toTime - INTERVAL 1 HOUR AND site IN (${site:singlequote}) GROUP BY time
) AS h
LEFT JOIN (
  SELECT toDayOfWeek(hour) AS weekday, toHour(hour) AS at, median(people) AS middle, greatest(1.4826 * medianExact(abs(people - m)), sqrt(greatest(middle, 1)), 0.1 * middle) AS spread
  FROM (
    SELECT hour, toFloat64(sum("in") + sum("out")) AS people, median(people) OVER (PARTITION BY toDayOfWeek(hour), toHour(hour)) AS m FROM hourly
    WHERE hour >= $__fromTime - INTERVAL 56 DAY AND hour < $__fromTime AND site IN (${site:singlequote}) GROUP BY hour
  ) GROUP BY weekday, at
) AS b ON b.weekday = toDayOfWeek(h.time) AND b.at = toHour(h.time)
ORDER BY time`

// occupancy begins with the business day under way at the start of the time shown,
// which may be a day and an hour long.
const occupancy = `SELECT time, sum(now) AS inside
FROM (
  SELECT time, sum(net) OVER (PARTITION BY site, day ORDER BY time) AS now
  FROM (
    SELECT h.hour + INTERVAL 1 HOUR AS time, h.site AS site, formatDateTime(h.hour, '%F', s.zone) AS day, toInt64(sum(h."in")) - toInt64(sum(h."out")) AS net
    FROM hourly AS h INNER JOIN sites AS s ON s.site = h.site
    WHERE h.hour >= $__fromTime - INTERVAL 26 HOUR AND h.hour <= $__toTime AND h.site IN (${site:singlequote}) GROUP BY time, site, day
  )
) WHERE time >= $__fromTime GROUP BY time ORDER BY time`

const discrepancy = `SELECT c.day AS day, c.site AS site, sum(c."in") AS "IN", sum(c."out") AS "OUT",
  if(day < ` + localToday + `, round(100 * abs("IN" - "OUT") / greatest("IN", "OUT", 1), 1), NULL) AS discrepancy
FROM daily AS c INNER JOIN sites AS s ON s.site = c.site
WHERE c.site IN (${site:singlequote}) AND c.day >= toDate($__fromTime) AND c.day <= toDate($__toTime)
GROUP BY day, site ORDER BY day DESC, site`

// localToday is the business day of a site s that is under way at the end of the time
// shown: until it is over people are inside, and IN and OUT disagree.
const localToday = `toDate(formatDateTime($__toTime, '%F', any(s.zone)))`

const completeness = `SELECT d.device AS device, d.site AS site, r.readings AS readings, round(100 * r.readings / greatest(1, dateDiff('second', $__fromTime, $__toTime) / if(d.reading_every = 0, 60, d.reading_every)), 1) AS complete
FROM devices AS d LEFT JOIN (
  SELECT device, sum(readings) AS readings FROM hourly WHERE $__timeFilter(hour) AND site IN (${site:singlequote}) GROUP BY device
) AS r ON r.device = d.device
WHERE d.status = 'active' AND d.site IN (${site:singlequote}) AND d.site NOT IN (SELECT site FROM sites WHERE status = 'closed') ORDER BY complete, device LIMIT 200`

// deviceDashboard is one device: what it counts and what it says about itself.
func deviceDashboard() *dashboard.DashboardBuilder {
	beat := func(title, description, unit, value string) *timeseries.PanelBuilder {
		return lines(title, description, unit, sql(asSeries, "SELECT ts AS time, "+value+"\nFROM heartbeats WHERE $__timeFilter(ts) AND device IN (${device:singlequote}) ORDER BY time"))
	}
	return newPage("device", "One device: its readings and heartbeats, temperature, signal and clock.", "now-2d").
		WithVariable(oneOf("device", "Device", "SELECT device FROM devices ORDER BY device")).
		Annotation(incidentMarks("device IN (${device:singlequote})")).
		WithPanel(coloured(number("Silent for", "How long before the end of the time shown anything of the device last arrived.", units.Seconds,
			sql(asTable, "SELECT greatest(dateDiff('second', last_arrival, $__toTime), 0) AS silence FROM latest WHERE device IN (${device:singlequote})")), silences)).
		WithPanel(rows("The device", "What the registry has of it, and its newest firmware.", units.Short,
			sql(asTable, `SELECT d.device AS device, d.site AS site, d.status AS status, d.labels AS labels, d.self_registered AS "registered itself", h.fw AS firmware
FROM devices AS d LEFT JOIN (
  SELECT device, argMax(fw, ts) AS fw FROM heartbeats WHERE $__timeFilter(ts) AND device IN (${device:singlequote}) GROUP BY device
) AS h ON h.device = d.device
WHERE d.device IN (${device:singlequote})`)).Span(20).Height(6)).
		WithPanel(lines("Readings", "People counted in each interval, each reading once with its last values.", units.Short,
			sql(asSeries, `SELECT ts AS time, "in" AS "IN", "out" AS "OUT"
FROM readings WHERE $__timeFilter(ts) AND device IN (${device:singlequote}) ORDER BY time`)).Span(24).Height(8).Min(0).DrawStyle(common.GraphDrawStyleBars).FillOpacity(40)).
		WithPanel(lines("Messages by hour", "Readings and heartbeats that are there for each hour; a gap is a silence.", units.Short,
			sql(asSeries, `SELECT time, sum(r) AS readings, sum(h) AS heartbeats FROM (
  SELECT toStartOfHour(ts) AS time, count() AS r, 0 AS h FROM readings WHERE $__timeFilter(ts) AND device IN (${device:singlequote}) GROUP BY time
  UNION ALL
  SELECT toStartOfHour(ts) AS time, 0 AS r, count() AS h FROM heartbeats WHERE $__timeFilter(ts) AND device IN (${device:singlequote}) GROUP BY time
) GROUP BY time ORDER BY time`)).Min(0).DrawStyle(common.GraphDrawStyleBars).FillOpacity(40)).
		WithPanel(bounded(beat("Clock", "Arrival less the device's own time. A line off zero is a wrong clock; a slope is a buffer that was sent late.", units.Seconds,
			"dateDiff('millisecond', ts, arrival) / 1000 AS skew"), around(60, 120))).
		WithPanel(bounded(beat("Temperature", "As the heartbeats say.", units.Celsius, "if(mapContains(measurements, 'temp'), measurements['temp'], NULL) AS temperature"), steps(55, 70))).
		WithPanel(bounded(beat("Signal", "Strength of the radio signal, as the heartbeats say.", units.DecibelMilliWatt, "if(mapContains(measurements, 'rssi'), measurements['rssi'], NULL) AS signal"), floor(-85, -75))).
		WithPanel(deviceIncidents())
}
