-- +goose Up

-- Rules that were changed through the API, every version of them. The newest counts,
-- before what the files say; one that was dropped gives the word back to the files.
CREATE TABLE rule_versions (
    name    TEXT NOT NULL,
    version BIGINT NOT NULL,
    text    TEXT NOT NULL,
    dropped BOOLEAN NOT NULL,
    actor   TEXT NOT NULL,
    at      BIGINT NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (name, version)
);
