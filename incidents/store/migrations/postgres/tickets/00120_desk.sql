-- +goose Up

-- Reports are about what was opened in a span.
ALTER TABLE incidents ADD COLUMN opened_at BIGINT NOT NULL DEFAULT 0;
UPDATE incidents SET opened_at = (extract(epoch FROM (data::json->>'opened_at')::timestamptz) * 1000)::bigint;
CREATE INDEX incidents_opened ON incidents (opened_at, id);

-- The index of texts. Its rows are the incidents by their numbers, and the entries
-- by theirs, which begin far above. It holds folded words and no texts; those of
-- the title have the weight A.
CREATE TABLE search (
    id     BIGINT PRIMARY KEY,
    vector TSVECTOR NOT NULL
);
CREATE INDEX search_vector ON search USING gin (vector);
CREATE TABLE entries (
    id       BIGINT PRIMARY KEY,
    kind     TEXT NOT NULL, -- article, known_error
    ref      TEXT NOT NULL,
    site     TEXT NOT NULL,
    internal BOOLEAN NOT NULL,
    UNIQUE (kind, ref)
);

-- indexed is the number up to which incidents are in the index.
INSERT INTO counters VALUES ('indexed', 0), ('problem', 0), ('announcement', 0), ('entry', 1099511627776);

-- How incidents ended: those that people have ended, and those whose end counts
-- for a problem (counted_at is when they closed).
CREATE TABLE endings (
    incident   BIGINT PRIMARY KEY,
    category   TEXT NOT NULL,
    site       TEXT NOT NULL,
    device     TEXT NOT NULL,
    rule       TEXT NOT NULL,
    level      BIGINT NOT NULL,
    model      TEXT NOT NULL,
    firmware   TEXT NOT NULL,
    code       TEXT NOT NULL,
    judged     BOOLEAN NOT NULL, -- a person has ended it
    solved     BOOLEAN NOT NULL, -- and said how
    ended_at   BIGINT NOT NULL,
    counted_at BIGINT
);
CREATE INDEX endings_site ON endings (category, site, counted_at) WHERE counted_at IS NOT NULL;
CREATE INDEX endings_make ON endings (category, model, firmware, counted_at) WHERE counted_at IS NOT NULL;
CREATE INDEX endings_rule ON endings (ended_at, rule) WHERE judged;
CREATE INDEX endings_device ON endings (device, incident) WHERE solved;
CREATE INDEX endings_category ON endings (category, incident) WHERE solved;
CREATE INDEX endings_solved_site ON endings (site, category, incident) WHERE solved;

-- What people were asked and have not done.
CREATE TABLE open_actions (
    incident BIGINT NOT NULL,
    action   BIGINT NOT NULL,
    assignee TEXT NOT NULL,
    due_at   BIGINT NOT NULL,
    PRIMARY KEY (incident, action)
);
CREATE INDEX open_actions_due ON open_actions (due_at, incident, action);

-- Problems and announcements: one row each, with what they are found by.
CREATE TABLE records (
    kind       TEXT NOT NULL,
    id         BIGINT NOT NULL, -- the number in PRB-000123
    version    BIGINT NOT NULL,
    state      TEXT NOT NULL,
    key        TEXT NOT NULL,
    live       BOOLEAN NOT NULL,
    updated_at BIGINT NOT NULL,
    data       TEXT NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX records_key ON records (kind, key, id) WHERE key <> '';
CREATE INDEX records_state ON records (kind, state, id);
