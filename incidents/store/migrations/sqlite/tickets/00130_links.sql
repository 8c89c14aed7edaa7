-- +goose Up

-- Links by which somebody approves or rates without signing in. Only the SHA-256
-- of a link is kept. Times are milliseconds since 1970.
CREATE TABLE links (
    hash       BLOB PRIMARY KEY,
    incident   INTEGER NOT NULL,
    name       TEXT NOT NULL,
    language   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) WITHOUT ROWID;
CREATE INDEX links_expires ON links (expires_at);
