-- The views for people, made fast. A reading's last version is the row after
-- which, in the order of the table's key, none of the same device and time
-- follows: read in that order, it needs no memory, and filters on time and device
-- reach the table. The registry is joined from the small side, so that a filter
-- on a site becomes one on its devices.
CREATE OR REPLACE VIEW {db}.readings AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(r.delay) AS arrival,
       r.i AS `in`, r.o AS `out`, r.interval AS interval
FROM (
    SELECT device AS id, ts, delay, `in` AS i, `out` AS o, interval,
           leadInFrame(1) OVER (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
    FROM {db}.raw_counts
) AS r
INNER JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id
WHERE r.later = 0
SETTINGS query_plan_join_swap_table = 'false';

CREATE OR REPLACE VIEW {db}.heartbeats AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(r.delay) AS arrival,
       r.fw AS fw, r.measurements AS measurements
FROM (
    SELECT device AS id, ts, delay, fw, measurements,
           leadInFrame(1) OVER (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
    FROM {db}.raw_heartbeats
) AS r
INNER JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id
WHERE r.later = 0
SETTINGS query_plan_join_swap_table = 'false';

-- A reading's time is the end of its interval: one at 11:00 is of the hour that
-- began at 10:00.
CREATE VIEW {db}.hourly AS
SELECT device, site, toStartOfHour(ts - toIntervalMillisecond(1)) AS hour,
       sum(`in`) AS `in`, sum(`out`) AS `out`, count() AS readings
FROM {db}.readings
GROUP BY device, site, hour;

-- The business day is the site's local day; quarters of an hour are whole in
-- every zone.
CREATE VIEW {db}.daily AS
SELECT q.device AS device, q.site AS site, toDate(formatDateTime(q.quarter, '%F', s.zone)) AS day,
       sum(q.i) AS `in`, sum(q.o) AS `out`, sum(q.n) AS readings
FROM (
    SELECT device, site, toStartOfFifteenMinutes(ts - toIntervalMillisecond(1)) AS quarter,
           sum(`in`) AS i, sum(`out`) AS o, count() AS n
    FROM {db}.readings
    GROUP BY device, site, quarter
) AS q
INNER JOIN (SELECT site, zone FROM {db}.raw_sites FINAL) AS s ON s.site = q.site
GROUP BY device, site, day;

CREATE OR REPLACE VIEW {db}.latest AS
SELECT d.device AS device, d.site AS site, l.last_reading AS last_reading,
       l.last_heartbeat AS last_heartbeat, l.last_arrival AS last_arrival
FROM (
    SELECT device AS id, CAST(max(count_ts), 'DateTime64(3, \'UTC\')') AS last_reading,
           CAST(max(heartbeat_ts), 'DateTime64(3, \'UTC\')') AS last_heartbeat,
           CAST(greatest(max(count_arrival), max(heartbeat_arrival)), 'DateTime64(3, \'UTC\')') AS last_arrival
    FROM {db}.raw_latest GROUP BY device
) AS l
LEFT ANY JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = l.id;
