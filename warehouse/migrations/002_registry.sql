-- A copy of the registry, whose truth is in the ticket database.
CREATE TABLE {db}.raw_sites (
    site     String,
    name     String,
    zone     LowCardinality(String),
    status   LowCardinality(String),
    labels   Map(String, String),
    contact  String,
    revision UInt64
) ENGINE = ReplacingMergeTree(revision)
ORDER BY site;

CREATE TABLE {db}.raw_devices (
    id               UInt64,
    device           String,
    site             String,
    status           LowCardinality(String),
    labels           Map(String, String),
    heartbeat_every  UInt32,
    reading_every    UInt32,
    in_service_since DateTime64(3, 'UTC'),
    retired_at       DateTime64(3, 'UTC'),
    self_registered  Bool,
    revision         UInt64
) ENGINE = ReplacingMergeTree(revision)
ORDER BY id;
