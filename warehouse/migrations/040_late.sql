-- What arrived late, in the order of arrival: which days a back-fill touched, and who
-- was last heard of by one, without a search through months. A reading is late when it
-- arrived five minutes or more after its time. A record that is read twice is here
-- twice, which does not matter to either question.
CREATE TABLE {db}.raw_late (
    arrival DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    kind    UInt8                CODEC(ZSTD(1)),
    device  UInt64               CODEC(ZSTD(1)),
    ts      DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(arrival)
ORDER BY (arrival, device);

CREATE MATERIALIZED VIEW {db}.raw_late_counts TO {db}.raw_late AS
SELECT ts + toIntervalMillisecond(delay) AS arrival, 1 AS kind, device, ts
FROM {db}.raw_counts WHERE delay >= 300000;

CREATE MATERIALIZED VIEW {db}.raw_late_heartbeats TO {db}.raw_late AS
SELECT ts + toIntervalMillisecond(delay) AS arrival, 2 AS kind, device, ts
FROM {db}.raw_heartbeats WHERE delay >= 300000;

INSERT INTO {db}.raw_late
SELECT ts + toIntervalMillisecond(delay) AS arrival, 1 AS kind, device, ts FROM {db}.raw_counts WHERE delay >= 300000
UNION ALL
SELECT ts + toIntervalMillisecond(delay) AS arrival, 2 AS kind, device, ts FROM {db}.raw_heartbeats WHERE delay >= 300000;
