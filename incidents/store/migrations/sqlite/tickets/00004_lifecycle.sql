-- +goose Up

-- What lists are filtered by since there are kinds and clocks, and when the
-- incident next has to be looked at by itself.
ALTER TABLE incidents ADD COLUMN kind TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN clock TEXT NOT NULL DEFAULT '';
ALTER TABLE incidents ADD COLUMN timer_at INTEGER;
CREATE INDEX incidents_timer ON incidents (timer_at) WHERE timer_at IS NOT NULL;
CREATE INDEX incidents_clock ON incidents (clock) WHERE clock IN ('at_risk', 'breached', 'paused');

-- What managers write: calendars, agreements. Versions are only added.
CREATE TABLE documents (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    retired INTEGER NOT NULL,
    data    TEXT NOT NULL,
    PRIMARY KEY (kind, id, version)
) WITHOUT ROWID;
INSERT INTO counters VALUES ('documents', 0);
