-- +goose Up

-- Reports are about what was opened in a span.
ALTER TABLE incidents ADD COLUMN opened_at INTEGER NOT NULL DEFAULT 0;
UPDATE incidents SET opened_at = CAST(unixepoch(json_extract(data, '$.opened_at'), 'subsec') * 1000 AS INTEGER);
CREATE INDEX incidents_opened ON incidents (opened_at);

-- The index of texts. Its rows are the incidents by their numbers, and the entries
-- by theirs, which begin far above. It holds folded words and no texts.
CREATE VIRTUAL TABLE search USING fts5 (title, body, content = '', contentless_delete = 1, tokenize = 'ascii');
CREATE TABLE entries (
    id       INTEGER PRIMARY KEY,
    kind     TEXT NOT NULL, -- article, known_error
    ref      TEXT NOT NULL,
    site     TEXT NOT NULL,
    internal INTEGER NOT NULL,
    UNIQUE (kind, ref)
);

-- indexed is the number up to which incidents are in the index.
INSERT INTO counters VALUES ('indexed', 0), ('problem', 0), ('announcement', 0), ('entry', 1099511627776);

-- How incidents ended: those that people have ended, and those whose end counts
-- for a problem (counted_at is when they closed).
CREATE TABLE endings (
    incident   INTEGER PRIMARY KEY,
    category   TEXT NOT NULL,
    site       TEXT NOT NULL,
    device     TEXT NOT NULL,
    rule       TEXT NOT NULL,
    level      INTEGER NOT NULL,
    model      TEXT NOT NULL,
    firmware   TEXT NOT NULL,
    code       TEXT NOT NULL,
    judged     INTEGER NOT NULL, -- a person has ended it
    solved     INTEGER NOT NULL, -- and said how
    ended_at   INTEGER NOT NULL,
    counted_at INTEGER
);
CREATE INDEX endings_site ON endings (category, site, counted_at) WHERE counted_at IS NOT NULL;
CREATE INDEX endings_make ON endings (category, model, firmware, counted_at) WHERE counted_at IS NOT NULL;
CREATE INDEX endings_rule ON endings (ended_at, rule) WHERE judged = 1;
CREATE INDEX endings_device ON endings (device, incident) WHERE solved = 1;
CREATE INDEX endings_category ON endings (category, incident) WHERE solved = 1;
CREATE INDEX endings_solved_site ON endings (site, category, incident) WHERE solved = 1;

-- What people were asked and have not done.
CREATE TABLE open_actions (
    incident INTEGER NOT NULL,
    action   INTEGER NOT NULL,
    assignee TEXT NOT NULL,
    due_at   INTEGER NOT NULL,
    PRIMARY KEY (incident, action)
) WITHOUT ROWID;
CREATE INDEX open_actions_due ON open_actions (due_at, incident, action);

-- Problems and announcements: one row each, with what they are found by.
CREATE TABLE records (
    kind       TEXT NOT NULL,
    id         INTEGER NOT NULL, -- the number in PRB-000123
    version    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    key        TEXT NOT NULL,
    live       INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    data       TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX records_key ON records (kind, key, id) WHERE key <> '';
CREATE INDEX records_state ON records (kind, state, id);
