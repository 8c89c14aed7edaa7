-- +goose Up

-- What a row says is said once, for the disk is what a storm waits for: the sort's
-- parts are in sorts, and data is NULL as long as the incident is what its first event
-- says. The summary's words are looked through in these rows, which are short now.
CREATE TABLE rows_of_incidents (
    id           INTEGER PRIMARY KEY, -- the number in INC-000123
    sort         INTEGER NOT NULL,    -- in sorts
    open         INTEGER NOT NULL,    -- 1 while it can absorb findings
    updated_at   INTEGER NOT NULL,    -- milliseconds since 1970, as all times
    opened_at    INTEGER NOT NULL,
    recovered_at INTEGER,             -- since when an untouched new incident has been clear
    timer_at     INTEGER,             -- when it next has to be looked at by itself
    words        TEXT NOT NULL,       -- the summary, folded
    key          TEXT NOT NULL,       -- fingerprint; '' when a person reported it
    site         TEXT NOT NULL,
    device       TEXT NOT NULL,
    parent       TEXT,                -- the incident that it is a part of
    assignee     TEXT NOT NULL,
    reporter     TEXT NOT NULL,
    supplier     TEXT NOT NULL,       -- that has the incident now
    data         TEXT                 -- the whole incident as JSON
);
INSERT INTO rows_of_incidents SELECT id, sort, open_key IS NOT NULL, updated_at, opened_at, recovered_at, timer_at, words, key,
    site, device, parent, assignee, reporter, supplier, data FROM incidents ORDER BY id;
DROP TABLE incidents;
ALTER TABLE rows_of_incidents RENAME TO incidents;
DROP TABLE fresh_words;

-- One index finds the incidents of a key and keeps two of them from being open: the
-- open one's second part is 0, that of each other one its own number.
CREATE UNIQUE INDEX incidents_key ON incidents (key, (CASE open WHEN 1 THEN 0 ELSE id END)) WHERE key <> '';
CREATE INDEX incidents_place ON incidents (site, sort) WHERE open = 1;
CREATE INDEX incidents_sort ON incidents (sort, id, updated_at);
CREATE INDEX incidents_site ON incidents (site, id, sort);
CREATE INDEX incidents_device ON incidents (device);
CREATE INDEX incidents_updated ON incidents (updated_at, sort);
CREATE INDEX incidents_opened ON incidents (opened_at);
CREATE INDEX incidents_alone ON incidents (opened_at) WHERE parent IS NULL;
CREATE INDEX incidents_recovered ON incidents (recovered_at) WHERE recovered_at IS NOT NULL;
CREATE INDEX incidents_timer ON incidents (timer_at) WHERE timer_at IS NOT NULL;
CREATE INDEX incidents_parent ON incidents (parent) WHERE parent IS NOT NULL;
CREATE INDEX incidents_assignee ON incidents (assignee, id, sort) WHERE assignee <> '';
CREATE INDEX incidents_reporter ON incidents (reporter) WHERE reporter <> '';
CREATE INDEX incidents_supplier ON incidents (supplier, id, sort) WHERE supplier <> '';
