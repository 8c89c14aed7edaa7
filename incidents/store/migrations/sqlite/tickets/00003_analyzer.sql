-- +goose Up

-- What the analyzer remembers of each rule and scope. Times are nanoseconds
-- since 1970: what is loaded must equal what was saved.
CREATE TABLE analyzer_states (
    rule      TEXT NOT NULL,
    level     TEXT NOT NULL,
    scope     TEXT NOT NULL,
    rule_hash TEXT NOT NULL,
    phase     TEXT NOT NULL,
    unknown   INTEGER NOT NULL,
    since     INTEGER,
    calm      INTEGER,
    at        INTEGER,
    value     REAL,
    PRIMARY KEY (rule, level, scope)
) WITHOUT ROWID;

-- How far evaluation has come: one row, as JSON.
CREATE TABLE analyzer_progress (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    data TEXT NOT NULL
);
