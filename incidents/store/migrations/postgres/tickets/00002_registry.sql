-- +goose Up

-- The registry. Each change of a row draws a new revision, so that a mirror can
-- ask for what has changed since the last one it saw.
CREATE TABLE sites (
    id       TEXT COLLATE "C" PRIMARY KEY,
    status   TEXT NOT NULL,
    data     TEXT NOT NULL, -- the whole site as JSON
    version  BIGINT NOT NULL,
    revision BIGINT NOT NULL
);
CREATE INDEX sites_revision ON sites (revision);

CREATE TABLE devices (
    name             TEXT COLLATE "C" PRIMARY KEY,
    site             TEXT NOT NULL,
    status           TEXT NOT NULL,
    labels           TEXT NOT NULL, -- JSON object, '' for none
    heartbeat_every  BIGINT NOT NULL,
    reading_every    BIGINT NOT NULL,
    in_service_since BIGINT,       -- milliseconds since 1970
    retired_at       BIGINT,
    self_registered  BOOLEAN NOT NULL,
    version          BIGINT NOT NULL,
    revision         BIGINT NOT NULL
);
CREATE INDEX devices_site ON devices (site, name);
CREATE INDEX devices_revision ON devices (revision);
