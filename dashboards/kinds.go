package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// heardByKind counts alive and silent devices by what kind they are. Their newest
// heartbeat of the week before the end of the time shown is h.
const heardByKind = `countIf(l.last_arrival > $__toTime - ` + silentAfter + `) AS alive, count() - alive AS silent,
  if(countIf(h.temp != 0) = 0, NULL, round(avgIf(h.temp, h.temp != 0), 1)) AS "average temperature"
FROM devices AS d LEFT JOIN latest AS l ON l.device = d.device
LEFT JOIN (
  SELECT device, argMax(fw, ts) AS fw, argMax(measurements['temp'], ts) AS temp FROM heartbeats
  WHERE ts > $__toTime - INTERVAL 7 DAY AND ts <= $__toTime AND site IN (${site:singlequote}) GROUP BY device
) AS h ON h.device = d.device
WHERE d.status = 'active' AND d.site IN (${site:singlequote})
  AND d.site NOT IN (SELECT site FROM sites WHERE status = 'closed')
`

func byModel() *table.PanelBuilder {
	return byKind("Alive and silent by model", "Active devices of each model (label model) by whether anything arrived in the last hour of the time shown, and how warm they are.",
		"SELECT if(d.labels['model'] = '', 'no label', d.labels['model']) AS model, "+heardByKind+"GROUP BY model ORDER BY silent DESC, model")
}

func byFirmware() *table.PanelBuilder {
	return byKind("Alive and silent by firmware", "Active devices of each firmware, as their newest heartbeat of a week says, by whether anything arrived in the last hour of the time shown. Many silent ones of one version, and few of the others, say that the version is at fault.",
		"SELECT if(h.fw = '', 'not known', h.fw) AS firmware, "+heardByKind+"GROUP BY firmware ORDER BY silent DESC, firmware")
}

func byKind(title, description, query string) *table.PanelBuilder {
	panel := rows(title, description, units.Short, sql(asTable, query)).Span(8).Height(9)
	return marked(marked(panel, "silent", "", steps(1, 5)), "average temperature", units.Celsius, steps(55, 70))
}

func noisyDevices() *table.PanelBuilder {
	return marked(rows("Noisy devices", "The devices for which rules fired most often in the time shown, by how many incidents that made and how many of them ended as a false alarm; without closed sites.", units.Short,
		sql(asTable, `SELECT f.device AS device, any(f.site) AS site, count() AS fired, uniqExact(f.rule) AS rules, uniqExact(f.ref) AS incidents, uniqExactIf(f.ref, i.resolution = 'false_positive') AS "false alarms"
FROM findings AS f INNER JOIN incidents AS i ON i.ref = f.ref
WHERE f.kind IN ('open', 'repeat', 'reopen') AND f.device != '' AND f.site IN (${site:singlequote}) AND f.at >= $__fromTime AND f.at <= $__toTime
  AND f.site NOT IN (SELECT site FROM sites WHERE status = 'closed')
GROUP BY device ORDER BY fired DESC, device LIMIT 50`)).Span(8).Height(9), "fired", "", steps(10, 50))
}
