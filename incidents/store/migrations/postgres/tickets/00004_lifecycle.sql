-- +goose Up

-- What lists are filtered by since there are kinds and clocks, and when the
-- incident next has to be looked at by itself.
ALTER TABLE incidents ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN clock TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN timer_at BIGINT;
CREATE INDEX incidents_timer ON incidents (timer_at, id) WHERE timer_at IS NOT NULL;
CREATE INDEX incidents_clock ON incidents (clock, id) WHERE clock IN ('at_risk', 'breached', 'paused');

-- What managers write: calendars, agreements. Versions are only added.
CREATE TABLE documents (
    kind    TEXT NOT NULL,
    id      TEXT COLLATE "C" NOT NULL,
    version BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    retired BOOLEAN NOT NULL,
    data    TEXT NOT NULL,
    PRIMARY KEY (kind, id, version)
);
INSERT INTO counters VALUES ('documents', 0);
