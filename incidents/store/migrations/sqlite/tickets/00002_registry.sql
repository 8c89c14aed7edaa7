-- +goose Up

-- The registry. Each change of a row draws a new revision, so that a mirror can
-- ask for what has changed since the last one it saw.
CREATE TABLE sites (
    id       TEXT PRIMARY KEY,
    status   TEXT NOT NULL,
    data     TEXT NOT NULL, -- the whole site as JSON
    version  INTEGER NOT NULL,
    revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sites_revision ON sites (revision);

CREATE TABLE devices (
    name             TEXT PRIMARY KEY,
    site             TEXT NOT NULL,
    status           TEXT NOT NULL,
    labels           TEXT NOT NULL, -- JSON object, '' for none
    heartbeat_every  INTEGER NOT NULL,
    reading_every    INTEGER NOT NULL,
    in_service_since INTEGER,       -- milliseconds since 1970
    retired_at       INTEGER,
    self_registered  INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    revision         INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX devices_site ON devices (site);
CREATE INDEX devices_revision ON devices (revision);
