-- +goose Up

-- Running numbers. A number is drawn in the transaction that uses it, so there
-- are neither gaps nor repeats.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO counters VALUES ('incident', 0), ('registry', 0);

-- The row is a cache of the timeline: data is the whole incident as JSON, the
-- other columns are what lists are filtered by. Times are milliseconds since 1970.
CREATE TABLE incidents (
    id           INTEGER PRIMARY KEY, -- the number in INC-000123
    key          TEXT NOT NULL,       -- fingerprint; '' when a person reported it
    open_key     TEXT,                -- fingerprint while it can absorb findings
    version      INTEGER NOT NULL,
    state        TEXT NOT NULL,
    condition    TEXT NOT NULL,
    category     TEXT NOT NULL,
    site         TEXT NOT NULL,
    device       TEXT NOT NULL,
    rule         TEXT NOT NULL,
    assignee     TEXT NOT NULL,
    level        INTEGER NOT NULL,
    priority     INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    recovered_at INTEGER,             -- since when an untouched new incident has been clear
    words        TEXT NOT NULL,       -- the summary in lower case, for searching
    data         TEXT NOT NULL
);
-- Each index ends with the id by itself, so a filtered list needs no sorting.
CREATE UNIQUE INDEX incidents_open_key ON incidents (open_key) WHERE open_key IS NOT NULL;
CREATE INDEX incidents_key ON incidents (key) WHERE key <> '';
CREATE INDEX incidents_recovered ON incidents (recovered_at) WHERE recovered_at IS NOT NULL;
CREATE INDEX incidents_site ON incidents (site);
CREATE INDEX incidents_device ON incidents (device);
CREATE INDEX incidents_category ON incidents (category);
CREATE INDEX incidents_state ON incidents (state);
CREATE INDEX incidents_priority ON incidents (priority);
CREATE INDEX incidents_level ON incidents (level);
CREATE INDEX incidents_assignee ON incidents (assignee);
CREATE INDEX incidents_updated ON incidents (updated_at);

-- Timelines, append-only. The id gives all of them one order, for whoever
-- follows along.
CREATE TABLE events (
    id       INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    actor    TEXT NOT NULL,
    source   TEXT NOT NULL,
    request  TEXT NOT NULL,
    kind     TEXT NOT NULL,
    before   TEXT NOT NULL,
    after    TEXT NOT NULL,
    text     TEXT NOT NULL,
    internal INTEGER NOT NULL,
    evidence TEXT
);
CREATE UNIQUE INDEX events_incident ON events (incident, seq);

-- How many incidents there are of each sort, kept in the same transaction.
CREATE TABLE tallies (
    category TEXT NOT NULL,
    state    TEXT NOT NULL,
    level    INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (category, state, level, priority)
) WITHOUT ROWID;

-- Answers to requests that may come again.
CREATE TABLE answers (
    key  TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    body BLOB NOT NULL,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);
