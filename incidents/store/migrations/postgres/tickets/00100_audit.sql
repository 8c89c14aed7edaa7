-- +goose Up

-- Who asked for what. Append-only, until it is too old.
CREATE TABLE audit (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL, -- milliseconds since 1970
    name       TEXT NOT NULL,
    token      TEXT NOT NULL,
    role       TEXT NOT NULL,
    site       TEXT NOT NULL,
    method     TEXT NOT NULL,
    route      TEXT NOT NULL,
    path       TEXT NOT NULL,
    status     BIGINT NOT NULL,
    request    TEXT NOT NULL,
    origin     TEXT NOT NULL,
    unrecorded BIGINT NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_name ON audit (name);
