-- +goose Up

-- What the analyzer remembers of each rule and scope. Times are nanoseconds
-- since 1970: what is loaded must equal what was saved.
CREATE TABLE analyzer_states (
    rule      TEXT NOT NULL,
    level     TEXT NOT NULL,
    scope     TEXT NOT NULL,
    rule_hash TEXT NOT NULL,
    phase     TEXT NOT NULL,
    unknown   BOOLEAN NOT NULL,
    since     BIGINT,
    calm      BIGINT,
    at        BIGINT,
    value     DOUBLE PRECISION,
    PRIMARY KEY (rule, level, scope)
);

-- How far evaluation has come: one row, as JSON.
CREATE TABLE analyzer_progress (
    id   BIGINT PRIMARY KEY CHECK (id = 1),
    data TEXT NOT NULL
);
