-- What each device counted in each hour, kept up to date by the refresher. Of the
-- rows of an hour and device the one made of most versions of readings counts: it
-- was made of all that the others were made of, and of what came since.
CREATE TABLE {db}.raw_hours (
    hour     DateTime('UTC')       CODEC(DoubleDelta, ZSTD(1)),
    device   UInt64                CODEC(ZSTD(1)),
    `in`     UInt64                CODEC(T64, ZSTD(1)),
    `out`    UInt64                CODEC(T64, ZSTD(1)),
    readings UInt32                CODEC(T64, ZSTD(1)),
    arrival  DateTime64(3, 'UTC')  CODEC(Delta, ZSTD(1)),
    versions UInt64                CODEC(T64, ZSTD(1))
) ENGINE = ReplacingMergeTree(versions)
PARTITION BY toYYYYMM(hour)
ORDER BY (toDate(hour), device, hour)
SETTINGS min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, auto_statistics_types = '';

-- The hours that readings were put into since raw_hours was made of them, by
-- stripe: a 64th of the devices. Who puts readings in adds random weights; who has
-- made the hour anew takes off what the sum was when he began. So an hour is up to
-- date when its sum is 0, whoever does what at once and is cut off where; rows
-- whose sum is 0 go away when parts are merged.
CREATE TABLE {db}.raw_dirty (
    hour    DateTime('UTC'),
    stripe  UInt8,
    weight  UInt64,
    touched SimpleAggregateFunction(max, DateTime('UTC')) DEFAULT now()
) ENGINE = SummingMergeTree(weight)
ORDER BY (hour, stripe)
SETTINGS min_age_to_force_merge_seconds = 60, min_age_to_force_merge_on_partition_only = 1, auto_statistics_types = '';

-- An hour's stripe as one number, which is what the index of a table can't be
-- asked for: it would take a pair for its first half.
CREATE VIEW {db}.raw_stale AS
SELECT hour, stripe, toUnixTimestamp(hour) * 64 + stripe AS cell, max(touched) AS touched, sum(weight) AS weight
FROM {db}.raw_dirty GROUP BY hour, stripe HAVING weight != 0;

-- The table of hours behind a view: the engine looks up which parts a table has
-- when it meets its name, and a view's tables later than those beside the view. So
-- whoever asks what is stale, and then this view, has the hours of all that is not.
CREATE VIEW {db}.raw_ready AS
SELECT device, hour, toUnixTimestamp(hour) * 64 + bitShiftRight(device, 58) AS cell, `in`, `out`, readings, arrival
FROM {db}.raw_hours FINAL
SETTINGS do_not_merge_across_partitions_select_final = 1;

INSERT INTO {db}.raw_dirty (hour, stripe, weight)
SELECT toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, bitShiftRight(device, 58) AS stripe, bitOr(rand64(), 1)
FROM {db}.raw_counts GROUP BY hour, stripe;

-- A reading's time is the end of its interval: one at 11:00 is of the hour that
-- began at 10:00. Hours that are not up to date are made of their readings. Which
-- these are is asked once, as a value: asked twice, an hour could be counted twice,
-- or not at all, when it is made anew in between. 0 is no hour; it is there because
-- a list must not be empty.
CREATE OR REPLACE VIEW {db}.hourly AS
WITH (SELECT arrayPushBack(groupArray(cell), toUInt64(0)) FROM {db}.raw_stale) AS stale
SELECT d.device AS device, d.site AS site, h.hour AS hour, h.i AS `in`, h.o AS `out`, h.n AS readings
FROM (
    SELECT device AS id, hour, `in` AS i, `out` AS o, toUInt64(readings) AS n
    FROM {db}.raw_ready
    WHERE cell NOT IN (SELECT arrayJoin(stale))
    UNION ALL
    SELECT id, hour, sum(i) AS i, sum(o) AS o, count() AS n
    FROM (
        SELECT id, toStartOfHour(ts - toIntervalMillisecond(1)) AS hour, i, o
        FROM (
            SELECT device AS id, ts, `in` AS i, `out` AS o,
                   leadInFrame(1) OVER (PARTITION BY toDate(ts), device, ts ORDER BY delay, offset ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS later
            FROM {db}.raw_counts
            WHERE toDate(ts) IN (SELECT toDate(toDateTime(intDiv(cell, 64) + arrayJoin([0, 3600]), 'UTC')) FROM (SELECT arrayJoin(stale) AS cell))
              AND toUnixTimestamp(toStartOfHour(ts - toIntervalMillisecond(1))) * 64 + bitShiftRight(device, 58) IN (SELECT arrayJoin(stale))
        )
        WHERE later = 0
    )
    GROUP BY id, hour
) AS h
INNER JOIN (SELECT id, device, site FROM {db}.raw_devices FINAL) AS d ON d.id = h.id
SETTINGS query_plan_join_swap_table = 'false';

-- The business day is the site's local day. Where an hour can be part of two days
-- (zones that are not whole hours from UTC, now or at some time since 1970), it is
-- made of quarters of an hour, which are whole in every zone.
CREATE VIEW {db}.raw_zones AS
SELECT zone, arrayExists(month -> formatDateTime(toDateTime(month * 2629743, 'UTC') - month * 2629743 % 3600, '%i', zone) != '00', range(820)) AS split
FROM (SELECT DISTINCT zone FROM {db}.raw_sites);

CREATE OR REPLACE VIEW {db}.daily AS
SELECT h.device AS device, h.site AS site, toDate(formatDateTime(h.hour, '%F', s.zone)) AS day,
       sum(h.`in`) AS `in`, sum(h.`out`) AS `out`, sum(h.readings) AS readings
FROM {db}.hourly AS h
INNER JOIN (SELECT site, toString(zone) AS zone FROM {db}.raw_sites FINAL WHERE zone IN (SELECT zone FROM {db}.raw_zones WHERE NOT split)) AS s ON s.site = h.site
GROUP BY device, site, day
UNION ALL
SELECT q.device AS device, q.site AS site, toDate(formatDateTime(q.quarter, '%F', s.zone)) AS day,
       sum(q.i) AS `in`, sum(q.o) AS `out`, sum(q.n) AS readings
FROM (
    SELECT device, site, toStartOfFifteenMinutes(ts - toIntervalMillisecond(1)) AS quarter,
           sum(`in`) AS i, sum(`out`) AS o, count() AS n
    FROM {db}.readings
    WHERE site IN (SELECT site FROM {db}.raw_sites FINAL WHERE zone IN (SELECT zone FROM {db}.raw_zones WHERE split))
    GROUP BY device, site, quarter
) AS q
INNER JOIN (SELECT site, toString(zone) AS zone FROM {db}.raw_sites FINAL) AS s ON s.site = q.site
GROUP BY device, site, day;
