-- The views of readings as they were at an instant: what arrived later is not there,
-- corrections included. Rules in SQL ask these, so that they find in a backtest what
-- they found live.
CREATE VIEW {db}.readings_as_of AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(r.delay) AS arrival,
       r.i AS `in`, r.o AS `out`, r.interval AS interval
FROM (
    SELECT device AS id, ts, delay, `in` AS i, `out` AS o, interval,
           leadInFrame(1) OVER (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
    FROM {db}.raw_counts
    WHERE toUnixTimestamp64Milli(ts) + delay <= toUnixTimestamp64Milli({as_of:DateTime64(3, 'UTC')})
) AS r
INNER JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id
WHERE r.later = 0
SETTINGS query_plan_join_swap_table = 'false';

CREATE VIEW {db}.heartbeats_as_of AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(r.delay) AS arrival,
       r.fw AS fw, r.measurements AS measurements
FROM (
    SELECT device AS id, ts, delay, fw, measurements,
           leadInFrame(1) OVER (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
    FROM {db}.raw_heartbeats
    WHERE toUnixTimestamp64Milli(ts) + delay <= toUnixTimestamp64Milli({as_of:DateTime64(3, 'UTC')})
) AS r
INNER JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id
WHERE r.later = 0
SETTINGS query_plan_join_swap_table = 'false';
