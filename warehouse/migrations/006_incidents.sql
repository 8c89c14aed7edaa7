-- A copy of the incidents and their events, whose truth is in the ticket database.
-- Of an incident the newest version counts; an event that comes again is the same.
CREATE TABLE {db}.raw_incidents (
    ref            String,
    version        UInt64,
    state          LowCardinality(String),
    condition      LowCardinality(String),
    origin         LowCardinality(String),
    kind           LowCardinality(String),
    category       LowCardinality(String),
    rule           LowCardinality(String),
    scope          String,
    site           String,
    device         String,
    priority       UInt8,
    level          UInt8,
    impact         LowCardinality(String),
    urgency        LowCardinality(String),
    summary        String,
    assignee       String,
    parent         String,
    major          Bool,
    flapping       Bool,
    held_by        LowCardinality(String),
    occurrences    UInt32,
    reopened       UInt32,
    value          Nullable(Float64),
    threshold      Nullable(Float64),
    since          DateTime64(3, 'UTC'),
    opened_at      DateTime64(3, 'UTC'),
    updated_at     DateTime64(3, 'UTC'),
    first_response DateTime64(3, 'UTC'),
    resolved_at    DateTime64(3, 'UTC'),
    closed_at      DateTime64(3, 'UTC'),
    respond_due    DateTime64(3, 'UTC'),
    resolve_due    DateTime64(3, 'UTC'),
    resolution     LowCardinality(String),
    cause          LowCardinality(String),
    satisfaction   UInt8
) ENGINE = ReplacingMergeTree(version)
ORDER BY ref;

CREATE TABLE {db}.raw_incident_events (
    ref       String,
    seq       UInt64,
    id        UInt64,
    at        DateTime64(3, 'UTC'),
    kind      LowCardinality(String),
    source    LowCardinality(String),
    actor     String,
    condition LowCardinality(String),
    state     LowCardinality(String),
    value     Nullable(Float64),
    threshold Nullable(Float64),
    score     Nullable(Float64),
    since     Nullable(DateTime64(3, 'UTC')),
    changes   String CODEC(ZSTD(1)),
    text      String,
    internal  Bool
) ENGINE = ReplacingMergeTree
ORDER BY (ref, seq);

CREATE VIEW {db}.incidents AS
SELECT ref, version, state, condition, origin, kind, category, rule, scope, site, device, priority, level, impact, urgency, summary, assignee,
       parent, major, flapping, held_by, occurrences, reopened, value, threshold, since, opened_at, updated_at, first_response, resolved_at,
       closed_at, respond_due, resolve_due, resolution, cause, satisfaction
FROM {db}.raw_incidents FINAL;

CREATE VIEW {db}.incident_events AS
SELECT e.ref AS ref, e.seq AS seq, e.at AS at, e.kind AS kind, e.source AS source, e.actor AS actor, i.site AS site, i.device AS device,
       i.category AS category, e.state AS state, e.changes AS changes, e.text AS text, e.internal AS internal
FROM (SELECT ref, seq, at, kind, source, actor, state, changes, text, internal FROM {db}.raw_incident_events FINAL) AS e
INNER JOIN (SELECT ref, site, device, category FROM {db}.raw_incidents FINAL) AS i ON i.ref = e.ref;

-- What the analyzer told the desk: an incident's event says what changed, and what
-- it does not say is as it was.
CREATE VIEW {db}.findings AS
SELECT e.at AS at, i.rule AS rule, i.scope AS scope, i.site AS site, i.device AS device, e.was AS condition, e.kind AS kind,
       e.v AS value, e.t AS threshold, e.s AS score, e.began AS since, e.ref AS ref
FROM (
    SELECT ref, at, kind, source,
           last_value(nullIf(toString(condition), '')) IGNORE NULLS OVER w AS was, last_value(value) IGNORE NULLS OVER w AS v,
           last_value(threshold) IGNORE NULLS OVER w AS t, last_value(score) IGNORE NULLS OVER w AS s, last_value(since) IGNORE NULLS OVER w AS began
    FROM {db}.raw_incident_events FINAL
    WINDOW w AS (PARTITION BY ref ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
) AS e
INNER JOIN (SELECT ref, rule, scope, site, device FROM {db}.raw_incidents FINAL WHERE origin = 'rule') AS i ON i.ref = e.ref
WHERE e.source = 'analyzer';

-- How each device is now.
CREATE VIEW {db}.device_state AS
SELECT d.device AS device, d.site AS site, d.status AS status, d.labels AS labels, l.last_reading AS last_reading, l.last_heartbeat AS last_heartbeat,
       l.last_arrival AS last_arrival, h.fw AS fw, h.measurements AS measurements, i.open AS open_incidents, i.categories AS open_categories
FROM (SELECT id, device, site, status, labels FROM {db}.raw_devices FINAL) AS d
LEFT JOIN (
    SELECT device AS id, CAST(max(count_ts), 'DateTime64(3, \'UTC\')') AS last_reading, CAST(max(heartbeat_ts), 'DateTime64(3, \'UTC\')') AS last_heartbeat,
           CAST(greatest(max(count_arrival), max(heartbeat_arrival)), 'DateTime64(3, \'UTC\')') AS last_arrival
    FROM {db}.raw_latest GROUP BY device
) AS l ON l.id = d.id
LEFT JOIN (
    SELECT device AS id, argMax(fw, (delay, offset)) AS fw, argMax(measurements, (delay, offset)) AS measurements
    FROM {db}.raw_heartbeats
    WHERE toDate(ts) IN (SELECT toDate(max(heartbeat_ts)) FROM {db}.raw_latest GROUP BY device)
      AND (device, ts) IN (SELECT device, max(heartbeat_ts) FROM {db}.raw_latest GROUP BY device)
    GROUP BY device
) AS h ON h.id = d.id
LEFT JOIN (
    SELECT device, count() AS open, groupUniqArray(toString(category)) AS categories
    FROM {db}.raw_incidents FINAL WHERE state NOT IN ('resolved', 'closed', 'cancelled') AND device != ''
    GROUP BY device
) AS i ON i.device = d.device;
