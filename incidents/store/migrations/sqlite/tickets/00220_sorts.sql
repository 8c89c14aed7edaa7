-- +goose Up

-- The sorts of incidents with how many there are of each, kept in the same
-- transaction. What has few values lies here, so that a row and an index need one
-- number for all of it, and a list of few among many finds them at once.
CREATE TABLE sorts (
    id        INTEGER PRIMARY KEY,
    category  TEXT NOT NULL,
    state     TEXT NOT NULL,
    level     INTEGER NOT NULL,
    priority  INTEGER NOT NULL,
    clock     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    condition TEXT NOT NULL,
    rule      TEXT NOT NULL,
    count     INTEGER NOT NULL,
    UNIQUE (category, state, level, priority, clock, kind, condition, rule)
);
INSERT INTO sorts (category, state, level, priority, clock, kind, condition, rule, count)
    SELECT category, state, level, priority, clock, kind, condition, rule, COUNT(*) FROM incidents GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
DROP TABLE tallies;
DROP INDEX incidents_category;
DROP INDEX incidents_state;
DROP INDEX incidents_priority;
DROP INDEX incidents_level;
DROP INDEX incidents_clock;
DROP INDEX incidents_site;
DROP INDEX incidents_assignee;
DROP INDEX incidents_updated;

ALTER TABLE incidents ADD COLUMN sort INTEGER NOT NULL DEFAULT 0;
UPDATE incidents SET sort = (SELECT s.id FROM sorts s WHERE s.category = incidents.category AND s.state = incidents.state
    AND s.level = incidents.level AND s.priority = incidents.priority AND s.clock = incidents.clock AND s.kind = incidents.kind
    AND s.condition = incidents.condition AND s.rule = incidents.rule);

-- What a filter needs lies in the index that it walks, so the rows, which are long,
-- are read for the page alone.
CREATE INDEX incidents_sort ON incidents (sort, id, updated_at);
CREATE INDEX incidents_site ON incidents (site, id, sort);
CREATE INDEX incidents_assignee ON incidents (assignee, id, sort) WHERE assignee <> '';
CREATE INDEX incidents_updated ON incidents (updated_at, sort);
