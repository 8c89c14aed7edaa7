-- +goose Up

-- Running numbers. A number is drawn in the transaction that uses it, so there
-- are neither gaps nor repeats.
CREATE TABLE counters (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters VALUES ('incident', 0), ('registry', 0);

-- The row is a cache of the timeline: data is the whole incident as JSON, the
-- other columns are what lists are filtered by. Times are milliseconds since 1970.
CREATE TABLE incidents (
    id           BIGINT PRIMARY KEY, -- the number in INC-000123
    key          TEXT NOT NULL,       -- fingerprint; '' when a person reported it
    open_key     TEXT,                -- fingerprint while it can absorb findings
    version      BIGINT NOT NULL,
    state        TEXT NOT NULL,
    condition    TEXT NOT NULL,
    category     TEXT NOT NULL,
    site         TEXT NOT NULL,
    device       TEXT NOT NULL,
    rule         TEXT NOT NULL,
    assignee     TEXT NOT NULL,
    level        BIGINT NOT NULL,
    priority     BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    recovered_at BIGINT,             -- since when an untouched new incident has been clear
    words        TEXT NOT NULL,       -- the summary in lower case, for searching
    data         TEXT NOT NULL
);
-- Each index ends with the id, so a filtered list needs no sorting.
CREATE UNIQUE INDEX incidents_open_key ON incidents (open_key) WHERE open_key IS NOT NULL;
CREATE INDEX incidents_key ON incidents (key, id) WHERE key <> '';
CREATE INDEX incidents_recovered ON incidents (recovered_at, id) WHERE recovered_at IS NOT NULL;
CREATE INDEX incidents_site ON incidents (site, id);
CREATE INDEX incidents_device ON incidents (device, id);
CREATE INDEX incidents_category ON incidents (category, id);
CREATE INDEX incidents_state ON incidents (state, id);
CREATE INDEX incidents_priority ON incidents (priority, id);
CREATE INDEX incidents_level ON incidents (level, id);
CREATE INDEX incidents_assignee ON incidents (assignee, id);
CREATE INDEX incidents_updated ON incidents (updated_at, id);

-- Timelines, append-only. The id gives all of them one order, for whoever
-- follows along.
CREATE TABLE events (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident BIGINT NOT NULL,
    seq      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    actor    TEXT NOT NULL,
    source   TEXT NOT NULL,
    request  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    before   TEXT NOT NULL,
    after    TEXT NOT NULL,
    text     TEXT NOT NULL,
    internal BOOLEAN NOT NULL,
    evidence TEXT
);
CREATE UNIQUE INDEX events_incident ON events (incident, seq);

-- How many incidents there are of each sort, kept in the same transaction.
CREATE TABLE tallies (
    category TEXT NOT NULL,
    state    TEXT NOT NULL,
    level    BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    count    BIGINT NOT NULL,
    PRIMARY KEY (category, state, level, priority)
);

-- Answers to requests that may come again.
CREATE TABLE answers (
    key  TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    body BYTEA NOT NULL,
    at   BIGINT NOT NULL
);
CREATE INDEX answers_at ON answers (at);
