-- +goose Up

-- Links by which somebody approves or rates without signing in. Only the SHA-256
-- of a link is kept. Times are milliseconds since 1970.
CREATE TABLE links (
    hash       BYTEA PRIMARY KEY,
    incident   BIGINT NOT NULL,
    name       TEXT NOT NULL,
    language   TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT
);
CREATE INDEX links_expires ON links (expires_at);
