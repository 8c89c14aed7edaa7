-- +goose Up

-- When a state began to fire, and where what it is about began.
ALTER TABLE analyzer_states ADD COLUMN began BIGINT;
ALTER TABLE analyzer_states ADD COLUMN fired BIGINT;

-- What fired for devices and no longer does: the analyzer neither learns from it nor
-- forgets for half a year that it happened before.
CREATE TABLE analyzer_spells (
    rule  TEXT NOT NULL,
    level TEXT NOT NULL,
    scope TEXT NOT NULL,
    fired BIGINT NOT NULL,
    began BIGINT NOT NULL,
    ended BIGINT NOT NULL,
    PRIMARY KEY (rule, level, scope, fired)
);
CREATE INDEX analyzer_spells_ended ON analyzer_spells (ended);
