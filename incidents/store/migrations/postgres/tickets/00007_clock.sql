-- +goose Up

-- SQLite does not see that clock = 'breached' is one of the values of a partial
-- index, so the index is a whole one.
DROP INDEX incidents_clock;
CREATE INDEX incidents_clock ON incidents (clock, id);
