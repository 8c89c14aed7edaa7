-- Every version of every reading, as it arrived. A reading is (device, ts); of
-- its versions the one with the greatest (delay, offset) counts, that is the one
-- that arrived last. Rows with an equal key are the same record read twice.
-- The day leads the key, so that a span of time is read without its month.
CREATE TABLE {db}.raw_counts (
    device   UInt64                CODEC(ZSTD(1)),
    ts       DateTime64(3, 'UTC')  CODEC(DoubleDelta, ZSTD(1)),
    delay    Int64                 CODEC(T64, ZSTD(1)),
    offset   Int64                 CODEC(DoubleDelta, ZSTD(1)),
    `in`     UInt32                CODEC(T64, ZSTD(1)),
    `out`    UInt32                CODEC(T64, ZSTD(1)),
    interval UInt32                CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), device, ts, delay, offset);

CREATE TABLE {db}.raw_heartbeats (
    device       UInt64                CODEC(ZSTD(1)),
    ts           DateTime64(3, 'UTC')  CODEC(DoubleDelta, ZSTD(1)),
    delay        Int64                 CODEC(T64, ZSTD(1)),
    offset       Int64                 CODEC(DoubleDelta, ZSTD(1)),
    fw           LowCardinality(String),
    measurements Map(LowCardinality(String), Float64) CODEC(ZSTD(1))
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), device, ts, delay, offset);

-- What was last heard of each device. A maximum does not mind that a row comes
-- twice, so this may be kept at insert time where a sum may not.
CREATE TABLE {db}.raw_latest (
    device            UInt64,
    count_ts          SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    count_arrival     SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    heartbeat_ts      SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    heartbeat_arrival SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
) ENGINE = AggregatingMergeTree
ORDER BY device;

CREATE MATERIALIZED VIEW {db}.raw_latest_counts TO {db}.raw_latest AS
SELECT device, max(ts) AS count_ts, max(ts + toIntervalMillisecond(delay)) AS count_arrival
FROM {db}.raw_counts GROUP BY device;

CREATE MATERIALIZED VIEW {db}.raw_latest_heartbeats TO {db}.raw_latest AS
SELECT device, max(ts) AS heartbeat_ts, max(ts + toIntervalMillisecond(delay)) AS heartbeat_arrival
FROM {db}.raw_heartbeats GROUP BY device;
