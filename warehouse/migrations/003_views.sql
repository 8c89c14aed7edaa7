-- The tables for people: names instead of numbers, one row for each reading.
CREATE VIEW {db}.sites AS
SELECT site, name, zone, status, labels, contact FROM {db}.raw_sites FINAL;

CREATE VIEW {db}.devices AS
SELECT device, site, status, labels, heartbeat_every, reading_every, in_service_since, retired_at, self_registered
FROM {db}.raw_devices FINAL;

CREATE VIEW {db}.readings AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(tupleElement(r.last, 4)) AS arrival,
       tupleElement(r.last, 1) AS `in`, tupleElement(r.last, 2) AS `out`, tupleElement(r.last, 3) AS interval
FROM (
    SELECT device AS id, ts, argMax((`in`, `out`, interval, delay), (delay, offset)) AS last
    FROM {db}.raw_counts GROUP BY device, ts
) AS r
LEFT ANY JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id;

CREATE VIEW {db}.heartbeats AS
SELECT d.device AS device, d.site AS site, r.ts AS ts, r.ts + toIntervalMillisecond(tupleElement(r.last, 3)) AS arrival,
       tupleElement(r.last, 1) AS fw, tupleElement(r.last, 2) AS measurements
FROM (
    SELECT device AS id, ts, argMax((fw, measurements, delay), (delay, offset)) AS last
    FROM {db}.raw_heartbeats GROUP BY device, ts
) AS r
LEFT ANY JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = r.id;

CREATE VIEW {db}.latest AS
SELECT d.device AS device, d.site AS site, l.last_reading AS last_reading,
       l.last_heartbeat AS last_heartbeat, l.last_arrival AS last_arrival
FROM (
    SELECT device AS id, max(count_ts) AS last_reading, max(heartbeat_ts) AS last_heartbeat,
           greatest(max(count_arrival), max(heartbeat_arrival)) AS last_arrival
    FROM {db}.raw_latest GROUP BY device
) AS l
LEFT ANY JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = l.id;
